package server_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fleet"
	"patchring/internal/core/rehearsal"
	"patchring/internal/infra/store/gen"
	"patchring/internal/service/foresight"
)

// rehearse plays January on what is recorded now, on devices that install in an
// instant, as those of this world do.
func (w *world) rehearse() foresight.Rehearsal {
	w.t.Helper()
	f := foresight.New(foresight.Options{
		DB: w.srv.DB, Clock: func() time.Time { return w.now }, Rules: w.srv.Conductor.Rules, Pace: &rehearsal.Pace{},
	})
	out, err := f.Rehearse(w.t.Context(), "main", foresight.Ask{Procedure: "test", Month: "2026-01", Fates: rehearsal.FateQuery{Limit: 500}})
	w.must(err)
	return out
}

// TestARehearsalForetellsWhatHappens rehearses random small fleets under random
// policies, then lets the whole server live the same month, every gate signed
// as soon as it can be, and compares day by day what each device did.
func TestARehearsalForetellsWhatHappens(t *testing.T) {
	seeds := 4
	if n, err := strconv.Atoi(os.Getenv("PATCHRING_SEEDS")); err == nil {
		seeds = n
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			foretold(t, rand.New(rand.NewPCG(uint64(seed), 7)))
		})
	}
}

func foretold(t *testing.T, random *rand.Rand) {
	w := newWorld(t, time.Date(2026, 1, 5, 9, 0, 0, 0, paris))
	w.someFleet(random)
	text := somePolicy(random)
	w.policy(text)
	w.until(time.Date(2026, 1, 12, 9, 0, 0, 0, paris), 24*time.Hour)
	w.ask(func() error {
		_, err := w.srv.Conductor.ApplyProcedure(t.Context(), "main", w.by, "test.yaml", []byte(procedureText))
		return err
	})
	told := w.rehearse()
	c := w.campaign(t, "2026-01")
	verification := told.Verification
	w.live(c, verification)
	buckets := w.buckets(c)
	w.live(c, verification.Add(3*24*time.Hour))
	for _, f := range told.Fates {
		d := w.devices[f.Name]
		want, got := day(f.Starts), "never"
		if f.Starts.After(w.now) {
			want = "never"
		}
		if len(d.installs) > 0 {
			got = day(d.installs[0].at)
		}
		if got != want {
			t.Errorf("%s installed first on %s, the rehearsal said %s (%s); policy:\n%s", f.Name, got, want, f.Reason, text)
		}
		if want, got = day(f.Ends), "never"; len(d.installs) > 0 {
			got = day(d.installs[len(d.installs)-1].at)
		}
		if got != want && f.Ends.Before(w.now) {
			t.Errorf("%s installed last on %s, the rehearsal said %s", f.Name, got, want)
		}
		if buckets[f.Device] != f.Bucket {
			t.Errorf("%s is %s at the verification, the rehearsal said %s (%s)", f.Name, buckets[f.Device], f.Bucket, f.Reason)
		}
	}
	for _, r := range told.Rings {
		row := w.ring(c, 0, r.Name)
		if opened := time.UnixMicro(row.OpenedUs); (row.OpenedUs == 0) != r.Opens.IsZero() || row.OpenedUs > 0 && opened.Sub(r.Opens).Abs() > 2*time.Hour {
			t.Errorf("%s opened at %s (state %s), the rehearsal said %s", r.Name, opened.In(paris), row.State, r.Opens.In(paris))
		}
	}
}

func day(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return at.In(paris).Format(time.DateOnly)
}

// live lets days pass, in short steps while a window may be open, and signs
// whatever waits for a signature.
func (w *world) live(c campaign.ID, end time.Time) {
	w.t.Helper()
	for w.now.Before(end) {
		step := time.Hour
		if hour := w.now.In(paris).Hour(); hour >= 19 && hour < 23 || hour >= 1 && hour < 4 {
			step = 10 * time.Minute
		}
		next := w.now.Truncate(step).Add(step)
		if next.After(end) {
			next = end
		}
		w.until(next, step)
		for _, ring := range []struct {
			name, role string
			tests      int
		}{{"R0", "it", 1}, {"R1", "business", 0}} {
			if row := w.ring(c, 0, ring.name); row.State == "gate" && row.Verdict != "pass" {
				w.sign(c, ring.name, ring.role, ring.tests)
				w.settle()
			}
		}
	}
}

func (w *world) buckets(c campaign.ID) map[fleet.DeviceID]campaign.Bucket {
	w.t.Helper()
	out := map[fleet.DeviceID]campaign.Bucket{}
	for _, name := range w.order {
		row, err := w.srv.DB.Read().CampaignDevice(w.t.Context(), gen.CampaignDeviceParams{Tenant: "main", Campaign: string(c), Device: string(w.devices[name].id)})
		w.must(err)
		out[w.devices[name].id] = campaign.Bucket(row.Bucket)
	}
	return out
}

// someFleet is a pilot, a representative and some more, of which a few are away.
func (w *world) someFleet(random *rand.Rand) {
	w.t.Helper()
	names := []string{"openssl", "nginx", "linux", "curl"}
	for i := range 5 + random.IntN(6) {
		kind, group := fleet.Workstation, ""
		if random.IntN(2) == 0 {
			kind = fleet.Server
		}
		switch {
		case i == 0:
			group = "it-pilots"
		case i == 1 || random.IntN(5) == 0:
			group = "pilot-users"
		}
		installed, offers := map[string]string{}, map[string]string{}
		for _, n := range names {
			if random.IntN(3) > 0 {
				installed[n], offers[n] = "1", "2"
			}
		}
		d := w.device(fmt.Sprintf("d-%d", i), kind, group, installed, offers)
		w.scan(d)
		w.settle()
		d.away = i > 1 && random.IntN(5) == 0
	}
}

// somePolicy has a few parts of those that change when devices install.
func somePolicy(random *rand.Rand) string {
	text := ""
	if random.IntN(2) == 0 {
		text += "rules:\n  - {name: all, verdict: approve}\n"
		if random.IntN(2) == 0 {
			text += fmt.Sprintf("  - {name: slow, patches: patch.name == \"curl\", verdict: delay %dd}\n", 3+random.IntN(14))
		}
		if random.IntN(3) == 0 {
			text += "  - {name: no, patches: patch.name == \"linux\", verdict: decline}\n"
		}
	}
	if random.IntN(2) == 0 {
		text += `profiles:
  - name: servers
    devices: device.kind == "server"
    windows: [{name: early, days: [mon, wed, sat], start: "02:00", end: "04:00"}]
`
		if random.IntN(2) == 0 {
			text += fmt.Sprintf("    rules: [{name: later, patches: patch.name == \"openssl\", verdict: delay %dd}]\n", 8+random.IntN(8))
		}
	}
	if random.IntN(2) == 0 {
		from := 13 + random.IntN(9)
		text += fmt.Sprintf("freezes:\n  - {name: f, devices: 'device.kind == \"%s\"', from: 2026-01-%02d, to: 2026-01-%02d, reason: {fr: F, en: F}}\n",
			[]string{"server", "workstation"}[random.IntN(2)], from, from+random.IntN(4))
	}
	if random.IntN(2) == 0 {
		text += "limits:\n  - {name: l, devices: device.kind == \"server\", at_most: 1"
		if random.IntN(2) == 0 {
			text += ", order: ['device.name == \"d-3\"']"
		}
		text += "}\n"
	}
	if random.IntN(3) == 0 {
		text += "safeguards:\n  - {name: s, devices: device.kind == \"server\", patches: patch.name == \"nginx\", reason: {fr: S, en: S}}\n"
	}
	return text
}
