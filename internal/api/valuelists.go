package api

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/rule"
)

// ListItem is a value list without its values.
type ListItem struct {
	Name        string    `json:"name" doc:"As rules write it between percent signs."`
	Description string    `json:"description"`
	Count       int64     `json:"count" doc:"Of its values."`
	Version     int64     `json:"version"`
	CreatedAt   time.Time `json:"createdAt"`
	UpdatedAt   time.Time `json:"updatedAt"`
	UpdatedBy   string    `json:"updatedBy"`

	_ struct{} `additionalProperties:"true"`
}

func listOf(l *rule.ValueList) ListItem {
	return ListItem{
		Name: l.Name, Description: l.Description, Count: l.Count, Version: l.Version, CreatedAt: l.CreatedAt, UpdatedAt: l.UpdatedAt, UpdatedBy: l.UpdatedBy,
	}
}

type listDetail struct {
	ListItem
	Values []string `json:"values" nullable:"false"`

	_ struct{} `additionalProperties:"true"`
}

type (
	byName struct {
		Name string `path:"name"`
	}
	listOut struct {
		Revision string `header:"X-Revision"`
		Body     listDetail
	}
	putListOut struct {
		Status   int
		Revision string `header:"X-Revision"`
		Body     listDetail
	}
	putListIn struct {
		Name string `path:"name"`
		Body struct {
			Values      []string `json:"values" nullable:"false" doc:"Up to 20,000 texts; * and ? stand for characters as in rules." example:"[\"root\",\"adm-*\"]"`
			Description string   `json:"description,omitempty" doc:"Up to 1,000 characters."`
		}
	}
)

var listSorts = []string{"name", "updatedAt", "count"}

func (a *api) valueLists() {
	const tag = "Value lists"
	handle(a, operation{
		id: "listValueLists", method: http.MethodGet, path: "/siem/lists", tag: tag, summary: "List value lists",
		doc:    "A value list stands in for a placeholder of rules, such as %Administrators% with the modifier expand.",
		params: append(paging(listSorts...), param{name: "search", doc: "Search in name and description."}),
	}, a.listValueLists)
	handle(a, operation{
		id: "getValueList", method: http.MethodGet, path: "/siem/lists/{name}", tag: tag, summary: "Get a value list with its values", single: true,
	}, a.getValueList)
	handle(a, operation{
		id: "putValueList", method: http.MethodPut, path: "/siem/lists/{name}", tag: tag, summary: "Create a value list or replace its values",
		doc: "Rules that use it change with it within seconds. A new list is 201.",
	}, a.putValueList)
	handle(a, operation{
		id: "deleteValueList", method: http.MethodDelete, path: "/siem/lists/{name}", tag: tag, summary: "Delete a value list", status: http.StatusNoContent,
		doc: "Rules that use it match nothing from then on and are shown as blind.",
	}, a.deleteValueList)
}

func (a *api) listValueLists(ctx context.Context, c *call, _ *none) (*pageOut[ListItem], error) {
	asked := c.query.paging(listSorts[0])
	all, err := a.Rules.ValueLists(ctx, c.Tenant.Number) // some hundred at most
	if err != nil {
		return nil, err
	}
	search := strings.ToLower(c.query.one("search"))
	all = slices.DeleteFunc(all, func(l rule.ValueList) bool {
		return !strings.Contains(strings.ToLower(l.Name+"\n"+l.Description), search)
	})
	slices.SortStableFunc(all, func(x, y rule.ValueList) int {
		var order int
		switch asked.sort {
		case "updatedAt":
			order = x.UpdatedAt.Compare(y.UpdatedAt)
		case "count":
			order = cmp.Compare(x.Count, y.Count)
		default:
			order = strings.Compare(x.Name, y.Name)
		}
		if !asked.ascending {
			order = -order
		}
		return order
	})
	from := min(asked.page*asked.size, len(all))
	return pageOf(asked, int64(len(all)), all[from:min(from+asked.size, len(all))], listOf), nil
}

func outOfList(l *rule.ValueList) listDetail {
	return listDetail{ListItem: listOf(l), Values: orEmpty(l.Values)}
}

func (a *api) getValueList(ctx context.Context, c *call, in *byName) (*listOut, error) {
	l, err := a.Rules.ValueList(ctx, c.Tenant.Number, in.Name)
	if err != nil {
		return nil, err
	}
	return &listOut{Revision: fmt.Sprint(l.Version), Body: outOfList(l)}, nil
}

func (a *api) putValueList(ctx context.Context, c *call, in *putListIn) (*putListOut, error) {
	l, isNew, err := a.Rules.SetValueList(ctx, c.Tenant.Number, c.Actor, in.Name, in.Body.Description, in.Body.Values)
	if err != nil {
		return nil, err
	}
	out := &putListOut{Status: http.StatusOK, Body: outOfList(l)}
	if isNew {
		out.Status = http.StatusCreated
	}
	return out, nil
}

func (a *api) deleteValueList(ctx context.Context, c *call, in *byName) (*struct{}, error) {
	return nil, a.Rules.DeleteValueList(ctx, c.Tenant.Number, c.Actor, in.Name)
}
