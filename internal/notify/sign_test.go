package notify

import (
	"encoding/base64"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestSignaturesVerifyInPython checks a signature with another language's library.
func TestSignaturesVerifyInPython(t *testing.T) {
	if exec.CommandContext(t.Context(), "python3", "-c", "import hmac").Run() != nil {
		t.Skip("Python is not installed")
	}
	const program = `
import base64, hashlib, hmac, sys
secret, id, at, signatures = sys.argv[1:5]
body = sys.stdin.buffer.read()
key = base64.b64decode(secret.removeprefix("whsec_"))
want = "v1," + base64.b64encode(hmac.new(key, f"{id}.{at}.".encode() + body, hashlib.sha256).digest()).decode()
sys.exit(not any(hmac.compare_digest(want, s) for s in signatures.split()))
`
	oldKey, newKey := []byte(strings.Repeat("o", 32)), []byte(strings.Repeat("n", 32))
	at, body := time.Unix(1614265330, 0), `{"title":"Größe 침해 <&>"}`
	both := sign([][]byte{newKey, oldKey}, "id-1", at, body)
	for _, c := range []struct {
		key  []byte
		body string
		ok   bool
	}{{oldKey, body, true}, {newKey, body, true}, {[]byte("another"), body, false}, {newKey, body + " ", false}} {
		cmd := exec.CommandContext(t.Context(), "python3", "-c", program, "whsec_"+base64.StdEncoding.EncodeToString(c.key), "id-1", strconv.FormatInt(at.Unix(), 10), both) //nolint:gosec // the program above
		cmd.Stdin = strings.NewReader(c.body)
		if out, err := cmd.CombinedOutput(); (err == nil) != c.ok {
			t.Errorf("key %q: %v %s", c.key, err, out)
		}
	}
}
