package account

import (
	"context"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Figures is what compliance asks about how people sign in to a tenant.
type Figures struct {
	MinLength   int  // of a password, in characters
	BlockCommon bool // those of breach lists are refused

	MaxAttempts int           // wrong sign-ins of one account before it has to wait
	FirstWait   time.Duration // after them; it doubles with each further one
	LongestWait time.Duration

	Policy Policy // as the tenant has set it

	People       int64 // who may come in
	SecondFactor int64 // of them, who have one
	Admins       int64
}

// FiguresOf returns the figures of a tenant.
func (s *Service) FiguresOf(ctx context.Context, tenant uint32) (*Figures, error) {
	f := &Figures{MinLength: MinPassword, BlockCommon: true, MaxAttempts: int(byAccount.free), FirstWait: byAccount.first, LongestWait: byAccount.most}
	err := s.db.View(ctx, func(tx *sqldb.DB) error {
		home, err := homeOf(ctx, tx, tenant)
		if err != nil {
			return err
		}
		if f.Policy, err = s.policy(ctx, tx, home); err != nil {
			return err
		}
		people, err := sqldb.All(ctx, tx, scanPerson, personColumns+` WHERE m.tenant = $1 AND m.status = $2`, int64(home), string(Active))
		for i := range people {
			f.People++
			if people[i].Factor {
				f.SecondFactor++
			}
			if people[i].Role == identity.Admin {
				f.Admins++
			}
		}
		return err
	})
	return f, fault.Wrap("count accounts", err)
}

// ByEmail returns the person of the tenant with that address, or fault.NotFound.
func (s *Service) ByEmail(ctx context.Context, tenant uint32, email string) (*Person, error) {
	email, err := checkEmail(email)
	if err != nil {
		return nil, err
	}
	u, err := userByEmail(ctx, s.db, email)
	if err != nil {
		return nil, errNobody
	}
	return s.Get(ctx, tenant, u.ID)
}
