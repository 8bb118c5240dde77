package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/goccy/go-yaml"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/logsource"
	"github.com/kyra-mdr/kyra/internal/parse"
)

// A fileSetting is a setting of log sources as the API takes and shows it.
type fileSetting struct {
	Name     string
	Priority *int64
	Enabled  *bool
	Match    struct{ Source, Host, Program, Input, Token, Collector string }
	Apply    struct {
		TimeZone, Parser, Format, Source, Host, HostPattern, Program, ProgramPattern string

		Aliases map[string]string
	}

	// What the API shows of those that are saved, and what says nothing here.
	ID, CreatedAt, CreatedBy, UpdatedAt, UpdatedBy string
	Version                                        int64
}

func (f *fileSetting) priority() int64 {
	if f.Priority == nil {
		return 100
	}
	return *f.Priority
}

// readSettings reads settings of log sources from a file, YAML or JSON: one, a list, or
// a page of the API's list. "" is none.
func readSettings(path string) (*parse.Settings, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	list, err := decodeSettings(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, err, errUsage)
	}
	slices.SortStableFunc(list, func(a, b fileSetting) int { return cmp.Compare(a.priority(), b.priority()) })
	var all []parse.Setting
	for i := range list {
		f := &list[i]
		if f.Enabled != nil && !*f.Enabled {
			continue
		}
		m, a := &f.Match, &f.Apply
		d := logsource.Definition{
			Source: m.Source, Host: m.Host, Program: m.Program, Input: m.Input, Token: m.Token, Collector: m.Collector,
			TimeZone: a.TimeZone, Parser: a.Parser, Format: a.Format, SetSource: a.Source, SetHost: a.Host, HostPattern: a.HostPattern,
			SetProgram: a.Program, ProgramPattern: a.ProgramPattern, Aliases: a.Aliases,
		}
		s, err := d.Setting(cmp.Or(f.ID, f.Name, fmt.Sprint(i+1)))
		if err != nil {
			where := ""
			if wrong, ok := errors.AsType[*fault.Error](err); ok && wrong.Field != "" {
				where = wrong.Field + ": "
			}
			return nil, fmt.Errorf("%s: setting %s: %s%w: %w", path, cmp.Or(f.Name, fmt.Sprint(i+1)), where, err, errUsage)
		}
		all = append(all, s)
	}
	return parse.NewSettings(all), nil
}

func decodeSettings(text []byte) ([]fileSetting, error) {
	asJSON, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, errors.New("is neither YAML nor JSON")
	}
	var page struct{ Content json.RawMessage }
	if json.Unmarshal(asJSON, &page) == nil && len(page.Content) > 0 {
		asJSON = page.Content
	}
	asJSON = bytes.TrimSpace(asJSON)
	if !bytes.HasPrefix(asJSON, []byte("[")) {
		asJSON = slices.Concat([]byte("["), asJSON, []byte("]"))
	}
	d := json.NewDecoder(bytes.NewReader(asJSON))
	d.DisallowUnknownFields()
	var list []fileSetting
	err = d.Decode(&list)
	return list, err
}
