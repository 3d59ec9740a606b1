package policy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/fleet"
	"patchring/internal/core/manifest"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
)

const fleetPolicy = `
policy: fleet
title: {fr: Parc, en: Fleet}
owner: Exploitation
timezone: Europe/Paris
max_exposure: 30d
rules:
  - {name: security, patches: 'patch.class == "security"', verdict: approve}
  - {name: previews, patches: 'patch.class == "preview"', verdict: delay 21d}
  - {name: kernel, patches: 'patch.name.startsWith("linux")', verdict: decline, until: 2026-03-31}
profiles:
  - name: servers
    title: {fr: Serveurs, en: Servers}
    devices: device.kind == "server"
    rules:
      - {name: slow, patches: 'patch.class == "security"', verdict: delay 7d}
      - {name: libre, patches: 'patch.name == "libreoffice"', verdict: decline}
    windows:
      - {name: night, days: [mon, tue, wed, thu], start: "23:00", duration: 5h}
    reboot: {mode: window, windows: [{name: sunday, days: [sun], start: "03:00", end: "05:00"}]}
  - name: finance
    devices: device.department == "finance"
    rules: [{name: kernel-too, patches: 'patch.name.startsWith("linux")', verdict: approve}]
    people: {deadline: 3d, postpones: 2, notice: 10m, countdown: 20m}
freezes:
  - {name: closing, devices: 'device.department == "finance"', from: 2026-01-15, to: 2026-01-31, reason: {fr: Clôture, en: Closing of accounts}}
safeguards:
  - name: old-driver
    devices: device.model == "X1"
    patches: patch.name == "nvidia"
    lift_on: '!older(device.software["nvidia-driver"], "550")'
    reason: {fr: écran noir, en: black screen}
limits:
  - {name: sql, devices: 'device.tags.cluster == "sql"', at_most: 25%, stop_after: 2}
`

func TestBandwidths(t *testing.T) {
	p := parsed(t, `
policy: p
title: p
owner: it
timezone: UTC
bandwidth:
  - {name: lyon, devices: device.site == "lyon", mbit_per_s: 20}
  - {name: sites, each: site, devices: device.kind == "workstation", mbit_per_s: 0.8}
`)
	policies := policy.Policies{Tenant: p}
	d := policy.Device{Kind: "workstation", Tags: fleet.Tags{"site": "lyon"}}
	settings := policies.Settings(policies.Match(&d, now))
	if !policies.HaveLimits() || len(settings.Bandwidths) != 2 || settings.Bandwidths[0].BytesPerS != 2_500_000 {
		t.Fatalf("got %+v", settings.Bandwidths)
	}
	if got := settings.Bandwidths[0].Share(100); got != 25_000 {
		t.Errorf("one of a hundred gets %d bytes a second, want 25000", got)
	}
	if got := settings.Bandwidths[1].Share(1_000_000); got != 2048 {
		t.Errorf("one of a million gets %d bytes a second, want enough to end at all", got)
	}
	if got := settings.Bandwidths[1].Share(0); got != 100_000 {
		t.Errorf("the only one gets %d bytes a second, want all", got)
	}
	if counted := settings.Counted(); len(counted) != 2 || counted[1].Name != "bandwidth:sites" || counted[1].Each != "site" {
		t.Errorf("counted by %+v", counted)
	}
	server := policies.Settings(policies.Match(&policy.Device{Kind: "server"}, now))
	if len(server.Bandwidths) != 0 || !slices.Equal(settings.Differing(server), []policy.Part{policy.InDownload}) {
		t.Errorf("a server shares %+v, and differs in %v", server.Bandwidths, settings.Differing(server))
	}
	for _, wrong := range []string{"{name: a, mbit_per_s: 1}", "{name: a, devices: device.kind == \"server\"}", "{name: a, devices: device.kind == \"server\", mbit_per_s: 0}"} {
		if _, err := policy.Parse("p.yaml", []byte("policy: p\ntitle: p\nowner: it\ntimezone: UTC\nbandwidth: ["+wrong+"]\n")); err == nil {
			t.Errorf("%s is taken", wrong)
		}
	}
}

