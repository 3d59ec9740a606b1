package conductor

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/manifest"
	"patchring/internal/core/patch"
	"patchring/internal/core/procedure"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Applied is a procedure as it was kept.
type Applied struct {
	Name     string             `json:"name"`
	Version  int64              `json:"version"`
	Same     bool               `json:"same"` // nothing had changed: the version is the earlier one
	Warnings []manifest.Problem `json:"warnings,omitempty"`
}

// ApplyProcedure keeps a procedure file as the next version of its name. The
// same text twice is the same version.
func (c *Conductor) ApplyProcedure(ctx context.Context, tenant fleet.TenantID, by register.Actor, file string, text []byte) (Applied, error) {
	p, err := procedure.Parse(file, text)
	if err != nil {
		return Applied{}, err
	}
	sum := sha256.Sum256(text)
	hash := hex.EncodeToString(sum[:])
	out := Applied{Name: p.Name, Version: 1, Warnings: p.Warnings}
	err = c.DB.Write(ctx, func(tx *store.Tx) error {
		latest, err := tx.LatestProcedure(ctx, string(tenant), p.Name)
		switch {
		case store.IsNone(err):
		case err != nil:
			return fmt.Errorf("read procedure %s: %w", p.Name, err)
		case latest.Sha256 == hash:
			out.Version, out.Same = latest.Version, true
			return nil
		default:
			out.Version = latest.Version + 1
		}
		now := c.Clock().UnixMicro()
		tx.Record(register.Entry{
			Tenant: string(tenant), AtUS: now, Actor: by, Kind: register.ProcedureApplied,
			Detail: map[string]any{"procedure": p.Name, "version": out.Version, "sha256": hash},
		})
		return tx.AddProcedure(ctx, gen.AddProcedureParams{
			Tenant: string(tenant), Name: p.Name, Version: out.Version, Body: string(text), Sha256: hash, Actor: string(by), AtUs: now,
		})
	})
	return out, err
}

// CreateCampaign starts a campaign by hand; the calendar's are created by
// Plan. It returns the new campaign's id.
func (c *Conductor) CreateCampaign(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.Create) (campaign.ID, error) {
	if ask.Day > 0 && !ask.Now {
		return "", fault.New(fault.InvalidField, "field", "day", "problem", "day_without_now", "fix", "now")
	}
	p, version, err := c.latest(ctx, tenant, ask.Procedure)
	if err != nil {
		return "", err
	}
	schedule, err := ask.Schedule(p, c.Clock())
	if err != nil {
		return "", err
	}
	return c.create(ctx, tenant, by, newCampaign{ask: ask, procedure: p, version: version, schedule: schedule, origin: campaign.ByHand})
}

func (c *Conductor) latest(ctx context.Context, tenant fleet.TenantID, name string) (procedure.Procedure, int64, error) {
	row, err := c.DB.Read().LatestProcedure(ctx, string(tenant), name)
	if store.IsNone(err) {
		return procedure.Procedure{}, 0, fault.New(fault.NotFound, "what", "procedure", "name", name)
	}
	if err != nil {
		return procedure.Procedure{}, 0, fmt.Errorf("read procedure %s: %w", name, err)
	}
	p, err := c.scenes.procedure(ctx, c.DB.Read(), string(tenant), name, row.Version)
	return p, row.Version, err
}

type newCampaign struct {
	ask       campaign.Create
	procedure procedure.Procedure
	version   int64
	schedule  procedure.Schedule
	origin    campaign.Origin
	emergency *gen.AddEmergencyParams // nil: it is none
}

// state is where it begins.
func (n newCampaign) state() campaign.State {
	if n.emergency != nil {
		return campaign.Draft
	}
	return campaign.Scheduled
}

// told is what the register keeps of the beginning.
func (n newCampaign) told(row gen.AddCampaignParams) map[string]any {
	detail := map[string]any{"name": row.Name, "procedure": row.ProcedureName, "version": row.ProcedureVersion, "origin": row.Origin, "schedule": row.Schedule}
	if e := n.emergency; e != nil {
		detail["cause"], detail["reference"], detail["why"], detail["through_freeze"] = e.Cause, e.Reference, e.Reason, e.ThroughFreeze == 1
		detail["patches"], detail["windows"] = row.Patches, row.Windows
	}
	return detail
}

func (n newCampaign) name(now time.Time) string {
	switch {
	case n.ask.Name != "":
		return n.ask.Name
	case n.ask.Now:
		return now.In(n.procedure.Zone).Format("2006-01-02 15:04:05")
	default:
		return n.schedule.Campaign
	}
}

func (c *Conductor) create(ctx context.Context, tenant fleet.TenantID, by register.Actor, n newCampaign) (campaign.ID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make a campaign id: %w", err)
	}
	row, err := c.newRow(tenant, by, n, id.String())
	if err != nil {
		return "", err
	}
	err = c.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.AddCampaign(ctx, row); err != nil {
			return err
		}
		if err := c.addAmendment(ctx, tx, row.Tenant, row.ID, 0, by, ""); err != nil {
			return err
		}
		for i, r := range n.schedule.Rings {
			if err := addRing(ctx, tx, row.Tenant, row.ID, 0, i, r); err != nil {
				return err
			}
		}
		tx.Record(register.Entry{
			Tenant: row.Tenant, AtUS: row.CreatedUs, Actor: by, Kind: register.CampaignCreated, Campaign: row.ID,
			Detail: n.told(row),
		})
		if n.emergency != nil {
			n.emergency.Campaign = row.ID
			return tx.AddEmergency(ctx, *n.emergency)
		}
		return nil
	})
	if store.IsDuplicate(err) {
		return "", fault.New(fault.AlreadyExists, "what", "campaign", "name", row.Name)
	}
	if err != nil {
		return "", fmt.Errorf("create campaign %s: %w", row.Name, err)
	}
	c.Wake()
	return campaign.ID(row.ID), nil
}

