package source

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// maxWalk is how many names one look below a ** takes in.
const maxWalk = 100_000

// deep reports whether a pattern has ** as a part: any folders, or none.
func deep(pattern string) bool { return slices.Contains(parts(pattern), "**") }

func parts(path string) []string { return strings.Split(filepath.ToSlash(path), "/") }

// checkPattern refuses what neither matchPath nor filepath.Glob can read.
func checkPattern(pattern string) error {
	for _, p := range parts(pattern) {
		if p != "**" && strings.Contains(p, "**") {
			return errors.New("** stands for whole folders: /var/log/**/*.log")
		}
		if _, err := filepath.Match(p, ""); err != nil {
			return err
		}
	}
	return nil
}

// matchPath is filepath.Match with ** for any number of folders.
func matchPath(pattern, path []string) bool {
	for len(pattern) > 0 {
		if pattern[0] == "**" {
			for len(pattern) > 1 && pattern[1] == "**" { // so that its work stays small
				pattern = pattern[1:]
			}
			for i := range len(path) + 1 {
				if matchPath(pattern[1:], path[i:]) {
					return true
				}
			}
			return false
		}
		if len(path) == 0 {
			return false
		}
		if ok, _ := filepath.Match(pattern[0], path[0]); !ok { // the patterns were checked
			return false
		}
		pattern, path = pattern[1:], path[1:]
	}
	return len(path) == 0
}

// glob lists the files that a checked pattern names. Below ** it follows no symbolic
// links to folders, and what it may not look into is as if it were not there.
func glob(pattern string) ([]string, error) {
	if !deep(pattern) {
		return filepath.Glob(pattern)
	}
	want := parts(pattern)
	fixed := slices.IndexFunc(want, func(p string) bool { return strings.ContainsAny(p, `*?[\`) })
	root := filepath.FromSlash(strings.Join(want[:fixed], "/") + "/")
	var found []string
	seen := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if seen++; seen > maxWalk {
			return fmt.Errorf("look below %s: more than %d names, those behind are left out", root, maxWalk)
		}
		if err != nil {
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return nil //nolint:nilerr // gone since, or not ours to read
		}
		if !d.IsDir() && matchPath(want, parts(path)) {
			found = append(found, path)
		}
		return nil
	})
	return found, err
}
