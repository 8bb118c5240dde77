package api

import (
	"context"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/asset"
)

// AssetItem is a machine as the list shows it.
type AssetItem struct {
	ID          string    `json:"id" format:"uuid"`
	Name        string    `json:"name" example:"web-01"`
	Type        string    `json:"type" enum:"server,workstation,network-device,mobile,cloud,container,printer,iot,unknown"`
	OS          string    `json:"os" doc:"Empty where nothing tells it." example:"Linux"`
	Addresses   []string  `json:"addresses" nullable:"false" doc:"The newest first, up to 16."`
	MACs        []string  `json:"macs" nullable:"false"`
	Owner       string    `json:"owner"`
	Criticality string    `json:"criticality" enum:"low,medium,high,critical"`
	Tags        []string  `json:"tags" nullable:"false"`
	Sources     []string  `json:"sources" nullable:"false" doc:"Products that log for it, the newest first, up to 16."`
	OpenAlerts  int64     `json:"openAlerts" doc:"Up to a minute old."`
	FirstSeen   time.Time `json:"firstSeen"`
	LastSeen    time.Time `json:"lastSeen"`

	_ struct{} `additionalProperties:"true"`
}

func assetOf(x *asset.Asset) AssetItem {
	return AssetItem{
		ID: x.ID, Name: x.Name, Type: x.Type, OS: x.OS, Addresses: orEmpty(x.Addresses), MACs: orEmpty(x.MACs), Owner: x.Owner, Criticality: x.Criticality, Tags: orEmpty(x.Tags),
		Sources: orEmpty(x.Sources), OpenAlerts: x.OpenAlerts, FirstSeen: x.First, LastSeen: x.Last,
	}
}

type (
	assetDetail struct {
		AssetItem
		Notes        string         `json:"notes"`
		TypeOverride bool           `json:"typeOverride" doc:"The type is what people set."`
		MergedInto   *string        `json:"mergedInto" nullable:"true" doc:"Id of the asset that this one is part of."`
		History      []assetTrait   `json:"history" nullable:"false" doc:"Names, addresses and other things that it was known by, the newest first, up to 1,000."`
		Merges       []assetMerge   `json:"merges" nullable:"false"`
		Candidates   []string       `json:"candidates" nullable:"false" doc:"Ids of assets that go by the same name: they may be the same machine."`
		Alerts       []relatedAlert `json:"alerts" nullable:"false" doc:"The newest 20."`
		Identities   []assetUser    `json:"identities" nullable:"false" doc:"Accounts that were seen on it, the newest first, up to 50."`
		Version      int64          `json:"version"`

		_ struct{} `additionalProperties:"true"`
	}
	assetUser struct {
		ID       string    `json:"id" format:"uuid"`
		Key      string    `json:"key"`
		LastSeen time.Time `json:"lastSeen"`

		_ struct{} `additionalProperties:"true"`
	}
	assetTrait struct {
		Kind      string    `json:"kind" enum:"name,alias,ip,mac,guid,agent,source" doc:"alias: what a lease calls it."`
		Value     string    `json:"value"`
		FirstSeen time.Time `json:"firstSeen"`
		LastSeen  time.Time `json:"lastSeen"`

		_ struct{} `additionalProperties:"true"`
	}
	assetMerge struct {
		ID       string     `json:"id" format:"uuid"`
		Asset    string     `json:"asset" doc:"That was merged."`
		Into     string     `json:"into"`
		At       time.Time  `json:"at"`
		Actor    string     `json:"actor"`
		Reason   string     `json:"reason"`
		UndoneAt *time.Time `json:"undoneAt" nullable:"true"`
		UndoneBy string     `json:"undoneBy"`

		_ struct{} `additionalProperties:"true"`
	}
	relatedAlert struct {
		ID        string    `json:"id" format:"uuid"`
		Title     string    `json:"title"`
		Severity  string    `json:"severity"`
		Status    string    `json:"status"`
		CreatedAt time.Time `json:"createdAt"`

		_ struct{} `additionalProperties:"true"`
	}
	assetOut struct {
		Revision int64 `header:"X-Revision"`
		Body     assetDetail
	}
	patchAssetIn struct {
		ID   string `path:"id"`
		Body struct {
			Name        *string   `json:"name,omitempty" doc:"Empty: what events call it."`
			Type        *string   `json:"type,omitempty" doc:"Empty: what the evidence says." example:"server"`
			OS          *string   `json:"os,omitempty" doc:"Empty: what the evidence says."`
			Owner       *string   `json:"owner,omitempty"`
			Criticality *string   `json:"criticality,omitempty" example:"high"`
			Tags        *[]string `json:"tags,omitempty" doc:"Replaces all."`
			Notes       *string   `json:"notes,omitempty"`
		}
	}
	mergeAssetsIn struct {
		ID   string `path:"id"`
		Body struct {
			Assets []string `json:"assets" nullable:"false" doc:"Ids of those that become part of it."`
			Reason string   `json:"reason" doc:"1 to 1,000 characters." example:"the same machine after its name was changed"`
		}
	}
	unmergeAssetIn struct {
		ID   string `path:"id"`
		Body struct {
			Reason string `json:"reason" doc:"1 to 1,000 characters."`
		}
	}
	importAssetsIn struct {
		RawBody []byte `contentType:"text/csv"`
	}
	importAssetsOut struct {
		Body struct {
			DryRun  bool        `json:"dryRun" doc:"Nothing was changed: this is what would happen."`
			Created int         `json:"created"`
			Updated int         `json:"updated"`
			Errors  []lineError `json:"errors" nullable:"false" doc:"With any of them nothing is changed. The first 100."`

			_ struct{} `additionalProperties:"true"`
		}
	}
	lineError struct {
		Line    int    `json:"line" doc:"From 1 for the header."`
		Field   string `json:"field" doc:"Empty where it is about the whole line."`
		Message string `json:"message"`

		_ struct{} `additionalProperties:"true"`
	}
)

