package api

import (
	"context"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/mask"
	"github.com/kyra-mdr/kyra/internal/privacy"
)

type (
	// MaskingItem is a masking rule as the API shows it.
	MaskingItem struct {
		ID        string    `json:"id"`
		Name      string    `json:"name"`
		Enabled   bool      `json:"enabled"`
		Action    string    `json:"action" enum:"mask,hash,remove"`
		Patterns  []string  `json:"patterns" nullable:"false" enum:"email,card,resident_number,phone_kr"`
		Fields    []string  `json:"fields" nullable:"false"`
		Source    string    `json:"source"`
		Host      string    `json:"host"`
		CreatedAt time.Time `json:"createdAt"`
		CreatedBy string    `json:"createdBy"`
		UpdatedAt time.Time `json:"updatedAt"`
		UpdatedBy string    `json:"updatedBy"`
		Version   int64     `json:"version"`

		_ struct{} `additionalProperties:"true"`
	}
	maskingOut struct {
		Location string `header:"Location"`
		Revision int64  `header:"X-Revision"`
		Body     MaskingItem
	}
	maskingDraft struct {
		Name     string   `json:"name,omitempty" doc:"1 to 100 characters." example:"Card numbers"`
		Enabled  *bool    `json:"enabled,omitempty" doc:"true, when left out."`
		Action   string   `json:"action" enum:"mask,hash,remove" doc:"mask: asterisks, but the last four digits of a card and the domain of an e-mail; hash: equal values stay equal; remove: (removed)."`
		Patterns []string `json:"patterns,omitempty" nullable:"false" enum:"email,card,resident_number,phone_kr" doc:"What is found anywhere in a record."`
		Fields   []string `json:"fields,omitempty" nullable:"false" doc:"Dotted keys of JSON (*.email at any depth), keys of key=value, CEF and LEEF, or canonical names; up to 100." example:"[\"user.name\",\"*.email\"]"`
		Source   string   `json:"source,omitempty" doc:"Only records of this source; * and ? stand for characters." example:"nginx"`
		Host     string   `json:"host,omitempty" doc:"Only records of this host or sender: a name or address with * and ?, or a network." example:"10.0.0.0/8"`
	}
	createMaskingIn struct{ Body maskingDraft }
	patchMaskingIn  struct {
		ID   string `path:"id"`
		Body struct {
			Name     *string   `json:"name,omitempty"`
			Enabled  *bool     `json:"enabled,omitempty"`
			Action   string    `json:"action,omitempty" enum:"mask,hash,remove"`
			Patterns *[]string `json:"patterns,omitempty"`
			Fields   *[]string `json:"fields,omitempty"`
			Source   *string   `json:"source,omitempty"`
			Host     *string   `json:"host,omitempty"`
		}
	}
	maskingPreviewIn struct {
		Body struct {
			Rules  []maskingDraft `json:"rules,omitempty" nullable:"false" doc:"What to try; your enabled rules, when left out."`
			Source string         `json:"source,omitempty" doc:"What the lines are; recognised, when left out."`
			Lines  []string       `json:"lines" nullable:"false" doc:"1 to 100 records of up to 64 KiB."`
		}
	}
	maskingPreviewOut struct {
		Body struct {
			Lines []maskedLine `json:"lines" nullable:"false"`

			_ struct{} `additionalProperties:"true"`
		}
	}
	maskedLine struct {
		Masked string         `json:"masked"`
		Found  map[string]int `json:"found" nullable:"false" doc:"How many values were replaced, by pattern or field; those of none are left out."`
		Missed int            `json:"missed" doc:"Values of named fields that do not stand in the line as they are: nothing was replaced for them."`

		_ struct{} `additionalProperties:"true"`
	}
	maskingStatsOut struct {
		Body struct {
			Masked map[string]int64 `json:"masked" nullable:"false" doc:"How many values were replaced, by pattern or field."`
			Missed int64            `json:"missed" doc:"Values of named fields that did not stand in the record as they are: nothing was replaced for them."`

			_ struct{} `additionalProperties:"true"`
		}
	}
)

func (a *api) masking() {
	const tag = "Privacy"
	handle(a, operation{
		id: "listMaskingRules", method: http.MethodGet, path: "/masking-rules", tag: tag, summary: "List masking rules", params: paging(privacy.Sorts...),
		doc: "What is taken out of records at the way in, before anything is stored. Where two rules speak of one thing, the older one counts.",
	}, a.listMasking)
	handle(a, operation{
		id: "createMaskingRule", method: http.MethodPost, path: "/masking-rules", tag: tag, summary: "Create a masking rule", status: http.StatusCreated,
		doc: "It is in effect at once here, within a second on other servers, for what arrives from then on.",
	}, a.createMasking)
	handle(a, operation{
		id: "previewMasking", method: http.MethodPost, path: "/masking-rules/preview", tag: tag, summary: "See what masking makes of lines", safe: true,
		doc: "Nothing is kept or counted.",
	}, a.previewMasking)
	handle(a, operation{
		id: "getMaskingStats", method: http.MethodGet, path: "/masking-rules/stats", tag: tag, summary: "Count what was masked",
	}, a.maskingStats)
	handle(a, operation{
		id: "getMaskingRule", method: http.MethodGet, path: "/masking-rules/{id}", uuid: true, tag: tag, summary: "Get a masking rule", single: true,
	}, func(ctx context.Context, c *call, in *byID) (*maskingOut, error) {
		return outOfMasking(a.Privacy.Get(ctx, c.Tenant.Number, in.ID))
	})
	handle(a, operation{
		id: "updateMaskingRule", method: http.MethodPatch, path: "/masking-rules/{id}", uuid: true, tag: tag, summary: "Change a masking rule", single: true,
	}, a.patchMasking)
	handle(a, operation{
		id: "deleteMaskingRule", method: http.MethodDelete, path: "/masking-rules/{id}", uuid: true, tag: tag, summary: "Delete a masking rule", status: http.StatusNoContent,
		doc: "What it masked stays masked: the text that stood there is nowhere.",
	}, func(ctx context.Context, c *call, in *byID) (*struct{}, error) {
		return nil, a.Privacy.Delete(ctx, c.Tenant.Number, c.Actor, in.ID)
	})
}

