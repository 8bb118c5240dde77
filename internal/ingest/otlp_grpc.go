package ingest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/framing"
)

// otlpExport is the path of the only method that gRPC is needed for. A call of it
// is a request of HTTP/2 with one message, so the HTTP server takes it as it is.
const otlpExport = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"

func (d *Doors) otlpCall(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor < 2 || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		answerText(w, http.StatusUnsupportedMediaType, "want a call of gRPC over HTTP/2, or a POST to /v1/logs")
		return
	}
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Grpc-Accept-Encoding", "gzip")
	c, err := d.admit(r, secretOf(r))
	x := otlpLogs{intake: d.intake(r, c, InputOTLP)}
	defer x.intake.end()
	if err == nil {
		err = d.read(w, r, "", func(body io.Reader) error {
			message, err := readCall(body, r.Header.Get("Grpc-Encoding"))
			if err != nil {
				return err
			}
			return x.proto(r.Context(), message)
		})
	}
	if err != nil {
		// An answer without a message has its status in the header.
		p := d.refuse(w, r, InputOTLP, &c, x.intake, err)
		w.Header().Set("Grpc-Status", strconv.FormatUint(p.code(), 10))
		w.Header().Set("Grpc-Message", escapeMessage(p.Text))
		w.WriteHeader(http.StatusOK)
		return
	}
	if x.faults.n > 0 {
		d.gate.stats.of(InputOTLP).reject("invalid", x.faults.n)
	}
	w.Header().Set("Trailer", "Grpc-Status")
	w.WriteHeader(http.StatusOK)
	message := x.faults.response()
	_, _ = w.Write(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)) // the sender may have left
	w.Header().Set("Grpc-Status", "0")
}

// readCall reads the message of a call: whether it is packed, its length, itself.
func readCall(body io.Reader, encoding string) ([]byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(body, head[:]); err != nil {
		return nil, fault.New(fault.Invalid, "it holds no message").In("call")
	}
	size := int64(binary.BigEndian.Uint32(head[1:]))
	if size > maxMessage {
		return nil, errLongMessage
	}
	message, err := io.ReadAll(io.LimitReader(body, size))
	if err == nil && int64(len(message)) < size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil || head[0] == 0 {
		return message, err
	}
	plain, err := framing.Unpack(bytes.NewReader(message), encoding)
	if err != nil {
		return nil, errors.Join(err, fault.New(fault.Invalid, "its message cannot be unpacked").In("call"))
	}
	defer plain.Close()
	return readMessage(plain)
}

// escapeMessage writes a text as gRPC wants it in a header.
func escapeMessage(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
