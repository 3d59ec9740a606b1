package rulebook_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/manifest"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/store/storetest"
	"patchring/internal/service/rulebook"
	"patchring/wire"
)

const tenant = fleet.TenantID("acme")

// desk is a rulebook over a small fleet: three workstations, of which one is
// finance's and one has an old driver, and two servers of one cluster. Each
// lacks the same four patches.
type desk struct {
	*rulebook.Rulebook
	t       *testing.T
	db      *store.DB
	now     time.Time
	changed int
}

func newDesk(t *testing.T, db *store.DB) *desk {
	t.Helper()
	d := &desk{t: t, db: db, now: time.Date(2026, 1, 14, 9, 0, 0, 0, time.UTC)}
	d.Rulebook = rulebook.New(rulebook.Options{DB: db, Clock: func() time.Time { return d.now }, Changed: func() { d.changed++ }})
	d.write(func(tx *store.Tx) error {
		if err := d.patches(tx); err != nil {
			return err
		}
		return errors.Join(
			d.device(tx, "pc-1", "workstation", nil, nil),
			d.device(tx, "pc-2", "workstation", fleet.Tags{"department": "finance"}, nil),
			d.device(tx, "pc-3", "workstation", nil, map[string]string{"nvidia-driver": "535"}),
			d.device(tx, "srv-1", "server", fleet.Tags{"cluster": "sql"}, nil),
			d.device(tx, "srv-2", "server", fleet.Tags{"cluster": "sql"}, nil),
			tx.AddGroup(t.Context(), gen.AddGroupParams{Tenant: string(tenant), Name: "pilots", CreatedUs: 1}),
			tx.AddGroupMember(t.Context(), gen.AddGroupMemberParams{Tenant: string(tenant), Device: "srv-2", GroupName: "pilots"}))
	})
	return d
}

func each(t *testing.T, f func(*testing.T, *desk)) {
	storetest.Each(t, func(t *testing.T, db *store.DB) { f(t, newDesk(t, db)) })
}

func (d *desk) write(f func(*store.Tx) error) {
	d.t.Helper()
	if err := d.db.Write(d.t.Context(), f); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) days(n int) time.Time { return d.now.AddDate(0, 0, -n) }

// keys are the patches that every device lacks: the kernel since 20 days, in a
// chain of three versions, the others since 5.
func keys() map[string]patch.Key {
	key := func(name, version string) patch.Key {
		return patch.Key{Provider: "apt", Name: name, Version: version, Suite: "bookworm-security"}
	}
	return map[string]patch.Key{"openssl": key("openssl", "3.0.22"), "linux": key("linux", "6.1.3"), "vim": key("vim", "9.1")}
}

var classOf = map[string]patch.Class{"openssl": patch.Security, "linux": patch.Security, "vim": patch.Quality}

func (d *desk) patches(tx *store.Tx) error {
	put := func(k patch.Key, class patch.Class, seen time.Time) error {
		_, err := tx.PutPatch(d.t.Context(), gen.PutPatchParams{Tenant: string(tenant), ID: string(k.ID()), Provider: k.Provider, Name: k.Name,
			Version: k.Version, Suite: k.Suite, Class: string(class), FirstSeenUs: seen.UnixMicro()})
		return err
	}
	for name, k := range keys() {
		if err := put(k, classOf[name], d.days(5)); err != nil {
			return err
		}
	}
	older := keys()["linux"]
	for i, version := range []string{"6.1.1", "6.1.2"} {
		older.Version = version
		if err := put(older, patch.Security, d.days(20-7*i)); err != nil {
			return err
		}
	}
	return nil
}

