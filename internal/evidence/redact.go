package evidence

import (
	"maps"
	"slices"
	"strings"
)

// Redacted stands where something was taken out.
const Redacted = "[redacted]"

// secretKeys end the names of keys whose texts are secret, in lower case and without
// what separates words. They are ends, not parts: a passwordPolicy is no password.
var secretKeys = []string{
	"password", "passwd", "passphrase", "pwd", "secret", "secrets", "secretkey", "token", "tokens", "apikey", "apikeys", "accesskey", "privatekey", "signingkey", "encryptionkey", "sharedkey",
	"credential", "credentials", "authorization", "cookie", "cookies", "sessionid", "otp", "recoverycodes", "connectionstring", "clientassertion",
}

func secretKey(name string) bool {
	name = strings.Map(func(r rune) rune {
		switch {
		case r == '_' || r == '-' || r == '.' || r == ' ':
			return -1
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return r
	}, name)
	return slices.ContainsFunc(secretKeys, func(end string) bool { return strings.HasSuffix(name, end) })
}

const maxRedactions = 100 // paths that a record names

// redact puts Redacted in the place of every text under a secret key, in v itself, and
// returns where: "users.*.password". Truth values, numbers and the structure stay, and so
// do empty texts.
func redact(v any) []string {
	found := map[string]bool{}
	redactIn(v, "", false, found)
	all := slices.Sorted(maps.Keys(found))
	if len(all) > maxRedactions {
		all = append(all[:maxRedactions], "…")
	}
	return append([]string{}, all...)
}

// redactIn returns what stands in the place of v.
func redactIn(v any, path string, secret bool, found map[string]bool) any {
	switch v := v.(type) {
	case string:
		if secret && v != "" {
			found[path] = true
			return Redacted
		}
	case []any:
		for i := range v {
			v[i] = redactIn(v[i], path+".*", secret, found)
		}
	case map[string]any:
		for key, x := range v {
			at := key
			if path != "" {
				at = path + "." + key
			}
			v[key] = redactIn(x, at, secret || secretKey(key), found)
		}
	}
	return v
}
