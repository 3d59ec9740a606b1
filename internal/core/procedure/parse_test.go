package procedure_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"patchring/internal/core/calendar"
	"patchring/internal/core/fleet"
	"patchring/internal/core/manifest"
	"patchring/internal/core/patch"
	"patchring/internal/core/procedure"

	"github.com/google/go-cmp/cmp"
)

// short is the least a procedure says; tests replace lines of it.
const short = `procedure: short
title: Short
owner: IT
timezone: Europe/Paris
anchor: patch-tuesday
perimeter: {kinds: [workstation]}
rings:
  - name: R0
    title: Pilots
    members: {groups: [pilots]}
    opens: {day: 1}
    closes: {day: 2}
    gate: {evidence: {min_devices: 2}}
  - name: GLOBAL
    title: {fr: Tous, en: All}
    members: {rest: true}
    opens: {day: 8, at: "09:00"}
    gate: {evidence: {min_done_percent: 95.5}}
windows:
  - name: lunch
    days: [mon, fri]
    start: "12:00"
    end: "14:00"
`

func parse(t *testing.T, text string) procedure.Procedure {
	t.Helper()
	p, err := procedure.Parse("p.yaml", []byte(text))
	if err != nil {
		t.Fatalf("refused:\n%v", err)
	}
	return p
}

func with(t *testing.T, old, replacement string) string {
	t.Helper()
	if strings.Count(short, old) != 1 {
		t.Fatalf("%q is %d times in the short procedure", old, strings.Count(short, old))
	}
	return strings.Replace(short, old, replacement, 1)
}

func TestTheMissionsProcedure(t *testing.T) {
	p := example(t, "postes-france.yaml")
	if p.Name != "postes-france" || p.Zone.String() != "Europe/Paris" || p.Title.In("fr") == p.Title.In("en") {
		t.Errorf("got name %s, zone %s, title %+v", p.Name, p.Zone, p.Title)
	}
	if !slices.Equal(p.Classes, []patch.Class{patch.Security}) || len(p.Warnings) != 0 {
		t.Errorf("got classes %v, warnings %v", p.Classes, p.Warnings)
	}
	if p.RollbackOn != procedure.Critical || p.HoldOn != procedure.Major || p.Reboot != procedure.RebootIfNeeded {
		t.Errorf("got rollback on %s, hold on %s, reboot %s", p.RollbackOn, p.HoldOn, p.Reboot)
	}
	if p.Attempts != 3 || p.RetryAfter != 4*time.Hour || p.UnreachableAfter != 72*time.Hour || p.Verification.DaysAfterLastRingOpens != 2 {
		t.Errorf("got %d attempts, retry after %s, unreachable after %s, verification %+v", p.Attempts, p.RetryAfter, p.UnreachableAfter, p.Verification)
	}
	if e := p.Emergency; e.Day != 2*time.Hour || len(e.SignOffs) != 2 || e.SignOffs[0].Role != "security" {
		t.Errorf("got emergency %+v", e)
	}
	if len(p.Visas) != 3 || p.Visas[0].Date.String() != "2026-01-05" || p.Visas[0].Kind != procedure.Drafted || p.Visas[2].Kind != procedure.Validated || p.Visas[0].Name != "" {
		t.Errorf("got visas %+v", p.Visas)
	}
	if v := p.Verification; len(v.SignOffs) != 1 || v.SignOffs[0].Role != "it" || len(v.SignOffs[0].Checklist) != 3 {
		t.Errorf("got the verification's sign-offs %+v", v.SignOffs)
	}
	if p.Classification.In("fr") != "Interne" || p.SLA.Clock != procedure.ClockFirstSeen || p.SLA.Limits[procedure.GradeCritical] != 14*24*time.Hour || len(p.SLA.Limits) != 4 {
		t.Errorf("got classification %+v, SLA %+v", p.Classification, p.SLA)
	}
	var signs []string
	for _, ring := range p.Rings {
		for _, s := range ring.Gate.SignOffs {
			signs = append(signs, ring.Name+" "+s.Role+" "+s.Title.In("fr"))
			if len(s.Checklist) < 3 || s.Checklist[0].FR == "" || s.Checklist[0].FR == s.Checklist[0].EN {
				t.Errorf("%s: checklist %+v", s.Role, s.Checklist)
			}
		}
	}
	if want := []string{"R0 it Tests fonctionnels", "R1 business Tests métier"}; !slices.Equal(signs, want) {
		t.Errorf("sign-offs: got %v, want %v", signs, want)
	}
	if want := (procedure.Gate{MinDevices: 1, MinDonePercent: 95, MaxFailed: 2, MaxUnreachablePercent: 5, MaxNotReachedPercent: 5}); cmp.Diff(want, p.Rings[2].Gate) != "" {
		t.Errorf("GLOBAL's gate: %s", cmp.Diff(want, p.Rings[2].Gate))
	}
}

