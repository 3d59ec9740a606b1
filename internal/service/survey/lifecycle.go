package survey

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/lifecycle"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// ImportAsk is a table to import.
type ImportAsk struct {
	Product  string // as endoflife.date spells it; not with Hardware
	Hardware bool   // the least hardware of versions, of all products
	Extended bool   // the longer support that the table tells of is the organisation's
	File     string // for the record
	Text     []byte
}

// Imported is one table as it was imported.
type Imported struct {
	Product  string    `json:"product,omitempty"`
	Hardware bool      `json:"hardware,omitempty"`
	Extended bool      `json:"extended,omitempty"`
	File     string    `json:"file"`
	SHA256   string    `json:"sha256"`
	Entries  int64     `json:"entries"`
	By       string    `json:"by"`
	At       time.Time `json:"at"`
	// Unchanged: this very table was there already.
	Unchanged bool `json:"unchanged,omitempty"`
}

// Import keeps a table in the place of the one of its product, judges the whole
// fleet anew and writes it into the register.
//
// Crash story: one transaction. Before its commit the old table and the old
// judgements stand, after it the new ones.
func (s *Survey) Import(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask ImportAsk) (Imported, error) {
	entries, err := ask.check()
	if err != nil {
		return Imported{}, err
	}
	sum := sha256.Sum256(ask.Text)
	row := gen.PutLifecycleTableParams{
		Tenant: string(tenant), Product: ask.Product, File: ask.File, Body: string(ask.Text), Sha256: hex.EncodeToString(sum[:]),
		Extended: flag(ask.Extended), Entries: int64(entries), Actor: string(by),
	}
	unchanged := false
	err = s.DB.Write(ctx, func(tx *store.Tx) error {
		unchanged = false
		tables, err := tx.LifecycleTables(ctx, row.Tenant)
		if err != nil {
			return fmt.Errorf("read lifecycle tables: %w", err)
		}
		for _, t := range tables {
			if t.Product == row.Product && t.Sha256 == row.Sha256 && t.Extended == row.Extended {
				unchanged, row.AtUs, row.Actor, row.File = true, t.AtUs, t.Actor, t.File
				return nil
			}
		}
		row.AtUs = s.Clock().UnixMicro()
		if err := tx.PutLifecycleTable(ctx, row); err != nil {
			return fmt.Errorf("keep lifecycle table %q: %w", row.Product, err)
		}
		tx.Record(register.Entry{
			Tenant: row.Tenant, AtUS: row.AtUs, Actor: by, Kind: register.LifecycleImported,
			Detail: map[string]any{"product": ask.Product, "hardware": ask.Hardware, "extended": ask.Extended, "file": ask.File, "sha256": row.Sha256, "entries": int64(entries)},
		})
		return judgeAll(ctx, tx, tenant)
	})
	if err != nil {
		return Imported{}, err
	}
	s.forget()
	out := imported(gen.LifecycleTable(row))
	out.Unchanged = unchanged
	return out, nil
}

func (a ImportAsk) check() (entries int, err error) {
	if a.Hardware {
		if a.Product != "" || a.Extended {
			return 0, invalid("hardware", "hardware_alone", "hardware | product")
		}
		needs, err := lifecycle.ParseNeeds(a.Text)
		return len(needs), err
	}
	cycles, err := lifecycle.ParseCycles(a.Product, a.Text, a.Extended)
	return len(cycles), err
}

func flag(is bool) int64 {
	if is {
		return 1
	}
	return 0
}

func imported(t gen.LifecycleTable) Imported {
	return Imported{
		Product: t.Product, Hardware: t.Product == store.Hardware, Extended: t.Extended == 1, File: t.File, SHA256: t.Sha256, Entries: t.Entries,
		By: t.Actor, At: store.Instant(t.AtUs),
	}
}

func judgeAll(ctx context.Context, tx *store.Tx, tenant fleet.TenantID) error {
	rows, err := tx.LifecycleTables(ctx, string(tenant))
	if err != nil {
		return fmt.Errorf("read lifecycle tables: %w", err)
	}
	table, err := store.LifecycleTable(rows)
	if err != nil {
		return err
	}
	return eachPage(ctx, tx.Reads, tenant, func(devices []device) error {
		for _, d := range devices {
			if err := tx.KeepSystem(ctx, string(tenant), d.ID, table, d.subject.Traits); err != nil {
				return err
			}
		}
		return nil
	})
}

// LifecycleAsk is what the report is asked for.
type LifecycleAsk struct {
	Page
	State lifecycle.State // devices in this state; empty: all that need somebody
}

// System is one system of the fleet.
type System struct {
	System  string          `json:"system"` // debian 12 of the table, or as devices name theirs
	State   lifecycle.State `json:"state"`
	Day     string          `json:"day,omitempty"` // the last one of its support
	Devices int             `json:"devices"`
	Upgrade int             `json:"upgrade"` // devices to upgrade
	Replace int             `json:"replace"`
	Short   int             `json:"short"` // too small for what they run
}

