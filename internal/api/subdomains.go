package api

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/exposure"
)

// SubdomainItem is a host name under an own domain, as the list shows it.
type SubdomainItem struct {
	ID        string     `json:"id" format:"uuid"`
	Name      string     `json:"name" example:"vpn.example.com"`
	Domain    string     `json:"domain" example:"example.com"`
	State     string     `json:"state" enum:"new,known,ignored,gone"`
	FirstSeen time.Time  `json:"firstSeen"`
	LastSeen  time.Time  `json:"lastSeen" doc:"Up to an hour old."`
	Sources   []string   `json:"sources" nullable:"false" enum:"dns,tls,certificate,http,import,check" doc:"What showed it."`
	Addresses []string   `json:"addresses" nullable:"false" doc:"The newest first, up to 16."`
	Problem   string     `json:"problem" doc:"What the last active check found wrong; empty for nothing." example:"certificate expires in 5 days"`
	CheckedAt *time.Time `json:"checkedAt" nullable:"true"`

	_ struct{} `additionalProperties:"true"`
}

func subdomainOf(n *exposure.Name) SubdomainItem {
	return SubdomainItem{
		ID: n.ID, Name: n.Name, Domain: n.DomainName, State: string(n.State), FirstSeen: n.FirstSeen, LastSeen: n.LastSeen,
		Sources: orEmpty(n.Sources), Addresses: orEmpty(n.Addresses), Problem: n.Found, CheckedAt: n.CheckedAt,
	}
}

type (
	subdomainDetail struct {
		SubdomainItem
		DomainID  string          `json:"domainId" format:"uuid"`
		Notes     string          `json:"notes"`
		Check     *subdomainCheck `json:"check,omitempty" doc:"What the last active check saw; absent: there was none."`
		Version   int64           `json:"version"`
		UpdatedBy *string         `json:"updatedBy" nullable:"true"`

		_ struct{} `additionalProperties:"true"`
	}
	subdomainCheck struct {
		Addresses   []string              `json:"addresses" nullable:"false"`
		Aliases     []string              `json:"aliases" nullable:"false" doc:"CNAME records, in order."`
		Error       string                `json:"error" doc:"Why the name could not be resolved."`
		Dangling    string                `json:"dangling" doc:"Why somebody else may take over the name; empty where nothing speaks for it."`
		Certificate *subdomainCertificate `json:"certificate,omitempty"`
		TLSError    string                `json:"tlsError"`
		HTTP        *subdomainHTTP        `json:"http,omitempty"`
		HTTPError   string                `json:"httpError"`

		_ struct{} `additionalProperties:"true"`
	}
	subdomainCertificate struct {
		Subject   string    `json:"subject"`
		Issuer    string    `json:"issuer"`
		Names     []string  `json:"names" nullable:"false"`
		NotBefore time.Time `json:"notBefore"`
		NotAfter  time.Time `json:"notAfter"`
		Problem   string    `json:"problem" doc:"Why a browser would refuse it."`
		Version   string    `json:"tlsVersion" example:"TLS 1.3"`

		_ struct{} `additionalProperties:"true"`
	}
	subdomainHTTP struct {
		Status   int               `json:"status"`
		Title    string            `json:"title"`
		Location string            `json:"location" doc:"Where it redirects to; that is not followed."`
		Headers  map[string]string `json:"headers" nullable:"false" doc:"Those that tell of the server and of how it guards its visitors."`

		_ struct{} `additionalProperties:"true"`
	}
	subdomainOut struct {
		Revision int64 `header:"X-Revision"`
		Body     subdomainDetail
	}
	patchSubdomainIn struct {
		ID   string `path:"id"`
		Body struct {
			State word    `json:"state,omitzero" enum:"new,known,ignored,gone"`
			Notes *string `json:"notes,omitempty" doc:"Up to 10,000 characters."`
		}
	}
	importSubdomainsIn struct {
		RawBody []byte `contentType:"text/csv"`
	}
	importSubdomainsOut struct {
		Body struct {
			DryRun    bool              `json:"dryRun" doc:"Nothing was changed: this is what would happen."`
			Created   int               `json:"created"`
			Updated   int               `json:"updated"`
			Unchanged int               `json:"unchanged"`
			Errors    []importLineError `json:"errors" nullable:"false" doc:"With any of them nothing is changed. The first 100."`

			_ struct{} `additionalProperties:"true"`
		}
	}
	importLineError struct {
		Line    int    `json:"line"`
		Message string `json:"message"`

		_ struct{} `additionalProperties:"true"`
	}
)

// openExposure gives c a service that lists what others found, where it has none.
func (c *Config) openExposure() {
	if c.Exposure == nil {
		c.Exposure = exposure.New(exposure.Config{DB: c.DB, Log: c.Log, Now: c.Now})
	}
}

func subdomainFilters() []param {
	return []param{
		{name: "domain", doc: "Filter by own domain.", many: true},
		{name: "state", doc: "Filter by state.", kind: enum, values: asTexts(exposure.States), many: true},
		{name: "source", doc: "Filter by what showed it.", kind: enum, values: exposure.Sources, many: true},
		{name: "search", doc: "Part of the name, or an address."},
		{name: "problem", doc: "Only those with something wrong, or without.", kind: enum, values: []string{"true", "false"}},
	}
}

