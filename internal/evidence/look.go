package evidence

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/vault"
)

// look yields what is not as it was kept about k, in words.
func (s *Service) look(ctx context.Context, k *Kept) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if !bytes.Equal(contentOf(k.JSON), k.Content) && !yield("the record was changed: its SHA-256 is another one", nil) {
			return
		}
		if !bytes.Equal(chained(k.PrevHash, k.Content), k.Hash) && !yield("the record does not fit its place in the chain", nil) {
			return
		}
		what, err := s.anchored(ctx, k)
		if (what != "" || err != nil) && !yield(what, err) {
			return
		}
		if k.Artifact == nil {
			return
		}
		if what, err := s.lookAtFile(k); what != "" || err != nil {
			yield(what, err)
		}
	}
}

// anchored looks at the entry of the audit log that names the chain's head behind k.
func (s *Service) anchored(ctx context.Context, k *Kept) (string, error) {
	const missing = "the audit log has no entry that names the record"
	detail, err := sqldb.One(ctx, s.DB, sqldb.Value[string], `SELECT detail FROM audit_entry WHERE tenant = $1 AND seq = $2`, int64(k.Tenant), k.AuditSeq)
	if errors.Is(err, fault.NotFound) {
		return missing, nil
	}
	if err != nil {
		return "", err
	}
	var a anchor
	if json.Unmarshal([]byte(detail), &a) != nil || a.FirstSeq > k.Seq || a.LastSeq < k.Seq {
		return missing, nil
	}
	hash, err := sqldb.One(ctx, s.DB, sqldb.Value[[]byte], `SELECT hash FROM evidence_record WHERE tenant = $1 AND seq = $2`, int64(k.Tenant), a.LastSeq)
	if errors.Is(err, fault.NotFound) || err == nil && hexOf(hash) != a.Head {
		return "the chain does not lead to the head that the audit log names", nil
	}
	return "", err
}

func (s *Service) lookAtFile(k *Kept) (string, error) {
	if s.Files == nil {
		return "", errNoFiles
	}
	r, err := s.Files.Get(k.Tenant, vault.Ref{SHA256: k.Artifact.SHA256, Size: k.Artifact.Bytes})
	if errors.Is(err, fault.NotFound) {
		return "its file is not in the vault any more", nil
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = r.Close() }() // it was only read
	_, err = io.Copy(io.Discard, r)
	if errors.Is(err, vault.ErrChanged) {
		return "its file was changed on disk: its SHA-256 is another one", nil
	}
	return "", err
}