func TestTheServersProcedure(t *testing.T) {
	p := example(t, "serveurs-nuit.yaml")
	if p.Rings[0].Soak != 72*time.Hour || p.Windows[0].Duration != 5*time.Hour || p.Attempts != 2 {
		t.Errorf("got soak %s, window %s, %d attempts", p.Rings[0].Soak, p.Windows[0].Duration, p.Attempts)
	}
	s := p.Schedule(2026, time.October)
	if got := s.Rings[0].Closes.Format(time.RFC3339); got != "2026-10-21T00:00:00+02:00" {
		t.Errorf("closes {day: 8} without an hour: got %s, want the end of day 8", got)
	}
	if got := s.Rings[1].Closes.Format(time.RFC3339); got != "2026-10-28T06:00:00+01:00" {
		t.Errorf("PROD closes %s, want 06:00 on day 16 in winter time", got)
	}
}

func TestRollbacksAreRehearsedWhereTheFileSaysSo(t *testing.T) {
	for text, want := range map[string]procedure.Rollback{
		"rollback: {rehearse: true}":                                {Rehearse: true, ExceptionDays: procedure.DefaultExceptionDays},
		"rollback: {rehearse: false, exception_days: 7}":            {ExceptionDays: 7},
		"rollback: {on_severity: critical, rehearse: {devices: 2}}": {Rehearse: true, RehearseDevices: 2, ExceptionDays: procedure.DefaultExceptionDays},
		"rollback: {control: the firewall closes the port}":         {ExceptionDays: procedure.DefaultExceptionDays, Control: "the firewall closes the port"},
		"rollback: {on_severity: critical}":                         {ExceptionDays: procedure.DefaultExceptionDays},
		"attempts: 3":                                               {ExceptionDays: procedure.DefaultExceptionDays},
	} {
		p := parse(t, short+"\n"+text+"\n")
		if want.Control == "" {
			want.Control = procedure.DefaultControl
		}
		if p.Rollback != want {
			t.Errorf("%s: got %+v, want %+v", text, p.Rollback, want)
		}
		if p.HoldOn != procedure.Critical {
			t.Errorf("%s: holds on %q", text, p.HoldOn)
		}
	}
}

func TestWhatAFileLeavesOut(t *testing.T) {
	p := parse(t, short)
	if want := (procedure.Gate{MinDevices: 2, MinDonePercent: 100}); cmp.Diff(want, p.Rings[0].Gate) != "" {
		t.Errorf("an unwritten limit is the strictest: %s", cmp.Diff(want, p.Rings[0].Gate))
	}
	if p.Attempts != 3 || p.RetryAfter != 4*time.Hour || p.UnreachableAfter != 72*time.Hour || p.Reboot != procedure.RebootIfNeeded || p.Verification.DaysAfterLastRingOpens != 2 {
		t.Errorf("got %+v", p)
	}
	if p.Emergency.Day != 0 || p.Emergency.SignOffs != nil {
		t.Errorf("an emergency that nobody wrote: %+v", p.Emergency)
	}
	if p.RollbackOn != procedure.NoSeverity || p.HoldOn != procedure.Critical || !slices.Equal(p.Classes, []patch.Class{patch.Security}) {
		t.Errorf("got rollback on %q, hold on %q, classes %v", p.RollbackOn, p.HoldOn, p.Classes)
	}
	if want := (fleet.Selector{All: true, Kinds: []fleet.Kind{fleet.Workstation}}); cmp.Diff(want, p.Perimeter) != "" {
		t.Errorf("kinds alone mean all of them: %s", cmp.Diff(want, p.Perimeter))
	}
	w := p.Windows[0]
	if !w.For.All || w.Zone.String() != "Europe/Paris" || !slices.Equal(w.Days, []time.Weekday{time.Monday, time.Friday}) || w.End != 14*60 {
		t.Errorf("got window %+v", w)
	}
	if p.Rings[1].Gate.MinDonePercent != 95.5 || p.Rings[0].Title != (manifest.Text{FR: "Pilots", EN: "Pilots"}) {
		t.Errorf("got rings %+v", p.Rings)
	}
}

