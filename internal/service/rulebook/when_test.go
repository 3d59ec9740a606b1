package rulebook_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/policy"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/service/rulebook"
)

// tenants makes the desk's tenant one of two; the other has one server.
func (d *desk) tenants() {
	d.t.Helper()
	d.write(func(tx *store.Tx) error {
		return errors.Join(
			tx.AddTenant(d.t.Context(), gen.AddTenantParams{ID: string(tenant), Name: "Acme", CreatedUs: 1}),
			tx.AddTenant(d.t.Context(), gen.AddTenantParams{ID: "rival", Name: "Rival", CreatedUs: 2}),
			tx.AddDevice(d.t.Context(), gen.AddDeviceParams{Tenant: "rival", ID: "r-1", Name: "r-1", Kind: "server", EnrolledUs: 1, SeenUs: 1}))
	})
}

// entries of a kind in a tenant's register.
func (d *desk) entries(of fleet.TenantID, kind register.Kind) []register.Entry {
	d.t.Helper()
	rows, err := d.db.Read().RegisterEntriesFrom(d.t.Context(), gen.RegisterEntriesFromParams{Tenant: string(of), Max: 100})
	if err != nil {
		d.t.Fatal(err)
	}
	var out []register.Entry
	for _, row := range rows {
		var e register.Entry
		if err := json.Unmarshal(row.Body, &e); err != nil {
			d.t.Fatal(err)
		}
		if e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

const everywhere = `policy: msp
title: {fr: Tous, en: All}
owner: MSP
timezone: Europe/Paris
rules: [{name: no-kernel, patches: 'patch.name == "linux"', verdict: decline}]
freezes: [{name: year-end, devices: 'device.kind == "server"', from: 2026-12-20, to: 2027-01-03, reason: {fr: Fin, en: End}}]
limits: [{name: servers, devices: 'device.kind == "server"', at_most: 1}]
`

func TestAPolicyForAllTenants(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		d.tenants()
		diff, err := d.DiffForAll(t.Context(), "msp.yaml", []byte(everywhere))
		if err != nil || len(diff.Tenants) != 2 {
			t.Fatalf("diff %+v, %v", diff, err)
		}
		// acme: five devices lack the kernel; rival: its server gets a freeze.
		if a := diff.Tenants[0]; a.Tenant != tenant || a.Devices != 5 || a.Changed != 5 || len(a.Verdicts) != 1 || a.Verdicts[0].After.Rule != "global/no-kernel" {
			t.Errorf("acme would see %+v", a)
		}
		if r := diff.Tenants[1]; r.Tenant != "rival" || r.Devices != 1 || r.Changed != 1 || len(r.Settings) != 1 || !slices.Contains(r.Settings[0].Parts, policy.InFreezes) {
			t.Errorf("rival would see %+v", r)
		}
		if len(diff.Starved) != 1 || diff.Starved[0].Rule != "global/no-kernel" || diff.Starved[0].Versions != 3 {
			t.Errorf("starved %+v", diff.Starved)
		}
		if checked, err := d.CheckForAll(t.Context(), "msp.yaml", []byte(everywhere)); err != nil || !slices.Equal(checked.Starved, diff.Starved) {
			t.Errorf("checked %+v, %v", checked, err)
		}
		for range 2 {
			if got, err := d.ApplyForAll(t.Context(), register.User("msp"), "msp.yaml", []byte(everywhere)); err != nil || got.Version != 1 || d.changed != 1 {
				t.Fatalf("applied %+v, %v, changed %d times", got, err, d.changed)
			}
		}
		for _, of := range []fleet.TenantID{tenant, "rival"} {
			got := d.entries(of, register.PolicyForAll)
			if len(got) != 1 || got[0].Actor != "user:msp" || got[0].Detail["policy"] != "msp" {
				t.Errorf("the register of %s has %+v", of, got)
			}
			if own, err := d.List(t.Context(), of); err != nil || len(own) != 0 {
				t.Errorf("%s has versions of its own: %+v, %v", of, own, err)
			}
		}
		if shown, err := d.Show(t.Context(), rulebook.ForAll, 0); err != nil || shown.Body != everywhere || shown.By != "user:msp" {
			t.Errorf("shown %+v, %v", shown, err)
		}
		if s, err := d.OfDevice(t.Context(), "rival", "r-1"); err != nil || len(s.Freezes) != 1 || s.Freezes[0].Name != "year-end" {
			t.Errorf("rival's server %+v, %v", s, err)
		}
		if n, err := d.db.Read().CountLimit(t.Context(), gen.CountLimitParams{Tenant: "rival", Name: "servers"}); err != nil || n != 1 {
			t.Errorf("rival's server has no place under the limit: %v, %v", n, err)
		}
		// A tenant's own rule stands before the one for all.
		d.apply(head + "rules: [{name: kernel, patches: 'patch.name == \"linux\"', verdict: approve}]\n")
		s, err := d.OfDevice(t.Context(), tenant, "pc-1")
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range s.Verdicts {
			if v.Patch == keys()["linux"].ID() && v.Rule != "tenant/kernel" {
				t.Errorf("the kernel: %+v", v)
			}
		}
	})
}

