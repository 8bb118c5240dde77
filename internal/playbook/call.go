package playbook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbound"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

const maxAnswer = 16 << 10 // bytes of an answer that are kept

// call makes an HTTP call. That it begins is noted before it does: if the process ends
// before its end is noted too, it is not made again by itself.
func (x *execution) call(ctx context.Context, log *StepLog) error {
	secrets, err := x.secretsOf(ctx)
	if err != nil {
		return err
	}
	fill := filler{values: x.facts.values, secrets: secrets}
	in, err := fill.all(x.step)
	if err != nil {
		return x.fail(ctx, log, messageOf(err))
	}
	req, err := request(in)
	if err != nil {
		return x.fail(ctx, log, hide(messageOf(err), secrets))
	}
	err = x.db.Tx(ctx, func(tx *sqldb.DB) error {
		if err := x.held(ctx, tx); err != nil {
			return err
		}
		return putStep(ctx, tx, x.run.ID, log)
	})
	if err != nil {
		return err
	}
	within, done := context.WithTimeout(ctx, x.step.Timeout)
	defer done()
	result, why := x.send(within, req, flat(in["expect"]))
	if err := x.finishCall(ctx, log, hideIn(result, secrets), hide(why, secrets)); err != nil && !errors.Is(err, errLost) {
		// The end is not noted. It stands as begun, and is unknown when the lease ends.
		x.Log.ErrorContext(ctx, "the end of a call is not noted", "run", x.run.ID, "step", x.step.ID, "err", err)
	}
	return nil
}

func (x *execution) finishCall(ctx context.Context, log *StepLog, result any, why string) error {
	if out, ok := result.(object); ok {
		if text, ok := out["body"].(string); ok {
			out["body"] = clean(text, maxAnswer)
		}
	}
	if why == "" {
		return x.close(ctx, log, Done, result, "")
	}
	if result != nil {
		text, err := json.Marshal(result)
		if err != nil {
			return err
		}
		log.Result = text
	}
	return x.fail(ctx, log, why)
}

func request(in map[string]any) (*http.Request, error) {
	address, _ := in["url"].(string)
	method, _ := in["method"].(string)
	body, has := in["body"]
	if method == "" {
		method = http.MethodGet
		if has {
			method = http.MethodPost
		}
	}
	var text, media string
	switch b := body.(type) {
	case nil:
	case string:
		text, media = b, "text/plain; charset=utf-8"
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			return nil, fault.New(fault.Invalid, "the body cannot be written as JSON")
		}
		text, media = string(encoded), "application/json"
	}
	req, err := http.NewRequest(method, address, strings.NewReader(text)) //nolint:noctx // send gives it one
	if err != nil {
		return nil, fault.New(fault.Invalid, "the address cannot be called")
	}
	if media != "" {
		req.Header.Set("Content-Type", media)
	}
	req.Header.Set("User-Agent", "KYRA playbook")
	headers, _ := in["headers"].(map[string]any)
	for name, v := range headers {
		value, _ := v.(string)
		if strings.ContainsAny(name+value, "\r\n\x00") {
			return nil, fault.New(fault.Invalid, "header %s holds a line break", shorten(name, 60))
		}
		req.Header.Set(name, value)
	}
	return req, nil
}

// send makes the call and returns what came back, and why that is a failure.
func (x *execution) send(ctx context.Context, req *http.Request, expect []string) (result any, why string) {
	res, err := x.Client.Do(req.WithContext(ctx))
	if err != nil {
		return nil, outbound.Reason(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+maxSecret))
	if err != nil {
		return nil, outbound.Reason(err)
	}
	out := object{"status": res.StatusCode, "truncated": len(body) > maxAnswer}
	var parsed any
	if len(body) <= maxAnswer && json.Unmarshal(body, &parsed) == nil {
		out["body"] = parsed
	} else {
		out["body"] = string(body) // cut when secrets are out of it
	}
	good := res.StatusCode/100 == 2
	if len(expect) > 0 {
		good = slices.Contains(expect, strconv.Itoa(res.StatusCode))
	}
	if !good {
		return out, fmt.Sprintf("it answered %d", res.StatusCode)
	}
	return out, ""
}
