package evidence

import (
	"archive/zip"
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// A Problem is something in a bundle that is not as it was written.
type Problem struct {
	File   string `json:"file"`             // of the bundle; "" for the bundle as a whole
	Line   int    `json:"line,omitempty"`   // in File, from 1
	Record string `json:"record,omitempty"` // id of the record that it is about
	What   string `json:"what"`             // one sentence
}

// A Verdict is what a look at a bundle brought.
type Verdict struct {
	Framework string     `json:"framework"` // "" for all
	Edition   string     `json:"edition"`
	From      *time.Time `json:"from"`
	To        *time.Time `json:"to"`
	Records   int64      `json:"records"`
	Files     int        `json:"files"`
	FirstSeq  int64      `json:"firstSeq"`
	LastSeq   int64      `json:"lastSeq"`
	SignedDay string     `json:"signedDay"` // day of the signed head that proves it; "": only the bundle is signed
	KeyID     string     `json:"keyId"`     // of the key that signatures were checked with
	KeyGiven  bool       `json:"keyGiven"`  // it did not come with the bundle
	Problems  []Problem  `json:"problems"`  // the first hundred; empty: everything is as it was written
	More      int        `json:"more"`      // problems beyond those
}

// OK tells whether everything is as it was written.
func (v *Verdict) OK() bool { return len(v.Problems) == 0 }

const (
	maxProblems = 100
	maxManifest = 64 << 20 // bytes
	maxSmall    = 64 << 10 // bytes of signature, key and signed head
	maxLine     = 16 << 20 // bytes
)

// verifier is a look at one bundle.
type verifier struct {
	Verdict
	zip      *zip.Reader
	entries  map[string]*zip.File
	manifest struct {
		manifest
		Files []fileLine `json:"files"`
	}
	byName map[string]*fileLine // of the manifest
	key    ed25519.PublicKey
	head   []byte // hash of the last link that was computed
}

func (v *verifier) problem(p Problem) {
	if len(v.Problems) == maxProblems {
		v.More++
		return
	}
	v.Problems = append(v.Problems, p)
}

func (v *verifier) say(file, format string, args ...any) {
	v.problem(Problem{File: file, What: fmt.Sprintf(format, args...)})
}

// Verify checks a bundle of size bytes without a server: every hash, the chain from its
// first record to the signed head, the signatures, and that nothing else is in the file.
// key is the signer's where it is known from elsewhere; nil takes the one of the bundle.
// Nothing is unpacked, and memory grows with the number of files alone. An error means
// that the bundle cannot be read at all; what is wrong with it is in the Verdict.
func Verify(r io.ReaderAt, size int64, key ed25519.PublicKey) (*Verdict, error) {
	v := &verifier{key: key, entries: map[string]*zip.File{}, byName: map[string]*fileLine{}}
	v.Problems, v.KeyGiven = []Problem{}, key != nil
	if !v.open(r, size) {
		return &v.Verdict, nil
	}
	for _, step := range []func() error{v.readKey, v.readManifest, func() error { return v.files(r, size) }, v.chain, v.auditChain} {
		if err := step(); err != nil {
			return nil, fault.Wrap("verify bundle", err)
		}
	}
	return &v.Verdict, nil
}

// open reads the table of contents.
func (v *verifier) open(r io.ReaderAt, size int64) bool {
	if what := contentsTooLarge(r, size); what != "" {
		v.say("", "%s", what)
		return false
	}
	z, err := zip.NewReader(r, size)
	if err != nil {
		v.say("", "the file is no whole zip: it was cut off or changed (%v)", err)
		return false
	}
	v.zip = z
	var total uint64
	for _, f := range z.File {
		switch {
		case v.entries[f.Name] != nil:
			v.say(f.Name, "the file is there twice")
		case f.Method != zip.Store:
			v.say(f.Name, "the file is compressed: KYRA does not write it so")
		case f.CompressedSize64 > uint64(size) || total+f.CompressedSize64 > uint64(size):
			v.say(f.Name, "the file is said to be larger than the bundle")
			return false
		}
		total += f.CompressedSize64
		v.entries[f.Name] = f
	}
	return true
}

// open opens a file of the bundle as it lies there; nil where it is missing.
func (v *verifier) reader(name string) (io.Reader, error) {
	f := v.entries[name]
	if f == nil {
		v.say(name, "the file is missing")
		return nil, nil
	}
	r, err := f.OpenRaw()
	if errors.Is(err, zip.ErrFormat) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		v.say(name, "the file cannot be read: the zip was changed")
		return nil, nil
	}
	return r, err
}

