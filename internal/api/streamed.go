package api

import (
	"io"
	"mime"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// streamedFile is an answer that is a file of any size.
type streamedFile struct {
	Body func(ctx huma.Context)
}

// streamed answers with what r yields, and closes it. A file that turns out to be changed
// ends the connection before its last byte.
func streamed(media, name string, size int64, sum string, r io.ReadCloser) *streamedFile {
	return &streamedFile{Body: func(ctx huma.Context) {
		defer func() { _ = r.Close() }() // it was only read
		ctx.SetHeader("Content-Type", media)
		ctx.SetHeader("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
		ctx.SetHeader("Content-Length", strconv.FormatInt(size, 10))
		ctx.SetHeader("Repr-Digest", reprDigest(sum))
		ctx.SetStatus(http.StatusOK)
		if _, err := io.Copy(ctx.BodyWriter(), r); err != nil {
			panic(http.ErrAbortHandler)
		}
	}}
}
