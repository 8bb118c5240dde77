package connector

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbound/mail"
	"github.com/kyra-mdr/kyra/internal/outbox"
)

// A Field is one key of a kind's configuration.
type Field struct {
	Name, Doc string
	Type      FieldType
	Required  bool
	Secret    bool // write-only
	Target    bool // names where secrets are sent: with another one they are given anew
	Default   any  // nil: none
	Values    []string
	Min, Max  int                // of a number; Max of a text is its length in bytes
	check     func(string) error // of a text, or each of a list
}

// A FieldType is the JSON type of a field, and a little more.
type FieldType string

// The types.
const (
	Text    FieldType = "text"
	Number  FieldType = "number"
	Boolean FieldType = "boolean"
	URL     FieldType = "url"
	List    FieldType = "list" // of texts
)

func events(doc string) Field {
	return Field{Name: "events", Type: List, Values: outbox.Events, Default: []string{outbox.AlertCreated, outbox.IncidentCreated}, Doc: doc}
}

var severities = Field{Name: "severity", Type: List, Values: event.Severities, Doc: "Only these; all when left out. What has no severity passes."}

var authority = Field{Name: "ca", Type: Text, Max: 64 << 10, check: checkPEM, Doc: "Certificate of the authority that signed the server's, in PEM; the system's authorities when left out."}

// Fields returns what the kind's configuration consists of.
func (k Kind) Fields() []Field { return fields[k] }

// Purpose says in a sentence what the kind is for.
func (k Kind) Purpose() string { return purposes[k] }

var purposes = map[Kind]string{
	SMTP:   "Hands in the letters of notification channels of kind email.",
	Slack:  "Takes the messages of notification channels of kind slack.",
	HTTP:   "Is sent alerts, incidents and other messages as JSON when they happen, in order and at least once.",
	Syslog: "Is sent alerts, incidents and other messages, and the events that a query chooses, as RFC 5424 when they happen, in order and, over TCP and TLS, at least once.",
	S3:     "Is filled with alerts and events, as compressed JSON lines, by the clock: each event in the order in which it was stored, also late ones.",
	TAXII:  "Serves threat intelligence (TAXII 2.1). It is watched here; its indicators are read by a feed of threat intelligence with format taxii.",
}