// read returns a file of up to most bytes; nil where there is none.
func (v *verifier) read(name string, most int64) ([]byte, error) {
	r, err := v.reader(name)
	if r == nil || err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	if err != nil || int64(len(b)) > most {
		v.say(name, "the file is larger than KYRA writes it, or cut off")
		return nil, nil
	}
	return b, nil
}

// ParseKey reads a public key: PEM, or the base64 that the API shows.
func ParseKey(text []byte) (ed25519.PublicKey, error) {
	var raw []byte
	if block, _ := pem.Decode(text); block != nil {
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read public key: %w", err)
		}
		if ed, ok := key.(ed25519.PublicKey); ok {
			raw = ed
		}
	} else if decoded, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(text))); err == nil {
		raw = decoded
	}
	if len(raw) != ed25519.PublicKeySize {
		return nil, errors.New("read public key: neither PEM nor base64 of an Ed25519 key")
	}
	return raw, nil
}

func keyID(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:8])
}

func (v *verifier) readKey() error {
	b, err := v.read(fileKey, maxSmall)
	if b == nil || err != nil {
		return err
	}
	key, err := ParseKey(b)
	switch {
	case err != nil:
		v.say(fileKey, "the file holds no Ed25519 key")
	case v.key == nil:
		v.key = key
	case !v.key.Equal(key):
		v.say(fileKey, "the bundle was made with another key (id %s) than the one that was given (id %s)", keyID(key), keyID(v.key))
	}
	if v.key != nil {
		v.KeyID = keyID(v.key)
	}
	return nil
}

func (v *verifier) readManifest() error {
	b, err := v.read(fileManifest, maxManifest)
	if b == nil || err != nil {
		return err
	}
	if err := json.Unmarshal(b, &v.manifest); err != nil {
		v.say(fileManifest, "the table of contents cannot be read: %v", err)
		return nil
	}
	m := &v.manifest
	if m.Format != bundleFormat {
		v.say(fileManifest, "the format is %q, and this program knows %q: a newer one may help", m.Format, bundleFormat)
		return nil
	}
	for i := range m.Files {
		v.byName[m.Files[i].File] = &m.Files[i]
	}
	v.Framework, v.Edition, v.From, v.To, v.Records, v.FirstSeq, v.LastSeq, v.Files = m.Framework, m.Edition, m.From, m.To, m.Records, m.FirstSeq, m.LastSeq, len(m.Files)+2
	given, err := v.read(fileSigned, maxSmall)
	if given == nil || err != nil {
		return err
	}
	signature, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(given)))
	sum := sha256.Sum256(b)
	switch {
	case v.key == nil:
		v.say(fileSigned, "there is no key to check the signature with")
	case err == nil && string(given) != base64.StdEncoding.EncodeToString(signature)+"\n":
		v.say(fileSigned, "the signature is not written as KYRA writes it")
	case err != nil || !ed25519.Verify(v.key, signedMessage(sum[:]), signature):
		v.say(fileSigned, "the signature of manifest.json does not hold for key %s: one of the two was changed, or another key signed", keyID(v.key))
	}
	return nil
}