func TestAMinimalRingDecidesOnTagsInBothForms(t *testing.T) {
	p := parse(t, with(t, "members: {groups: [pilots]}", "members: {tags: [{ring: r1, site: lyon}, floor=2], names: [pc-7], kinds: [server]}"))
	want := fleet.Selector{Tags: []fleet.Tags{{"ring": "r1", "site": "lyon"}, {"floor": "2"}}, Names: []string{"pc-7"}, Kinds: []fleet.Kind{fleet.Server}}
	if diff := cmp.Diff(want, p.Rings[0].Members); diff != "" {
		t.Error(diff)
	}
}

// Each case breaks one line of the short procedure; what is said about it must
// name the place and the way out.
func TestRefusals(t *testing.T) {
	for _, c := range []struct{ old, replacement, want string }{
		{"owner: IT", "ownr: IT", "p.yaml:3:1: ownr: is not a field of a procedure here; did you mean owner?"},
		{"owner: IT", "owner: IT\nowner: HR", "p.yaml:4:1: owner: is already given on line 3; keep one of the two"},
		{"owner: IT", "owner:", "p.yaml:3:1: owner: has no value; give it one"},
		{"owner: IT", "owner: ' '", "p.yaml:3:8: owner: is empty"},
		{"owner: IT", "owner: [IT]", "p.yaml:3:8: owner: wants one value, not a list"},
		{"owner: IT", "owner: &a IT\nvisas: *a", "p.yaml:4:1: visas: uses a YAML alias"},
		{"procedure: short", "procedure: Short one", "p.yaml:1:12: procedure: \"Short one\" is not an identifier"},
		{"timezone: Europe/Paris", "timezone: Europe/Pari", "p.yaml:4:11: timezone: \"Europe/Pari\" is not a known time zone"},
		{"timezone: Europe/Paris", "timezone: Local", "p.yaml:4:11: timezone: \"Local\" is not a known time zone"},
		{"anchor: patch-tuesday", "anchor: patch-thursday", "p.yaml:5:9: anchor: \"patch-thursday\" is not known here; did you mean patch-tuesday?"},
		{"perimeter: {kinds: [workstation]}", "perimeter: {kinds: [workstaton]}", "perimeter.kinds[0]: \"workstaton\" is not known here; did you mean workstation?"},
		{"perimeter: {kinds: [workstation]}", "perimeter: {groups: []}", "perimeter: selects no device"},
		{"perimeter: {kinds: [workstation]}", "perimeter: {all: true, groups: [a]}", "perimeter: selects all devices and some of them"},
		{"perimeter: {kinds: [workstation]}", "perimeter: {all: maybe}", "perimeter.all: \"maybe\" is neither true nor false"},
		{"perimeter: {kinds: [workstation]}", "perimeter: {kinds: [server], exclude: {}}", "perimeter.exclude: selects no device"},
		{"perimeter: {kinds: [workstation]}", "perimeter: workstation", "p.yaml:6:12: perimeter: wants fields, not \"workstation\""},
		{"members: {groups: [pilots]}", "members: {groups: pilots}", "rings[0].members.groups: wants a list, not \"pilots\"; write [pilots]"},
		{"members: {groups: [pilots]}", "members: {groups: [a, a]}", "rings[0].members.groups[1]: names \"a\" twice"},
		{"members: {groups: [pilots]}", "members: {tags: [fast]}", "rings[0].members.tags[0]: wants a tag, not \"fast\""},
		{"members: {groups: [pilots]}", "members: {tags: [{}]}", "rings[0].members.tags[0]: has no tag"},
		{"members: {groups: [pilots]}", "members: {}", "rings[0].members: selects no device"},
		{"members: {groups: [pilots]}", "members: {rest: true}", "rings[0].members: ring R0 takes every device left, so the rings after it are empty"},
		{"members: {groups: [pilots]}", "members: {all: true}", "rings[0].members: ring R0 takes every device left, so the rings after it are empty"},
		{"members: {rest: true}", "members: {rest: true, groups: [a]}", "rings[1].members.groups: stands beside rest: true"},
		{"name: R0", "name: R 0", "rings[0].name: \"R 0\" is not a ring name"},
		{"name: R0", "name: ''", "p.yaml:8:11: rings[0].name: is empty"},
		{"name: R0", "name: global", "p.yaml:14:5: rings[1]: ring GLOBAL is already on line 8"},
		{"  - name: R0\n    title", "  - title", "p.yaml:8:5: rings[0].name: is missing; name the ring"},
		{"opens: {day: 1}", "opens: {day: 0}", "p.yaml:11:18: rings[0].opens.day: 0 is out of range; write a number from 1 to 60"},
		{"opens: {day: 1}", "opens: {day: 1.5}", "rings[0].opens.day: 1.5 is not a whole number"},
		{"opens: {day: 1}", "opens: {day: one}", "rings[0].opens.day: \"one\" is not a number"},
		{"opens: {day: 1}", "opens: {day: 1, at: 9h}", "rings[0].opens.at: time of day \"9h\" is not written HH:MM"},
		{"opens: {day: 1}", "opens: {day: 8, at: '09:00'}", "rings[1].opens: ring GLOBAL opens on day 8 at 09:00, not after ring R0 on day 8 at 09:00"},
		{"closes: {day: 2}", "closes: {day: 8}", "rings[0].closes: ring R0 closes on day 8 at 24:00, after ring GLOBAL opens on day 8 at 09:00"},
		{"closes: {day: 2}", "closes: {day: 1, at: '00:00'}", "rings[0].closes: ring R0 closes on day 1 at 00:00, before it opens on day 1 at 00:00"},
		{"closes: {day: 2}", "closes: {day: 1, at: '18:30'}", "rings[0].closes: ring R0 of campaign 2026-01 would close at 2026-01-13 18:30, before it can open at 2026-01-13 19:00"},
		{"closes: {day: 2}", "soak: soon", "rings[0].soak: \"soon\" is not a duration; write a number with its unit: 90m, 24h or 3d"},
		{"closes: {day: 2}", "soak: 24", "rings[0].soak: \"24\" is not a duration"},
		{"closes: {day: 2}", "soak: -1h", "rings[0].soak: -1h is out of range"},
		{"closes: {day: 2}", "soak: 400d", "rings[0].soak: 400d is out of range"},
		{"evidence: {min_devices: 2}", "evidence: {min_devices: 0}", "rings[0].gate.evidence.min_devices: 0 is out of range"},
		{"evidence: {min_devices: 2}", "evidence: {min_done_percent: 101}", "rings[0].gate.evidence.min_done_percent: 101 is out of range; write a number from 0 to 100"},
		{"evidence: {min_devices: 2}", "evidence: {min_done_percent: .nan}", "rings[0].gate.evidence.min_done_percent: \".nan\" is not a number"},
		{"evidence: {min_devices: 2}", "evidence: {min_done_percent: nan}", "rings[0].gate.evidence.min_done_percent: nan is out of range"},
		{"gate: {evidence: {min_devices: 2}}", "gate: {sign_offs: []}", "rings[0].gate.evidence: is missing"},
		{"gate: {evidence: {min_devices: 2}}", "gate: {evidence: {min_devices: 2}, sign_offs: [{role: it, title: A}, {role: it, title: B}]}", "rings[0].gate.sign_offs[1]: it already signs this gate"},
		{"gate: {evidence: {min_devices: 2}}", "gate: {evidence: {min_devices: 2}, sign_offs: [{role: it, title: A, checklist: {fr: [a, b], en: [a]}}]}", "sign_offs[0].checklist: has 2 French and 1 English lines"},
		{"title: {fr: Tous, en: All}", "title: {fr: Tous}", "rings[1].title.en: is missing; write the English text"},
		{"name: lunch", "name: Lunch break", "windows[0].name: \"Lunch break\" is not an identifier"},
		{"days: [mon, fri]", "days: [lun]", "windows[0].days[0]: \"lun\" is not known here"},
		{"days: [mon, fri]", "days: []", "windows[0].days: is empty"},
		{"    days: [mon, fri]\n", "", "windows[0].days: is missing"},
		{"    end: \"14:00\"\n", "", "windows[0]: has neither end nor duration"},
		{"end: \"14:00\"", "end: \"12:00\"", "windows[0].end: is the hour it starts: the window has no length"},
		{"end: \"14:00\"", "end: \"25:00\"", "windows[0].end: time of day \"25:00\" is not written HH:MM"},
		{"end: \"14:00\"", "duration: 0h", "windows[0].duration: has no length"},
		{"end: \"14:00\"", "duration: 8d", "windows[0].duration: is longer than a week"},
		{"end: \"14:00\"", "end: \"14:00\"\n    duration: 2h", "windows[0]: has an end and a duration"},
		{"start: \"12:00\"", "start: \"24:00\"", "windows[0].start: is the end of the day"},
		{"name: lunch", "name: lunch\n    except: bank-holidays", "windows[0].except: \"bank-holidays\" is not known here; write one of: public-holidays-fr"},
		{"name: lunch", "name: lunch\n    timezone: Mars/Olympus", "windows[0].timezone: \"Mars/Olympus\" is not a known time zone"},
		{"name: lunch", "name: lunch\n    days: [mon]\n    start: '01:00'\n    end: '02:00'\n  - name: lunch", "windows[1]: window lunch is already on line 20"},
		{"owner: IT", "owner: IT\nreboot: always", "reboot: \"always\" is not known here; write one of: never, if_needed"},
		{"owner: IT", "owner: IT\nattempts: 0", "attempts: 0 is out of range"},
		{"owner: IT", "owner: IT\nretry_after: now", "retry_after: \"now\" is not a duration"},
		{"owner: IT", "owner: IT\nrollback: {on_severity: minor, hold_on_severity: critical}", "rollback.hold_on_severity: is critical, above the severity that rolls back"},
		{"owner: IT", "owner: IT\nrollback: {hold_on_severity: major}", "rollback.on_severity: is missing"},
		{"owner: IT", "owner: IT\nrollback: {rehearse: maybe}", "rollback.rehearse:"},
		{"owner: IT", "owner: IT\nrollback: {rehearse: {devices: 0}}", "rollback.rehearse.devices: 0 is out of range"},
		{"owner: IT", "owner: IT\nrollback: {rehearse: {}}", "rollback.rehearse.devices: is missing"},
		{"owner: IT", "owner: IT\nrollback: {rehearse: true, exception_days: 0}", "rollback.exception_days: 0 is out of range"},
		{"owner: IT", "owner: IT\nrollback: {rehearsal: true}", "rollback.rehearsal"},
		{"owner: IT", "owner: IT\ncontent: {classes: [unknown]}", "content.classes[0]: \"unknown\" is not known here"},
		{"owner: IT", "owner: IT\ncontent: {classes: []}", "content.classes: is empty"},
		{"owner: IT", "owner: IT\nemergency: {day: 2h}", "emergency.sign_offs: is missing"},
		{"owner: IT", "owner: IT\nemergency: {day: 2h, sign_offs: []}", "emergency.sign_offs: is empty"},
		{"owner: IT", "owner: IT\nemergency: {day: 20m, sign_offs: [{role: it, title: IT}]}", "emergency.day: lasts 20m0s"},
		{"owner: IT", "owner: IT\nemergency: {day: 24h, sign_offs: [{role: it, title: IT}]}", "emergency.day: lasts 24h0m0s"},
		{"owner: IT", "owner: IT\nemergency: {days: 2h, sign_offs: [{role: it, title: IT}]}", "emergency.days"},
		{"owner: IT", "owner: IT\nverification: {days_after_last_ring_opens: 2, sign_offs: []}", "verification.sign_offs: is empty"},
		{"owner: IT", "owner: IT\nverification: {days_after_last_ring_opens: 2, sign_offs: [{role: it}]}", "verification.sign_offs[0].title"},
		{"owner: IT", "owner: IT\nsla: {clock_starts: first_seen}", "sla: promises nothing"},
		{"owner: IT", "owner: IT\nsla: {critical: 0h}", "sla.critical: is shorter than an hour"},
		{"owner: IT", "owner: IT\nsla: {critical: soon}", "sla.critical: \"soon\" is not a duration"},
		{"owner: IT", "owner: IT\nsla: {urgent: 7d}", "sla.urgent"},
		{"owner: IT", "owner: IT\nsla: {high: 7d, clock_starts: published}", "sla.clock_starts: \"published\" is not known here"},
		{"owner: IT", "owner: IT\nverification: {days_after_last_ring_opens: 31}", "verification.days_after_last_ring_opens: 31 is out of range"},
		{"owner: IT", "owner: IT\nvisas: [{role: CISO, date: 05/01/2026}]", "visas[0].date: date \"05/01/2026\" is not a day written YYYY-MM-DD"},
		{"anchor: patch-tuesday", "anchor: [", "this is not YAML: "},
		{"    end: \"14:00\"\n", "    end: \"14:00\"\n---\na: b\n", "a second document begins here"},
	} {
		_, err := procedure.Parse("p.yaml", []byte(with(t, c.old, c.replacement)))
		if err == nil {
			t.Errorf("%s → %s: accepted, want %s", c.old, c.replacement, c.want)
			continue
		}
		if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s → %s\n got %v\nwant %s", c.old, c.replacement, err, c.want)
		}
	}
}