func (d *desk) device(tx *store.Tx, name, kind string, tags fleet.Tags, software map[string]string) error {
	ctx := d.t.Context()
	written, err := json.Marshal(tags)
	if err != nil {
		return err
	}
	inventory := wire.Inventory{}
	for n, v := range software {
		inventory.Software = append(inventory.Software, wire.Package{Name: n, Version: v})
	}
	part, err := wire.Pack(wire.PartInventory, 1, inventory)
	if err != nil {
		return err
	}
	errs := []error{
		tx.AddDevice(ctx, gen.AddDeviceParams{Tenant: string(tenant), ID: name, Name: name, Kind: kind, Tags: string(written), EnrolledUs: 1, SeenUs: 1}),
		tx.PutDevicePart(ctx, gen.PutDevicePartParams{Tenant: string(tenant), Device: name, Name: string(part.Name), Hash: part.Hash, Body: part.Gzip, AtUs: 1}),
	}
	for n, k := range keys() {
		since := d.days(5)
		if n == "linux" {
			since = d.days(20)
		}
		errs = append(errs, tx.PutMissing(ctx, gen.PutMissingParams{Tenant: string(tenant), Device: name, Patch: string(k.ID()), State: wire.PatchOffered,
			Packages: "[]", SinceUs: d.days(5).UnixMicro(), ExposedUs: since.UnixMicro()}))
	}
	return errors.Join(errs...)
}

const head = `policy: fleet
title: {fr: Parc, en: Fleet}
owner: Exploitation
timezone: Europe/Paris
`

const first = head + `rules:
  - {name: security, patches: 'patch.class == "security"', verdict: approve}
  - {name: quality, patches: 'patch.class == "quality"', verdict: delay 7d}
profiles:
  - name: servers
    title: {fr: Serveurs, en: Servers}
    devices: device.kind == "server"
    rules: [{name: slow, patches: 'patch.name == "linux"', verdict: delay 30d}]
    windows: [{name: night, days: [mon, tue, wed, thu], start: "23:00", end: "05:00"}]
`

// second declines the kernel on finance's desks, guards old drivers, lets the
// pilots out of the servers and moves the night.
const second = head + `rules:
  - {name: security, patches: 'patch.class == "security"', verdict: approve}
  - {name: quality, patches: 'patch.class == "quality"', verdict: delay 7d}
profiles:
  - name: servers
    title: {fr: Serveurs, en: Servers}
    devices: device.kind == "server" && !("pilots" in device.groups)
    rules: [{name: slow, patches: 'patch.name == "linux"', verdict: delay 30d}]
    windows: [{name: night, days: [mon, tue, wed, thu], start: "22:00", end: "05:00"}]
  - name: finance
    title: {fr: Finances, en: Finance}
    devices: device.department == "finance"
    rules: [{name: no-kernel, patches: 'patch.name == "linux"', verdict: decline}]
freezes:
  - {name: closing, devices: 'device.department == "finance"', from: 2026-01-10, to: 2026-01-31, reason: {fr: Clôture, en: Closing}}
  - {name: easter, devices: 'device.department == "finance"', from: 2026-04-03, to: 2026-04-06, reason: {fr: Pâques, en: Easter}}
safeguards:
  - {name: black, devices: 'older(device.software["nvidia-driver"], "550")', patches: patch.name == "linux", reason: {fr: écran noir, en: black screen}}
limits:
  - {name: sql, devices: 'device.tags.cluster == "sql"', at_most: 1}
`

func (d *desk) apply(text string) rulebook.AppliedPolicy {
	d.t.Helper()
	out, err := d.Apply(d.t.Context(), tenant, register.User("claire"), "fleet.yaml", []byte(text))
	if err != nil {
		d.t.Fatal(err)
	}
	return out
}

func (d *desk) diff(text string) rulebook.Diff {
	d.t.Helper()
	out, err := d.Diff(d.t.Context(), tenant, "fleet.yaml", []byte(text))
	if err != nil {
		d.t.Fatal(err)
	}
	return out
}