func (c *Conductor) newRow(tenant fleet.TenantID, by register.Actor, n newCampaign, id string) (gen.AddCampaignParams, error) {
	now := c.Clock()
	schedule, err := json.Marshal(n.schedule)
	if err != nil {
		return gen.AddCampaignParams{}, fmt.Errorf("encode schedule: %w", err)
	}
	windows := ""
	if len(n.ask.Windows) > 0 {
		text, err := json.Marshal(wholeSeconds(calendar.Union(n.ask.Windows...)))
		if err != nil {
			return gen.AddCampaignParams{}, fmt.Errorf("encode windows: %w", err)
		}
		windows = string(text)
	}
	if n.ask.Patches == nil {
		n.ask.Patches = []patch.ID{}
	}
	patches, err := json.Marshal(n.ask.Patches)
	if err != nil {
		return gen.AddCampaignParams{}, fmt.Errorf("encode patches: %w", err)
	}
	day := n.ask.Day
	switch {
	case day > 0:
	case n.emergency != nil:
		day = n.procedure.Emergency.Day
	default:
		day = 24 * time.Hour
	}
	starts := n.schedule.Rings[0].Opens.UnixMicro()
	return gen.AddCampaignParams{
		Tenant: string(tenant), ID: id, Name: n.name(now), ProcedureName: n.procedure.Name, ProcedureVersion: n.version,
		State: string(n.state()), Origin: string(n.origin), Schedule: string(schedule), Patches: string(patches), DayUs: day.Microseconds(),
		Windows: windows, StartsUs: starts, VerificationUs: n.schedule.Verification.UnixMicro(), CreatedUs: now.UnixMicro(), Actor: string(by), DueUs: 0,
	}, nil
}

// wholeSeconds makes windows that mean the same here and on the wire, which
// counts in microseconds: an order must not seem to begin before its window.
func wholeSeconds(list []interval) []interval {
	for i := range list {
		start := list[i].Start.Truncate(time.Second)
		if start.Before(list[i].Start) {
			start = start.Add(time.Second) // never earlier than asked for
		}
		list[i].Start, list[i].End = start, list[i].End.Truncate(time.Second)
	}
	return list
}

func (c *Conductor) addAmendment(ctx context.Context, tx *store.Tx, tenant, id string, number int64, by register.Actor, reason string) error {
	return tx.AddAmendment(ctx, gen.AddAmendmentParams{
		Tenant: tenant, Campaign: id, Number: number, Reason: reason, Actor: string(by), CreatedUs: c.Clock().UnixMicro(),
	})
}

func addRing(ctx context.Context, tx *store.Tx, tenant, id string, amendment int64, position int, r procedure.RingSpan) error {
	return tx.AddRing(ctx, gen.AddRingParams{
		Tenant: tenant, Campaign: id, Amendment: amendment, Position: int64(position), Ring: r.Ring,
		State: string(campaign.RingPending), OpensUs: r.Opens.UnixMicro(), ClosesUs: r.Closes.UnixMicro(),
	})
}

// Plan creates the calendar's next campaign of every procedure, ahead of its
// first day, once: its name is its month, and a second one is refused by it.
// What was created by hand for that month counts.
func (c *Conductor) Plan(ctx context.Context) error {
	tenants, err := c.DB.Read().Tenants(ctx)
	if err != nil {
		return fmt.Errorf("read tenants: %w", err)
	}
	for _, t := range tenants {
		procedures, err := c.DB.Read().LatestProcedures(ctx, t.ID)
		if err != nil {
			return fmt.Errorf("read procedures of %s: %w", t.ID, err)
		}
		for _, row := range procedures {
			if err := c.planNext(ctx, fleet.TenantID(t.ID), row); err != nil {
				return fmt.Errorf("plan %s: %w", row.Name, err)
			}
		}
	}
	return nil
}

func (c *Conductor) planNext(ctx context.Context, tenant fleet.TenantID, row gen.ProcedureVersion) error {
	p, err := c.scenes.procedure(ctx, c.DB.Read(), string(tenant), row.Name, row.Version)
	if err != nil {
		return err
	}
	now := c.Clock().In(p.Zone)
	s := p.Schedule(now.Year(), now.Month())
	if s.Rings[0].Opens.Before(now) {
		next := time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, p.Zone)
		s = p.Schedule(next.Year(), next.Month())
	}
	name, free, err := c.calendarName(ctx, tenant, s.Campaign, p.Name)
	if err != nil || !free {
		return err
	}
	n := newCampaign{ask: campaign.Create{Procedure: p.Name, Name: name}, procedure: p, version: row.Version, schedule: s, origin: campaign.ByCalendar}
	_, err = c.create(ctx, tenant, actor, n)
	if errors.Is(err, fault.New(fault.AlreadyExists)) {
		return nil
	}
	return err
}

// calendarName is the month, or the month with the procedure's name where
// another procedure has the month already. Not free: it is planned.
func (c *Conductor) calendarName(ctx context.Context, tenant fleet.TenantID, month, procedureName string) (name string, free bool, err error) {
	for _, name := range []string{month, month + " " + procedureName} {
		row, err := c.DB.Read().CampaignByName(ctx, string(tenant), name)
		switch {
		case store.IsNone(err):
			return name, true, nil
		case err != nil:
			return "", false, fmt.Errorf("read campaign %s: %w", name, err)
		case row.ProcedureName == procedureName:
			return "", false, nil
		}
	}
	return "", false, nil
}
