package access

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Account is a person as lists show one.
type Account struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Roles   []string  `json:"roles"`
	Lang    string    `json:"lang,omitempty"`
	Created time.Time `json:"created"`
	Closed  time.Time `json:"closed,omitzero"`
}

// Credentials are shown once.
type Credentials struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

// FirstRun makes the first tenant and its administrator when there is no
// account at all. It answers false when there is one already.
//
// Crash story: account and tenant are one transaction. Dying between its commit
// and the printing of the password loses the password, and nothing else: the
// database holds nothing yet, so delete it and start again.
func (s *Service) FirstRun(ctx context.Context, name string) (Credentials, bool, error) {
	n, err := s.opts.DB.Read().CountAccounts(ctx)
	if err != nil {
		return Credentials{}, false, fmt.Errorf("count accounts: %w", err)
	}
	if n > 0 {
		return Credentials{}, false, nil
	}
	out := Credentials{Name: name}
	if out.Password, err = s.generate(); err != nil {
		return out, false, err
	}
	row, err := s.newAccount(ctx, fleet.DefaultTenant, name, []string{Admin}, out.Password)
	if err != nil {
		return out, false, err
	}
	err = s.opts.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.AddTenant(ctx, gen.AddTenantParams{ID: row.Tenant, Name: row.Tenant, CreatedUs: row.CreatedUs}); err != nil {
			return err
		}
		tx.Record(register.Entry{
			Tenant: row.Tenant, AtUS: row.CreatedUs, Actor: register.System("first-run"), Kind: register.AdministratorAdded,
			Detail: map[string]any{"account": row.ID, "name": name},
		})
		return tx.AddAccount(ctx, row)
	})
	if store.IsDuplicate(err) {
		return Credentials{}, false, nil // another server of the site was quicker
	}
	if err != nil {
		return Credentials{}, false, fmt.Errorf("create the administrator: %w", err)
	}
	return out, true, nil
}

var accountName = regexp.MustCompile(`^[a-z0-9]+([._@-][a-z0-9]+)*$`)

const maxAccountName = 100

func (s *Service) newAccount(ctx context.Context, tenant fleet.TenantID, name string, roles []string, password string) (gen.AddAccountParams, error) {
	if !accountName.MatchString(name) || len(name) > maxAccountName {
		return gen.AddAccountParams{}, invalid("name", "not_a_word", "a-z 0-9 . _ @ -")
	}
	roles, err := checkRoles(roles)
	if err != nil {
		return gen.AddAccountParams{}, err
	}
	out := gen.AddAccountParams{Tenant: string(tenant), Name: name, CreatedUs: s.now().UnixMicro()}
	if out.ID, err = newID(); err != nil {
		return out, err
	}
	if out.Roles, err = encoded(roles); err != nil {
		return out, err
	}
	out.Password, err = s.hash(ctx, password)
	return out, err
}

// CreateAccount adds a person; an empty password is generated. The answer is
// the only time it is shown.
func (s *Service) CreateAccount(ctx context.Context, p Principal, name string, roles []string, password string) (Credentials, error) {
	if err := p.Need(Accounts); err != nil {
		return Credentials{}, err
	}
	out := Credentials{Name: name, Password: password}
	var err error
	if password == "" {
		out.Password, err = s.generate()
	} else {
		err = checkPassword(password)
	}
	if err != nil {
		return Credentials{}, err
	}
	row, err := s.newAccount(ctx, p.Tenant, name, roles, out.Password)
	if err != nil {
		return Credentials{}, err
	}
	kind := register.AccountAdded
	if slices.Contains(roles, Admin) {
		kind = register.AdministratorAdded
	}
	err = s.opts.DB.Write(ctx, func(tx *store.Tx) error {
		s.record(tx, p, kind, map[string]any{"account": row.ID, "name": name, "roles": strings.Join(roles, ",")})
		return tx.AddAccount(ctx, row)
	})
	if store.IsDuplicate(err) {
		return Credentials{}, fault.New(fault.AlreadyExists, "what", "account", "name", name)
	}
	if err != nil {
		return Credentials{}, fmt.Errorf("create account %s: %w", name, err)
	}
	return out, nil
}

