package intel

// IsRule tells whether an id is of the rules that sightings raise alerts under.
func IsRule(id string) bool {
	for _, known := range ruleIDs {
		if known == id {
			return true
		}
	}
	return false
}
