// Package playbooks is the built-in responses, one YAML file each. It holds text only.
package playbooks

import "embed"

// FS holds the playbooks as <name>.yml.
//
//go:embed *.yml
var FS embed.FS
