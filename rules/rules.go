// Package rules is the built-in detection content: Sigma rules and correlations
// of the project's own, one YAML file each in a folder for its log source, with
// the log lines that must and must not raise it beside it. README.md tells how to
// add one. The package holds text only; it reads and checks none of it.
package rules

import "embed"

// FS holds the rules as <folder>/<name>.yml. A file is one detection rule, or one
// correlation followed by what it counts.
//
//go:embed */*.yml
var FS embed.FS
