package intel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbound"
)

// maxDownload bounds what one call to a feed may answer, in bytes.
const maxDownload = 256 << 20

// A source is one way to a feed's documents.
type source struct {
	feed   *Feed
	auth   *Auth
	client *http.Client
	agent  string
	folder string
}

// open returns how the documents of x are reached.
func (f *Feeds) open(x *Feed) (*source, error) {
	s := &source{feed: x, agent: "kyra/" + f.Version, folder: f.Folder}
	limits := outbound.Limits{Connect: 10 * time.Second, Total: 5 * time.Minute, Body: maxDownload, PerHost: 4, Redirects: 5}
	if len(x.secret) > 0 {
		b, err := f.Sealer.Open(x.Tenant, feedPurpose(x.ID), x.secret)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(b, &s.auth); err != nil {
			return nil, fmt.Errorf("secret of feed %s: %w", x.ID, err)
		}
		limits.Redirects = 0 // a secret goes nowhere else
	}
	s.client = f.Guard.Client(limits)
	return s, nil
}

func (s *source) close() { s.client.CloseIdleConnections() }

// get asks for an address. A status that is no success is an error that names it.
func (s *source) get(ctx context.Context, address, accept string, conditional bool) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the address cannot be called").Because(err)
	}
	r.Header.Set("User-Agent", s.agent)
	r.Header.Set("Accept", accept)
	if s.auth != nil {
		switch s.auth.Type {
		case "bearer":
			r.Header.Set("Authorization", "Bearer "+s.auth.Secret)
		case "basic":
			r.SetBasicAuth(s.auth.Username, s.auth.Secret)
		case "header":
			r.Header.Set(s.auth.Header, s.auth.Secret)
		}
	}
	if conditional {
		if v := s.feed.State.ETag; v != "" {
			r.Header.Set("If-None-Match", v)
		}
		if v := s.feed.State.LastModified; v != "" {
			r.Header.Set("If-Modified-Since", v)
		}
	}
	res, err := s.client.Do(r)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "the feed cannot be reached: %s", outbound.Reason(err)).Because(err)
	}
	if res.StatusCode == http.StatusOK || res.StatusCode == http.StatusNotModified && conditional {
		return res, nil
	}
	_ = res.Body.Close()
	hint := ""
	switch {
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden:
		hint = ": check the feed's secret"
	case res.StatusCode/100 == 3 && s.auth != nil:
		hint = ": a feed with a secret follows no redirect; name the address that it leads to"
	case res.StatusCode == http.StatusNotFound:
		hint = ": check the feed's address"
	}
	return nil, fault.New(fault.Unavailable, "the feed answers %s%s", res.Status, hint)
}

// read gives all drafts of the feed to take. unchanged tells that the feed has said so.
func (s *source) read(ctx context.Context, counts *Counts, take func(*Draft) error) (unchanged bool, err error) {
	x := s.feed
	switch {
	case x.Format == TAXII:
		return false, s.taxii(ctx, counts, take)
	case strings.HasPrefix(x.URL, "file:"):
		file, err := s.file()
		if err != nil {
			return false, err
		}
		defer file.Close()
		return false, Parse(x.Format, file, &x.Settings, counts, take)
	case x.URL == "":
		return false, fault.New(fault.Conflict, "the feed has no address: upload a file")
	}
	res, err := s.get(ctx, x.URL, "*/*", true)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusNotModified {
		return true, nil
	}
	if err := Parse(x.Format, res.Body, &x.Settings, counts, take); err != nil {
		return false, readError(err)
	}
	x.State.ETag, x.State.LastModified = clip(clean(res.Header.Get("ETag")), 500), clip(clean(res.Header.Get("Last-Modified")), 100)
	return false, nil
}

func readError(err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	return fault.New(fault.Unavailable, "the feed's answer broke off: %s", outbound.Reason(err)).Because(err)
}

// file opens file:NAME in the server's folder of feeds, and nothing outside of it.
func (s *source) file() (*os.File, error) {
	name := strings.TrimPrefix(s.feed.URL, "file:")
	if err := checkFile(name); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(s.folder)
	if err != nil {
		return nil, fault.New(fault.Conflict, "there is no folder %s in the server's data: make it and put the file there", filepath.Base(s.folder))
	}
	defer func() { _ = root.Close() }() // it was only read
	file, err := root.Open(name)
	if err != nil {
		return nil, fault.New(fault.Conflict, "there is no file %s in the folder %s of the server's data", name, filepath.Base(s.folder)).Because(err)
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		file.Close()
		return nil, fault.New(fault.Conflict, "%s is no file", name)
	}
	return file, nil
}

