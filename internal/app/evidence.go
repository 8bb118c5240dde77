package app

import (
	"os"
	"time"

	"github.com/kyra-mdr/kyra/internal/evidence"
	"github.com/kyra-mdr/kyra/internal/vault"
)

// openEvidence needs compliance. Bundles are signed with what is opened later:
// equipEvidence hands it over.
func (s *Server) openEvidence(now func() time.Time) error {
	files, err := vault.Open(s.folder.in("evidence"))
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "" // evidence names the version at least
	}
	s.proof.evidence = evidence.New(evidence.Config{DB: s.db, Files: files, Compliance: s.proof.service, Log: s.log, Now: now, Version: Version(), Host: host})
	return nil
}

func (s *Server) equipEvidence() { s.proof.evidence.Signer = s.signer }