// ListAccounts lists the tenant's people, closed accounts too.
func (s *Service) ListAccounts(ctx context.Context, p Principal) ([]Account, error) {
	if err := p.Need(Accounts); err != nil {
		return nil, err
	}
	rows, err := s.opts.DB.Read().Accounts(ctx, string(p.Tenant))
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	out := make([]Account, 0, len(rows))
	for _, row := range rows {
		a := Account{ID: row.ID, Name: row.Name, Lang: row.Lang, Created: instant(row.CreatedUs), Closed: instant(row.ClosedUs)}
		if a.Roles, err = texts("roles", row.Roles); err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// SetRoles gives a person other roles. The last administrator stays one.
func (s *Service) SetRoles(ctx context.Context, p Principal, name string, roles []string) error {
	if err := p.Need(Accounts); err != nil {
		return err
	}
	roles, err := checkRoles(roles)
	if err != nil {
		return err
	}
	text, err := encoded(roles)
	if err != nil {
		return err
	}
	return s.changeAccount(ctx, p, name, register.AccountChanged, map[string]any{"roles": strings.Join(roles, ",")}, func(tx *store.Tx, row gen.Account) error {
		if _, err := tx.SetRoles(ctx, gen.SetRolesParams{Tenant: row.Tenant, ID: row.ID, Roles: text}); err != nil {
			return err
		}
		return s.keepAdministrator(ctx, tx, p.Tenant)
	})
}

// CloseAccount ends an account: its sessions and tokens end with it. The name
// stays taken, because the register speaks of it.
func (s *Service) CloseAccount(ctx context.Context, p Principal, name string) error {
	if err := p.Need(Accounts); err != nil {
		return err
	}
	now := s.now().UnixMicro()
	return s.changeAccount(ctx, p, name, register.AccountClosed, nil, func(tx *store.Tx, row gen.Account) error {
		if _, err := tx.CloseAccount(ctx, gen.CloseAccountParams{Tenant: row.Tenant, ID: row.ID, ClosedUs: now}); err != nil {
			return err
		}
		if _, err := tx.RevokeTokensOf(ctx, gen.RevokeTokensOfParams{Tenant: row.Tenant, Account: row.ID, RevokedUs: now}); err != nil {
			return err
		}
		return s.keepAdministrator(ctx, tx, p.Tenant)
	})
}

// SetPassword changes a password: one's own, or anybody's by an administrator.
// An empty one is generated and shown once.
func (s *Service) SetPassword(ctx context.Context, p Principal, name, password string) (Credentials, error) {
	if name != p.Name {
		if err := p.Need(Accounts); err != nil {
			return Credentials{}, err
		}
	}
	out := Credentials{Name: name, Password: password}
	var err error
	if password == "" {
		out.Password, err = s.generate()
	} else {
		err = checkPassword(password)
	}
	if err != nil {
		return Credentials{}, err
	}
	hash, err := s.hash(ctx, out.Password)
	if err != nil {
		return Credentials{}, err
	}
	err = s.changeAccount(ctx, p, name, register.AccountChanged, map[string]any{"password": "changed"}, func(tx *store.Tx, row gen.Account) error {
		_, err := tx.SetPassword(ctx, gen.SetPasswordParams{Tenant: row.Tenant, ID: row.ID, Password: hash})
		return err
	})
	return out, err
}

// SetLang keeps the language a person reads.
func (s *Service) SetLang(ctx context.Context, p Principal, lang string) error {
	return s.opts.DB.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.SetLang(ctx, gen.SetLangParams{Tenant: string(p.Tenant), ID: p.Account, Lang: lang})
		return err
	})
}

func (s *Service) changeAccount(ctx context.Context, p Principal, name string, kind register.Kind, detail map[string]any, change func(*store.Tx, gen.Account) error) error {
	err := s.opts.DB.Write(ctx, func(tx *store.Tx) error {
		row, err := tx.AccountInTenant(ctx, string(p.Tenant), name)
		if store.IsNone(err) {
			return fault.New(fault.NotFound, "what", "account", "name", name)
		}
		if err != nil {
			return err
		}
		entry := map[string]any{"account": row.ID, "name": name}
		for k, v := range detail {
			entry[k] = v
		}
		s.record(tx, p, kind, entry)
		return change(tx, row)
	})
	if err != nil {
		return fmt.Errorf("change account %s: %w", name, err)
	}
	return nil
}

// keepAdministrator refuses a change that would leave nobody to undo it.
func (s *Service) keepAdministrator(ctx context.Context, tx *store.Tx, tenant fleet.TenantID) error {
	n, err := tx.CountAdministrators(ctx, string(tenant))
	if err != nil {
		return err
	}
	if n == 0 {
		return invalid("roles", "last_administrator", "another_administrator")
	}
	return nil
}
