package demo

import _ "embed"

// Indicators is a feed of threat intelligence, a CSV with the columns value,
// confidence, severity, tags and description. Two of its indicators occur in
// Recording, the others do not.
//
//go:embed indicators.csv
var Indicators []byte
