package app

import (
	"fmt"

	"github.com/kyra-mdr/kyra/internal/seal"
)

// sealer opens the key of the installation.
func (s *Server) sealer() (*seal.Sealer, error) {
	if text := string(s.cfg.Seal.Key); text != "" {
		key, err := seal.ParseKey(text)
		if err != nil {
			return nil, fmt.Errorf("seal.key: %w", err)
		}
		return seal.New(key)
	}
	return seal.OpenFile(s.folder.in("seal-key"))
}
