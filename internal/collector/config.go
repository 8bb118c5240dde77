package collector

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"

	"github.com/kyra-mdr/kyra/internal/collector/source"
)

// Paths says where a collector keeps its things.
type Paths struct {
	Config string // collector.yaml; sources.d lies beside it
	State  string // identity, spool, pushed configuration, control socket
}

// Sources is the folder of the host's own sources.
func (p Paths) Sources() string { return filepath.Join(filepath.Dir(p.Config), "sources.d") }

func (p Paths) identity() string { return filepath.Join(p.State, "identity.json") }
func (p Paths) spool() string    { return filepath.Join(p.State, "spool") }
func (p Paths) managed() string  { return filepath.Join(p.State, "managed") }
func (p Paths) control() string  { return filepath.Join(p.State, "control.sock") }
func (p Paths) lock() string     { return filepath.Join(p.State, "lock") }

// Config is collector.yaml.
type Config struct {
	Server     string   `yaml:"server"`      // https://host:port
	Host       string   `yaml:"host"`        // how this host calls itself; default its host name
	Spool      SpoolSet `yaml:"spool"`       //
	Memory     Size     `yaml:"memory"`      // at which memory is collected harder; default 96MiB
	PushedExec bool     `yaml:"pushed_exec"` // the server may push sources that run commands
	HashKey    string   `yaml:"hash_key"`    // of masks that hash
	Log        LogSet   `yaml:"log"`         //
}

// SpoolSet bounds the spool.
type SpoolSet struct {
	MaxBytes Size `yaml:"max_bytes"` // default 1GiB
}

// LogSet is the collector's own log, on standard error.
type LogSet struct {
	Level  string `yaml:"level"`  // debug, info, warn, error
	Format string `yaml:"format"` // text, json
}

// Size is a number of bytes: 1GiB, 512MiB, 4096.
type Size int64

// UnmarshalYAML reads a size.
func (s *Size) UnmarshalYAML(text []byte) error {
	t := strings.Trim(strings.TrimSpace(string(text)), `"'`)
	number, unit := strings.TrimRight(t, "KMGTiB "), int64(1)
	switch strings.TrimSpace(t[len(number):]) {
	case "", "B":
	case "KiB":
		unit = 1 << 10
	case "MiB":
		unit = 1 << 20
	case "GiB":
		unit = 1 << 30
	default:
		return fmt.Errorf("%q is not a size such as 512MiB", t)
	}
	n, err := strconv.ParseInt(number, 10, 32)
	if err != nil && unit == 1 {
		n, err = strconv.ParseInt(number, 10, 64)
	}
	if err != nil || n < 0 {
		return fmt.Errorf("%q is not a size such as 512MiB", t)
	}
	*s = Size(n * unit)
	return nil
}

// A loadedSource is one file of sources.d.
type loadedSource struct {
	name   string // of the file, without its ending
	file   string
	text   string
	pushed bool
	source source.Source
	common *source.Common
	filter *filter
}

// settings are a whole configuration.
type settings struct {
	Config
	sources []loadedSource
}

// load reads collector.yaml, sources.d and the pushed files, and returns every fault at once.
func load(p Paths, pushed map[string]string, env source.Env) (*settings, error) {
	s := &settings{Config: Config{Memory: 96 << 20, Spool: SpoolSet{MaxBytes: 1 << 30}, Log: LogSet{Level: "info", Format: "text"}}}
	text, err := os.ReadFile(p.Config)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s is not there: enroll first, with kyra collector enroll", p.Config)
		}
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if err := yaml.UnmarshalWithOptions(text, &s.Config, yaml.Strict()); err != nil && len(strings.TrimSpace(string(text))) > 0 {
		return nil, placed(p.Config, text, err)
	}
	var faults []error
	for _, err := range s.faults() {
		faults = append(faults, placed(p.Config, text, err))
	}
	if s.Host != "" {
		env.Host = s.Host
	}
	own, err := filepath.Glob(filepath.Join(p.Sources(), "*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("read sources: %w", err)
	}
	names := map[string]bool{}
	for _, file := range own {
		text, err := os.ReadFile(file)
		if err != nil {
			faults = append(faults, fmt.Errorf("read sources: %w", err))
			continue
		}
		names[filepath.Base(file)] = true
		faults = append(faults, s.add(file, string(text), false, env))
	}
	for _, file := range sortedKeys(pushed) {
		if names[filepath.Base(file)] {
			faults = append(faults, fmt.Errorf("%s: the host has a source of this name: use another", file))
			continue
		}
		faults = append(faults, s.add(file, pushed[file], true, env))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return s, nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (s *settings) faults() []error {
	var faults []error
	fault := func(key, format string, args ...any) {
		faults = append(faults, &source.KeyError{Key: key, Message: fmt.Sprintf(format, args...)})
	}
	if err := checkServer(s.Server); err != nil {
		fault("server", "%v", err)
	}
	if s.Spool.MaxBytes < 16<<20 {
		fault("spool.max_bytes", "is %d, allowed: 16MiB or more", s.Spool.MaxBytes)
	}
	if s.Memory < 32<<20 {
		fault("memory", "is %d, allowed: 32MiB or more", s.Memory)
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, s.Log.Level) {
		fault("log.level", "is %q, allowed: debug, info, warn, error", s.Log.Level)
	}
	if s.Log.Format != "text" && s.Log.Format != "json" {
		fault("log.format", "is %q, allowed: text, json", s.Log.Format)
	}
	return faults
}

func checkServer(server string) error {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return fmt.Errorf("%q is not an address such as https://kyra.example:8080", server)
	}
	return nil
}

// add reads one source.
func (s *settings) add(file, text string, pushed bool, env source.Env) error {
	src, common, err := source.Parse([]byte(text), env)
	if err != nil {
		return placed(file, []byte(text), err)
	}
	if pushed && common.Type == "exec" && !s.PushedExec {
		return fmt.Errorf("%s: the host takes no pushed sources that run commands: its administrator may set pushed_exec: true in collector.yaml", file)
	}
	f, err := newFilter(common, s.HashKey)
	if err != nil {
		return placed(file, []byte(text), err)
	}
	s.sources = append(s.sources, loadedSource{
		name: strings.TrimSuffix(filepath.Base(file), ".yaml"), file: file, text: text, pushed: pushed, source: src, common: common, filter: f,
	})
	return nil
}

// placed puts file, line and column before a fault.
func placed(file string, text []byte, err error) error {
	var inYAML yaml.Error
	if errors.As(err, &inYAML) && inYAML.GetToken() != nil {
		p := inYAML.GetToken().Position
		return fmt.Errorf("%s:%d:%d: %s", file, p.Line, p.Column, inYAML.GetMessage())
	}
	if key, ok := errors.AsType[*source.KeyError](err); ok {
		return fmt.Errorf("%s:%s %w", file, line(text, key.Key), err)
	}
	return fmt.Errorf("%s: %w", file, err)
}

// line finds a key, or the nearest one above it, as "LINE:".
func line(text []byte, key string) string {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return ""
	}
	for key != "" {
		if path, err := yaml.PathString("$." + key); err == nil {
			if node, err := path.FilterFile(file); err == nil && node != nil && node.GetToken() != nil {
				return strconv.Itoa(node.GetToken().Position.Line) + ":"
			}
		}
		i := strings.LastIndexByte(key, '.')
		key = key[:max(i, 0)]
	}
	return ""
}
