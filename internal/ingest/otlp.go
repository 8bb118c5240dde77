package ingest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// InputOTLP is the door for the logs of OpenTelemetry.
const InputOTLP = "otlp"

func (d *Doors) otlp() {
	d.serve(http.MethodPost, "otlp", "/v1/logs", d.otlpTake)
	d.mux.HandleFunc("POST "+otlpExport, d.otlpCall)
}

func (d *Doors) otlpTake(w http.ResponseWriter, r *http.Request) {
	a := otlpAnswer{w: w, json: isJSON(r, nil)}
	c, err := d.admit(r, secretOf(r))
	if err != nil {
		p := d.refuse(w, r, InputOTLP, &c, nil, err)
		w.Header().Set("WWW-Authenticate", `Bearer realm="KYRA ingest"`)
		a.refuse(&p)
		return
	}
	x := otlpLogs{intake: d.intake(r, c, InputOTLP)}
	defer x.intake.end()
	err = d.read(w, r, r.Header.Get("Content-Encoding"), func(body io.Reader) error {
		text, err := readMessage(body)
		if err != nil {
			return err
		}
		if a.json = isJSON(r, text); a.json {
			return x.json(r.Context(), text)
		}
		return x.proto(r.Context(), text)
	})
	if err != nil {
		// Nothing says which records were taken: the client sends all of them again.
		p := d.refuse(w, r, InputOTLP, &c, x.intake, err)
		a.refuse(&p)
		return
	}
	if x.faults.n > 0 {
		d.gate.stats.of(InputOTLP).reject("invalid", x.faults.n)
	}
	a.success(&x.faults)
}

// An otlpAnswer answers in the form of the request.
type otlpAnswer struct {
	w    http.ResponseWriter
	json bool
}

func (a *otlpAnswer) write(status int, jsonForm, protoForm []byte) {
	kind, body := "application/x-protobuf", protoForm
	if a.json {
		kind, body = "application/json", jsonForm
	}
	a.w.Header().Set("Content-Type", kind)
	a.w.WriteHeader(status)
	_, _ = a.w.Write(body) // the sender may have left
}

// success writes an ExportLogsServiceResponse.
func (a *otlpAnswer) success(f *faults) {
	if f.n == 0 {
		a.write(http.StatusOK, []byte("{}"), nil)
		return
	}
	text := appendQuoted(fmt.Appendf(nil, `{"partialSuccess":{"rejectedLogRecords":"%d","errorMessage":`, f.n), f.first)
	a.write(http.StatusOK, append(text, "}}"...), f.response())
}

// response is the partial success as protobuf.
func (f *faults) response() []byte {
	if f.n == 0 {
		return nil
	}
	partial := appendTag(binary.AppendUvarint([]byte{1 << 3}, uint64(f.n)), 2, f.first)
	return appendTag(nil, 1, string(partial))
}

// refuse writes a google.rpc.Status.
func (a *otlpAnswer) refuse(p *Refusal) {
	code := p.code()
	text := appendQuoted(fmt.Appendf(nil, `{"code":%d,"message":`, code), p.Text)
	a.write(p.Status, append(text, '}'), appendTag(binary.AppendUvarint([]byte{1 << 3}, code), 2, p.Text))
}

// code is the refusal as gRPC numbers it.
func (r *Refusal) code() uint64 {
	switch r.Status {
	case http.StatusUnauthorized:
		return 16 // UNAUTHENTICATED
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return 14 // UNAVAILABLE, which clients try again
	case http.StatusRequestEntityTooLarge:
		return 8 // RESOURCE_EXHAUSTED
	case http.StatusUnsupportedMediaType:
		return 12 // UNIMPLEMENTED
	case http.StatusRequestTimeout:
		return 4 // DEADLINE_EXCEEDED
	}
	return 3 // INVALID_ARGUMENT
}

// appendTag appends a field of bytes to a protobuf message.
func appendTag(dst []byte, number byte, data string) []byte {
	return append(binary.AppendUvarint(append(dst, number<<3|2), uint64(len(data))), data...)
}

// otlpLogs is one request of OTLP's on its way in.
type otlpLogs struct {
	intake *Intake
	faults faults
	record otlpRecord
	out    []byte
}

// An otlpRecord is a log record; what is said of several is kept as JSON.
type otlpRecord struct {
	resource, scope  []byte // members of the record, with a comma behind
	time, observed   uint64
	severity, number []byte // JSON
	body             []byte // JSON
	attributes       []byte // JSON
	traceID, spanID  []byte // JSON
	event            []byte // JSON
	cutting          bool
}

func (o *otlpRecord) reset() {
	*o = otlpRecord{resource: o.resource, scope: o.scope, body: o.body[:0], attributes: o.attributes[:0]}
}

// appendTo appends the record as one flat object.
func (o *otlpRecord) appendTo(dst []byte, text string) []byte {
	dst = append(dst, '{')
	dst = appendTime(dst, "timestamp", nanoTime(o.time))
	dst = appendTime(dst, "observedTimestamp", nanoTime(o.observed))
	dst = appendPart(dst, "severityText", o.severity)
	dst = appendPart(dst, "severityNumber", o.number)
	if o.cutting {
		dst = append(appendQuoted(append(dst, `"body":`...), text), ',')
	} else {
		dst = appendPart(dst, "body", o.body)
	}
	dst = appendPart(dst, "attributes", o.attributes)
	dst = append(append(dst, o.resource...), o.scope...)
	dst = appendPart(dst, "traceId", o.traceID)
	dst = appendPart(dst, "spanId", o.spanID)
	dst = appendPart(dst, "eventName", o.event)
	if dst[len(dst)-1] == ',' {
		dst = dst[:len(dst)-1]
	}
	return append(dst, '}')
}

// appendPart appends a member that has a value worth a place, and a comma.
func appendPart(dst []byte, name string, value []byte) []byte {
	switch string(value) {
	case "", `""`, "{}", "null":
		return dst
	}
	dst = append(append(append(dst, '"'), name...), `":`...)
	return append(append(dst, value...), ',')
}

// add takes the record in; a body that is too long is cut.
func (x *otlpLogs) add(ctx context.Context) error {
	o := &x.record
	cut := false
	x.out = o.appendTo(x.out[:0], "")
	if len(x.out) > maxChunkBytes && opens(o.body, '"') {
		o.cutting = true
		x.out, cut = fit(x.out, decoded(o.body), o.appendTo)
	}
	if x.intake.size > maxSpread {
		return errors.Join(x.intake.Flush(ctx), errSpread)
	}
	return x.intake.add(ctx, x.out, cut)
}

// setShared keeps what a resource or a scope says, for all records below it.
func setShared(dst []byte, name string, value []byte) ([]byte, error) {
	if dst = appendPart(dst[:0], name, value); len(dst) > maxLabels {
		return dst, fmt.Errorf("the %s takes more than %d bytes", name, maxLabels)
	}
	return dst, nil
}

// appendDouble appends a number, which JSON knows only if it is finite.
func appendDouble(dst []byte, v float64) []byte {
	switch text := strconv.FormatFloat(v, 'g', -1, 64); text {
	case "NaN":
		return append(dst, `"NaN"`...)
	case "+Inf":
		return append(dst, `"Infinity"`...)
	case "-Inf":
		return append(dst, `"-Infinity"`...)
	default:
		return append(dst, text...)
	}
}