func TestVersionsOfAPolicy(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		if _, err := d.Show(t.Context(), tenant, 0); !errors.Is(err, fault.New(fault.NotFound)) {
			t.Errorf("show without any: %v", err)
		}
		if got := d.apply(first); got.Version != 1 || got.Unchanged || d.changed != 1 {
			t.Errorf("first: %+v, changed %d times", got, d.changed)
		}
		d.now = d.now.Add(time.Hour)
		if got := d.apply(first); got.Version != 1 || !got.Unchanged || d.changed != 1 {
			t.Errorf("the same text: %+v, changed %d times", got, d.changed)
		}
		if got := d.apply(second); got.Version != 2 || got.Unchanged || d.changed != 2 {
			t.Errorf("second: %+v, changed %d times", got, d.changed)
		}
		if got := d.apply(first); got.Version != 3 {
			t.Errorf("back to the first: %+v, want a version of its own", got)
		}
		list, err := d.List(t.Context(), tenant)
		if err != nil || len(list) != 3 || list[0].Version != 3 || list[2].Version != 1 || list[0].By != "user:claire" || list[0].SHA256 != list[2].SHA256 {
			t.Errorf("versions %+v, %v", list, err)
		}
		if list, err := d.List(t.Context(), "other"); err != nil || len(list) != 0 {
			t.Errorf("another tenant sees %+v, %v", list, err)
		}
		for version, want := range map[int64]string{0: first, 1: first, 2: second} {
			got, err := d.Show(t.Context(), tenant, version)
			if err != nil || got.Body != want {
				t.Errorf("version %d: %v\n%s", version, err, got.Body)
			}
		}
		if _, err := d.Show(t.Context(), tenant, 9); !errors.Is(err, fault.New(fault.NotFound)) {
			t.Errorf("version 9: %v", err)
		}
		d.wantEntries(1, 2, 3)
	})
}

// wantEntries wants the register to hold these versions, and no more.
func (d *desk) wantEntries(versions ...float64) {
	d.t.Helper()
	rows, err := d.db.Read().RegisterEntriesFrom(d.t.Context(), gen.RegisterEntriesFromParams{Tenant: string(tenant), Max: 100})
	if err != nil {
		d.t.Fatal(err)
	}
	var got []float64
	for _, row := range rows {
		var entry register.Entry
		if err := json.Unmarshal(row.Body, &entry); err != nil {
			d.t.Fatal(err)
		}
		if entry.Kind == register.PolicyApplied && entry.Actor == "user:claire" {
			version, _ := entry.Detail["version"].(float64)
			got = append(got, version)
		}
	}
	if !slices.Equal(got, versions) {
		d.t.Errorf("the register has versions %v, want %v", got, versions)
	}
}

func TestAPolicyWithAProblemChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		var problems *manifest.Error
		if _, err := d.Apply(t.Context(), tenant, register.User("claire"), "fleet.yaml", []byte(head+"colour: red\n")); !errors.As(err, &problems) || len(problems.Problems) != 1 {
			t.Errorf("apply: %v", err)
		}
		if _, err := d.Check(t.Context(), tenant, "fleet.yaml", []byte(head+"colour: red\n")); !errors.As(err, &problems) {
			t.Errorf("check: %v", err)
		}
		if _, err := d.Diff(t.Context(), tenant, "fleet.yaml", []byte(head+"colour: red\n")); !errors.As(err, &problems) {
			t.Errorf("diff: %v", err)
		}
		if list, err := d.List(t.Context(), tenant); err != nil || len(list) != 0 || d.changed != 0 {
			t.Errorf("kept %+v, %v, changed %d times", list, err, d.changed)
		}
		d.wantEntries()
	})
}

func TestDiffSaysWhoGetsWhatByWhichRule(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		d.apply(first)
		if got := d.diff(first); got.Changed != 0 || len(got.Verdicts)+len(got.Settings) != 0 || got.Devices != 5 {
			t.Errorf("the policy in force changes %+v", got)
		}
		got := d.diff(second)
		if got.Devices != 5 || got.Changed != 4 {
			t.Errorf("%d of %d devices change, want 4 of 5: all but pc-1", got.Changed, got.Devices)
		}
		slow, approved := "profile:servers/slow", "tenant/security"
		wantMoved(t, got, "pc-2", policy.Approved, approved, policy.Declined, "profile:finance/no-kernel", "")
		wantMoved(t, got, "pc-3", policy.Approved, approved, policy.Approved, approved, "black")
		wantMoved(t, got, "srv-2", policy.Delayed, slow, policy.Approved, approved, "")
		if len(got.Verdicts) != 3 {
			t.Errorf("verdicts %+v, want three", got.Verdicts)
		}
		for _, m := range got.Verdicts {
			if m.Before.Rule == slow && !m.Before.Until.Equal(d.days(-10)) {
				t.Errorf("the delay ended %s, want 30 days from the first exposure, %s", m.Before.Until, d.days(-10))
			}
		}
		wantSettings(t, got, "pc-2", []policy.Part{policy.InProfiles, policy.InFreezes}, nil, []string{"finance"})
		wantSettings(t, got, "srv-1", []policy.Part{policy.InWindows, policy.InLimits}, []string{"servers"}, []string{"servers"})
		wantSettings(t, got, "srv-2", []policy.Part{policy.InProfiles, policy.InWindows, policy.InLimits}, []string{"servers"}, nil)
		if len(got.Settings) != 3 {
			t.Errorf("settings %+v, want three", got.Settings)
		}
		if list, err := d.List(t.Context(), tenant); err != nil || len(list) != 1 {
			t.Errorf("a dry run left versions %+v, %v", list, err)
		}
	})
}