const taxiiType = "application/taxii+json;version=2.1"

// maxPages bounds one run over a TAXII server; the next run goes on.
const maxPages = 2000

// taxii reads a collection from where the last run ended.
func (s *source) taxii(ctx context.Context, counts *Counts, take func(*Draft) error) error {
	objects, err := s.collection(ctx)
	if err != nil {
		return err
	}
	next, last := "", s.feed.State.AddedAfter
	ended := false
	for range maxPages {
		q := objects.Query()
		q.Set("limit", "1000")
		q.Set("match[type]", "indicator")
		if v := s.feed.State.AddedAfter; v != "" {
			q.Set("added_after", v)
		}
		if next != "" {
			q.Set("next", next)
		}
		page := *objects
		page.RawQuery = q.Encode()
		res, err := s.get(ctx, page.String(), taxiiType, false)
		if err != nil {
			return err
		}
		counts.next, counts.more = "", false
		err = Parse(TAXII, res.Body, &s.feed.Settings, counts, func(d *Draft) error {
			err := take(d)
			ended = ended || err != nil
			return err
		})
		if v := res.Header.Get("X-TAXII-Date-Added-Last"); v != "" {
			last = clip(clean(v), 50)
		}
		_ = res.Body.Close() // it was read
		if err != nil {
			return readError(err)
		}
		if ended || !counts.more || counts.next == "" || counts.next == next {
			break
		}
		next = counts.next
	}
	if !ended {
		s.feed.State.AddedAfter = last
	}
	return nil
}

// collection finds the objects of the collection: from the address of the collection
// itself, of an API root, or of the server's discovery.
func (s *source) collection(ctx context.Context) (*url.URL, error) {
	at, err := url.Parse(s.feed.URL)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the address cannot be read").In("url").Because(err)
	}
	path := strings.TrimSuffix(at.Path, "/")
	if strings.Contains(path, "/collections/") {
		at.Path = strings.TrimSuffix(path, "/objects") + "/objects/"
		return at, nil
	}
	var found struct {
		Default  string   `json:"default"`
		APIRoots []string `json:"api_roots"`
	}
	if err := s.json(ctx, at.String(), &found); err != nil {
		return nil, err
	}
	root := *at
	root.Path = path + "/"
	if name := found.Default; name != "" || len(found.APIRoots) > 0 {
		if name == "" {
			name = found.APIRoots[0]
		}
		to, err := at.Parse(name)
		if err != nil || to.Host != at.Host || to.Scheme != at.Scheme {
			return nil, fault.New(fault.Invalid, "the server's API root %q is elsewhere: name its address as the feed's", clip(clean(name), 200))
		}
		root = *to
		root.Path = strings.TrimSuffix(root.Path, "/") + "/"
	}
	list, err := root.Parse("collections/")
	if err != nil {
		return nil, fault.New(fault.Invalid, "the server's API root cannot be read").Because(err)
	}
	var known struct {
		Collections []struct {
			ID      string `json:"id"`
			Title   string `json:"title"`
			CanRead bool   `json:"can_read"`
		} `json:"collections"`
	}
	if err := s.json(ctx, list.String(), &known); err != nil {
		return nil, err
	}
	var names []string
	for _, c := range known.Collections {
		if !c.CanRead {
			continue
		}
		if want := s.feed.Settings.Collection; want == c.ID || strings.EqualFold(want, c.Title) {
			return list.Parse(url.PathEscape(c.ID) + "/objects/")
		}
		names = append(names, c.Title+" ("+c.ID+")")
	}
	if s.feed.Settings.Collection == "" && len(names) == 1 {
		i := slices.IndexFunc(known.Collections, func(c struct {
			ID      string `json:"id"`
			Title   string `json:"title"`
			CanRead bool   `json:"can_read"`
		},
		) bool {
			return c.CanRead
		})
		return list.Parse(url.PathEscape(known.Collections[i].ID) + "/objects/")
	}
	return nil, fault.New(fault.Invalid, "Allowed: one of the server's collections: %s", clip(clean(strings.Join(names, ", ")), 500)).In("collection")
}

func (s *source) json(ctx context.Context, address string, v any) error {
	res, err := s.get(ctx, address, taxiiType, false)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(&nested{r: io.LimitReader(res.Body, 1<<20)}).Decode(v); err != nil {
		return fault.New(fault.Unavailable, "the server's answer is not of TAXII 2.1").Because(err)
	}
	return nil
}