func subdomainFilter(q given) exposure.Filter {
	f := exposure.Filter{Domains: q.all("domain"), States: words[exposure.State](q.all("state")), Sources: q.all("source"), Search: q.one("search")}
	if p := q.one("problem"); p != "" {
		f.Found = new(p == "true")
	}
	return f
}

func (a *api) subdomains() {
	const tag = "Attack surface"
	handle(a, operation{
		id: "listSubdomains", method: http.MethodGet, path: "/subdomains", tag: tag, summary: "List host names under own domains",
		doc:    "Names are found in DNS, TLS and HTTP fields of events, by import, and by active checks.",
		params: append(paging(exposure.Sorts...), subdomainFilters()...),
	}, a.listSubdomains)
	handle(a, operation{
		id: "getSubdomain", method: http.MethodGet, path: "/subdomains/{id}", uuid: true, tag: tag, summary: "Get a host name with its last check", single: true,
	}, func(ctx context.Context, c *call, in *byID) (*subdomainOut, error) {
		return outOfSubdomain(a.Exposure.Get(ctx, c.Tenant.Number, in.ID))
	})
	handle(a, operation{
		id: "updateSubdomain", method: http.MethodPatch, path: "/subdomains/{id}", uuid: true, tag: tag, summary: "Say what is made of a host name", single: true,
	}, a.patchSubdomain)
	handle(a, operation{
		id: "importSubdomains", method: http.MethodPost, path: "/subdomains/import", tag: tag, summary: "Import host names",
		doc:   "One name on a line, or CSV with a header row of name, state, notes; up to 10,000. Each must lie under one of your domains. Imported names are known unless the file says otherwise.",
		media: []string{"text/csv", "text/plain", "multipart/form-data"}, upload: 8 << 20,
		params: []param{{name: "dryRun", doc: "Tell what would happen and change nothing.", kind: enum, values: []string{"true", "false"}, standard: "false"}},
	}, a.importSubdomains)
	a.domains(tag)
}

func (a *api) listSubdomains(ctx context.Context, c *call, _ *none) (*pageOut[SubdomainItem], error) {
	asked := c.query.paging(exposure.Sorts[0])
	p, err := a.Exposure.List(ctx, c.Tenant.Number, exposure.Query{Filter: subdomainFilter(c.query), Sort: asked.sort, Ascending: asked.ascending, Page: asked.page, Size: asked.size})
	if err != nil {
		return nil, err
	}
	return pageOf(asked, p.Total, p.Names, subdomainOf), nil
}

func outOfSubdomain(n *exposure.Name, err error) (*subdomainOut, error) {
	if err != nil {
		return nil, err
	}
	return &subdomainOut{Revision: n.Version, Body: subdomainDetail{
		SubdomainItem: subdomainOf(n), DomainID: n.Domain, Notes: n.Notes, Check: checkOf(n.Checked), Version: n.Version, UpdatedBy: orNull(n.UpdatedBy),
	}}, nil
}

func checkOf(c *exposure.Check) *subdomainCheck {
	if c == nil {
		return nil
	}
	out := &subdomainCheck{Addresses: orEmpty(c.Addresses), Aliases: orEmpty(c.Aliases), Error: c.Error, Dangling: c.Dangling, TLSError: c.TLSError, HTTPError: c.HTTPError}
	if x := c.Certificate; x != nil {
		out.Certificate = &subdomainCertificate{Subject: x.Subject, Issuer: x.Issuer, Names: orEmpty(x.Names), NotBefore: x.NotBefore, NotAfter: x.NotAfter, Problem: x.Problem, Version: x.Version}
	}
	if x := c.HTTP; x != nil {
		out.HTTP = &subdomainHTTP{Status: x.Status, Title: x.Title, Location: x.Location, Headers: x.Headers}
	}
	return out
}

func (a *api) patchSubdomain(ctx context.Context, c *call, in *patchSubdomainIn) (*subdomainOut, error) {
	p := exposure.Patch{Notes: in.Body.Notes, Version: c.version}
	if in.Body.State.set {
		s, bad := in.Body.State.among("state", asTexts(exposure.States))
		if bad != nil {
			return nil, bad
		}
		p.State = new(exposure.State(s))
	}
	n, err := a.Exposure.Patch(ctx, c.Tenant.Number, c.Actor, in.ID, p)
	if err != nil {
		return nil, c.condition(err)
	}
	return outOfSubdomain(n, nil)
}

func (a *api) importSubdomains(ctx context.Context, c *call, in *importSubdomainsIn) (*importSubdomainsOut, error) {
	_, text, p := uploaded(c.media, in.RawBody, "a list of host names")
	if p != nil {
		return nil, p
	}
	dry := c.query.one("dryRun") == "true"
	got, err := a.Exposure.Import(ctx, c.Tenant.Number, c.Actor, bytes.NewReader(text), dry)
	if err != nil {
		return nil, err
	}
	out := &importSubdomainsOut{}
	b := &out.Body
	b.DryRun, b.Created, b.Updated, b.Unchanged, b.Errors = dry, got.Created, got.Updated, got.Unchanged, []importLineError{}
	for _, e := range got.Errors {
		b.Errors = append(b.Errors, importLineError{Line: e.Line, Message: e.Message})
	}
	return out, nil
}