func wantMoved(t *testing.T, d rulebook.Diff, device string, before policy.Verdict, ruleBefore string, after policy.Verdict, ruleAfter, guard string) {
	t.Helper()
	for _, m := range d.Verdicts {
		if slices.Contains(m.Examples, device) {
			b := m.Before.Verdict == before && m.Before.Rule == ruleBefore
			if a := m.After.Verdict == after && m.After.Rule == ruleAfter && m.After.Safeguard == guard; !a || !b || m.Name != "linux" || m.Devices != 1 {
				t.Errorf("%s: %+v", device, m)
			}
			return
		}
	}
	t.Errorf("%s: no verdict changes", device)
}

func wantSettings(t *testing.T, d rulebook.Diff, device string, parts []policy.Part, before, after []string) {
	t.Helper()
	for _, s := range d.Settings {
		if slices.Contains(s.Examples, device) {
			if !slices.Equal(s.Parts, parts) || !slices.Equal(s.Before, before) || !slices.Equal(s.After, after) {
				t.Errorf("%s: %+v", device, s)
			}
			return
		}
	}
	t.Errorf("%s: no setting changes", device)
}

// What a person decided stands before every policy: no change of policy moves it.
func TestDiffLeavesWhatPeopleDecided(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		d.apply(first)
		d.write(func(tx *store.Tx) error {
			return tx.PutDecision(t.Context(), gen.PutDecisionParams{Tenant: string(tenant), Scope: string(policy.ScopeOfName("apt", "linux")),
				Verdict: string(policy.Approved), Reason: "incident", Actor: "user:claire", AtUs: 1})
		})
		for _, m := range d.diff(second).Verdicts {
			if m.After.Safeguard == "" {
				t.Errorf("%+v changes, though it was decided by hand", m)
			}
		}
	})
}

// A delay ends on another day for each device; what is told is from when to when.
func TestDiffTellsTheWholeRangeOfADelay(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		vim := keys()["vim"]
		d.write(func(tx *store.Tx) error {
			return errors.Join(
				tx.AddDevice(t.Context(), gen.AddDeviceParams{Tenant: string(tenant), ID: "pc-0", Name: "pc-0", Kind: "workstation", EnrolledUs: 1, SeenUs: 1}),
				tx.PutMissing(t.Context(), gen.PutMissingParams{Tenant: string(tenant), Device: "pc-0", Patch: string(vim.ID()), State: wire.PatchOffered,
					Packages: "[]", SinceUs: d.days(5).UnixMicro(), ExposedUs: d.days(6).UnixMicro()}))
		})
		for _, m := range d.diff(first).Verdicts {
			if m.Name == "vim" {
				if m.Devices != 6 || !m.After.Until.Equal(d.days(-1)) || !m.After.UntilLast.Equal(d.days(-2)) {
					t.Errorf("%d devices until %s to %s, want 6 until %s to %s", m.Devices, m.After.Until, m.After.UntilLast, d.days(-1), d.days(-2))
				}
				return
			}
		}
		t.Error("vim is not delayed")
	})
}

