package herald

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/identity"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// FeedKind is what a feed has in it.
type FeedKind string

// Feeds.
const (
	CalendarFeed FeedKind = "calendar" // iCal: dates and windows of campaigns
	AlertsFeed   FeedKind = "alerts"   // Atom
)

// FeedLink is a link to a feed, which opens without a login until it is revoked.
type FeedLink struct {
	ID      string    `json:"id"`
	Kind    FeedKind  `json:"kind"`
	Name    string    `json:"name"` // who or what reads it
	Lang    string    `json:"lang"`
	By      string    `json:"by"`
	Created time.Time `json:"created"`
	Revoked time.Time `json:"revoked,omitzero"`
	Path    string    `json:"path,omitempty"` // empty once it is revoked
}

// MakeLink asks for a link.
type MakeLink struct {
	Kind FeedKind
	Name string
	Lang string
}

// FeedPath is what the address of every feed begins with.
const FeedPath = "/feeds/"

const maxName = 100

// MakeLink makes a link, with an entry in the register.
func (h *Herald) MakeLink(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask MakeLink) (FeedLink, error) {
	invalid := func(field, problem, fix string) (FeedLink, error) {
		return FeedLink{}, fault.New(fault.InvalidField, "field", field, "problem", problem, "fix", fix)
	}
	name := strings.TrimSpace(ask.Name)
	switch {
	case !slices.Contains([]FeedKind{CalendarFeed, AlertsFeed}, ask.Kind):
		return invalid("kind", "not_a_choice", "calendar, alerts")
	case ask.Lang != "fr" && ask.Lang != "en":
		return invalid("lang", "not_a_choice", "fr, en")
	case name == "":
		return invalid("name", "empty", "write_it")
	case len([]rune(name)) > maxName:
		return invalid("name", "too_long", fmt.Sprintf("≤ %d", maxName))
	}
	id, err := uuid.NewV7()
	if err != nil {
		return FeedLink{}, fmt.Errorf("make a link id: %w", err)
	}
	now := h.Clock()
	row := gen.FeedLink{Tenant: string(tenant), ID: id.String(), Kind: string(ask.Kind), Name: name, Lang: ask.Lang, Actor: string(by), CreatedUs: now.UnixMicro()}
	err = h.DB.Write(ctx, func(tx *store.Tx) error {
		tx.Record(register.Entry{
			Tenant: row.Tenant, AtUS: row.CreatedUs, Actor: by, Kind: register.FeedLinkCreated, Detail: map[string]any{"link": row.ID, "feed": row.Kind, "name": name},
		})
		return wrap("keep a link", tx.AddFeedLink(ctx, gen.AddFeedLinkParams{
			Tenant: row.Tenant, ID: row.ID, Kind: row.Kind, Name: row.Name, Lang: row.Lang, Actor: row.Actor, CreatedUs: row.CreatedUs,
		}))
	})
	if err != nil {
		return FeedLink{}, err
	}
	return h.link(row)
}

func (h *Herald) link(row gen.FeedLink) (FeedLink, error) {
	l := FeedLink{
		ID: row.ID, Kind: FeedKind(row.Kind), Name: row.Name, Lang: row.Lang, By: row.Actor, Created: store.Instant(row.CreatedUs), Revoked: store.Instant(row.RevokedUs),
	}
	if row.RevokedUs > 0 {
		return l, nil
	}
	token, err := identity.Feed{Tenant: fleet.TenantID(row.Tenant), ID: row.ID}.Token(h.Key)
	if err != nil {
		return FeedLink{}, fmt.Errorf("make the address of link %s: %w", row.ID, err)
	}
	l.Path = FeedPath + token + map[FeedKind]string{CalendarFeed: ".ics", AlertsFeed: ".atom"}[l.Kind]
	return l, nil
}

// Links lists a tenant's links, the oldest first.
func (h *Herald) Links(ctx context.Context, tenant fleet.TenantID) ([]FeedLink, error) {
	rows, err := h.DB.Read().FeedLinks(ctx, string(tenant))
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	out := make([]FeedLink, 0, len(rows))
	for _, row := range rows {
		l, err := h.link(row)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

// RevokeLink makes a link open nothing from now on.
func (h *Herald) RevokeLink(ctx context.Context, tenant fleet.TenantID, by register.Actor, id string) error {
	return h.DB.Write(ctx, func(tx *store.Tx) error {
		now := h.Clock().UnixMicro()
		n, err := tx.RevokeFeedLink(ctx, gen.RevokeFeedLinkParams{Tenant: string(tenant), ID: id, RevokedUs: now})
		if err != nil {
			return fmt.Errorf("revoke link %s: %w", id, err)
		}
		if n == 0 {
			return fault.New(fault.NotFound, "what", "feed_link", "name", id)
		}
		tx.Record(register.Entry{Tenant: string(tenant), AtUS: now, Actor: by, Kind: register.FeedLinkRevoked, Detail: map[string]any{"link": id}})
		return nil
	})
}

// OpenLink is the link that a token opens. One that was revoked says no more
// than one that never was.
func (h *Herald) OpenLink(ctx context.Context, token string) (fleet.TenantID, FeedLink, error) {
	f, err := identity.ParseFeed(h.Key, token)
	if err != nil {
		return "", FeedLink{}, err
	}
	row, err := h.DB.Read().FeedLink(ctx, string(f.Tenant), f.ID)
	if store.IsNone(err) || err == nil && row.RevokedUs > 0 {
		return "", FeedLink{}, fault.New(fault.LinkInvalid)
	}
	if err != nil {
		return "", FeedLink{}, fmt.Errorf("read link %s: %w", f.ID, err)
	}
	l, err := h.link(row)
	return f.Tenant, l, err
}
