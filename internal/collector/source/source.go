// Package source reads logs where a host has them: files, syslog senders, the
// journal, containers, commands, HTTP, the Windows event log. A source hands
// pieces to its Output, which holds it back when the collector cannot take more.
package source

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/kyra-mdr/kyra/internal/collector/protocol"
)

// A Piece is records with the marks that hold once they are spooled.
type Piece struct {
	Chunk protocol.Chunk
	Marks map[string]string // changes; an empty value takes a key away
}

// maxPiece is about how many bytes of records a source gathers in a piece.
const maxPiece = 256 << 10

// maxPieceRecords bounds the records of a piece.
const maxPieceRecords = 4000

// An Output is where a source hands its records.
type Output struct {
	// Put takes a piece. It waits while the collector is full, and returns an
	// error only when ctx is done.
	Put func(ctx context.Context, p Piece) error

	// Sync waits until all pieces that were put are on disk.
	Sync func(ctx context.Context) error

	// Marks are the source's marks as of its last spooled piece.
	Marks func() map[string]string

	// Fault notes what went wrong. It is counted and shown, and logged once a minute.
	Fault func(err error)

	// Lost counts records that could not be kept since their sender cannot be held back.
	Lost func(records int)
}

// A Source reads until ctx is done. An error means that it cannot go on; it is
// started again after a while.
type Source interface {
	Run(ctx context.Context, out Output) error
}

// Env is what sources know about the collector.
type Env struct {
	Host string // name of this host
	Log  *slog.Logger
}

// Common are the keys of every source.
type Common struct {
	Type string `yaml:"type"`
	Hint string `yaml:"hint"` // what sent the records (nginx, sshd …), where the server should not recognise it
	Host string `yaml:"host"` // the host that the records are about, where it is not this one
	Drop []Rule `yaml:"drop"` // records that are not sent
	Keep []Rule `yaml:"keep"` // where given, records that meet none are not sent
	Mask []Mask `yaml:"mask"` // what is masked before anything is written to disk
}

// Mask says what becomes of personal data, as mask.Rule does.
type Mask struct {
	Patterns []string `yaml:"patterns"`
	Fields   []string `yaml:"fields"`
	Action   string   `yaml:"action"` // mask, hash, remove; default mask
}

// A Rule is met by a record that contains a text or matches a pattern.
type Rule struct {
	Contains string `yaml:"contains"`
	Matches  string `yaml:"matches"` // RE2
}

// common lets a source's own settings be asked for those of every source.
func (c *Common) common() *Common { return c }

type spec interface{ common() *Common }

// A KeyError is a fault of one key, such as "source.paths".
type KeyError struct {
	Key     string
	Message string
}

func (e *KeyError) Error() string { return e.Key + ": " + e.Message }

func wrong(key, format string, args ...any) error {
	return &KeyError{Key: "source." + key, Message: fmt.Sprintf(format, args...)}
}

// A kind reads the settings of one type and makes the source.
type kind func(text []byte, env Env) (Source, *Common, error)

// of makes a kind of a function that checks settings and builds a source.
func of[S any, P interface {
	*S
	spec
}](build func(P, Env) (Source, error),
) kind {
	return func(text []byte, env Env) (Source, *Common, error) {
		var file struct {
			Source S `yaml:"source"`
		}
		if err := yaml.UnmarshalWithOptions(text, &file, yaml.Strict()); err != nil {
			return nil, nil, err
		}
		settings := P(&file.Source)
		c := settings.common()
		if c.Host == "" {
			c.Host = env.Host
		}
		src, err := build(settings, env)
		return src, c, err
	}
}

// kinds are the types of sources. What pulls from a cloud comes here: it keeps
// its cursor as a mark and puts what it fetched.
func kinds() map[string]kind {
	all := map[string]kind{
		"file": of(newFiles), "auditd": of(newAuditd), "docker": of(newDocker),
		"syslog": of(newSyslog), "http": of(newHTTP), "exec": of(newExec),
	}
	maps.Copy(all, hostKinds())
	return all
}

// elsewhere are types that only another system has.
var elsewhere = map[string]string{"journald": "Linux", "wineventlog": "Windows"}

// Types lists the types of sources of this system.
func Types() []string { return slices.Sorted(maps.Keys(kinds())) }

// Parse reads the text of one file of sources.d. Errors are those of the YAML
// package, with their place, or a KeyError.
func Parse(text []byte, env Env) (Source, *Common, error) {
	var head struct {
		Source struct {
			Type string `yaml:"type"`
		} `yaml:"source"`
	}
	if err := yaml.Unmarshal(text, &head); err != nil {
		return nil, nil, err
	}
	build, ok := kinds()[head.Source.Type]
	if !ok {
		if system := elsewhere[head.Source.Type]; system != "" {
			return nil, nil, wrong("type", "%q is for %s only", head.Source.Type, system)
		}
		return nil, nil, wrong("type", "is %q, allowed: %s", head.Source.Type, strings.Join(Types(), ", "))
	}
	return build(text, env)
}

// pause waits, and reports false when ctx is done.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// piece begins a piece of records that arrived now.
func (c *Common) piece(input, peer string) Piece {
	return Piece{Chunk: protocol.Chunk{Source: c.Hint, Input: input, Peer: peer, Host: c.Host, Arrived: time.Now().UnixNano()}}
}