var fields = map[Kind][]Field{
	SMTP: {
		{Name: "host", Type: Text, Required: true, Target: true, check: checkHost, Doc: "Name or address of the server."},
		{Name: "port", Type: Number, Min: 1, Max: 65535, Default: 587, Target: true, Doc: "Its port."},
		{Name: "security", Type: Text, Values: []string{mail.StartTLS, mail.TLS, mail.Plain}, Default: mail.StartTLS, Target: true, Doc: "starttls demands RFC 3207; none only to addresses that the operator allows."},
		{Name: "from", Type: Text, Required: true, check: mail.CheckAddress, Doc: "Address of the sender."},
		{Name: "fromName", Type: Text, Max: 100, Default: "KYRA", check: checkLine, Doc: "Its display name."},
		{Name: "username", Type: Text, Max: 256, check: checkLine, Doc: "To sign in with; left out: without signing in."},
		{Name: "password", Type: Text, Secret: true, Max: 1024, Doc: "To sign in with."},
		authority,
	},
	Slack: {
		{Name: "url", Type: URL, Secret: true, Required: true, Doc: "Of the incoming webhook: it is the secret."},
	},
	HTTP: {
		{Name: "url", Type: URL, Required: true, Target: true, Doc: "Where the messages are sent."},
		{Name: "method", Type: Text, Values: []string{"POST", "PUT"}, Default: "POST", Doc: "Of the requests."},
		{Name: "auth", Type: Text, Values: []string{"none", "bearer", "basic", "header"}, Default: "none", Doc: "How requests sign in."},
		{Name: "username", Type: Text, Max: 256, check: checkLine, Doc: "For basic."},
		{Name: "header", Type: Text, Max: 100, check: checkHeader, Doc: "Name of the header that holds the secret, for header."},
		{Name: "secret", Type: Text, Secret: true, Max: 4096, check: checkLine, Doc: "Token, password or the header's value."},
		events("What is sent."), severities,
	},
	Syslog: {
		{Name: "host", Type: Text, Required: true, Target: true, check: checkHost, Doc: "Name or address of the server."},
		{Name: "port", Type: Number, Min: 1, Max: 65535, Default: 6514, Doc: "Its port."},
		{Name: "transport", Type: Text, Values: []string{"tls", "tcp", "udp"}, Default: "tls", Doc: "tls is RFC 5425, tcp RFC 6587 with octet counts, udp RFC 5426. The last two only to addresses that the operator allows."},
		{Name: "facility", Type: Text, Values: facilities, Default: "local0", Doc: "Of the messages."},
		authority,
		events("What is sent besides."), severities,
		{Name: "query", Type: Text, Max: 2000, check: checkQuery, Doc: "Events that match it are sent within seconds after they were stored, in the language of the search, * for all; none when left out."},
		{Name: "eventFormat", Type: Text, Values: []string{rawFormat, jsonFormat}, Default: rawFormat, Doc: "Of events: raw is the text as it came in, in one line, json the event with its fields. What came in as JSON is sent as json where only that was kept."},
	},
	S3: {
		{Name: "endpoint", Type: URL, Required: true, Target: true, Doc: "Of the service, such as https://s3.eu-central-1.amazonaws.com."},
		{Name: "bucket", Type: Text, Required: true, check: checkBucket, Doc: "It must be there."},
		{Name: "region", Type: Text, Max: 64, Default: "us-east-1", check: checkWord, Doc: "That requests are signed for."},
		{Name: "prefix", Type: Text, Max: 256, Default: "kyra/", check: checkLine, Doc: "Before the names of all objects."},
		{Name: "pathStyle", Type: Boolean, Default: false, Doc: "The bucket stands in the path instead of the host name."},
		{Name: "accessKey", Type: Text, Required: true, Max: 256, check: checkLine, Doc: "Id of the key."},
		{Name: "secretKey", Type: Text, Secret: true, Required: true, Max: 256, check: checkLine, Doc: "The key."},
		{Name: "contents", Type: List, Values: []string{"alerts", "events"}, Default: []string{"alerts"}, Doc: "What is exported."},
		{Name: "query", Type: Text, Max: 2000, check: checkQuery, Doc: "Which events, in the language of the search; all when left out."},
		{Name: "everyMinutes", Type: Number, Min: 5, Max: 1440, Default: 60, Doc: "Each object covers so many minutes."},
	},
	TAXII: {
		{Name: "url", Type: URL, Required: true, Target: true, Doc: "Of an API root, such as https://taxii.example.com/api1/."},
		{Name: "collection", Type: Text, Max: 64, check: checkWord, Doc: "Id of the collection; the first one that can be read when left out."},
		{Name: "username", Type: Text, Max: 256, check: checkLine, Doc: "For basic; left out: without signing in."},
		{Name: "password", Type: Text, Secret: true, Max: 1024, check: checkLine, Doc: "For basic."},
	},
}

// read checks a configuration as it was given. Secrets that are left out stay those of
// kept, and are taken out by null. The faults name "config." and the key.
func (s *Service) read(k Kind, given map[string]json.RawMessage, old, kept map[string]any) (config, secrets map[string]any, err error) {
	known := fields[k]
	for name := range given {
		if !slices.ContainsFunc(known, func(f Field) bool { return f.Name == name }) {
			names := make([]string, len(known))
			for i := range known {
				names[i] = known[i].Name
			}
			return nil, nil, fault.New(fault.Invalid, "Allowed for %s: %s", k, strings.Join(names, ", ")).In("config." + clip(name))
		}
	}
	config, secrets = map[string]any{}, map[string]any{}
	moved := ""
	for i := range known {
		f := &known[i]
		raw, there := given[f.Name]
		null := string(raw) == "null"
		into := config
		if f.Secret {
			into = secrets
		}
		switch {
		case there && !null:
			v, err := s.value(f, raw)
			if err != nil {
				return nil, nil, fault.New(fault.Invalid, "%s", message(err)).In("config." + f.Name)
			}
			if v != "" {
				into[f.Name] = v
			}
		case f.Secret && !there && kept[f.Name] != nil:
			into[f.Name] = kept[f.Name]
		case f.Default != nil:
			into[f.Name] = f.Default
		}
		if f.Required && into[f.Name] == nil {
			return nil, nil, fault.New(fault.Invalid, "%s", f.Doc+" It is required").In("config." + f.Name)
		}
		if f.Target && old != nil && fmt.Sprint(old[f.Name]) != fmt.Sprint(config[f.Name]) {
			moved = f.Name
		}
	}
	if moved != "" {
		for name := range kept {
			if _, there := given[name]; !there {
				return nil, nil, fault.New(fault.Invalid, "Give it anew: %s changed, and a stored secret is sent nowhere else", moved).In("config." + name)
			}
		}
	}
	return config, secrets, together(k, config, secrets)
}