func TestEveryProblemIsReportedInTheFilesOrder(t *testing.T) {
	text := strings.NewReplacer("owner: IT", "ownr: IT", "day: 1}", "day: x}", "start: \"12:00\"", "start: noon").Replace(short)
	_, err := procedure.Parse("p.yaml", []byte(text))
	var refused *manifest.Error
	if !errors.As(err, &refused) {
		t.Fatalf("got %v, want a manifest.Error", err)
	}
	var got []string
	for _, p := range refused.Problems {
		got = append(got, p.Field)
		if p.Fix == "" || p.Line == 0 || p.Column == 0 {
			t.Errorf("%+v says neither where nor how", p)
		}
	}
	if want := []string{"owner", "ownr", "rings[0].opens.day", "windows[0].start"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAnEmptyFileIsRefused(t *testing.T) {
	for _, text := range []string{"", "# nothing but a comment\n", "---\n", "null", "[]", "hello", "\t", "\xff\xfe"} {
		if _, err := procedure.Parse("p.yaml", []byte(text)); err == nil {
			t.Errorf("%q was read as a procedure", text)
		}
	}
	_, err := procedure.Parse("p.yaml", []byte("rings: []"))
	if err == nil || !strings.Contains(err.Error(), "rings: has no ring") || !strings.Contains(err.Error(), "timezone: is missing") {
		t.Errorf("got %v", err)
	}
}

func TestWarnings(t *testing.T) {
	noWindow := short[:strings.Index(short, "windows:")]
	for _, c := range []struct{ why, text, want string }{
		{"no windows at all", noWindow, "windows: there is no window, so nothing will ever be installed"},
		{"an empty list of windows", noWindow + "windows: []\n", "windows: there is no window, so nothing will ever be installed"},
		{"nobody left for the last ring", with(t, "{rest: true}", "{groups: [a]}"), "rings[1].members: devices of the perimeter that no ring names will never be updated"},
		{"a soak longer than the calendar", with(t, "closes: {day: 2}", "soak: 8d"), "rings[0].soak: is longer than the time between the openings of R0 and GLOBAL"},
	} {
		p := parse(t, c.text)
		if len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0].String(), c.want) {
			t.Errorf("%s: got %v, want %s", c.why, p.Warnings, c.want)
		}
	}
	if p := parse(t, short); len(p.Warnings) != 0 {
		t.Errorf("got %v, want no warning", p.Warnings)
	}
}