func parsed(t testing.TB, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse("fleet.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return &p
}

func aPatch(name string, class patch.Class, released time.Time) policy.Patch {
	return policy.Patch{Key: patch.Key{Provider: "apt", Name: name, Version: "2", Suite: "bookworm"}, Class: class, Released: released}
}

var (
	server  = policy.Device{Name: "srv1", Kind: "server", Tags: map[string]string{"cluster": "sql"}}
	desk    = policy.Device{Name: "pc1", Kind: "workstation", Tags: map[string]string{"department": "finance"}}
	plainPC = policy.Device{Name: "pc2", Kind: "workstation", Traits: policy.Traits{Model: "X1"}}
)

func TestPrecedence(t *testing.T) {
	rules := policy.Rules{Policies: policy.Policies{Tenant: parsed(t, fleetPolicy)}, Classes: []patch.Class{patch.Quality}}
	day := func(n int) time.Time { return now.AddDate(0, 0, -n) }
	byHand := func(v policy.Verdict) map[policy.Scope]policy.Decision {
		return map[policy.Scope]policy.Decision{policy.ScopeOfName("apt", "openssl"): {Verdict: v, Until: now.AddDate(1, 0, 0), Actor: "u"}}
	}
	for _, c := range []struct {
		why     string
		device  policy.Device
		patch   policy.Patch
		exposed time.Time
		hand    map[policy.Scope]policy.Decision
		want    policy.Verdict
		rule    string
	}{
		{"a tenant's rule", plainPC, aPatch("openssl", patch.Security, day(1)), day(1), nil, policy.Approved, "tenant/security"},
		{"a profile's delay wins over the tenant's approval", server, aPatch("openssl", patch.Security, day(6)), day(6), nil, policy.Delayed, "profile:servers/slow"},
		{"until it is over", server, aPatch("openssl", patch.Security, day(7)), day(7), nil, policy.Approved, "profile:servers/slow"},
		{"a new version does not start the delay anew", server, aPatch("openssl", patch.Security, day(1)), day(8), nil, policy.Approved, "profile:servers/slow"},
		{"nor does a device that came yesterday", server, aPatch("openssl", patch.Security, day(8)), day(1), nil, policy.Approved, "profile:servers/slow"},
		{"a delay of unknown beginning lasts", server, aPatch("openssl", patch.Security, time.Time{}), time.Time{}, nil, policy.Delayed, "profile:servers/slow"},
		{"a profile's approval wins over the tenant's decline", desk, aPatch("linux", patch.Security, day(1)), day(1), nil, policy.Approved, "profile:finance/kernel-too"},
		{"within one place declined wins", plainPC, aPatch("linux", patch.Security, day(1)), day(1), nil, policy.Declined, "tenant/kernel"},
		{"the procedure's classes come after", plainPC, aPatch("vim", patch.Quality, day(1)), day(1), nil, policy.Approved, "class:quality"},
		{"a preview waits", plainPC, aPatch("vim", patch.Preview, day(1)), day(1), nil, policy.Delayed, "tenant/previews"},
		{"a driver waits for a rule", plainPC, aPatch("nvidia", patch.Driver, day(1)), day(1), nil, policy.Pending, "default"},
		{"a person's decline stands before every rule", desk, aPatch("openssl", patch.Security, day(1)), day(1), byHand(policy.Declined), policy.Declined, "name:apt/openssl"},
		{"a person's delay ends with the longest exposure", desk, aPatch("openssl", patch.Security, day(30)), day(30), byHand(policy.Delayed), policy.Approved, "max_exposure"},
		{"and not before", desk, aPatch("openssl", patch.Security, day(29)), day(29), byHand(policy.Delayed), policy.Delayed, "name:apt/openssl"},
	} {
		rules.Decisions = c.hand
		h := policy.Holder{Device: "d1", Match: rules.Policies.Match(&c.device, now), Exposed: c.exposed}
		got := rules.Judge(&c.patch, h, now)
		if got.Verdict != c.want || got.Rule != c.rule {
			t.Errorf("%s: got %s by %s, want %s by %s", c.why, got.Verdict, got.Rule, c.want, c.rule)
		}
		if sheet := policy.NewSheet(rules, []policy.Patch{c.patch}, now).Judge(0, h, now); sheet != got {
			t.Errorf("%s: a sheet says %+v, want %+v", c.why, sheet, got)
		}
	}
}

func TestADelayIsCutAtTheLongestExposure(t *testing.T) {
	rules := policy.Rules{
		Policies:  policy.Policies{Tenant: parsed(t, fleetPolicy)},
		Decisions: map[policy.Scope]policy.Decision{policy.ScopeOfName("apt", "vim"): {Verdict: policy.Delayed, Until: now.AddDate(1, 0, 0)}},
	}
	p := aPatch("vim", patch.Security, now)
	if got := rules.Judge(&p, policy.Holder{Exposed: now}, now); !got.Until.Equal(now.AddDate(0, 0, 30)) {
		t.Errorf("a year's delay ends %s, want 30 days after it was first missing", got.Until)
	}
}

func TestExceptionsEndAndAreNarrow(t *testing.T) {
	p := aPatch("openssl", patch.Security, now)
	e := policy.Exception{ID: "e1", From: now, Until: later, Owner: "DSI"}
	for _, c := range []struct {
		why    string
		change func(*policy.Exception)
		holder policy.Holder
		at     time.Time
		want   policy.Verdict
	}{
		{"for everyone", func(*policy.Exception) {}, policy.Holder{}, now, policy.Declined},
		{"not before it begins", func(*policy.Exception) {}, policy.Holder{}, now.Add(-1), policy.Approved},
		{"not at its end", func(*policy.Exception) {}, policy.Holder{}, later, policy.Approved},
		{"for one device", func(e *policy.Exception) { e.Device = "d1" }, policy.Holder{Device: "d1"}, now, policy.Declined},
		{"not for another", func(e *policy.Exception) { e.Device = "d1" }, policy.Holder{Device: "d2"}, now, policy.Approved},
		{"for a group", func(e *policy.Exception) { e.Group = "g" }, policy.Holder{Groups: []string{"f", "g"}}, now, policy.Declined},
		{"not for those outside", func(e *policy.Exception) { e.Group = "g" }, policy.Holder{Groups: []string{"f"}}, now, policy.Approved},
		{"for the patch", func(e *policy.Exception) { e.Patch = policy.ScopeOf(p.Key.ID()) }, policy.Holder{}, now, policy.Declined},
		{"for its name", func(e *policy.Exception) { e.Patch = policy.ScopeOfName("apt", "openssl") }, policy.Holder{}, now, policy.Declined},
		{"not for another", func(e *policy.Exception) { e.Patch = policy.ScopeOfName("apt", "vim") }, policy.Holder{}, now, policy.Approved},
	} {
		given := e
		c.change(&given)
		rules := policy.Rules{Exceptions: []policy.Exception{given}, Classes: []patch.Class{patch.Security},
			Decisions: map[policy.Scope]policy.Decision{policy.ScopeOf(p.Key.ID()): {Verdict: policy.Approved}}}
		if got := rules.Judge(&p, c.holder, c.at); got.Verdict != c.want {
			t.Errorf("%s: got %s by %s, want %s", c.why, got.Verdict, got.Rule, c.want)
		}
	}
}

func TestSettingsAreThoseOfTheFirstProfileThatHasThem(t *testing.T) {
	p := policy.Policies{Tenant: parsed(t, fleetPolicy)}
	s := p.Settings(p.Match(&server, now))
	if len(s.Windows) != 1 || s.Windows[0].Name != "night" || s.Reboot == nil || s.Reboot.Mode != policy.RebootInWindow || s.People != nil || len(s.Limits) != 1 {
		t.Errorf("server: %+v", s)
	}
	s = p.Settings(p.Match(&desk, now))
	if s.Windows != nil || s.Reboot != nil || s.People == nil || s.People.Postpones != 2 || len(s.Limits) != 0 {
		t.Errorf("desk: %+v", s)
	}
	both := policy.Device{Kind: "server", Tags: map[string]string{"department": "finance"}}
	if s = p.Settings(p.Match(&both, now)); len(s.Profiles) != 2 || len(s.Windows) != 1 || s.People == nil {
		t.Errorf("a server of finance fits two profiles: %+v", s)
	}
}

func TestAFreezeLastsWholeDaysOfItsZone(t *testing.T) {
	p := policy.Policies{Tenant: parsed(t, fleetPolicy)}
	s := p.Settings(p.Match(&desk, now))
	at := func(text string) time.Time {
		i, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	for text, want := range map[string]bool{
		"2026-01-14T23:59:59+01:00": false, "2026-01-15T00:00:00+01:00": true, "2026-01-31T23:59:59+01:00": true, "2026-02-01T00:00:00+01:00": false,
	} {
		if f, got := s.FrozenAt(at(text)); got != want || got && f.Name != "closing" {
			t.Errorf("%s: frozen %t, want %t", text, got, want)
		}
	}
	open := []calendar.Interval{{Start: at("2026-01-14T22:00:00+01:00"), End: at("2026-02-01T06:00:00+01:00")}}
	got := s.WindowsIn(open)
	if len(got) != 2 || !got[0].End.Equal(at("2026-01-15T00:00:00+01:00")) || !got[1].Start.Equal(at("2026-02-01T00:00:00+01:00")) {
		t.Errorf("windows without the freeze: %v", got)
	}
}

func TestSafeguards(t *testing.T) {
	rules := policy.Rules{Policies: policy.Policies{Tenant: parsed(t, fleetPolicy)}}
	p := aPatch("nvidia", patch.Driver, now)
	for version, want := range map[string]bool{"": false, "525.1": true, "550": false, "551.2": false} {
		d := plainPC
		d.Software = map[string]string{"nvidia-driver": version}
		sheet := policy.NewSheet(rules, []policy.Patch{p, aPatch("vim", patch.Quality, now)}, now)
		h := policy.Holder{Match: rules.Policies.Match(&d, now)}
		if got := sheet.Safeguard(0, h) != nil; got != want {
			t.Errorf("driver %q: held %t, want %t", version, got, want)
		}
		if sheet.Safeguard(1, h) != nil {
			t.Error("the safeguard is about nvidia only")
		}
	}
}

func TestLimits(t *testing.T) {
	p := policy.Policies{Tenant: parsed(t, fleetPolicy)}
	l := p.Settings(p.Match(&server, now)).Limits[0]
	for n, want := range map[int]int{1: 1, 3: 1, 8: 2, 400: 100} {
		if got := l.Allows(n); got != want {
			t.Errorf("25%% of %d: got %d, want %d", n, got, want)
		}
	}
	if l.StopAfter != 2 {
		t.Errorf("stop after %d, want 2", l.StopAfter)
	}
}

func TestConditionsSayWhatIsWrong(t *testing.T) {
	for source, want := range map[string]string{
		`device.knd == "server"`:                 "did you mean device.kind?",
		`device.kind = "server"`:                 "column 13",
		`device.kind`:                            "gives no yes or no",
		`device.ram_gb == 8`:                     "wants a decimal point",
		`device.cpus == "4"`:                     "column 13",
		`patch.class == "security"`:              `"patch.class" is not known here`,
		strings.Repeat("true || ", 300) + "true": "longer than",
		`device.groups.all(a, device.groups.all(b, device.groups.all(c, a != b && b != c)))`: "too long to evaluate",
	} {
		if _, err := policy.CompileDevices(source); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: got %v, want %q", source, err, want)
		}
	}
}

func TestConditionsReadTheirFields(t *testing.T) {
	d := policy.Device{
		Name: "pc1", Kind: "workstation", Tags: fleet.Tags{"department": "hr", "site": "lyon", "owner": "rh", "ring": "r1"}, Groups: []string{"pilots"},
		Traits: policy.Traits{OS: "debian", OSName: "Debian GNU/Linux 12", OSVersion: "12.5", Codename: "bookworm", Arch: "amd64", Kernel: "6.1", Vendor: "Dell", Model: "X1",
			Virtual: "kvm", CPUs: 4, RAMBytes: 8 << 30, DiskBytes: 20 << 30, Zone: "Europe/Paris"}, Software: map[string]string{"openssl": "3.0.2"},
	}
	for _, source := range []string{
		`device.name == "pc1"`, `device.kind == "workstation"`, `device.department == "hr"`, `device.site == "lyon"`, `device.owner == "rh"`,
		`device.tags.ring == "r1"`, `device.tags.absent == ""`, `!("absent" in device.tags)`, `"ring" in device.tags`, `"pilots" in device.groups`,
		`device.os == "debian"`, `device.os_name.contains("Linux")`, `older(device.os_version, "12.10")`, `device.codename == "bookworm"`, `device.arch == "amd64"`,
		`device.kernel.startsWith("6.")`, `device.vendor == "Dell"`, `device.model == "X1"`, `device.virtual == "kvm"`, `device.cpus >= 4`, `device.ram_gb == 8.0`,
		`device.ram_gb > 7.5 && device.ram_gb < 8.5`, `device.disk_free_gb > 19`, `device.time_zone == "Europe/Paris"`, `device.software["openssl"] == "3.0.2"`,
		`older(device.software["openssl"], "3.0.10")`, `!older(device.software["absent"], "1")`, `device.software.exists(s, s.startsWith("open"))`,
	} {
		c, err := policy.CompileDevices(source)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if !c.Holds(&d, now) {
			t.Errorf("%s does not hold", source)
		}
		if c.Holds(&policy.Device{Tags: fleet.Tags{"other": "x"}, Traits: policy.Traits{OSVersion: "13"}}, now) && !strings.Contains(source, "absent") {
			t.Errorf("%s holds for a device of which nothing is known", source)
		}
	}
	p := policy.Patch{
		Key: patch.Key{Provider: "apt", Name: "openssl", Version: "3", Suite: "s"}, Class: patch.Security, Origin: "Debian", Summary: "TLS",
		CVEs: []string{"CVE-2026-1"}, Exploited: true, Bytes: 3 << 20, Released: now.AddDate(0, 0, -5),
	}
	for _, source := range []string{
		`patch.provider == "apt"`, `patch.name == "openssl"`, `patch.version == "3"`, `patch.suite == "s"`, `patch.origin == "Debian"`, `patch.class == "security"`,
		`patch.summary == "TLS"`, `patch.severity == "unknown"`, `"CVE-2026-1" in patch.cves`, `patch.exploited`, `patch.size_mb == 3.0`, `patch.age_days == 5`,
	} {
		c, err := policy.CompilePatches(source)
		if err != nil {
			t.Errorf("%s: %v", source, err)
		} else if !c.Holds(&p, now) {
			t.Errorf("%s does not hold", source)
		}
	}
}

func TestASheetIsMadeAnewWhenAgeMatters(t *testing.T) {
	text := strings.Replace(fleetPolicy, `patch.class == "preview"`, "patch.age_days < 3", 1)
	with := policy.NewSheet(policy.Rules{Policies: policy.Policies{Tenant: parsed(t, text)}}, nil, now)
	without := policy.NewSheet(policy.Rules{Policies: policy.Policies{Tenant: parsed(t, fleetPolicy)}}, nil, now)
	if with.Current(now.AddDate(0, 0, 1)) || !with.Current(now) || !without.Current(now.AddDate(1, 0, 0)) {
		t.Error("a sheet with ages lasts less than a day, another for ever")
	}
}

func TestParseRefuses(t *testing.T) {
	for from, to := range map[string]struct{ with, want string }{
		"verdict: approve}":         {"verdict: aprove}", `8:69: rules[0].verdict: "aprove" is not a verdict`},
		"verdict: delay 21d}":       {"verdict: delay 60d}", "is shorter than the delay of rule previews"},
		"until: 2026-03-31":         {"until: 31/03/2026", "write it YYYY-MM-DD"},
		"max_exposure: 30d":         {"max_exposure: soon", `"soon" is not a duration`},
		"timezone: Europe/Paris":    {"timezone: Paris", `"Paris" is not a known time zone`},
		"owner: Exploitation":       {"ownr: Exploitation", "did you mean owner?"},
		"device.kind == \"server\"": {"patch.class == \"x\"", "conditions on patches stand in patches: of a rule"},
		"patch.name == \"nvidia\"":  {"device.model == \"x\"", "conditions on devices stand in devices: of a profile"},
		"to: 2026-01-31":            {"to: 2026-01-01", "is before 2026-01-15"},
		"at_most: 25%":              {"at_most: 0%", "write 1% to 100%"},
		"mode: window":              {"mode: if_needed", "is not read with mode: if_needed"},
		"deadline: 3d":              {"deadline: 20m", "leaves no room for a notice of 10m0s and a countdown of 20m0s"},
		"notice: 10m":               {"notice: 5s", "too short for a person to act on"},
		"name: finance":             {"name: servers", "servers is already on line"},
		"delay 21d}\n":              {"approve, until: 2026-02-01}\n", "is only read with verdict: decline"},
	} {
		text := strings.Replace(fleetPolicy, from, to.with, 1)
		if text == fleetPolicy {
			t.Fatalf("%q is not in the policy", from)
		}
		_, err := policy.Parse("fleet.yaml", []byte(text))
		var broken *manifest.Error
		if err == nil || !strings.Contains(err.Error(), to.want) {
			t.Errorf("%s: got %v, want %q", to.with, err, to.want)
		} else if !strings.HasPrefix(err.Error(), "fleet.yaml:") {
			t.Errorf("%s: %T %v has no line", to.with, broken, err)
		}
	}
}