func (d *desk) freeze(ask rulebook.PlaceFreeze) rulebook.PlacedFreeze {
	d.t.Helper()
	out, err := d.PlaceFreeze(d.t.Context(), tenant, register.User("claire"), ask)
	if err != nil {
		d.t.Fatal(err)
	}
	return out
}

func (d *desk) frozen(device fleet.DeviceID) string {
	d.t.Helper()
	s, err := d.OfDevice(d.t.Context(), tenant, device)
	if err != nil {
		d.t.Fatal(err)
	}
	if s.Frozen == nil {
		return ""
	}
	return s.Frozen.Name
}

func TestAFreezeByHand(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		d.tenants()
		d.apply(second)
		before := d.changed
		got := d.freeze(rulebook.PlaceFreeze{Devices: `device.kind == "server"`, To: "2026-01-15 06:00", Reason: "storm"})
		if got.Name != "freeze-2026-01-14" || got.Frozen != 2 || got.Devices != 5 || !got.From.Equal(d.now) || !got.Until.Equal(time.Date(2026, 1, 15, 6, 0, 0, 0, time.UTC)) {
			t.Errorf("placed %+v", got)
		}
		if d.changed != before+1 {
			t.Errorf("campaigns were told %d times, want once", d.changed-before)
		}
		if server, pc := d.frozen("srv-1"), d.frozen("pc-1"); server != got.Name || pc != "" {
			t.Errorf("server frozen by %q, workstation by %q", server, pc)
		}
		if next := d.freeze(rulebook.PlaceFreeze{To: "2026-01-14", Reason: "again"}); next.Name != "freeze-2026-01-14-2" || next.Frozen != 5 {
			t.Errorf("the second of the day %+v", next)
		}
		// The register and the list say who and why.
		placed := d.entries(tenant, register.FreezePlaced)
		if len(placed) != 2 || placed[0].Actor != "user:claire" || placed[0].Detail["why"] != "storm" || len(d.entries("rival", register.FreezePlaced)) != 0 {
			t.Errorf("registered %+v", placed)
		}
		if err := d.EndFreeze(t.Context(), tenant, register.User("bob"), rulebook.EndFreeze{Name: "freeze-2026-01-14", Reason: "over"}); err != nil {
			t.Fatal(err)
		}
		if by := d.frozen("srv-1"); by != "freeze-2026-01-14-2" {
			t.Errorf("after the end the server is frozen by %q", by)
		}
		list, err := d.Freezes(t.Context(), tenant, false)
		if err != nil || len(list) != 3 { // closing and easter of the policy, and the second
			t.Errorf("on or to come: %+v, %v", list, err)
		}
		past, err := d.Freezes(t.Context(), tenant, true)
		if err != nil || len(past) != 1 || past[0].State != rulebook.FreezeEnded || past[0].EndedBy != "user:bob" || past[0].EndedWhy != "over" || past[0].By != "user:claire" {
			t.Errorf("past: %+v, %v", past, err)
		}
		if ended := d.entries(tenant, register.FreezeEnded); len(ended) != 1 || ended[0].Detail["why"] != "over" {
			t.Errorf("registered %+v", ended)
		}
	})
}