// Aged is a device of the report.
type Aged struct {
	Device fleet.DeviceID   `json:"device"`
	Name   string           `json:"name"`
	System string           `json:"system"`
	State  lifecycle.State  `json:"state"`
	Reason *fault.Reason    `json:"reason,omitempty"`
	Short  *fault.Reason    `json:"short,omitempty"`
	Advice lifecycle.Advice `json:"advice"`
	To     string           `json:"to,omitempty"`
}

// StateCount counts the devices in a state.
type StateCount struct {
	State   lifecycle.State `json:"state"`
	Devices int             `json:"devices"`
}

// Lifecycle is the report of a tenant's systems.
type Lifecycle struct {
	At      time.Time    `json:"at"`
	Tables  []Imported   `json:"tables"`
	Devices int          `json:"devices"`
	Counts  []StateCount `json:"counts"`
	Short   int          `json:"short"` // too small for what they run
	Upgrade int          `json:"upgrade"`
	Replace int          `json:"replace"`
	Systems []System     `json:"systems"`
	Rows    []Aged       `json:"rows"`
	Next    string       `json:"next,omitempty"`
}

// Lifecycle says how the systems of a fleet stand.
func (s *Survey) Lifecycle(ctx context.Context, tenant fleet.TenantID, ask LifecycleAsk) (Lifecycle, error) {
	if ask.State != "" && !slices.Contains(lifecycle.States(), ask.State) {
		return Lifecycle{}, invalid("state", "not_a_choice", choices(lifecycle.States()))
	}
	whole, err := kept(s, "lifecycle\x00"+string(tenant), ask.Cursor, func() (Lifecycle, error) { return s.lifecycle(ctx, tenant) })
	if err != nil {
		return Lifecycle{}, err
	}
	after, err := base64.RawURLEncoding.DecodeString(ask.Cursor)
	if err != nil {
		return Lifecycle{}, invalid("cursor", "bad_cursor", "start_over")
	}
	rows := whole.Rows
	whole.Rows = []Aged{}
	for _, a := range rows {
		wanted := a.State == ask.State || ask.State == "" && a.Advice != lifecycle.Nothing
		// The list is by name, then by id.
		if !wanted || len(after) > 0 && a.Name+"\x00"+string(a.Device) <= string(after) {
			continue
		}
		if len(whole.Rows) == ask.limit() {
			last := whole.Rows[len(whole.Rows)-1]
			whole.Next = base64.RawURLEncoding.EncodeToString([]byte(last.Name + "\x00" + string(last.Device)))
			break
		}
		whole.Rows = append(whole.Rows, a)
	}
	return whole, nil
}

func (s *Survey) lifecycle(ctx context.Context, tenant fleet.TenantID) (Lifecycle, error) {
	out := Lifecycle{At: s.Clock().UTC(), Tables: []Imported{}, Systems: []System{}}
	systems, states := map[string]*System{}, map[lifecycle.State]int{}
	err := s.DB.Snapshot(ctx, func(r store.Reads) error {
		rows, err := r.LifecycleTables(ctx, string(tenant))
		if err != nil {
			return fmt.Errorf("read lifecycle tables: %w", err)
		}
		for _, row := range rows {
			out.Tables = append(out.Tables, imported(row))
		}
		table, err := store.LifecycleTable(rows)
		if err != nil {
			return err
		}
		return eachPage(ctx, r, tenant, func(devices []device) error {
			for _, d := range devices {
				a := table.Assess(d.subject.Traits, out.At)
				states[a.State]++
				out.add(d, a, systems)
			}
			return nil
		})
	})
	for _, state := range lifecycle.States() {
		out.Counts = append(out.Counts, StateCount{state, states[state]})
	}
	for _, one := range systems {
		out.Systems = append(out.Systems, *one)
	}
	slices.SortFunc(out.Systems, func(a, b System) int {
		return cmp.Or(slices.Index(lifecycle.States(), a.State)-slices.Index(lifecycle.States(), b.State), -cmp.Compare(a.Devices, b.Devices), cmp.Compare(a.System, b.System))
	})
	slices.SortFunc(out.Rows, func(a, b Aged) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Device, b.Device)) })
	return out, err
}

func (l *Lifecycle) add(d device, a lifecycle.Assessment, systems map[string]*System) {
	name, day := a.Cycle.Name(), ""
	if a.State == lifecycle.Unknown {
		name = cmp.Or(d.OsName, d.subject.OS) // as the device says; empty: it said nothing
	} else if a.Ends.After(lifecycle.LongAgo) {
		day = a.Ends.AddDate(0, 0, -1).Format(time.DateOnly)
	}
	row := Aged{Device: d.id(), Name: d.Name, System: name, State: a.State, Advice: a.Advice, To: a.To}
	if !a.Reason.IsZero() {
		row.Reason = &a.Reason
	}
	if !a.Short.IsZero() {
		row.Short = &a.Short
	}
	l.Devices++
	l.Rows = append(l.Rows, row)
	key := string(a.State) + "\x00" + name + "\x00" + day
	if systems[key] == nil {
		systems[key] = &System{System: name, State: a.State, Day: day}
	}
	one := systems[key]
	one.Devices++
	switch a.Advice {
	case lifecycle.Upgrade:
		one.Upgrade++
		l.Upgrade++
	case lifecycle.Replace:
		one.Replace++
		l.Replace++
	}
	if row.Short != nil {
		one.Short++
		l.Short++
	}
}