func TestCheckSaysWhatWouldNeverHaveBeenLetThrough(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		got, err := d.Check(t.Context(), tenant, "fleet.yaml", []byte(second))
		if err != nil {
			t.Fatal(err)
		}
		want := policy.Starved{Provider: "apt", Name: "linux", Suite: "bookworm-security", Versions: 3, Rule: "profile:finance/no-kernel"}
		if !slices.Contains(got.Starved, want) {
			t.Errorf("starved %+v, want %+v among them", got.Starved, want)
		}
		// The profile chooses nobody any more once finance is gone.
		d.write(func(tx *store.Tx) error {
			_, err := tx.RetireDevice(t.Context(), gen.RetireDeviceParams{Tenant: string(tenant), ID: "pc-2", RetiredUs: 2})
			return err
		})
		if got, err = d.Check(t.Context(), tenant, "fleet.yaml", []byte(second)); err != nil || slices.Contains(got.Starved, want) {
			t.Errorf("starved without any device of finance: %+v, %v", got.Starved, err)
		}
	})
}

func TestOfADevice(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		d.apply(second)
		finance, err := d.OfDevice(t.Context(), tenant, "pc-2")
		if err != nil || len(finance.Profiles) != 1 || finance.Profiles[0].Title.FR != "Finances" || len(finance.Windows) != 0 {
			t.Errorf("finance stands %+v, %v", finance, err)
		}
		paris := time.FixedZone("CET", 3600)
		if f := finance.Frozen; f == nil || f.Name != "closing" || !f.Until.Equal(time.Date(2026, 2, 1, 0, 0, 0, 0, paris)) {
			t.Errorf("frozen by %+v", f)
		}
		if len(finance.Freezes) != 1 || finance.Freezes[0].Name != "easter" {
			t.Errorf("freezes to come %+v", finance.Freezes)
		}
		server, err := d.OfDevice(t.Context(), tenant, "srv-1")
		if err != nil || server.Frozen != nil || !slices.Equal(server.Limits, []string{"sql"}) {
			t.Errorf("the server stands %+v, %v", server, err)
		}
		opens := time.Date(2026, 1, 14, 22, 0, 0, 0, paris)
		if w := server.Windows; len(w) != 1 || w[0].Window != "night" || !w[0].Start.Equal(opens) || !w[0].End.Equal(opens.Add(7*time.Hour)) {
			t.Errorf("windows %+v, want the night from %s", w, opens)
		}
		said := map[patch.ID]rulebook.Said{}
		for _, v := range server.Verdicts {
			said[v.Patch] = v.Said
		}
		if v := said[keys()["linux"].ID()]; len(said) != 3 || v.Verdict != policy.Delayed || v.Rule != "profile:servers/slow" || !v.Until.Equal(d.days(-10)) {
			t.Errorf("of %d patches the kernel is %+v", len(said), v)
		}
		if _, err := d.OfDevice(t.Context(), tenant, "nobody"); !errors.Is(err, fault.New(fault.NotFound)) {
			t.Errorf("nobody: %v", err)
		}
	})
}

func TestOfAPatch(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		d.apply(second)
		got, err := d.OfPatch(t.Context(), tenant, keys()["linux"].ID())
		if err != nil {
			t.Fatal(err)
		}
		var rules []string
		for _, r := range got.Rules {
			rules = append(rules, r.Rule)
		}
		if want := []string{"profile:servers/slow", "profile:finance/no-kernel", "tenant/security"}; !slices.Equal(rules, want) {
			t.Errorf("rules %v, want %v", rules, want)
		}
		if r := got.Rules[0]; r.Profile == nil || r.Profile.Title.FR != "Serveurs" || r.DelayS != 30*24*3600 || r.Verdict != policy.Delayed {
			t.Errorf("the first is %+v", r)
		}
		if len(got.Safeguards) != 1 || got.Safeguards[0].Name != "black" {
			t.Errorf("safeguards %+v", got.Safeguards)
		}
		if got, err := d.OfPatch(t.Context(), tenant, keys()["openssl"].ID()); err != nil || len(got.Rules) != 1 || len(got.Safeguards) != 0 {
			t.Errorf("openssl: %+v, %v", got, err)
		}
	})
}