func TestAFreezeForAllTenants(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		d.tenants()
		got := d.freeze(rulebook.PlaceFreeze{Name: "worm", To: "2026-01-16", Reason: "worm", ForAll: true})
		if got.Frozen != 6 || len(d.entries("rival", register.FreezePlaced)) != 1 {
			t.Errorf("placed %+v", got)
		}
		if s, err := d.OfDevice(t.Context(), "rival", "r-1"); err != nil || s.Frozen == nil || s.Frozen.Name != "worm" {
			t.Errorf("rival's server %+v, %v", s, err)
		}
		end := rulebook.EndFreeze{Name: "worm", Reason: "cleaned"}
		if err := d.EndFreeze(t.Context(), tenant, "user:x", end); fault.CodeOf(err) != fault.InvalidField {
			t.Errorf("a tenant ends what is for all: %v", err)
		}
		end.ForAll = true
		if err := d.EndFreeze(t.Context(), tenant, "user:x", end); err != nil || d.frozen("pc-1") != "" {
			t.Errorf("ended: %v, frozen by %q", err, d.frozen("pc-1"))
		}
	})
}

func TestFreezesThatAreRefused(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		d.apply(second)
		good := rulebook.PlaceFreeze{Name: "storm", To: "2026-01-15", Reason: "storm"}
		d.freeze(good)
		tests := map[string]struct {
			change func(*rulebook.PlaceFreeze)
			code   fault.Code
			field  string
		}{
			"a name by hand":       {func(*rulebook.PlaceFreeze) {}, fault.AlreadyExists, ""},
			"a name of the policy": {func(a *rulebook.PlaceFreeze) { a.Name = "easter" }, fault.AlreadyExists, ""},
			"no word":              {func(a *rulebook.PlaceFreeze) { a.Name = "No Word" }, fault.InvalidField, "name"},
			"no reason":            {func(a *rulebook.PlaceFreeze) { a.Name, a.Reason = "a", " " }, fault.InvalidField, "reason"},
			"no end":               {func(a *rulebook.PlaceFreeze) { a.Name, a.To = "a", "" }, fault.InvalidField, "to"},
			"an end that is past":  {func(a *rulebook.PlaceFreeze) { a.Name, a.To = "a", "2026-01-13" }, fault.InvalidField, "to"},
			"from yesterday":       {func(a *rulebook.PlaceFreeze) { a.Name, a.From = "a", "2026-01-13" }, fault.InvalidField, "from"},
			"the wrong way round":  {func(a *rulebook.PlaceFreeze) { a.Name, a.From = "a", "2026-02-13" }, fault.InvalidField, "to"},
			"a year":               {func(a *rulebook.PlaceFreeze) { a.Name, a.To = "a", "2027-01-13" }, fault.InvalidField, "to"},
			"no condition":         {func(a *rulebook.PlaceFreeze) { a.Name, a.Devices = "a", "device.colour == 1" }, fault.InvalidField, "devices"},
			"no date":              {func(a *rulebook.PlaceFreeze) { a.Name, a.To = "a", "tomorrow" }, fault.InvalidField, "to"},
		}
		for name, tt := range tests {
			ask := good
			tt.change(&ask)
			_, err := d.PlaceFreeze(t.Context(), tenant, "user:x", ask)
			var f *fault.Error
			if !errors.As(err, &f) || f.Code != tt.code || tt.field != "" && f.Args["field"] != tt.field {
				t.Errorf("%s: %v", name, err)
			}
		}
		// The other way round: a policy with the name of one that is on.
		_, err := d.Apply(t.Context(), tenant, "user:x", "p.yaml", []byte(head+"freezes: [{name: storm, from: 2026-03-01, to: 2026-03-02, reason: x}]\n"))
		if fault.CodeOf(err) != fault.AlreadyExists {
			t.Errorf("a policy that takes the name: %v", err)
		}
		for name, want := range map[string]fault.Code{"easter": fault.InvalidField, "nobody": fault.NotFound} {
			if err := d.EndFreeze(t.Context(), tenant, "user:x", rulebook.EndFreeze{Name: name, Reason: "x"}); fault.CodeOf(err) != want {
				t.Errorf("end %s: %v, want %s", name, err, want)
			}
		}
		d.now = d.now.AddDate(0, 0, 2)
		if err := d.EndFreeze(t.Context(), tenant, "user:x", rulebook.EndFreeze{Name: "storm", Reason: "x"}); fault.CodeOf(err) != fault.NothingToDo {
			t.Errorf("end what is over: %v", err)
		}
		if past, err := d.Freezes(t.Context(), tenant, true); err != nil || len(past) != 1 || past[0].State != rulebook.FreezeOver {
			t.Errorf("past %+v, %v", past, err)
		}
	})
}

