package ingest

import (
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/kyra-mdr/kyra/internal/framing"
)

// InputWebhook is the door for services that push events to an address.
const InputWebhook = "webhook"

// webhook mounts the door whose address holds the token, since many services can
// send no header of one's choice.
func (d *Doors) webhook() {
	d.mux.HandleFunc("POST /ingest/webhook/{token}", d.webhookTake)
	d.mux.HandleFunc("GET /ingest/webhook/{token}", d.webhookVerify)
}

type webhookAnswer struct {
	Accepted int    `json:"accepted"`
	Error    string `json:"error,omitempty"`
}

func (d *Doors) webhookTake(w http.ResponseWriter, r *http.Request) {
	c, err := d.admit(r, r.PathValue("token"))
	if err != nil {
		p := d.refuse(w, r, InputWebhook, &c, nil, err)
		d.answerJSON(w, r, p.Status, webhookAnswer{Error: p.Text})
		return
	}
	if token := r.URL.Query().Get("validationToken"); token != "" { // Microsoft Graph asks so
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, token)
		return
	}
	x := d.intake(r, c, InputWebhook)
	defer x.end()
	err = d.read(w, r, r.Header.Get("Content-Encoding"), func(body io.Reader) error {
		if r.Header.Get("Content-Type") == "application/x-www-form-urlencoded" {
			return d.webhookForm(r, x, body)
		}
		return x.records(r.Context(), framing.NewReader(body))
	})
	if err == nil && x.added == 0 {
		err = errNothing
	}
	if err != nil {
		p := d.refuse(w, r, InputWebhook, &c, x, err)
		d.answerJSON(w, r, p.Status, webhookAnswer{x.Accepted(), p.Text})
		return
	}
	d.answerJSON(w, r, http.StatusOK, webhookAnswer{Accepted: x.Accepted()})
}

// maxForm bounds a form, which is read whole.
const maxForm = 8 << 20

// webhookForm takes a form: the value of payload, as some services send JSON, else
// the form as it is.
func (d *Doors) webhookForm(r *http.Request, x *Intake, body io.Reader) error {
	text, err := io.ReadAll(&bounded{body, maxForm})
	if err != nil {
		return err
	}
	if form, err := url.ParseQuery(string(text)); err == nil && form.Get("payload") != "" {
		text = []byte(form.Get("payload"))
	}
	if len(text) == 0 {
		return errNothing
	}
	return errors.Join(x.Add(r.Context(), text), x.Flush(r.Context()))
}

// webhookVerify proves to a service that the address is ours, as Okta asks for it.
func (d *Doors) webhookVerify(w http.ResponseWriter, r *http.Request) {
	c, err := d.admit(r, r.PathValue("token"))
	if err != nil {
		p := d.refuse(w, r, InputWebhook, &c, nil, err)
		d.answerJSON(w, r, p.Status, webhookAnswer{Error: p.Text})
		return
	}
	if challenge := r.Header.Get("X-Okta-Verification-Challenge"); challenge != "" {
		d.answerJSON(w, r, http.StatusOK, map[string]string{"verification": challenge})
		return
	}
	d.answerJSON(w, r, http.StatusOK, webhookAnswer{})
}
