package survey

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/coverage"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/procedure"
	"patchring/internal/infra/store"
)

// PilotsAsk is what pilots are wanted for a procedure's ring.
type PilotsAsk struct {
	Procedure     string
	Ring          string // empty: R1, or the procedure's second ring
	Size          int    // 0: coverage.DefaultSize
	Include       []fleet.DeviceID
	Exclude       []fleet.DeviceID
	IncludeGroups []string
	ExcludeGroups []string
	PerDepartment int
	Day           string // YYYY-MM-DD; empty: when the ring opens next
	RareBelow     int    // 0: coverage.DefaultRare
	// Exactly measures these devices in place of choosing some; nil: choose.
	Exactly []fleet.DeviceID
}

// MaxPilots bounds a choice: what is larger is no pilot ring.
const MaxPilots = 1000

// Pilots is a choice with what it was made for.
type Pilots struct {
	Procedure string `json:"procedure"`
	Version   int64  `json:"version"`
	Ring      string `json:"ring"`
	Day       string `json:"day"` // the ring opens; whoever is away then is no pilot
	Size      int    `json:"size"`
	coverage.Proposal
}

// Pilots chooses devices for a ring, or measures those that somebody chose.
func (s *Survey) Pilots(ctx context.Context, tenant fleet.TenantID, ask PilotsAsk) (Pilots, error) {
	if err := ask.complete(); err != nil {
		return Pilots{}, err
	}
	out := Pilots{Size: ask.Size}
	f := coverage.NewFleet()
	var p procedure.Procedure
	err := s.DB.Snapshot(ctx, func(r store.Reads) error {
		row, err := r.LatestProcedure(ctx, string(tenant), ask.Procedure)
		if store.IsNone(err) {
			return fault.New(fault.NotFound, "what", "procedure", "name", ask.Procedure)
		}
		if err != nil {
			return fmt.Errorf("read procedure %s: %w", ask.Procedure, err)
		}
		if p, err = procedure.Parse(row.Name, []byte(row.Body)); err != nil {
			return fmt.Errorf("parse procedure %s version %d: %w", row.Name, row.Version, err)
		}
		ring, err := ringOf(p, ask.Ring)
		if err != nil {
			return err
		}
		out.Procedure, out.Version, out.Ring = row.Name, row.Version, p.Rings[ring].Name
		if out.Day = ask.Day; out.Day == "" {
			out.Day = opens(p, ring, s.Clock())
		}
		return s.candidates(ctx, r, tenant, p, ring, f)
	})
	if err != nil {
		return Pilots{}, err
	}
	want := coverage.Ask{
		Size: ask.Size, Include: ask.Include, Exclude: ask.Exclude, IncludeGroups: ask.IncludeGroups, ExcludeGroups: ask.ExcludeGroups,
		PerDepartment: ask.PerDepartment, Day: out.Day, SeenAfter: s.Clock().Add(-p.UnreachableAfter), RareBelow: ask.RareBelow,
	}
	if ask.Exactly != nil {
		out.Proposal = f.Measure(want, ask.Exactly)
	} else {
		out.Proposal = f.Propose(want)
	}
	return out, nil
}

func (a *PilotsAsk) complete() error {
	if a.Size == 0 {
		a.Size = coverage.DefaultSize
	}
	if a.RareBelow == 0 {
		a.RareBelow = coverage.DefaultRare
	}
	switch {
	case a.Procedure == "":
		return invalid("procedure", "empty", "")
	case a.Size < 0 || a.Size > MaxPilots:
		return invalid("size", "not_a_number", "1-"+number(MaxPilots))
	case len(a.Exactly) > MaxPilots:
		return invalid("devices", "too_many", number(MaxPilots))
	case a.PerDepartment < 0:
		return invalid("per_department", "not_a_number", "1-"+number(MaxPilots))
	case a.RareBelow < 0:
		return invalid("rare_below", "not_a_number", number(coverage.DefaultRare))
	}
	if a.Day != "" {
		if _, err := time.Parse(time.DateOnly, a.Day); err != nil {
			return invalid("day", "not_a_date", "2026-01-31")
		}
	}
	return nil
}