func TestTooManyWindows(t *testing.T) {
	var b strings.Builder
	b.WriteString(short[:strings.Index(short, "windows:")] + "windows:\n")
	for i := range 65 {
		b.WriteString("  - {name: w" + string(rune('a'+i/26)) + string(rune('a'+i%26)) + ", days: [mon], start: '12:00', end: '13:00'}\n")
	}
	if _, err := procedure.Parse("p.yaml", []byte(b.String())); err == nil || !strings.Contains(err.Error(), "windows: has 65 windows; keep 64 at most") {
		t.Errorf("got %v", err)
	}
}

func TestMembership(t *testing.T) {
	p := example(t, "postes-france.yaml")
	for _, c := range []struct {
		why  string
		m    fleet.Member
		ring int
		ok   bool
	}{
		{"a pilot of both rings is in the first", fleet.Member{Kind: fleet.Workstation, Groups: []string{"it-pilots", "pilot-users"}}, 0, true},
		{"by group", fleet.Member{Kind: fleet.Workstation, Groups: []string{"pilot-users"}}, 1, true},
		{"by tag", fleet.Member{Kind: fleet.Server, Tags: fleet.Tags{"ring": "r1"}}, 1, true},
		{"the rest", fleet.Member{Kind: fleet.Workstation}, 2, true},
		{"outside the perimeter", fleet.Member{Kind: fleet.Critical, Groups: []string{"it-pilots"}}, 0, false},
		{"left out", fleet.Member{Kind: fleet.Workstation, Groups: []string{"it-pilots", "no-automatic-updates"}}, 0, false},
	} {
		if got, ok := p.RingOf(c.m); got != c.ring || ok != c.ok {
			t.Errorf("%s: got %d, %t, want %d, %t", c.why, got, ok, c.ring, c.ok)
		}
	}
	short := parse(t, with(t, "{rest: true}", "{groups: [a]}"))
	if i, ok := short.RingOf(fleet.Member{Kind: fleet.Workstation}); ok {
		t.Errorf("a device no ring names is in ring %d", i)
	}
}

