package access

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"

	"patchring/internal/core/fault"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// SessionLife is how long a login lasts. There is no idle time-out: it would
// write to the database at each request.
const SessionLife = 12 * time.Hour

// SessionCookie is the name of the cookie that carries a session.
const SessionCookie = "patchring_session"

const (
	sessionTenant  = "tenant"
	sessionAccount = "account"
)

// Sessions makes the session manager that the console and the API share. A
// token is kept hashed: a stolen database opens no session.
func (s *Service) Sessions() *scs.SessionManager {
	m := scs.New()
	m.Store = sessions{s}
	m.Lifetime = SessionLife
	m.HashTokenInStore = true
	m.Cookie.Name = SessionCookie
	m.Cookie.HttpOnly = true
	m.Cookie.Secure = true
	m.Cookie.SameSite = http.SameSiteLaxMode
	return m
}

// Enter begins a session for p, with a new token, so that one planted before
// the login is worth nothing.
func Enter(ctx context.Context, m *scs.SessionManager, p Principal) error {
	if err := m.RenewToken(ctx); err != nil {
		return fmt.Errorf("begin session: %w", err)
	}
	m.Put(ctx, sessionTenant, string(p.Tenant))
	m.Put(ctx, sessionAccount, p.Account)
	return nil
}

// Of gives who the session in ctx belongs to, as the account stands now.
func (s *Service) Of(ctx context.Context, m *scs.SessionManager) (Principal, error) {
	tenant, account := m.GetString(ctx, sessionTenant), m.GetString(ctx, sessionAccount)
	if account == "" {
		return Principal{}, fault.New(fault.Unauthorized)
	}
	return s.principal(ctx, tenant, account)
}

// sessions keeps scs's sessions in the table login_session.
type sessions struct{ *Service }

// FindCtx implements scs.CtxStore.
func (s sessions) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	row, err := s.opts.DB.Read().Session(ctx, token, s.now().UnixMicro())
	if store.IsNone(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read session: %w", err)
	}
	return row.Data, true, nil
}

// CommitCtx implements scs.CtxStore.
func (s sessions) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	return s.opts.DB.Write(ctx, func(tx *store.Tx) error {
		return tx.PutSession(ctx, gen.PutSessionParams{Token: token, Data: data, ExpiresUs: expiry.UnixMicro()})
	})
}

// DeleteCtx implements scs.CtxStore.
func (s sessions) DeleteCtx(ctx context.Context, token string) error {
	return s.opts.DB.Write(ctx, func(tx *store.Tx) error { return tx.DropSession(ctx, token) })
}

// The three without a context are never called by a manager that knows the
// ones above; scs.Store asks for them.

// Find implements scs.Store.
func (s sessions) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit implements scs.Store.
func (s sessions) Commit(token string, data []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, data, expiry)
}

// Delete implements scs.Store.
func (s sessions) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }
