package desk

import (
	"context"
	"fmt"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Grant asks for an exception. It leaves out what fits every field of the first
// group that is given; one of them must be.
type Grant struct {
	Device   string   // id, or a name that only one device has
	Group    string   // an explicit group
	Patch    patch.ID // one exact patch, or
	Every    bool     // every version of its name, or
	Provider string   // every version of a name that nobody has seen yet
	Name     string

	Owner   string // who answers for it
	Reason  string
	Control string // what protects meanwhile
	// Until is its end: an instant (RFC 3339), or a date, which means the end of
	// that day in the site's zone.
	Until string
	// Remind is how many days before the end it is announced; 0 is RemindDays.
	Remind int
}

// Bounds of an exception.
const (
	LongestDays = 366
	RemindDays  = 14
	longText    = 1000
	shortText   = 200
)

// Grant grants an exception, lets all that it touches be decided again, and
// returns its id.
func (d *Desk) Grant(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask Grant) (id string, err error) {
	until, err := d.checkGrant(&ask)
	if err != nil {
		return "", err
	}
	if id, err = newID(); err != nil {
		return "", err
	}
	err = d.DB.Write(ctx, func(tx *store.Tx) error {
		row, err := d.grantRow(ctx, tx, tenant, ask)
		if err != nil {
			return err
		}
		row.ID, row.UntilUs, row.Actor = id, until.UnixMicro(), string(by)
		row.RemindUs = max(row.FromUs, until.AddDate(0, 0, -ask.Remind).UnixMicro())
		return d.keepException(ctx, tx, tenant, by, row)
	})
	if err != nil {
		return "", err
	}
	d.Wake()
	return id, nil
}

// keepException keeps one, tells the register, and lets all that it touches be
// decided again.
func (d *Desk) keepException(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, by register.Actor, row gen.AddExceptionParams) error {
	if err := tx.AddException(ctx, row); err != nil {
		return fmt.Errorf("keep the exception: %w", err)
	}
	tx.Record(register.Entry{
		Tenant: row.Tenant, AtUS: row.FromUs, Actor: by, Kind: register.ExceptionGranted, Device: row.Device, Patch: row.Patch,
		Detail: map[string]any{
			"exception": row.ID, "group": row.GroupName, "scope": row.Scope, "owner": row.Owner, "why": row.Reason, "control": row.Control, "until": row.UntilUs,
		},
	})
	return touch(ctx, tx, tenant, row.Device, row.GroupName)
}

func (d *Desk) checkGrant(ask *Grant) (time.Time, error) {
	named := ask.Provider != "" || ask.Name != ""
	switch {
	case ask.Device == "" && ask.Group == "" && ask.Patch == "" && !named:
		return time.Time{}, invalid("patch", "empty", "patch_device_or_group")
	case ask.Device != "" && ask.Group != "":
		return time.Time{}, invalid("group", "device_or_group", "leave_one_out")
	case named && (ask.Patch != "" || ask.Provider == "" || ask.Name == ""):
		return time.Time{}, invalid("patch", "patch_or_name", "patch | provider + name")
	case ask.Every && ask.Patch == "":
		return time.Time{}, invalid("patch", "empty", "name_a_patch")
	case ask.Remind < 0 || ask.Remind > LongestDays:
		return time.Time{}, invalid("remind", "out_of_range", fmt.Sprintf("1 … %d", LongestDays))
	}
	if ask.Remind == 0 {
		ask.Remind = RemindDays
	}
	for _, f := range []struct {
		name, text string
		most       int
	}{{"owner", ask.Owner, shortText}, {"reason", ask.Reason, longText}, {"control", ask.Control, longText}} {
		if err := words(f.name, f.text, f.most); err != nil {
			return time.Time{}, err
		}
	}
	until, err := d.until("until", ask.Until)
	if err == nil && d.daysAhead(until) > LongestDays {
		err = invalid("until", "too_far", fmt.Sprintf("≤ %d d", LongestDays))
	}
	return until, err
}

// grantRow resolves what the exception is about.
func (d *Desk) grantRow(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, ask Grant) (gen.AddExceptionParams, error) {
	row := gen.AddExceptionParams{
		Tenant: string(tenant), GroupName: ask.Group, Patch: string(ask.Patch), Owner: ask.Owner, Reason: ask.Reason, Control: ask.Control,
		FromUs: d.Clock().UnixMicro(),
	}
	var err error
	if row.Device, err = device(ctx, tx, tenant, ask.Device); err != nil {
		return row, err
	}
	if ask.Group != "" {
		if _, err := tx.Group(ctx, string(tenant), ask.Group); store.IsNone(err) {
			return row, fault.New(fault.NotFound, "what", "group", "name", ask.Group)
		} else if err != nil {
			return row, fmt.Errorf("read group %s: %w", ask.Group, err)
		}
	}
	if ask.Name != "" {
		row.Scope = string(policy.ScopeOfName(ask.Provider, ask.Name))
		return row, nil
	}
	if ask.Patch == "" {
		return row, nil
	}
	p, err := knownPatch(ctx, tx, tenant, ask.Patch)
	if err != nil {
		return row, err
	}
	row.Scope = string(policy.ScopeOf(ask.Patch))
	if ask.Every {
		row.Scope = string(policy.ScopeOfName(p.Provider, p.Name))
	}
	return row, nil
}

func knownPatch(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, id patch.ID) (gen.Patch, error) {
	p, err := tx.Patch(ctx, string(tenant), string(id))
	if store.IsNone(err) {
		return p, fault.New(fault.NotFound, "what", "patch", "name", string(id))
	}
	if err != nil {
		return p, fmt.Errorf("read patch %s: %w", id, err)
	}
	return p, nil
}

// touch lets the devices that an exception is about be decided again at once:
// the one, those of the group, or all when it is about a patch everywhere. What
// a closed campaign has counted stays as it is.
func touch(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, device, group string) error {
	open, err := tx.OpenCampaigns(ctx, string(tenant))
	if err != nil {
		return fmt.Errorf("read open campaigns: %w", err)
	}
	for _, c := range open {
		switch {
		case device != "":
			_, err = tx.TouchDeviceIn(ctx, gen.TouchDeviceInParams{Tenant: c.Tenant, Campaign: c.ID, Device: device})
		case group != "":
			_, err = tx.TouchGroupIn(ctx, gen.TouchGroupInParams{Tenant: c.Tenant, Campaign: c.ID, GroupName: group})
		default:
			_, err = tx.TouchCampaignDevices(ctx, c.Tenant, c.ID)
		}
		if err != nil {
			return fmt.Errorf("touch campaign %s: %w", c.Name, err)
		}
	}
	if err := tx.TouchPendingReboots(ctx, string(tenant)); err != nil {
		return fmt.Errorf("touch pending reboots: %w", err)
	}
	return nil
}

// End ends an exception before its time.
func (d *Desk) End(ctx context.Context, tenant fleet.TenantID, by register.Actor, id, reason string) error {
	if err := words("reason", reason, longText); err != nil {
		return err
	}
	err := d.DB.Write(ctx, func(tx *store.Tx) error {
		row, err := tx.Exception(ctx, string(tenant), id)
		if store.IsNone(err) {
			return fault.New(fault.NotFound, "what", "exception", "name", id)
		}
		if err != nil {
			return fmt.Errorf("read exception %s: %w", id, err)
		}
		now := d.Clock().UnixMicro()
		if row.EndedUs > 0 || row.UntilUs <= now {
			return fault.New(fault.NothingToDo, "what", "exception_is_over")
		}
		if err := d.end(ctx, tx, row, ending{now, by, reason}); err != nil {
			return err
		}
		return touch(ctx, tx, tenant, row.Device, row.GroupName)
	})
	if err != nil {
		return err
	}
	d.Wake()
	return nil
}

// ending is how an exception ended.
type ending struct {
	atUS int64
	by   register.Actor
	why  string
}

// end writes the end, and its entry when nobody has written it before.
func (d *Desk) end(ctx context.Context, tx *store.Tx, row gen.Exception, e ending) error {
	n, err := tx.EndException(ctx, gen.EndExceptionParams{Tenant: row.Tenant, ID: row.ID, EndedUs: e.atUS, EndedBy: string(e.by), EndedWhy: e.why})
	if err != nil {
		return fmt.Errorf("end exception %s: %w", row.ID, err)
	}
	if n == 0 {
		return nil
	}
	detail := map[string]any{"exception": row.ID, "group": row.GroupName, "scope": row.Scope, "owner": row.Owner, "until": row.UntilUs}
	if e.why != "" {
		detail["why"] = e.why
	}
	tx.Record(register.Entry{Tenant: row.Tenant, AtUS: d.Clock().UnixMicro(), Actor: e.by, Kind: register.ExceptionEnded, Device: row.Device, Patch: row.Patch, Detail: detail})
	return nil
}

// endExceptions records the ends that have come by themselves. The decisions
// know them already: a device is looked at again when its exception ends.
func (d *Desk) endExceptions(ctx context.Context, tenant fleet.TenantID) (n int, err error) {
	ask := gen.ExceptionsOverParams{Tenant: string(tenant), NowUs: d.Clock().UnixMicro(), Max: batch}
	over, err := d.DB.Read().ExceptionsOver(ctx, ask)
	if err != nil || len(over) == 0 {
		return 0, wrap("read exceptions that are over", err)
	}
	err = d.DB.Write(ctx, func(tx *store.Tx) error {
		for _, row := range over {
			if err := d.end(ctx, tx, row, ending{atUS: row.UntilUs, by: actor}); err != nil {
				return err
			}
		}
		return nil
	})
	return len(over), wrap("record the ends of exceptions", err)
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
