package access

import (
	"context"
	"fmt"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/identity"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// Token is an API token as lists show one.
type Token struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Account string    `json:"account"` // name of the person it acts for
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	Used    time.Time `json:"used,omitzero"`
	Revoked time.Time `json:"revoked,omitzero"`
}

// NewToken is an API token with its text, shown once.
type NewToken struct {
	Token
	Text string `json:"text"`
}

// Limits of an API token's life.
const (
	DefaultTokenLife = 90 * 24 * time.Hour
	MaxTokenLife     = 366 * 24 * time.Hour
)

// touchEvery is how often the use of a token is noted: not at each request,
// which would be a write each.
const touchEvery = 10 * time.Minute

// Bearer gives who an API token acts for.
func (s *Service) Bearer(ctx context.Context, text string) (Principal, error) {
	t, err := identity.ParseAPIToken(text)
	if err != nil {
		return Principal{}, err
	}
	row, err := s.opts.DB.Read().APITokenByHash(ctx, string(t.Secret.Hash()))
	if store.IsNone(err) {
		return Principal{}, fault.New(fault.Unauthorized)
	}
	if err != nil {
		return Principal{}, fmt.Errorf("read API token: %w", err)
	}
	now := s.now()
	switch {
	case row.ID != t.ID || row.RevokedUs != 0:
		return Principal{}, fault.New(fault.Unauthorized)
	case now.UnixMicro() >= row.ExpiresUs:
		return Principal{}, fault.New(fault.TokenExpired, "at", instant(row.ExpiresUs).Format(time.RFC3339))
	}
	p, err := s.principal(ctx, row.Tenant, row.Account)
	if err != nil {
		return Principal{}, err
	}
	p.Token = row.ID
	if now.Sub(instant(row.UsedUs)) >= touchEvery {
		err = s.opts.DB.Write(ctx, func(tx *store.Tx) error {
			return tx.TouchAPIToken(ctx, gen.TouchAPITokenParams{Tenant: row.Tenant, ID: row.ID, UsedUs: now.UnixMicro()})
		})
	}
	if err != nil {
		return Principal{}, fmt.Errorf("note the use of API token %s: %w", row.ID, err)
	}
	return p, nil
}

// CreateToken makes an API token that acts for p, and ends with p's account at
// the latest.
func (s *Service) CreateToken(ctx context.Context, p Principal, name string, life time.Duration) (NewToken, error) {
	if life == 0 {
		life = DefaultTokenLife
	}
	name = wire.Clean(name, maxTokenName)
	if name == "" {
		return NewToken{}, invalid("name", "empty", "")
	}
	if life < time.Minute || life > MaxTokenLife {
		return NewToken{}, invalid("life", "out_of_range", "1m - 8784h")
	}
	t, err := identity.NewAPIToken(s.opts.Random)
	if err != nil {
		return NewToken{}, err
	}
	now := s.now()
	out := NewToken{Text: t.Reveal(), Token: Token{ID: t.ID, Name: name, Account: p.Name, Created: now, Expires: now.Add(life)}}
	err = s.opts.DB.Write(ctx, func(tx *store.Tx) error {
		s.record(tx, p, register.TokenCreated, map[string]any{"token": t.ID, "name": name, "expires": out.Expires.Format(time.RFC3339)})
		return tx.AddAPIToken(ctx, gen.AddAPITokenParams{
			Tenant: string(p.Tenant), ID: t.ID, Hash: string(t.Secret.Hash()), Name: name, Account: p.Account,
			CreatedUs: now.UnixMicro(), ExpiresUs: out.Expires.UnixMicro(),
		})
	})
	if err != nil {
		return NewToken{}, fmt.Errorf("create API token: %w", err)
	}
	return out, nil
}

const maxTokenName = 100

// ListTokens lists one's own tokens, or everybody's for an administrator.
func (s *Service) ListTokens(ctx context.Context, p Principal) ([]Token, error) {
	read := s.opts.DB.Read()
	rows, err := read.APITokens(ctx, string(p.Tenant))
	if err != nil {
		return nil, fmt.Errorf("read API tokens: %w", err)
	}
	accounts, err := read.Accounts(ctx, string(p.Tenant))
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	names := map[string]string{}
	for _, a := range accounts {
		names[a.ID] = a.Name
	}
	out := []Token{}
	for _, row := range rows {
		if row.Account != p.Account && !p.May(Accounts) {
			continue
		}
		out = append(out, Token{
			ID: row.ID, Name: row.Name, Account: names[row.Account], Created: instant(row.CreatedUs),
			Expires: instant(row.ExpiresUs), Used: instant(row.UsedUs), Revoked: instant(row.RevokedUs),
		})
	}
	return out, nil
}

// RevokeToken ends one's own token, or anybody's for an administrator.
func (s *Service) RevokeToken(ctx context.Context, p Principal, id string) error {
	err := s.opts.DB.Write(ctx, func(tx *store.Tx) error {
		missing := fault.New(fault.NotFound, "what", "token", "name", id)
		row, err := tx.APIToken(ctx, string(p.Tenant), id)
		switch {
		case store.IsNone(err):
			return missing
		case err != nil:
			return err
		case row.Account != p.Account && !p.May(Accounts):
			return missing // not said to exist
		}
		n, err := tx.RevokeAPIToken(ctx, gen.RevokeAPITokenParams{Tenant: string(p.Tenant), ID: id, RevokedUs: s.now().UnixMicro()})
		if err != nil || n == 0 {
			return err // revoked already: asked twice, done once
		}
		s.record(tx, p, register.TokenRevoked, map[string]any{"token": id, "name": row.Name})
		return nil
	})
	if err != nil {
		return fmt.Errorf("revoke API token %s: %w", id, err)
	}
	return nil
}