// together checks what no field can alone.
func together(k Kind, config, secrets settings) error {
	need := func(name string, why string) error {
		return fault.New(fault.Invalid, "It is required %s", why).In("config." + name)
	}
	switch {
	case k == SMTP && config.text("username") != "" && secrets.text("password") == "":
		return need("password", "with a username")
	case k == TAXII && config.text("username") != "" && secrets.text("password") == "":
		return need("password", "with a username")
	case k == HTTP && config.text("auth") != "none" && secrets.text("secret") == "":
		return need("secret", "for auth "+config.text("auth"))
	case k == HTTP && config.text("auth") == "basic" && config.text("username") == "":
		return need("username", "for auth basic")
	case k == HTTP && config.text("auth") == "header" && config.text("header") == "":
		return need("header", "for auth header")
	}
	return nil
}

func (s *Service) value(f *Field, raw json.RawMessage) (any, error) {
	switch f.Type {
	case Number:
		var n float64
		if json.Unmarshal(raw, &n) != nil || n != math.Trunc(n) || n < float64(f.Min) || n > float64(f.Max) {
			return nil, fmt.Errorf("Allowed: a whole number from %d to %d", f.Min, f.Max) //nolint:staticcheck // shown to people as it is
		}
		return int64(n), nil
	case Boolean:
		var b bool
		if json.Unmarshal(raw, &b) != nil {
			return nil, errors.New("Allowed: true, false") //nolint:staticcheck // shown to people as it is
		}
		return b, nil
	case List:
		var list []string
		if json.Unmarshal(raw, &list) != nil || len(list) > 100 {
			return nil, errors.New("Allowed: a list of texts") //nolint:staticcheck // shown to people as it is
		}
		out := []string{}
		for _, v := range list {
			v, err := s.one(f, v)
			if err != nil {
				return nil, err
			}
			if !slices.Contains(out, v) {
				out = append(out, v)
			}
		}
		return out, nil
	case Text, URL:
	}
	var v string
	if json.Unmarshal(raw, &v) != nil {
		return nil, errors.New("Allowed: a text") //nolint:staticcheck // shown to people as it is
	}
	return s.one(f, v)
}

func (s *Service) one(f *Field, v string) (string, error) {
	most := f.Max
	if most == 0 {
		most = 2000
	}
	switch {
	case len(f.Values) > 0:
		for _, known := range f.Values {
			if strings.EqualFold(known, v) {
				return known, nil
			}
		}
		return "", fmt.Errorf("Allowed: %s", strings.Join(f.Values, ", ")) //nolint:staticcheck // shown to people as it is
	case len(v) > most || !utf8.ValidString(v) || strings.ContainsRune(v, 0):
		return "", fmt.Errorf("Allowed: at most %d bytes of text", most) //nolint:staticcheck // shown to people as it is
	case v == "":
		return "", nil
	case f.Type == URL:
		_, err := s.Guard.CheckURL(v)
		return v, err
	case f.check != nil:
		return v, f.check(v)
	}
	return v, nil
}

func message(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.Message
	}
	return err.Error()
}

func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), 64)], "") }

// names returns the sorted names of secrets that are there.
func names(secrets map[string]any) []string { return slices.Sorted(maps.Keys(secrets)) }

func refuse(ok bool, allowed string) error {
	if ok {
		return nil
	}
	return fault.New(fault.Invalid, "%s", allowed)
}

var (
	hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$`)
	token    = regexp.MustCompile(`^[A-Za-z0-9-]+$`)
	bucket   = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	word     = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
)

func checkHost(s string) error {
	_, err := netip.ParseAddr(s)
	return refuse(err == nil || len(s) <= 253 && hostName.MatchString(s), "Allowed: a host name or an IP address")
}

func checkLine(s string) error {
	return refuse(!strings.ContainsFunc(s, unicode.IsControl), "Allowed: text in one line")
}

func checkWord(s string) error {
	return refuse(word.MatchString(s), "Allowed: letters, digits, dots, dashes")
}

func checkBucket(s string) error {
	return refuse(bucket.MatchString(s), "Allowed: 3 to 63 small letters, digits, dots and dashes")
}

// checkHeader leaves out what belongs to the request itself.
func checkHeader(s string) error {
	own := []string{"host", "content-length", "transfer-encoding", "connection", "content-type", "content-encoding", "trailer", "te", "upgrade", "expect"}
	return refuse(token.MatchString(s) && !slices.Contains(own, strings.ToLower(s)), "Allowed: the name of a header such as X-Api-Key")
}

func checkPEM(s string) error {
	return refuse(x509.NewCertPool().AppendCertsFromPEM([]byte(s)), "Allowed: a certificate in PEM")
}

// hostOf is what of an address may be shown.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Host
}