func TestADeviceHasEveryWindowThatSelectsIt(t *testing.T) {
	p := example(t, "postes-france.yaml")
	from, to := date(t, "2026-01-13").At(0, p.Zone), date(t, "2026-01-14").At(0, p.Zone)
	for kind, want := range map[fleet.Kind]string{
		fleet.Workstation: "12:00–14:00 18:00–21:00",
		fleet.Server:      "00:00–06:00 22:00–00:00",
		fleet.Critical:    "",
	} {
		var got []string
		for _, i := range p.WindowsFor(fleet.Member{Kind: kind}, from, to) {
			got = append(got, i.Start.In(p.Zone).Format("15:04")+"–"+i.End.In(p.Zone).Format("15:04"))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %v, want %s", kind, got, want)
		}
	}
	laptop, tower := fleet.Member{Kind: fleet.Workstation, Name: "a"}, fleet.Member{Kind: fleet.Workstation, Name: "b"}
	if p.RulesFor(laptop) != p.RulesFor(tower) || p.RulesFor(laptop) == p.RulesFor(fleet.Member{Kind: fleet.Server}) {
		t.Error("devices of equal windows share their set of rules, and only they do")
	}
	if got := p.WindowsFor(laptop, date(t, "2026-07-14").At(0, p.Zone), date(t, "2026-07-15").At(0, p.Zone)); len(got) != 0 {
		t.Errorf("14 July is a holiday, got %v", got)
	}
}

