package collector

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/kyra-mdr/kyra/internal/collector/protocol"
	"github.com/kyra-mdr/kyra/internal/collector/source"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/mask"
)

// A filter decides which records of a source are sent, and masks those that are.
type filter struct {
	drop, keep []func(string) bool
	masks      *mask.Set // nil: nothing is masked
}

func newFilter(c *source.Common, hashKey string) (*filter, error) {
	drop, err := rules("drop", c.Drop)
	if err != nil {
		return nil, err
	}
	keep, err := rules("keep", c.Keep)
	if err != nil {
		return nil, err
	}
	masks, err := masking(c.Mask, hashKey)
	if err != nil {
		return nil, err
	}
	return &filter{drop: drop, keep: keep, masks: masks}, nil
}

// masking makes the rules ready, nil where there are none.
func masking(list []source.Mask, hashKey string) (*mask.Set, error) {
	var rules []mask.Rule
	for i, m := range list {
		r := mask.Rule{Patterns: m.Patterns, Fields: m.Fields, Action: mask.Action(cmp.Or(m.Action, string(mask.Mask)))}
		key := fmt.Sprintf("source.mask[%d]", i)
		if err := r.Check(); err != nil {
			if f, ok := errors.AsType[*fault.Error](err); ok {
				return nil, &source.KeyError{Key: key + "." + f.Field, Message: f.Message}
			}
			return nil, &source.KeyError{Key: key, Message: err.Error()}
		}
		if r.Action == mask.Hash && hashKey == "" {
			return nil, &source.KeyError{Key: key + ".action", Message: "hash needs hash_key in collector.yaml: collectors with the same key make the same hashes"}
		}
		rules = append(rules, r)
	}
	if rules == nil {
		return nil, nil
	}
	return mask.Compile(rules, []byte(hashKey))
}

func rules(key string, list []source.Rule) ([]func(string) bool, error) {
	var out []func(string) bool
	for i, r := range list {
		fault := func(format string, args ...any) error {
			return &source.KeyError{Key: fmt.Sprintf("source.%s[%d]", key, i), Message: fmt.Sprintf(format, args...)}
		}
		switch {
		case (r.Contains == "") == (r.Matches == ""):
			return nil, fault("needs either contains or matches")
		case r.Contains != "":
			out = append(out, func(s string) bool { return strings.Contains(s, r.Contains) })
		default:
			re, err := regexp.Compile(r.Matches)
			if err != nil {
				return nil, fault("%q is not a pattern: %v", r.Matches, err)
			}
			out = append(out, re.MatchString)
		}
	}
	return out, nil
}

func anyOf(rules []func(string) bool, record string) bool {
	for _, r := range rules {
		if r(record) {
			return true
		}
	}
	return false
}

// apply takes out what is not sent and returns how many records that were.
func (f *filter) apply(c *protocol.Chunk) (dropped int) {
	if len(f.drop)+len(f.keep) > 0 {
		kept, cuts, cut := c.Records[:0], c.Cut[:0], c.Cut
		for i, r := range c.Records {
			isCut := len(cut) > 0 && int(cut[0]) == i
			if isCut {
				cut = cut[1:]
			}
			if anyOf(f.drop, r) || len(f.keep) > 0 && !anyOf(f.keep, r) {
				dropped++
				continue
			}
			if isCut {
				cuts = append(cuts, uint32(len(kept)))
			}
			kept = append(kept, r)
		}
		c.Records, c.Cut = kept, cuts
	}
	if f.masks != nil {
		for i, r := range c.Records {
			c.Records[i], _ = f.masks.Apply(r, nil)
		}
	}
	return dropped
}