// ringOf is the ring that pilots are wanted for.
func ringOf(p procedure.Procedure, name string) (int, error) {
	var names []string
	for i, r := range p.Rings {
		if r.Name == name || name == "" && r.Name == "R1" {
			return i, nil
		}
		names = append(names, r.Name)
	}
	if name != "" {
		return 0, invalid("ring", "not_a_choice", choices(names))
	}
	return min(1, len(p.Rings)-1), nil
}

// opens is the day on which the ring opens next.
func opens(p procedure.Procedure, ring int, now time.Time) string {
	year, month, _ := now.In(p.Zone).Date()
	// A ring may open in the month after its campaign's: the one before may
	// still be ahead.
	for m := -1; ; m++ {
		first := time.Date(year, month+time.Month(m), 1, 12, 0, 0, 0, p.Zone)
		at := p.Schedule(first.Year(), first.Month()).Rings[ring].Opens
		if at.After(now) {
			return calendar.DateOf(at, p.Zone).String()
		}
	}
}

// candidates adds every device of the procedure's perimeter.
func (s *Survey) candidates(ctx context.Context, r store.Reads, tenant fleet.TenantID, p procedure.Procedure, ring int, f *coverage.Fleet) error {
	cache := s.inventoriesOf(tenant)
	cache.mu.Lock() // one proposal of a tenant at a time: each reads its whole fleet
	defer cache.mu.Unlock()
	seen := make(map[string]bool, len(cache.of))
	err := eachPage(ctx, r, tenant, func(devices []device) error {
		devices = slices.DeleteFunc(devices, func(d device) bool { return !p.Covers(d.member()) })
		if err := cache.read(ctx, r, tenant, devices); err != nil {
			return err
		}
		for _, d := range devices {
			seen[d.ID] = true
			one := coverage.Of(d.id(), &d.subject)
			one.Seen = store.Instant(d.SeenUs)
			for i := range ring {
				if p.Rings[i].Members.Selects(d.member()) {
					one.Ring = p.Rings[i].Name
					break
				}
			}
			for _, name := range cache.of[d.ID].names {
				one.Features = append(one.Features, coverage.Feature{Kind: coverage.Software, Value: cache.names[name]})
			}
			f.Add(one)
		}
		return nil
	})
	if err == nil {
		cache.keep(seen)
	}
	return err
}

// inventories are the names installed on devices, each name once.
type inventories struct {
	mu    sync.Mutex // guards the rest
	names []string
	ids   map[string]int32
	of    map[string]inventory
}

type inventory struct {
	hash  string
	names []int32
}

func (s *Survey) inventoriesOf(tenant fleet.TenantID) *inventories {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.software[tenant] == nil {
		s.software[tenant] = &inventories{ids: map[string]int32{}, of: map[string]inventory{}}
	}
	return s.software[tenant]
}

// read brings the inventories of some devices up to date.
func (c *inventories) read(ctx context.Context, r store.Reads, tenant fleet.TenantID, devices []device) error {
	ids := make([]string, len(devices))
	for i, d := range devices {
		ids[i] = d.ID
	}
	fresh, err := r.Inventories(ctx, string(tenant), ids, func(device, hash string) bool { return c.of[device].hash == hash })
	if err != nil {
		return err
	}
	for device, of := range fresh {
		one := inventory{hash: of.Hash, names: make([]int32, 0, len(of.Names))}
		for _, name := range of.Names {
			id, known := c.ids[name]
			if !known {
				id = int32(len(c.names))
				c.ids[name], c.names = id, append(c.names, name)
			}
			one.names = append(one.names, id)
		}
		c.of[device] = one
	}
	return nil
}

// keep forgets devices that are gone.
func (c *inventories) keep(seen map[string]bool) {
	for id := range c.of {
		if !seen[id] {
			delete(c.of, id)
		}
	}
}
