// Package protocol is what the collector and the server say to each other: the
// paths, the JSON bodies, the packed form of a batch, and the enrolment token.
//
// All of it runs over TLS 1.3 that the collector opens, with ALPN as its mark.
// The server shows a certificate of its own authority for ServerName, whatever
// host name was dialled; the collector trusts that authority alone, by the hash
// in its enrolment token. But for Enroll, the collector shows the certificate
// that it was given.
package protocol

import (
	"encoding/json"
	"time"
)

const (
	// ALPN is the application protocol that a collector asks for, so that one
	// port can serve collectors and browsers.
	ALPN = "kyra-collector/1"

	// ServerName is what the server's certificate is valid for.
	ServerName = "kyra-collectors"
)

// Paths, all POST.
const (
	PathEnroll    = "/collector/v1/enroll"
	PathRenew     = "/collector/v1/renew"
	PathBatch     = "/collector/v1/batch"
	PathHeartbeat = "/collector/v1/heartbeat"
)

// ContentType of a batch's body.
const ContentType = "application/vnd.kyra.batch"

const (
	// HeartbeatInterval is how often a collector reports, unless it is told.
	HeartbeatInterval = 15 * time.Second

	// OfflineAfter is the age of the last heartbeat beyond which a collector
	// counts as offline.
	OfflineAfter = 45 * time.Second

	// MaxMessage bounds the JSON bodies, in both directions.
	MaxMessage = 1 << 20
)

// CodeRevoked is the Code of a Problem that no retry will cure: the collector's
// certificate was revoked, or the collector is not known any more.
const CodeRevoked = "collector_revoked"

// A Problem is the body of an answer that is not 2xx. 429 and 503 carry
// Retry-After in seconds; 401 and 403 with CodeRevoked are final.
type Problem struct {
	Code    string `json:"code"`
	Message string `json:"message"` // for people: what is wrong and what to do
}

// EnrollRequest makes a new collector. The private key never leaves its host.
type EnrollRequest struct {
	Token    string `json:"token"`    // the secret part alone
	CSR      string `json:"csr"`      // PKCS #10, PEM; ECDSA P-256
	Hostname string `json:"hostname"` // as the host calls itself
	OSFamily string `json:"osFamily"` // linux, windows, darwin
	Version  string `json:"version"`  // of the collector
}

// EnrollResponse gives the collector its identity.
type EnrollResponse struct {
	CollectorID string    `json:"collectorId"`
	Certificate string    `json:"certificate"` // PEM
	CA          string    `json:"ca"`          // PEM; its hash stands in the token
	NotAfter    time.Time `json:"notAfter"`    // of Certificate
}

// RenewRequest asks for a new certificate before the present one ends.
type RenewRequest struct {
	CSR string `json:"csr"`
}

// RenewResponse is the new certificate.
type RenewResponse struct {
	Certificate string    `json:"certificate"`
	CA          string    `json:"ca"`
	NotAfter    time.Time `json:"notAfter"`
}

// Ack says that the batch Acked is on the server's disk. Batches are sent one after
// the other, in the order of their numbers.
type Ack struct {
	Acked uint64 `json:"acked"`
}

// Heartbeat is what a collector says about itself every HeartbeatInterval.
// Figures that only grow count from the start of the collector's identity, and
// survive its restarts.
type Heartbeat struct {
	Version     string  `json:"version"`
	OSFamily    string  `json:"osFamily"`
	Hostname    string  `json:"hostname"`
	CPUPercent  float64 `json:"cpuPercent"`  // of one core, since the heartbeat before
	MemoryBytes int64   `json:"memoryBytes"` // resident

	SpoolBytes    int64      `json:"spoolBytes"`              // what waits to be acknowledged, as it lies on disk
	SpoolRecords  int64      `json:"spoolRecords"`            //
	SpoolLimit    int64      `json:"spoolLimitBytes"`         // at which the spool is full
	OldestSpooled *time.Time `json:"oldestSpooled,omitempty"` // when the oldest waiting batch was made

	Clock int64 `json:"clock"` // the collector's time, nanoseconds since 1970

	Sources []SourceReport `json:"sources"`

	ConfigRevision string `json:"configRevision"`          // of the pushed configuration that is in force, "" for none
	ConfigRefused  string `json:"configRefused,omitempty"` // the revision that ConfigError is about
	ConfigError    string `json:"configError,omitempty"`   // why ConfigRefused is not in force, or why the files on the host are not
}

// SourceReport is how one source of a collector does.
type SourceReport struct {
	Name       string     `json:"name"` // unique within the collector: the file's name in sources.d
	Type       string     `json:"type"`
	Records    int64      `json:"records"`              // spooled
	Bytes      int64      `json:"bytes"`                // of these records
	Filtered   int64      `json:"filtered"`             // dropped by the source's own rules
	Dropped    int64      `json:"dropped"`              // lost, since the sender cannot be held back (UDP)
	Errors     int64      `json:"errors"`               //
	LastError  string     `json:"lastError,omitempty"`  //
	LastRecord *time.Time `json:"lastRecord,omitempty"` // when the last record was taken in
	Rate       float64    `json:"rate"`                 // records a second since the heartbeat before
}

// HeartbeatResponse is the server's word on it.
type HeartbeatResponse struct {
	ServerTime      int64   `json:"serverTime"`       // nanoseconds since 1970
	IntervalSeconds int     `json:"intervalSeconds"`  // until the next heartbeat; 0: HeartbeatInterval
	Config          *Config `json:"config,omitempty"` // only where the collector should run another revision
	Renew           bool    `json:"renew,omitempty"`  // ask for a new certificate now
}

// Config is a set of configuration files that takes the place of the pushed set
// before. The files on the host itself stay as they are.
type Config struct {
	Revision string            `json:"revision"` // any text but ""
	Files    map[string]string `json:"files"`    // "sources.d/NAME.yaml" to its text
}

// Read decodes a JSON body of at most MaxMessage bytes.
func Read[T any](body []byte) (T, error) {
	var v T
	err := json.Unmarshal(body, &v)
	return v, err
}
