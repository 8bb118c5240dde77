package exposure_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// zone is a DNS server in this process: names to "A 192.0.2.1", "TXT text", "CNAME name".
type zone struct {
	mu      sync.Mutex
	records map[string][]string
	conn    net.PacketConn
}

func newZone(t *testing.T) *zone {
	t.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	z := &zone{records: map[string][]string{}, conn: conn}
	done := make(chan struct{})
	go func() {
		defer close(done)
		z.serve()
	}()
	t.Cleanup(func() { _ = conn.Close(); <-done })
	return z
}

func (z *zone) set(name string, records ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.records[name] = records
}

func (z *zone) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, z.conn.LocalAddr().String())
}

func (z *zone) serve() {
	buf := make([]byte, 1500)
	for {
		n, from, err := z.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		var p dnsmessage.Parser
		h, err := p.Start(buf[:n])
		if err != nil {
			continue
		}
		q, err := p.Question()
		if err != nil {
			continue
		}
		if answer, err := z.answer(h.ID, q); err == nil {
			_, _ = z.conn.WriteTo(answer, from)
		}
	}
}

func (z *zone) answer(id uint16, q dnsmessage.Question) ([]byte, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: id, Response: true, RecursionAvailable: true}, Questions: []dnsmessage.Question{q}}
	name := strings.TrimSuffix(strings.ToLower(q.Name.String()), ".")
	for range 5 {
		records, known := z.records[name]
		if !known {
			m.RCode = dnsmessage.RCodeNameError
			break
		}
		h := dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name + "."), Class: dnsmessage.ClassINET, TTL: 1}
		next := ""
		for _, r := range records {
			kind, value, _ := strings.Cut(r, " ")
			switch {
			case kind == "CNAME":
				next = value
				h.Type = dnsmessage.TypeCNAME
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(value + ".")}})
			case kind == "TXT" && q.Type == dnsmessage.TypeTXT:
				h.Type = dnsmessage.TypeTXT
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.TXTResource{TXT: []string{value}}})
			case kind == "A" && q.Type == dnsmessage.TypeA:
				h.Type = dnsmessage.TypeA
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: [4]byte(net.ParseIP(value).To4())}})
			}
		}
		if next == "" {
			break
		}
		name = next
	}
	return m.Pack()
}
