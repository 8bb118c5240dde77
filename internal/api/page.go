package api

import (
	"math"

	"github.com/danielgtaylor/huma/v2"
)

const maxPage = math.MaxInt32

// paging is the four parameters that every list has; sorts is its published list
// of sort fields, the default first.
func paging(sorts ...string) []param {
	return []param{
		{name: "page", doc: "Page number, from 0.", kind: number, max: maxPage, standard: "0"},
		{name: "size", doc: "Items per page.", kind: number, min: 1, max: 100, standard: "20"},
		{name: "sort", doc: "Sort field.", kind: enum, values: sorts, standard: sorts[0]},
		{name: "direction", doc: "Sort order.", kind: enum, values: []string{"asc", "desc"}, standard: "desc"},
	}
}

// asked is what paging read.
type asked struct {
	page, size int
	sort       string
	ascending  bool
}

func (q given) paging(standard string) asked {
	a := asked{page: q.number("page"), size: q.number("size"), sort: q.one("sort"), ascending: q.one("direction") == "asc"}
	if a.sort == "" {
		a.sort = standard
	}
	return a
}

// page is the envelope of every list.
type page[T any] struct {
	Content       []T   `json:"content" nullable:"false" doc:"The items of this page."`
	TotalElements int64 `json:"totalElements" doc:"Items on all pages."`
	TotalPages    int64 `json:"totalPages"`
	Number        int   `json:"number" doc:"This page, from 0."`
	Size          int   `json:"size" doc:"Items per page as asked for."`

	_ struct{} `additionalProperties:"true"`
}

type pageOut[T any] struct {
	Body page[T]
}

// pageOf maps items to their wire form.
func pageOf[D, T any](a asked, total int64, items []D, wire func(*D) T) *pageOut[T] {
	out := &pageOut[T]{Body: page[T]{
		Content: make([]T, 0, len(items)), TotalElements: total,
		TotalPages: (total + int64(a.size) - 1) / int64(a.size), Number: a.page, Size: a.size,
	}}
	for i := range items {
		out.Body.Content = append(out.Body.Content, wire(&items[i]))
	}
	return out
}

// rateHeaders documents what every answer carries.
func rateHeaders() map[string]*huma.Param {
	integer := &huma.Schema{Type: huma.TypeInteger}
	return map[string]*huma.Param{
		headerLimit:     {Description: "Requests in a minute that the plan allows.", Schema: integer},
		headerRemaining: {Description: "Requests left in this minute.", Schema: integer},
		headerReset:     {Description: "When the minute ends, in Unix seconds.", Schema: integer},
		"X-Request-Id":  {Description: "Names this request in the server's log.", Schema: &huma.Schema{Type: huma.TypeString}},
	}
}
