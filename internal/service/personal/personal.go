// Package personal is what the people at a device may do without a login, on
// its signed page: say later, and say whether an update works. It makes and
// revokes the links, sends a "later" to the agent, which alone decides, keeps
// feedback, and keeps the tenant's logo that people see.
//
// It refuses a link that it has not made, that is over, revoked or a retired
// device's, and anything said more often than a person would. Each act is one
// transaction with its register entry. What "later" may mean is the agent's
// executor/people.
//
// Safe from any goroutine.
package personal

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/identity"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Options of an office.
type Options struct {
	DB    *store.DB
	Clock func() time.Time
	// Key authenticates links.
	Key identity.PageKey
	// Base is the address of the server, as https://host:port.
	Base func() string
	// OrderKey signs what is sent to a tenant's agents.
	OrderKey func(fleet.TenantID) (ed25519.PrivateKey, error)
	// Wake has campaigns decided and the outbox sent, now.
	Wake func()
	// Changed tells the faces that a campaign has something new to show.
	Changed func(fleet.TenantID, campaign.ID)
	// Broken does what the procedure says of an update that broke something, in
	// the transaction; told is called after its commit.
	Broken func(ctx context.Context, tx *store.Tx, f gen.Feedback) (told func(), err error)
}

// Office of all tenants' pages.
type Office struct{ Options }

// New makes an office.
func New(o Options) *Office {
	if o.Wake == nil {
		o.Wake = func() {}
	}
	if o.Changed == nil {
		o.Changed = func(fleet.TenantID, campaign.ID) {}
	}
	return &Office{o}
}

// Path is where the pages are below the server's address.
const Path = "/p/"

const (
	// printedLife is for how long a link that an operator prints is good.
	printedLife = 90 * 24 * time.Hour
	// afterOrder is how long the link of an order outlives it: what broke is
	// often seen days later.
	afterOrder = 14 * 24 * time.Hour
)

// actor is whoever holds a device's link: no more is known of them.
var actor = register.System("page")

// Link is an address that opens a device's page.
type Link struct {
	URL     string    `json:"url"`
	Expires time.Time `json:"expires"`
}

// Link makes one to be printed or sent.
func (o *Office) Link(ctx context.Context, tenant fleet.TenantID, device fleet.DeviceID) (Link, error) {
	q := o.DB.Read()
	row, err := q.Device(ctx, string(tenant), string(device))
	if err := live(row, err, device); err != nil {
		return Link{}, err
	}
	return o.link(ctx, q, identity.Device{Tenant: tenant, ID: device}, o.Clock().Add(printedLife))
}

// OrderLink is the link that goes with an order, in the transaction that makes
// it: it is good for as long as the order, and a while longer.
func (o *Office) OrderLink(ctx context.Context, q *gen.Queries, d identity.Device, expires time.Time) (string, error) {
	l, err := o.link(ctx, q, d, expires.Add(afterOrder))
	return l.URL, err
}

func (o *Office) link(ctx context.Context, q *gen.Queries, d identity.Device, expires time.Time) (Link, error) {
	epoch, err := q.LinkEpoch(ctx, string(d.Tenant), string(d.ID))
	if err != nil {
		return Link{}, fmt.Errorf("read the links' epoch of %s: %w", d.ID, err)
	}
	expires = expires.UTC().Truncate(time.Hour) // of a campaign's devices, alike
	token, err := identity.Page{Device: d, Epoch: uint32(epoch), Expires: expires}.Token(o.Key)
	if err != nil {
		return Link{}, fmt.Errorf("make a link to %s: %w", d.ID, err)
	}
	return Link{URL: o.Base() + Path + token, Expires: expires}, nil
}

// Revoke makes every link to a device's page, printed or in an order, open
// nothing from now on. The next order brings a new one.
func (o *Office) Revoke(ctx context.Context, tenant fleet.TenantID, by register.Actor, device fleet.DeviceID, why string) error {
	if strings.TrimSpace(why) == "" {
		return fault.New(fault.ReasonRequired)
	}
	if err := short("reason", why); err != nil {
		return err
	}
	return o.DB.Write(ctx, func(tx *store.Tx) error {
		row, err := tx.Device(ctx, string(tenant), string(device))
		if err := live(row, err, device); err != nil {
			return err
		}
		now := o.Clock().UnixMicro()
		if err := tx.RevokeLinks(ctx, gen.RevokeLinksParams{Tenant: string(tenant), Device: string(device), Actor: string(by), AtUs: now}); err != nil {
			return fmt.Errorf("revoke the links of %s: %w", device, err)
		}
		tx.Record(register.Entry{
			Tenant: string(tenant), AtUS: now, Actor: by, Kind: register.DeviceLinksRevoked, Device: string(device), Detail: map[string]any{"why": why},
		})
		return nil
	})
}

// Open tells whose page a token opens.
func (o *Office) Open(ctx context.Context, token string) (identity.Page, error) {
	p, err := identity.ParsePage(o.Key, token, o.Clock())
	if err != nil {
		return p, err
	}
	q := o.DB.Read()
	row, err := q.Device(ctx, string(p.Tenant), string(p.ID))
	if store.IsNone(err) || err == nil && row.RetiredUs > 0 {
		return p, fault.New(fault.LinkInvalid) // gone, and nobody's business any more
	}
	if err != nil {
		return p, fmt.Errorf("read device %s: %w", p.ID, err)
	}
	epoch, err := q.LinkEpoch(ctx, string(p.Tenant), string(p.ID))
	if err != nil {
		return p, fmt.Errorf("read the links' epoch of %s: %w", p.ID, err)
	}
	if int64(p.Epoch) != epoch {
		return p, fault.New(fault.LinkInvalid)
	}
	return p, nil
}

// live refuses a device that is not there, or not any more.
func live(row gen.Device, err error, device fleet.DeviceID) error {
	switch {
	case store.IsNone(err):
		return fault.New(fault.NotFound, "what", "device", "name", string(device))
	case err != nil:
		return fmt.Errorf("read device %s: %w", device, err)
	case row.RetiredUs > 0:
		return fault.New(fault.DeviceRetired, "device", row.Name)
	}
	return nil
}

func newID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make an id: %w", err)
	}
	return id.String(), nil
}

func invalid(field, problem, fix string) *fault.Error {
	return fault.New(fault.InvalidField, "field", field, "problem", problem, "fix", fix)
}

// longest is the longest sentence that is kept.
const longest = 1000

func short(field, text string) error {
	if utf8.RuneCountInString(text) > longest {
		return invalid(field, "too_long", fmt.Sprintf("≤ %d", longest))
	}
	return nil
}
