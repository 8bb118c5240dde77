package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/kyra-mdr/kyra/internal/framing"
)

// A fileRecord is one record of a file, with the line it begins on.
type fileRecord struct {
	file string
	line int
	raw  string
	cut  bool
}

// eachRecord reads files ("-" is standard input, folders are walked, .gz and
// .zst are unpacked) and calls f with every record in order.
func eachRecord(ctx context.Context, in io.Reader, paths []string, f func(fileRecord) error) error {
	files, err := listFiles(paths)
	if err != nil {
		return err
	}
	for _, path := range files {
		if err := eachRecordOf(ctx, in, path, f); err != nil {
			return err
		}
	}
	return nil
}

func listFiles(paths []string) ([]string, error) {
	var files []string
	for _, p := range paths {
		info, err := os.Stat(p)
		if p == "-" || (err == nil && !info.IsDir()) {
			files = append(files, p)
			continue
		}
		if err != nil {
			return nil, err
		}
		var found []string
		err = filepath.WalkDir(p, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				found = append(found, path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		slices.Sort(found)
		files = append(files, found...)
	}
	return files, nil
}

func eachRecordOf(ctx context.Context, in io.Reader, path string, f func(fileRecord) error) error {
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	}
	r, err := framing.NewFileReader(in, framing.MaxRecord)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer r.Close()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		rec, err := r.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, framing.UnclosedArray) {
			if torn := r.Faults(); torn != "" { // what could be read was
				return fmt.Errorf("%s: the event log is damaged: %s", path, torn)
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := f(fileRecord{path, rec.Line, string(rec.Text), rec.Cut}); err != nil {
			return err
		}
	}
}