func assetFilters() []param {
	return []param{
		{name: "search", doc: "An address, a CIDR, or part of a name or MAC."},
		{name: "type", doc: "Filter by asset type.", kind: enum, values: asset.Types, many: true},
		{name: "criticality", doc: "Filter by criticality.", kind: enum, values: asset.Criticalities, many: true},
		{name: "tag", doc: "Filter by tag.", many: true},
		{name: "owner", doc: "Filter by owner.", many: true},
		{name: "source", doc: "Filter by a product that logs for it.", many: true},
		{name: "openAlerts", doc: "Only those with open alerts.", kind: enum, values: []string{"true", "false"}},
		{name: "lastSeenFrom", doc: "Seen last then or later.", kind: moment},
		{name: "lastSeenTo", doc: "Seen last before.", kind: moment},
	}
}

func assetFilter(q given) asset.Filter {
	return asset.Filter{
		Search: q.one("search"), Types: q.all("type"), Criticalities: q.all("criticality"), Tags: q.all("tag"), Owners: q.all("owner"), Sources: q.all("source"),
		HasOpenAlerts: q.one("openAlerts") == "true", SeenFrom: q.moment("lastSeenFrom"), SeenTo: q.moment("lastSeenTo"),
	}
}

// openAssets gives c a service that lists what others discovered, where it has none.
func (c *Config) openAssets() {
	if c.Assets == nil {
		c.Assets = asset.New(c.DB, asset.Options{Log: c.Log, Now: c.Now})
	}
}

func (a *api) assets() {
	const tag = "Assets"
	handle(a, operation{
		id: "listAssets", method: http.MethodGet, path: "/assets", tag: tag, summary: "List assets",
		doc:    "Machines are discovered from events: those that log, those that a lease names, and internal addresses that send or answer.",
		params: append(paging(asset.Sorts...), assetFilters()...),
	}, a.listAssets)
	handle(a, operation{
		id: "getAsset", method: http.MethodGet, path: "/assets/{id}", uuid: true, tag: tag, summary: "Get an asset with its history", single: true,
	}, a.getAsset)
	handle(a, operation{
		id: "patchAsset", method: http.MethodPatch, path: "/assets/{id}", uuid: true, tag: tag, summary: "Say what an asset is and whose", single: true,
	}, a.patchAsset)
	handle(a, operation{
		id: "mergeAssets", method: http.MethodPost, path: "/assets/{id}/merge", uuid: true, tag: tag, summary: "Make other assets part of this one",
	}, a.mergeAssets)
	handle(a, operation{
		id: "unmergeAsset", method: http.MethodPost, path: "/assets/{id}/unmerge", uuid: true, tag: tag, summary: "Take an asset out of the one that it was merged into",
		doc: "Both are then as they would have been. Events do not join them again; people may.",
	}, a.unmergeAsset)
	handle(a, operation{
		id: "importAssets", method: http.MethodPost, path: "/assets/import", tag: tag, summary: "Import assets from CSV",
		doc: "A header row of name, address, mac, type, os, owner, criticality, tags, notes in any order, and up to 10,000 lines. Tags are parted by semicolons; an empty cell leaves a thing as it is. " +
			"An asset that the MAC, the name, or else the address tells is changed, any other made. With a wrong line nothing is changed.",
		media: []string{"text/csv", "multipart/form-data"}, upload: 8 << 20,
		params: []param{{name: "dryRun", doc: "Tell what would happen and change nothing.", kind: enum, values: []string{"true", "false"}, standard: "false"}},
	}, a.importAssets)
}

