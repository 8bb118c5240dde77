package evidence

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
)

// lines reads a file of the bundle line by line.
type lines struct {
	v    *verifier
	file string
	r    *bufio.Scanner
	n    int
}

func (v *verifier) lines(file string) (*lines, error) {
	r, err := v.reader(file)
	if r == nil || err != nil {
		return nil, err
	}
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 64<<10), maxLine)
	s.Split(wholeLine)
	return &lines{v: v, file: file, r: s}, nil
}

// wholeLine is a line as it stands, without its end alone.
func wholeLine(data []byte, end bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if end && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// next returns the next line, nil at the end.
func (l *lines) next() []byte {
	if !l.r.Scan() {
		if err := l.r.Err(); err != nil {
			l.v.problem(Problem{File: l.file, Line: l.n + 1, What: "the file cannot be read on: " + err.Error()})
		}
		return nil
	}
	l.n++
	return l.r.Bytes()
}

func (l *lines) say(record, format string, args ...any) {
	l.v.problem(Problem{File: l.file, Line: l.n, Record: record, What: fmt.Sprintf(format, args...)})
}

// links follows the chain while records ask for their places.
type links struct {
	*lines
	seq  int64
	prev []byte // hash of the place before the next
	now  link
	end  bool
}

// to goes on to the place of that number and returns what the chain holds there; false
// where the chain does not reach it.
func (k *links) to(seq int64) (content string, ok bool) {
	for !k.end && k.seq < seq {
		k.step()
	}
	return k.now.Content, !k.end && k.seq == seq
}

func (k *links) step() {
	text := k.next()
	if text == nil {
		k.end = true
		return
	}
	var l link
	if err := json.Unmarshal(text, &l); err != nil {
		k.say("", "the place in the chain cannot be read: %v", err)
		k.end = true
		return
	}
	content, e1 := hex.DecodeString(l.Content)
	prev, e2 := hex.DecodeString(l.Prev)
	hash, e3 := hex.DecodeString(l.Hash)
	first := k.seq == 0
	switch m := &k.v.manifest; {
	case errors.Join(e1, e2, e3) != nil:
		k.say("", "place %d in the chain holds something that is no hash", l.Seq)
	case first && l.Seq != m.FirstSeq, !first && l.Seq != k.seq+1:
		k.say("", "place %d in the chain is missing: %d stands there", max(m.FirstSeq, k.seq+1), l.Seq)
	case !first && !bytes.Equal(prev, k.prev), l.Seq == 1 && len(prev) != 0:
		k.say("", "place %d in the chain does not follow the one before", l.Seq)
	case !bytes.Equal(chained(prev, content), hash):
		k.say("", "the hash of place %d in the chain is another one", l.Seq)
	}
	k.seq, k.prev, k.now = l.Seq, hash, l
}

// chain holds the records against the chain, and the chain against its head.
func (v *verifier) chain() error {
	in, err := v.lines(fileLinks)
	if in == nil || err != nil {
		return err
	}
	records, err := v.lines(fileRecords)
	if records == nil || err != nil {
		return err
	}
	chain := &links{lines: in}
	n, last := int64(0), int64(0)
	for text := records.next(); text != nil; text = records.next() {
		n++
		var r Record
		if err := json.Unmarshal(text, &r); err != nil {
			records.say("", "the record cannot be read: %v", err)
			continue
		}
		if r.Seq <= last {
			records.say(r.ID, "the record stands behind a later one")
			continue
		}
		last = r.Seq
		switch want, ok := chain.to(r.Seq); {
		case !ok:
			records.say(r.ID, "the chain has no place %d for the record", r.Seq)
		case want != hexOf(contentOf(text)):
			records.say(r.ID, "the record of %s was changed: its SHA-256 is %x instead of %s", r.called(), contentOf(text), want)
		}
		v.artifactOf(records, &r)
	}
	if n != v.manifest.Records {
		v.say(fileRecords, "there are %d records instead of %d", n, v.manifest.Records)
	}
	for !chain.end {
		chain.step()
	}
	v.head = chain.prev
	if chain.seq != v.manifest.LastSeq || hexOf(chain.prev) != v.manifest.Head {
		v.say(fileLinks, "the chain ends at place %d with %x instead of place %d with %s", chain.seq, chain.prev, v.manifest.LastSeq, v.manifest.Head)
	}
	return nil
}

// called is how people know a record.
func (r *Record) called() string {
	if r.Kind == Manual {
		return fmt.Sprintf("%q", r.Title)
	}
	return fmt.Sprintf("check %s, collected %s", r.CheckID, r.CollectedAt.Format(time.RFC3339))
}

func (v *verifier) artifactOf(in *lines, r *Record) {
	if r.Artifact == nil {
		return
	}
	name := artifactName(r.Artifact)
	f := v.byName[name]
	switch {
	case f == nil:
		in.say(r.ID, "the record's file %s is not in manifest.json", name)
	case f.SHA256 != r.Artifact.SHA256 || f.Bytes != r.Artifact.Bytes || !slices.Contains(f.Evidence, r.ID):
		in.say(r.ID, "what manifest.json says of the record's file %s is not what the record says", name)
	}
}

// auditChain follows the audit log from the entry that names the chain's head to the
// signed one.
func (v *verifier) auditChain() error {
	in, err := v.lines(fileAudit)
	if in == nil || err != nil {
		return err
	}
	m := &v.manifest
	var seq int64
	var hash []byte
	for text := in.next(); text != nil; text = in.next() {
		var l auditLine
		if err := json.Unmarshal(text, &l); err != nil {
			in.say("", "the entry of the audit log cannot be read: %v", err)
			return nil
		}
		prev, err := hex.DecodeString(l.Prev)
		e := audit.Stored{
			ID: l.ID, Seq: l.Seq, Tenant: m.Tenant, At: time.UnixMicro(l.AtMicros), Actor: l.Actor, Action: l.Action, Object: l.Object, Detail: json.RawMessage(l.Detail),
			Origin: audit.Origin{Address: l.Address, KeyID: l.KeyID, Request: l.RequestID},
		}
		switch {
		case seq == 0:
			v.names(in, &l)
		case l.Seq != seq+1:
			in.say("", "entry %d of the audit log is missing: %d stands there", seq+1, l.Seq)
		case err != nil || !bytes.Equal(prev, hash):
			in.say("", "entry %d of the audit log does not follow the one before", l.Seq)
		}
		seq, hash = l.Seq, e.Digest(prev)
		if hexOf(hash) != l.Hash {
			in.say("", "entry %d of the audit log (%s by %s) was changed: its hash is %x instead of %s", l.Seq, l.Action, l.Actor, hash, l.Hash)
		}
	}
	if seq == 0 {
		v.say(fileAudit, "there is no entry of the audit log")
		return nil
	}
	return v.signedHead(seq, hash)
}

// names looks whether the entry of the audit log names the end of the chain.
func (v *verifier) names(in *lines, l *auditLine) {
	var a anchor
	if l.Seq != v.manifest.AuditSeq || json.Unmarshal([]byte(l.Detail), &a) != nil || a.LastSeq != v.manifest.LastSeq || a.Head != hexOf(v.head) {
		in.say("", "the first entry of the audit log does not name the end of the chain")
	}
}

// signedHead checks the signed head against the last entry of the audit log.
func (v *verifier) signedHead(seq int64, hash []byte) error {
	b, err := v.read(fileHead, maxSmall)
	if b == nil || err != nil {
		return err
	}
	var h headLine
	if err := json.Unmarshal(b, &h); err != nil {
		v.say(fileHead, "the signed head cannot be read: %v", err)
		return nil
	}
	if h.Day != v.manifest.SignedDay {
		v.say(fileHead, "the signed head is of the day %q instead of %q", h.Day, v.manifest.SignedDay)
	}
	if h.Day == "" {
		return nil
	}
	day, e1 := time.Parse(time.DateOnly, h.Day)
	sum, e2 := hex.DecodeString(h.Hash)
	signature, e3 := base64.StdEncoding.DecodeString(h.Signature)
	s := audit.Seal{Tenant: v.manifest.Tenant, Day: day, Seq: h.Seq, Hash: sum, At: time.UnixMicro(h.AtMicros)}
	switch {
	case errors.Join(e1, e2, e3) != nil:
		v.say(fileHead, "the signed head cannot be read")
	case h.Seq != seq || !bytes.Equal(sum, hash):
		v.say(fileHead, "the signed head is entry %d with %s, and the audit log leads to entry %d with %x", h.Seq, h.Hash, seq, hash)
	case v.key == nil:
	case h.KeyID != keyID(v.key):
		v.say(fileHead, "the head of %s was signed with key %s, and the key at hand is %s", h.Day, h.KeyID, keyID(v.key))
	case !ed25519.Verify(v.key, s.Message(), signature):
		v.say(fileHead, "the signature of the head of %s does not hold", h.Day)
	default:
		v.SignedDay = h.Day
	}
	return nil
}

// contentsTooLarge refuses a table of contents that would take much memory to read: a zip
// with more files than a bundle can have is none. It returns what is wrong, "" for nothing.
func contentsTooLarge(r io.ReaderAt, size int64) string {
	const end, end64, locator = 22, 56, 20
	const cut = "the file is no whole zip: it was cut off, changed, or something was added behind its end"
	if size < end {
		return cut
	}
	b := make([]byte, min(size, end+locator+end64))
	if _, err := r.ReadAt(b, size-int64(len(b))); err != nil && !errors.Is(err, io.EOF) {
		return cut
	}
	last := b[len(b)-end:]
	if !bytes.HasPrefix(last, []byte("PK\x05\x06")) {
		return cut
	}
	bytesOf := func(b []byte) (n uint64) { // little endian
		for _, x := range slices.Backward(b) {
			n = n<<8 | uint64(x)
		}
		return n
	}
	files, contents, at, behind := bytesOf(last[10:12]), bytesOf(last[12:16]), bytesOf(last[16:20]), uint64(end)
	if big := b[:len(b)-end]; len(big) == locator+end64 && bytes.HasPrefix(big[end64:], []byte("PK\x06\x07")) {
		if !bytes.HasPrefix(big, []byte("PK\x06\x06")) {
			return cut
		}
		files, contents, at, behind = bytesOf(big[32:40]), bytesOf(big[40:48]), bytesOf(big[48:56]), end+locator+end64
	}
	if files > maxRecords+20 || contents > (maxRecords+20)*200 {
		return fmt.Sprintf("the zip holds %d files: a bundle has at most %d", files, maxRecords+20)
	}
	if at > uint64(size) || at+contents+behind != uint64(size) {
		return cut
	}
	return ""
}
