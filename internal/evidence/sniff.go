package evidence

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/fault"
)

const ooxml = "application/vnd.openxmlformats-officedocument."

// MediaTypes lists what may be handed in.
var MediaTypes = []string{
	"application/pdf", "image/png", "image/jpeg", "image/webp", "image/gif", "text/plain", "text/csv", "text/markdown", "application/json",
	ooxml + "wordprocessingml.document", ooxml + "spreadsheetml.sheet", ooxml + "presentationml.presentation", "application/zip", "message/rfc822",
}

// folders say what is inside which kind of office document.
var folders = map[string]string{
	ooxml + "wordprocessingml.document": "word/", ooxml + "spreadsheetml.sheet": "xl/", ooxml + "presentationml.presentation": "ppt/",
}

// mediaOf holds what a file is said to be against its content, and returns its type.
func mediaOf(declared string, content []byte) (string, error) {
	said, _, err := mime.ParseMediaType(declared)
	if declared != "" && err != nil {
		return "", fault.New(fault.Invalid, "Allowed: a media type such as application/pdf").In("mediaType")
	}
	is := sniff(content)
	switch {
	case is == "":
		return "", fault.New(fault.Invalid, "The file is of no type that can be handed in. Allowed: %s", strings.Join(MediaTypes, ", ")).In("body")
	case said == "" || said == "application/octet-stream":
		return is, nil
	case !slices.Contains(MediaTypes, said):
		return "", fault.New(fault.Invalid, "Allowed: %s", strings.Join(MediaTypes, ", ")).In("mediaType")
	case said == is, is == "text/plain" && slices.Contains([]string{"text/csv", "text/markdown", "message/rfc822"}, said),
		is == "application/json" && said == "text/plain", folders[is] != "" && said == "application/zip":
		return said, nil
	}
	return "", fault.New(fault.Invalid, "The file is said to be %s, but its content is %s", said, is).In("mediaType")
}

// sniff returns the type of a file by its content, "" for one that is not taken: programs
// and pages that a browser would run are among them.
func sniff(content []byte) string {
	media, _, _ := strings.Cut(http.DetectContentType(content), ";")
	switch media {
	case "application/pdf", "image/png", "image/jpeg", "image/webp", "image/gif":
		return media
	case "application/zip":
		return office(content)
	case "text/plain":
		if !utf8.Valid(content) || bytes.IndexByte(content, 0) >= 0 {
			return ""
		}
		if json.Valid(content) {
			return "application/json"
		}
		return media
	}
	return ""
}

// office tells an office document from another archive.
func office(content []byte) string {
	z, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return ""
	}
	has := func(prefix string) bool {
		return slices.ContainsFunc(z.File, func(f *zip.File) bool { return strings.HasPrefix(f.Name, prefix) })
	}
	if has("[Content_Types].xml") {
		for _, media := range MediaTypes {
			if folder := folders[media]; folder != "" && has(folder) {
				return media
			}
		}
	}
	return "application/zip"
}
