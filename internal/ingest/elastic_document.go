package ingest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
)

// elasticDocument takes one document, as a bulk body of one action.
func (d *Doors) elasticDocument(w http.ResponseWriter, r *http.Request, item bulkItem) {
	elasticHeader(w, r)
	c, err := d.admit(r, secretOf(r))
	if err != nil {
		d.elasticRefuse(w, r, &c, nil, err)
		return
	}
	b := bulk{intake: d.intake(r, c, InputElastic), recent: &d.documents, ids: map[recentID]int{}}
	defer b.intake.end()
	err = d.read(w, r, r.Header.Get("Content-Encoding"), func(body io.Reader) error {
		text, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		if text = bytes.TrimSpace(text); len(text) == 0 {
			return errNothing
		}
		b.take(r.Context(), &item, text)
		return errors.Join(b.intake.stopped, b.intake.Flush(r.Context()))
	})
	if err != nil {
		d.elasticRefuse(w, r, &c, b.intake, err)
		return
	}
	b.items = []bulkItem{item}
	b.remember()
	if item.again && item.op == "create" {
		e := elasticConflict(item.index, item.id)
		d.answerJSON(w, r, http.StatusConflict, map[string]any{
			"error": struct {
				RootCause []*elasticError `json:"root_cause"`
				*elasticError
			}{[]*elasticError{e}, e},
			"status": http.StatusConflict,
		})
		return
	}
	if item.id == "" {
		item.id = newDocumentID()
	}
	status := http.StatusCreated
	if item.again {
		status = http.StatusOK
	}
	version, result := item.outcome()
	d.answerJSON(w, r, status, map[string]any{
		"_index": item.index, "_id": item.id, "_version": version, "result": result, "_shards": map[string]int{"total": 1, "successful": 1, "failed": 0}, "_seq_no": 0, "_primary_term": 1,
	})
}
