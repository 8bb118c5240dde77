package source

import (
	"bytes"
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

type dockerSpec struct {
	Common     `yaml:",inline"`
	Root       string   `yaml:"root"`       // Docker's data folder; default /var/lib/docker
	Containers []string `yaml:"containers"` // patterns of names; default all
	Start      string   `yaml:"start"`      // as of files
}

// newDocker follows the files of Docker's json-file driver, the default one. It
// joins what the driver tore at 16 KiB and says which container wrote it.
func newDocker(s *dockerSpec, _ Env) (Source, error) {
	for _, p := range s.Containers {
		if _, err := filepath.Match(p, ""); err != nil {
			return nil, wrong("containers", "%q is not a pattern: %v", p, err)
		}
	}
	root := cmp.Or(s.Root, "/var/lib/docker")
	if !filepath.IsAbs(root) {
		return nil, wrong("root", "%q must begin at the root", root)
	}
	if s.Start != "" && s.Start != "beginning" && s.Start != "end" {
		return nil, wrong("start", "is %q, allowed: beginning, end", s.Start)
	}
	d := &docker{only: s.Containers, known: map[string]container{}}
	g := &group{ends: wholeDocker, join: d.join, timeout: 5 * time.Second, most: 128}
	spec := &fileSpec{Common: s.Common, Paths: []string{filepath.Join(root, "containers", "*", "*-json.log*")}, Start: s.Start}
	return newFileReader(spec, "docker", g), nil
}

type docker struct {
	only []string

	mu    sync.Mutex
	known map[string]container // by the folder of its files
}

type container struct {
	ID, Name, Image string
	asked           time.Time
}

// wholeDocker reports whether a line of the driver ends a line of the container.
func wholeDocker(line []byte) bool {
	return bytes.Contains(line, []byte(`\n","stream"`)) || !bytes.HasPrefix(line, []byte(`{"log"`))
}

type dockerLine struct {
	Log    string            `json:"log"`
	Stream string            `json:"stream,omitempty"`
	Time   string            `json:"time,omitempty"`
	Attrs  map[string]string `json:"attrs,omitempty"`

	ContainerID   string `json:"container_id,omitempty"`
	ContainerName string `json:"container_name,omitempty"`
	Image         string `json:"container_image,omitempty"`
}

// join makes one record of the lines that the driver wrote for one, "" where the
// container is not wanted.
func (d *docker) join(path, text string) string {
	c := d.container(filepath.Dir(path))
	if !d.wants(c.Name) {
		return ""
	}
	var whole dockerLine
	for i, line := range strings.Split(text, "\n") {
		var part dockerLine
		if json.Unmarshal([]byte(line), &part) != nil {
			return text // not what the driver writes: kept as it is
		}
		if i > 0 {
			part.Log = whole.Log + part.Log
		}
		whole = part
	}
	whole.ContainerID, whole.ContainerName, whole.Image = c.ID, c.Name, c.Image
	out, err := json.Marshal(whole)
	if err != nil {
		return text
	}
	return string(out)
}

func (d *docker) wants(name string) bool {
	for _, p := range d.only {
		if ok, _ := filepath.Match(p, name); ok {
			return true
		}
	}
	return len(d.only) == 0
}

// container reads what Docker wrote about a container beside its log. Names may
// change, so it looks again now and then.
func (d *docker) container(dir string) container {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, ok := d.known[dir]
	if ok && time.Since(c.asked) < time.Minute {
		return c
	}
	if len(d.known) > 4096 {
		clear(d.known)
	}
	c = container{ID: filepath.Base(dir), asked: time.Now()}
	var config struct {
		Name   string
		Config struct{ Image string }
	}
	if text, err := os.ReadFile(filepath.Join(dir, "config.v2.json")); err == nil && json.Unmarshal(text, &config) == nil {
		c.Name, c.Image = strings.TrimPrefix(config.Name, "/"), config.Config.Image
	}
	d.known[dir] = c
	return c
}