func maskingOf(r *privacy.Rule) MaskingItem {
	return MaskingItem{
		ID: r.ID, Name: r.Name, Enabled: r.Enabled, Action: string(r.Action), Patterns: orEmpty(r.Patterns), Fields: orEmpty(r.Fields), Source: r.Source, Host: r.Host,
		CreatedAt: r.CreatedAt, CreatedBy: r.CreatedBy, UpdatedAt: r.UpdatedAt, UpdatedBy: r.UpdatedBy, Version: r.Version,
	}
}

func outOfMasking(r *privacy.Rule, err error) (*maskingOut, error) {
	if err != nil {
		return nil, err
	}
	return &maskingOut{Revision: r.Version, Body: maskingOf(r)}, nil
}

func (d *maskingDraft) draft() privacy.Draft {
	return privacy.Draft{
		Name: d.Name, Enabled: d.Enabled == nil || *d.Enabled, Source: d.Source, Host: d.Host,
		Rule: mask.Rule{Patterns: d.Patterns, Fields: d.Fields, Action: mask.Action(d.Action)},
	}
}

func (a *api) listMasking(ctx context.Context, c *call, _ *none) (*pageOut[MaskingItem], error) {
	asked := c.query.paging(privacy.Sorts[0])
	all, err := a.Privacy.List(ctx, c.Tenant.Number, asked.sort, asked.ascending) // some dozens at most
	if err != nil {
		return nil, err
	}
	from := min(asked.page*asked.size, len(all))
	return pageOf(asked, int64(len(all)), all[from:min(from+asked.size, len(all))], maskingOf), nil
}

func (a *api) createMasking(ctx context.Context, c *call, in *createMaskingIn) (*maskingOut, error) {
	out, err := outOfMasking(a.Privacy.Create(ctx, c.Tenant.Number, c.Actor, in.Body.draft()))
	if err != nil {
		return nil, err
	}
	out.Location = base + "/masking-rules/" + out.Body.ID
	return out, nil
}

func (a *api) patchMasking(ctx context.Context, c *call, in *patchMaskingIn) (*maskingOut, error) {
	b := &in.Body
	out, err := outOfMasking(a.Privacy.Update(ctx, c.Tenant.Number, c.Actor, in.ID, c.version, func(d *privacy.Draft) {
		set(&d.Name, b.Name)
		set(&d.Enabled, b.Enabled)
		set(&d.Patterns, b.Patterns)
		set(&d.Fields, b.Fields)
		set(&d.Source, b.Source)
		set(&d.Host, b.Host)
		if b.Action != "" {
			d.Action = mask.Action(b.Action)
		}
	}))
	if err != nil {
		return nil, c.condition(err)
	}
	return out, nil
}

// set gives to a value that was sent.
func set[T any](to, sent *T) {
	if sent != nil {
		*to = *sent
	}
}

func (a *api) previewMasking(ctx context.Context, c *call, in *maskingPreviewIn) (*maskingPreviewOut, error) {
	var drafts []privacy.Draft
	if in.Body.Rules != nil {
		drafts = []privacy.Draft{}
	}
	for i := range in.Body.Rules {
		drafts = append(drafts, in.Body.Rules[i].draft())
	}
	lines, err := a.Privacy.Preview(ctx, c.Tenant.Number, drafts, in.Body.Source, in.Body.Lines)
	if err != nil {
		return nil, err
	}
	out := &maskingPreviewOut{}
	out.Body.Lines = make([]maskedLine, len(lines))
	for i, l := range lines {
		found := map[string]int{}
		for k, n := range l.Found.By {
			if n > 0 {
				found[mask.Kind(k).String()] = n //nolint:gosec // fewer than mask.Kinds
			}
		}
		out.Body.Lines[i] = maskedLine{Masked: l.Text, Found: found, Missed: l.Found.Missed}
	}
	return out, nil
}

func (a *api) maskingStats(ctx context.Context, c *call, _ *none) (*maskingStatsOut, error) {
	counts, err := a.Privacy.Counts(ctx, c.Tenant.Number)
	if err != nil {
		return nil, err
	}
	out := &maskingStatsOut{}
	out.Body.Missed = counts["missed"]
	delete(counts, "missed")
	out.Body.Masked = counts
	return out, nil
}