func (a *api) listAssets(ctx context.Context, c *call, _ *none) (*pageOut[AssetItem], error) {
	asked := c.query.paging(asset.Sorts[0])
	list, total, err := a.Assets.List(ctx, c.Tenant.Number, asset.Query{Filter: assetFilter(c.query), Sort: asked.sort, Ascending: asked.ascending, Page: asked.page, Size: asked.size})
	if err != nil {
		return nil, err
	}
	return pageOf(asked, total, list, assetOf), nil
}

func (a *api) assetOut(ctx context.Context, c *call, x *asset.Asset) (*assetOut, error) {
	d := assetDetail{
		AssetItem: assetOf(x), Notes: x.Notes, TypeOverride: x.TypeOverride, History: []assetTrait{}, Merges: []assetMerge{}, Candidates: orEmpty(x.Candidates), Alerts: []relatedAlert{}, Identities: []assetUser{}, Version: x.Version,
	}
	if x.MergedInto != "" {
		d.MergedInto = &x.MergedInto
	}
	for i := range x.History {
		t := &x.History[i]
		d.History = append(d.History, assetTrait{Kind: t.Kind, Value: t.Value, FirstSeen: t.First, LastSeen: t.Last})
	}
	for i := range x.Merges {
		m := &x.Merges[i]
		d.Merges = append(d.Merges, assetMerge{ID: m.ID, Asset: m.Asset, Into: m.Into, At: m.At, Actor: m.Actor, Reason: m.Reason, UndoneAt: m.UndoneAt, UndoneBy: m.UndoneBy})
	}
	alerts, err := a.Assets.RelatedAlerts(ctx, c.Tenant.Number, x.Values())
	if err != nil {
		return nil, err
	}
	for i := range alerts {
		d.Alerts = append(d.Alerts, relatedAlert{ID: alerts[i].ID, Title: alerts[i].Title, Severity: alerts[i].Severity, Status: alerts[i].Status, CreatedAt: alerts[i].CreatedAt})
	}
	users, err := a.Principals.On(ctx, c.Tenant.Number, x.Values())
	if err != nil {
		return nil, err
	}
	for _, u := range users {
		d.Identities = append(d.Identities, assetUser{ID: u.ID, Key: u.Word, LastSeen: u.Last})
	}
	return &assetOut{Revision: x.Version, Body: d}, nil
}

func (a *api) getAsset(ctx context.Context, c *call, in *byID) (*assetOut, error) {
	x, err := a.Assets.Get(ctx, c.Tenant.Number, in.ID)
	if err != nil {
		return nil, err
	}
	return a.assetOut(ctx, c, x)
}

func (a *api) patchAsset(ctx context.Context, c *call, in *patchAssetIn) (*assetOut, error) {
	b := &in.Body
	x, err := a.Assets.Patch(ctx, c.Tenant.Number, c.Actor, in.ID, asset.Patch{
		Name: b.Name, Type: b.Type, OS: b.OS, Owner: b.Owner, Criticality: b.Criticality, Tags: b.Tags, Notes: b.Notes, Version: c.version,
	})
	if err != nil {
		return nil, c.condition(err)
	}
	return a.assetOut(ctx, c, x)
}

func (a *api) mergeAssets(ctx context.Context, c *call, in *mergeAssetsIn) (*assetOut, error) {
	x, err := a.Assets.Merge(ctx, c.Tenant.Number, c.Actor, in.ID, in.Body.Assets, in.Body.Reason)
	if err != nil {
		return nil, err
	}
	return a.assetOut(ctx, c, x)
}

func (a *api) unmergeAsset(ctx context.Context, c *call, in *unmergeAssetIn) (*assetOut, error) {
	x, err := a.Assets.Unmerge(ctx, c.Tenant.Number, c.Actor, in.ID, in.Body.Reason)
	if err != nil {
		return nil, err
	}
	return a.assetOut(ctx, c, x)
}

func (a *api) importAssets(ctx context.Context, c *call, in *importAssetsIn) (*importAssetsOut, error) {
	_, text, p := uploaded(c.media, in.RawBody, "a CSV file of assets")
	if p != nil {
		return nil, p
	}
	dry := c.query.one("dryRun") == "true"
	done, err := a.Assets.Import(ctx, c.Tenant.Number, c.Actor, text, dry)
	if err != nil {
		return nil, err
	}
	out := &importAssetsOut{}
	out.Body.DryRun, out.Body.Created, out.Body.Updated, out.Body.Errors = dry, done.Created, done.Updated, []lineError{}
	for _, e := range done.Errors {
		out.Body.Errors = append(out.Body.Errors, lineError{Line: e.Line, Field: e.Field, Message: e.Message})
	}
	return out, nil
}
