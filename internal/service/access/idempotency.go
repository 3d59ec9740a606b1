package access

import (
	"context"
	"fmt"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// IdempotencyKept is how long an answer is kept for the same request.
const IdempotencyKept = 24 * time.Hour

// claimStale is when a claim without an answer is taken to be of a server that
// died in the act; nothing is known of the act then, so it may be asked again.
const claimStale = time.Minute

// Repeat is one use of an idempotency key.
type Repeat struct {
	Principal Principal
	Key       string
	Request   string // hash of the request: the same key for another request is refused
}

// Answer is what a request was answered.
type Answer struct {
	Status int
	Body   []byte
}

// Claim takes the key before the act. It gives the kept answer when the same
// request was answered already, and refuses while it is still being answered.
func (s *Service) Claim(ctx context.Context, r Repeat) (*Answer, error) {
	var answer *Answer
	err := s.opts.DB.Write(ctx, func(tx *store.Tx) error {
		answer = nil
		now := s.now()
		claim := gen.ClaimIdempotencyParams{
			Tenant: string(r.Principal.Tenant), Account: r.Principal.Account, Key: r.Key, Request: r.Request, Body: []byte{}, CreatedUs: now.UnixMicro(),
		}
		n, err := tx.ClaimIdempotency(ctx, claim)
		if err != nil || n == 1 {
			return err
		}
		row, err := tx.Idempotency(ctx, gen.IdempotencyParams{Tenant: claim.Tenant, Account: claim.Account, Key: claim.Key})
		age := now.Sub(instant(row.CreatedUs))
		switch {
		case err != nil:
			return err
		case age >= IdempotencyKept || row.Status == 0 && age >= claimStale:
			return s.claimAgain(ctx, tx, claim)
		case row.Request != r.Request:
			return invalid("idempotency-key", "other_request", "new_key")
		case row.Status == 0:
			return fault.Again(fault.Unavailable, "what", "answer_in_progress")
		}
		answer = &Answer{Status: int(row.Status), Body: row.Body}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("claim idempotency key: %w", err)
	}
	return answer, nil
}

func (s *Service) claimAgain(ctx context.Context, tx *store.Tx, claim gen.ClaimIdempotencyParams) error {
	if err := tx.DropIdempotency(ctx, gen.DropIdempotencyParams{Tenant: claim.Tenant, Account: claim.Account, Key: claim.Key}); err != nil {
		return err
	}
	_, err := tx.ClaimIdempotency(ctx, claim)
	return err
}

// Finish keeps the answer. An answer that may be another one next time (a
// failure of ours) is not kept: the key is free again.
func (s *Service) Finish(ctx context.Context, r Repeat, a Answer) error {
	tenant, account := string(r.Principal.Tenant), r.Principal.Account
	if a.Body == nil {
		a.Body = []byte{} // an answer without a body is one too; nil would be NULL
	}
	err := s.opts.DB.Write(ctx, func(tx *store.Tx) error {
		if a.Status >= 500 || a.Status == 429 {
			return tx.DropIdempotency(ctx, gen.DropIdempotencyParams{Tenant: tenant, Account: account, Key: r.Key})
		}
		return tx.FinishIdempotency(ctx, gen.FinishIdempotencyParams{Tenant: tenant, Account: account, Key: r.Key, Status: int64(a.Status), Body: a.Body})
	})
	if err != nil {
		return fmt.Errorf("keep answer: %w", err)
	}
	return nil
}
