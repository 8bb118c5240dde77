package config

import (
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

var levels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

// SlogLevel returns the level that l names.
func (l Log) SlogLevel() slog.Level { return levels[l.Level] }

// A Secret is printed as ***.
type Secret string

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// MarshalYAML keeps secrets out of `kyra config`.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// A Size is a number of bytes, written "512MiB", "8GiB" or plain.
type Size int64

var units = []struct {
	name string
	size Size
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}}

func (s Size) String() string {
	for _, u := range units[:4] {
		if s != 0 && s%u.size == 0 {
			return strconv.FormatInt(int64(s/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// ParseSize reads what Size.String prints, and decimal units.
func ParseSize(text string) (Size, error) {
	number, unit := strings.TrimSpace(text), Size(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(number, u.name); ok {
			number, unit = strings.TrimSpace(rest), u.size
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > int64(1<<62)/int64(unit) {
		return 0, fmt.Errorf("%q is not a size such as 512MiB or 8GiB", text)
	}
	return Size(n) * unit, nil
}

// UnmarshalYAML reads a size with or without a unit.
func (s *Size) UnmarshalYAML(data []byte) error {
	var text string
	if err := yaml.Unmarshal(data, &text); err != nil {
		return err
	}
	n, err := ParseSize(text)
	*s = n
	return err
}

// MarshalYAML writes the size with its unit.
func (s Size) MarshalYAML() (any, error) { return s.String(), nil }

const envPrefix = "KYRA_"

// notSettings are variables of tests and tools that share the prefix.
var notSettings = []string{"KYRA_TEST_", "KYRA_BENCH_", "KYRA_KEY", "KYRA_URL", "KYRA_CONFIG", "KYRA_EVENTSTORE_CHILD"}

// applyEnvironment sets the fields that variables name. A variable with the
// prefix that names no setting is a fault: a misspelt setting must not be ignored.
func applyEnvironment(cfg *Config, environ []string) error {
	fields := map[string]reflect.Value{}
	collect(reflect.ValueOf(cfg).Elem(), strings.TrimSuffix(envPrefix, "_"), fields)
	var faults []string
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, envPrefix) || slices.ContainsFunc(notSettings, func(p string) bool { return strings.HasPrefix(name, p) }) {
			continue
		}
		f, ok := fields[name]
		if !ok {
			faults = append(faults, name+" names no setting: see kyra config --help")
			continue
		}
		if err := set(f, value); err != nil {
			faults = append(faults, fmt.Sprintf("%s: %v", name, err))
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("environment: %s", strings.Join(faults, "; "))
	}
	return nil
}

func collect(v reflect.Value, name string, into map[string]reflect.Value) {
	if v.Kind() == reflect.Struct {
		for i := range v.NumField() {
			collect(v.Field(i), name+"_"+strings.ToUpper(v.Type().Field(i).Tag.Get("yaml")), into)
		}
		return
	}
	into[name] = v
}

func set(v reflect.Value, text string) error {
	switch v.Interface().(type) {
	case Size:
		n, err := ParseSize(text)
		if err != nil {
			return err
		}
		v.SetInt(int64(n))
	case []string:
		list := []string{}
		for s := range strings.SplitSeq(text, ",") {
			if s = strings.TrimSpace(s); s != "" {
				list = append(list, s)
			}
		}
		v.Set(reflect.ValueOf(list))
	case int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		v.SetInt(int64(n))
	default:
		v.SetString(text) // string and Secret
	}
	return nil
}
