package conductor

import (
	"context"
	"fmt"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/core/procedure"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// policies in force for a tenant: its own, the provider's, and the freezes that
// people placed by hand.
func (s scenes) policies(ctx context.Context, q *gen.Queries, tenant string, now time.Time) (out policy.Policies, err error) {
	if out.Provider, err = s.policy(ctx, q, store.Provider); err != nil {
		return out, err
	}
	if out.Tenant, err = s.policy(ctx, q, tenant); err != nil {
		return out, err
	}
	out.Hand, err = s.byHand(ctx, q, tenant, now)
	return out, err
}

// byHand are the freezes that are on or to come. A name is never used again, so
// the same names are the same freezes.
func (s scenes) byHand(ctx context.Context, q *gen.Queries, tenant string, now time.Time) (*policy.Policy, error) {
	rows, err := q.FreezesOpen(ctx, tenant, now.UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("read freezes placed by hand: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	key := "hand"
	for _, f := range rows {
		key += "\x00" + f.Tenant + "/" + f.Name
	}
	s.mu.Lock()
	known, ok := s.policiesOf[key]
	s.mu.Unlock()
	if ok {
		return known, nil
	}
	p, err := policy.ByHand(store.HandFreezes(rows))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.policiesOf[key] = p
	s.mu.Unlock()
	return p, nil
}

func (s scenes) policy(ctx context.Context, q *gen.Queries, tenant string) (*policy.Policy, error) {
	version, err := q.PolicyHead(ctx, tenant)
	if err != nil {
		return nil, fmt.Errorf("read the policy's version: %w", err)
	}
	if version == 0 {
		return nil, nil
	}
	key := fmt.Sprintf("%s\x00%d", tenant, version)
	s.mu.Lock()
	known, ok := s.policiesOf[key]
	s.mu.Unlock()
	if ok {
		return known, nil
	}
	row, err := q.PolicyVersion(ctx, tenant, version)
	if err != nil {
		return nil, fmt.Errorf("read policy version %d: %w", version, err)
	}
	p, err := policy.Parse(row.Name, []byte(row.Body))
	if err != nil {
		return nil, fmt.Errorf("parse policy %s version %d: %w", row.Name, version, err)
	}
	s.mu.Lock()
	s.policiesOf[key] = &p
	s.mu.Unlock()
	return &p, nil
}

// devicePlace is what decides on when devices may act: those of one place have
// the same windows.
type devicePlace struct {
	rules procedure.RuleSet
	match policy.Match
}

// openings are the intervals in which devices of a place may act from now on,
// and what freezes them now.
type openings struct {
	windows []calendar.Interval
	frozen  fault.Reason
}

// openingsFor works them out once for all devices of a place. A freeze stands
// above every window, also those given with the campaign.
func (s *scene) openingsFor(m fleet.Member, match policy.Match, now time.Time) openings {
	at := devicePlace{s.procedure.RulesFor(m), match}
	cached, ok := s.cache[at]
	if !ok {
		cached = s.openingsAt(at, now)
		s.cache[at] = cached
	}
	return cached
}

func (s *scene) openingsAt(at devicePlace, now time.Time) openings {
	settings := s.settings(at.match)
	if s.windows != nil {
		return openings{settings.WindowsIn(clip(s.windows, now)), campaign.FrozenBy(settings, now)}
	}
	if all, open := s.openNow(now); open {
		return openings{settings.WindowsIn(all), campaign.FrozenBy(settings, now)}
	}
	windows, frozen := campaign.Openings(s.procedure, at.rules, settings, now)
	return openings{windows, frozen}
}

// settings of the devices of a match, as they hold in this campaign. They are
// worked out once: most of a fleet has a few matches.
func (s *scene) settings(match policy.Match) policy.Settings {
	settings, known := s.settingsOf[match]
	if known {
		return settings
	}
	if settings = s.rules.Policies.Settings(match); s.throughFreeze() {
		settings = settings.Unfrozen()
	}
	s.settingsOf[match] = settings
	return settings
}

// reboots by the device's profile, else by the procedure.
func (s *scene) reboots(settings policy.Settings, terms campaign.Terms, now time.Time) campaign.Restarts {
	if s.rebootsAtOnce(settings, now) {
		return campaign.Restarts{Mode: wire.RebootIfNeeded}
	}
	return campaign.RestartsOf(settings, terms, now)
}

// restartMode is the mode of reboots without their windows, which are dear: it
// is asked of every device.
func (s *scene) restartMode(settings policy.Settings, now time.Time) wire.RebootMode {
	switch {
	case s.rebootsAtOnce(settings, now):
		return wire.RebootIfNeeded
	case settings.Reboot != nil:
		return wire.RebootMode(settings.Reboot.Mode)
	default:
		return wire.RebootMode(s.procedure.Reboot)
	}
}

// rebootsAtOnce: a compressed campaign is a rehearsal of minutes; it does not
// wait for a Sunday night.
func (s *scene) rebootsAtOnce(settings policy.Settings, now time.Time) bool {
	_, open := s.openNow(now)
	return open && settings.Reboot != nil && settings.Reboot.Mode == policy.RebootInWindow
}

// holdersAtOnce is how many devices are read together for their matches.
const holdersAtOnce = 500

// holders are, by patch, the sorts of devices of the campaign that miss it: one
// for each match, exposed since the first of them.
func (c *Conductor) holders(ctx context.Context, tx *store.Tx, s *scene) (map[patch.ID][]policy.Holder, error) {
	out := map[patch.ID][]policy.Holder{}
	if !s.rules.Policies.AskDevices() {
		return out, nil
	}
	after := ""
	for {
		ids, err := tx.MembersAfter(ctx, gen.MembersAfterParams{Tenant: s.row.Tenant, Campaign: s.row.ID, Device: after, Max: holdersAtOnce})
		if err != nil {
			return nil, fmt.Errorf("read members: %w", err)
		}
		if len(ids) == 0 {
			return out, nil
		}
		if err := s.addHolders(ctx, tx, ids, c.Clock(), out); err != nil {
			return nil, err
		}
		after = ids[len(ids)-1]
	}
}

func (s *scene) addHolders(ctx context.Context, tx *store.Tx, ids []string, now time.Time, out map[patch.ID][]policy.Holder) error {
	batch, err := tx.Batch(ctx, s.row.Tenant, ids)
	if err != nil {
		return err
	}
	if err := s.readSoftware(ctx, tx.Reads, &batch); err != nil {
		return err
	}
	for _, id := range ids {
		match, err := s.match(batch, id, now)
		if err != nil {
			return err
		}
		for _, m := range batch.Missing[id] {
			add(out, patch.ID(m.Patch), policy.Holder{Match: match, Exposed: store.Instant(m.ExposedUs)})
		}
	}
	return nil
}

func add(out map[patch.ID][]policy.Holder, id patch.ID, h policy.Holder) {
	for i, known := range out[id] {
		if known.Match == h.Match {
			if h.Exposed.Before(known.Exposed) {
				out[id][i].Exposed = h.Exposed
			}
			return
		}
	}
	out[id] = append(out[id], h)
}

// readSoftware completes a batch where a condition asks for software.
func (s *scene) readSoftware(ctx context.Context, r store.Reads, batch *store.Batch) (err error) {
	if !s.rules.Policies.AskSoftware() {
		return nil
	}
	batch.Software, err = r.Software(ctx, s.row.Tenant, batch.IDs())
	return err
}

// match is which conditions the device fits now.
func (s *scene) match(batch store.Batch, id string, now time.Time) (policy.Match, error) {
	if !s.rules.Policies.AskDevices() {
		return "", nil
	}
	d, err := store.Subject(batch.Devices[id], batch.Groups[id], batch.Traits[id], batch.Software[id])
	if err != nil {
		return "", err
	}
	return s.rules.Policies.Match(&d, now), nil
}
