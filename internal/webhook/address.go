package webhook

import (
	"context"
	"database/sql"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Addresses are stored sealed: who has one of a chat's may write there, and many others
// carry a token too. Those that were stored before that are sealed at the next start.
const sealedMark = "sealed:"

func addressPurpose(id string) string { return "webhook address " + id }

// seal gives w's address the form in which it is stored.
func (s *Service) seal(w *Webhook) string {
	if w.URL == "" { // of a connector or a channel, which keeps its own
		return ""
	}
	return sealedMark + base64.StdEncoding.EncodeToString(s.Sealer.Seal(w.Tenant, addressPurpose(w.ID), []byte(w.URL)))
}

// open reads the address that is stored. What another key sealed is no address: the
// webhook can still be listed, given a new address, and deleted.
func (s *Service) open(w *Webhook, stored string) string {
	text, ok := strings.CutPrefix(stored, sealedMark)
	if !ok {
		return stored
	}
	sealed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return ""
	}
	address, err := s.Sealer.Open(w.Tenant, addressPurpose(w.ID), sealed)
	if err != nil {
		return ""
	}
	return string(address)
}

// SealAddresses seals the addresses that are stored as they are, and returns how many.
func (s *Service) SealAddresses(ctx context.Context) (int, error) {
	n := 0
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		n = 0
		list, err := sqldb.All(ctx, tx, func(rows *sql.Rows, w *Webhook) error {
			return rows.Scan(&w.ID, &w.Tenant, &w.URL)
		}, `SELECT id, tenant, url FROM webhook WHERE url <> '' AND url NOT LIKE 'sealed:%'`)
		if err != nil {
			return err
		}
		for i := range list {
			if _, err := sqldb.Exec(ctx, tx, `UPDATE webhook SET url = $2 WHERE id = $1`, list[i].ID, s.seal(&list[i])); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("seal addresses of webhooks: %w", err)
	}
	return n, nil
}