func TestWindowsOfDevices(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		d.apply(second)
		d.freeze(rulebook.PlaceFreeze{Name: "storm", Devices: `device.kind == "server"`, From: "2026-01-15T23:00", To: "2026-01-16T02:00", Reason: "storm"})
		list, err := d.Windows(t.Context(), tenant, rulebook.WindowsAsk{From: "2026-01-14", To: "2026-01-16"})
		if err != nil || list.Devices != 5 || len(list.Alike) != 2 {
			t.Fatalf("windows %+v, %v", list, err)
		}
		none, servers := list.Alike[0], list.Alike[1]
		if none.Of != rulebook.OfNothing || none.Devices != 4 || len(none.Open) != 0 {
			t.Errorf("those without any window: %+v", none)
		}
		var got []string
		for _, o := range servers.Open {
			got = append(got, fmt.Sprint(o.Start.Format("02T15:04"), "–", o.End.Format("02T15:04"), o.Windows))
		}
		// 22:00 to 5:00 in Paris, an hour earlier in UTC; Friday has no window, and
		// the storm takes Thursday's night from 23:00 to 2:00 UTC.
		want := []string{"14T00:00–14T04:00[night]", "14T21:00–15T04:00[night]", "15T21:00–15T23:00[night]", "16T02:00–16T04:00[night]"}
		if servers.Of != rulebook.OfProfile || servers.Name != "servers" || servers.Devices != 1 || !slices.Equal(got, want) {
			t.Errorf("servers %s %s %v, want %v", servers.Of, servers.Name, got, want)
		}
		if len(servers.Freezes) != 1 || servers.Freezes[0].Name != "storm" || servers.Freezes[0].Origin != policy.FromHand {
			t.Errorf("freezes %+v", servers.Freezes)
		}
		if one, err := d.Windows(t.Context(), tenant, rulebook.WindowsAsk{Device: "srv-1"}); err != nil || one.Devices != 1 || one.Alike[0].Name != "servers" || !one.To.Equal(d.now.AddDate(0, 0, 14)) {
			t.Errorf("of one device %+v, %v", one, err)
		}
		if group, err := d.Windows(t.Context(), tenant, rulebook.WindowsAsk{Group: "pilots"}); err != nil || group.Devices != 1 || group.Alike[0].Examples[0] != "srv-2" {
			t.Errorf("of a group %+v, %v", group, err)
		}
		for name, ask := range map[string]rulebook.WindowsAsk{
			"nobody": {Device: "nobody"}, "no group": {Group: "nobody"}, "both": {Device: "srv-1", Group: "pilots"}, "backwards": {From: "2026-02-01", To: "2026-01-01"},
			"ten years": {To: "2036-01-01"}, "no date": {From: "soon"},
		} {
			if _, err := d.Windows(t.Context(), tenant, ask); fault.CodeOf(err) != fault.NotFound && fault.CodeOf(err) != fault.InvalidField {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