// files holds every file against the manifest, and the container against the one that
// KYRA writes of these files.
func (v *verifier) files(r io.ReaderAt, size int64) error {
	same := &comparing{r: bufio.NewReaderSize(io.NewSectionReader(r, 0, size), 64<<10)}
	again := newContainer(same)
	before := len(v.Problems)
	for _, f := range v.zip.File {
		in, err := v.reader(f.Name)
		if err != nil {
			return err
		}
		if in == nil {
			continue
		}
		sum := sha256.New()
		n := int64(0)
		same.at = f.Name
		if err := again.file(f.Name, func(w io.Writer) error {
			n, err = io.Copy(io.MultiWriter(w, sum), in)
			return err
		}); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, zip.ErrFormat) {
			return err
		}
		v.file(f.Name, n, hexOf(sum.Sum(nil)))
	}
	for i := range v.manifest.Files {
		if f := &v.manifest.Files[i]; v.entries[f.File] == nil {
			v.say(f.File, "the file is missing%s", usedBy(f))
		}
	}
	v.order()
	same.at = "the zip's table of contents"
	if err := again.close(); err != nil {
		return err
	}
	if len(v.Problems) == before {
		if _, err := same.r.ReadByte(); same.differs == "" && err == nil {
			same.differs = fmt.Sprintf("there is something behind the end, at byte %d", same.n)
		}
		if same.differs != "" {
			v.say(same.in, "the zip itself was changed: %s", same.differs)
		}
	}
	return nil
}

// file holds one file against the manifest.
func (v *verifier) file(name string, n int64, sum string) {
	f := v.byName[name]
	switch {
	case name == fileManifest || name == fileSigned:
	case f == nil:
		v.say(name, "the file does not belong to the bundle: manifest.json does not name it")
	case f.Bytes != n:
		v.say(name, "the file has %d bytes instead of %d%s", n, f.Bytes, usedBy(f))
	case f.SHA256 != sum:
		v.say(name, "the file was changed: its SHA-256 is %s instead of %s%s", sum, f.SHA256, usedBy(f))
	}
}

// usedBy names the records that an artifact belongs to.
func usedBy(f *fileLine) string {
	switch n := len(f.Evidence); n {
	case 0:
		return ""
	case 1:
		return "; it belongs to record " + f.Evidence[0]
	default:
		return fmt.Sprintf("; it belongs to record %s and %d more", f.Evidence[0], n-1)
	}
}

// order tells where files do not stand in the order in which KYRA writes them.
func (v *verifier) order() {
	want := []string{fileReadme, fileRecords, fileIndex}
	for i := range v.manifest.Files {
		if name := v.manifest.Files[i].File; strings.HasPrefix(name, dirArtifacts) {
			want = append(want, name)
		}
	}
	want = append(want, fileLinks, fileAudit, fileHead, fileKey, fileManifest, fileSigned)
	at := 0
	for _, f := range v.zip.File {
		i := at
		for i < len(want) && want[i] != f.Name {
			i++
		}
		if i == len(want) {
			if v.byName[f.Name] != nil || f.Name == fileManifest || f.Name == fileSigned {
				v.say(f.Name, "the file stands in another place of the zip than KYRA writes it to")
			}
			continue
		}
		at = i + 1
	}
}

// comparing holds what is written against what r yields.
type comparing struct {
	r       *bufio.Reader
	n       int64
	at      string // what is being written
	differs string // where the first difference is, "" for none
	in      string // at, where it is
}

func (c *comparing) Write(p []byte) (int, error) {
	for _, b := range p {
		if c.differs != "" {
			break
		}
		got, err := c.r.ReadByte()
		switch {
		case err != nil:
			c.differs, c.in = fmt.Sprintf("it ends early, at byte %d", c.n), c.at
		case got != b:
			c.differs, c.in = fmt.Sprintf("byte %d is %#02x instead of %#02x", c.n, got, b), c.at
		}
		c.n++
	}
	return len(p), nil
}