func TestSeverities(t *testing.T) {
	for _, c := range []struct {
		s, threshold procedure.Severity
		want         bool
	}{
		{procedure.Critical, procedure.Critical, true}, {procedure.Critical, procedure.Minor, true}, {procedure.Major, procedure.Critical, false},
		{procedure.Critical, procedure.NoSeverity, false}, {"strange", procedure.Minor, false},
	} {
		if got := c.s.AtLeast(c.threshold); got != c.want {
			t.Errorf("%s at least %q: got %t", c.s, c.threshold, got)
		}
	}
}

// Whatever the bytes, Parse answers, and what it accepts has a calendar.
func FuzzParse(f *testing.F) {
	f.Add([]byte(short))
	for _, name := range []string{"postes-france.yaml", "serveurs-nuit.yaml"} {
		text, err := os.ReadFile("../../../examples/procedures/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := procedure.Parse("p.yaml", text)
		if err != nil {
			var refused *manifest.Error
			if !errors.As(err, &refused) || len(refused.Problems) == 0 {
				t.Fatalf("got %v, want problems", err)
			}
			return
		}
		s := p.Schedule(2026, time.March)
		for i, r := range s.Rings {
			if r.Opens.Before(s.Release) || !r.Opens.Before(r.Closes) || i > 0 && r.Opens.Before(s.Rings[i-1].Closes) {
				t.Fatalf("ring %s %s – %s, release %s", r.Ring, r.Opens, r.Closes, s.Release)
			}
		}
	})
}

func date(t *testing.T, s string) calendar.Date {
	t.Helper()
	d, err := calendar.ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
