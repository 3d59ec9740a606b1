package policy

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/manifest"
	"patchring/wire"
)

// maxConditions bounds what a device is asked; each is one bit of its Match.
const maxConditions = 256

// Parse reads the text of a policy file; file is its name in messages. The
// error is a *manifest.Error with every problem there is.
func Parse(file string, text []byte) (Policy, error) {
	r := parser{Reader: &manifest.Reader{What: "policy", Examples: "examples/policies"}}
	p := r.policy(text)
	if err := r.Err(file); err != nil {
		return Policy{}, err
	}
	p.conditions = r.conditions
	p.Warnings = r.Warnings()
	return p, nil
}

// parser collects the conditions on devices that a file asks for.
type parser struct {
	*manifest.Reader
	conditions []*DeviceCondition
	zone       *time.Location
}

func (r *parser) policy(text []byte) Policy {
	at, ok := r.Document(text)
	if !ok {
		return Policy{}
	}
	o := r.Object(at, "policy", "title", "owner", "timezone", "max_exposure", "rules", "profiles", "freezes", "safeguards", "limits", "bandwidth", "probes", "sample_every")
	o.Need("policy", "name it with lower-case letters, digits and dashes, for example policy: fleet")
	o.Need("title", "say what it is for, for example title: Workstations and servers")
	o.Need("owner", "name the role or team that answers for it")
	o.Need("timezone", "name a zone, for example timezone: Europe/Paris")
	r.zone = o.Zone("timezone")
	p := Policy{
		Name: o.Identifier("policy"), Title: o.Words("title"), Owner: o.Text("owner"), Zone: r.zone,
		MaxExposure: o.Duration("max_exposure", 0),
	}
	p.Rules = r.rules(o)
	r.named(o, "profiles", func(o manifest.Object) { p.Profiles = append(p.Profiles, r.profile(o)) },
		"name", "title", "devices", "rules", "windows", "reboot", "people", "clean_up", "wake")
	r.named(o, "freezes", func(o manifest.Object) { p.Freezes = append(p.Freezes, r.freeze(o)) },
		"name", "devices", "from", "to", "reason", "timezone")
	r.named(o, "safeguards", func(o manifest.Object) { p.Safeguards = append(p.Safeguards, r.safeguard(o)) },
		"name", "devices", "patches", "reason", "lift_on")
	r.named(o, "limits", func(o manifest.Object) { p.Limits = append(p.Limits, r.limit(o)) },
		"name", "devices", "each", "at_most", "order", "stop_after")
	r.named(o, "bandwidth", func(o manifest.Object) { p.Bandwidths = append(p.Bandwidths, r.bandwidth(o)) },
		"name", "devices", "each", "mbit_per_s")
	r.named(o, "probes", func(o manifest.Object) { p.Probes = append(p.Probes, r.probe(o)) }, probeFields()...)
	r.checkProbes(o, p.Probes)
	p.SampleEvery = r.sample(o)
	r.checkDelays(o, p)
	if len(r.conditions) > maxConditions {
		r.Refuse(at, fmt.Sprintf("asks %d conditions of each device", len(r.conditions)), fmt.Sprintf("keep %d at most", maxConditions))
	}
	return p
}

// named reads a list of objects that each have their own name.
func (r *parser) named(o manifest.Object, list string, each func(manifest.Object), fields ...string) {
	lines := map[string]int{}
	o.List(list, func(at manifest.Place) {
		in := r.Object(at, fields...)
		in.Need("name", "name it with lower-case letters, digits and dashes")
		name := in.Identifier("name")
		if first := lines[name]; first != 0 && name != "" {
			r.Refuse(at, fmt.Sprintf("%s is already on line %d", name, first), "give each its own name")
		}
		lines[name] = at.Line()
		each(in)
	})
}

func (r *parser) profile(o manifest.Object) Profile {
	o.Need("devices", `say which devices, for example devices: device.kind == "workstation"`)
	p := Profile{Name: o.Identifier("name"), Title: o.Words("title"), Devices: r.chosen(o, "devices"), Rules: r.rules(o), Windows: r.windows(o, "windows")}
	if o.Has("reboot") {
		p.Reboot = r.reboot(r.Object(o.Field("reboot"), "mode", "windows"))
	}
	if o.Has("people") {
		p.People = r.people(r.Object(o.Field("people"), "postpones", "deadline", "notice", "countdown", "battery_percent", "title", "message"))
	}
	if o.Has("clean_up") {
		p.CleanUp = r.cleanUp(o, p)
	}
	if o.Has("wake") {
		may := o.Boolean("wake")
		p.Wake = &may
	}
	if p.Reboot != nil && p.Reboot.Mode == RebootByUser && p.People == nil {
		r.Warn(o.Or("people"), "nobody is asked, so mode: user reboots as if_needed", "say how people are asked, for example people: {deadline: 3d}")
	}
	if len(p.Rules) == 0 && len(p.Windows) == 0 && p.Reboot == nil && p.People == nil && p.CleanUp == nil && p.Wake == nil && !o.Written("rules") && !o.Written("windows") {
		r.Warn(o.At, "profile "+p.Name+" says nothing of its devices", "give it rules, windows, reboot, people, clean_up or wake")
	}
	return p
}

func (r *parser) windows(o manifest.Object, name string) []calendar.Window {
	var out []calendar.Window
	r.named(o, name, func(in manifest.Object) { out = append(out, in.Window(r.zone)) }, manifest.WindowFields()...)
	return out
}

func (r *parser) reboot(o manifest.Object) *Reboot {
	o.Need("mode", "write mode: if_needed")
	b := &Reboot{Mode: manifest.Choice(o, "mode", RebootIfNeeded, RebootModes()), Windows: r.windows(o, "windows")}
	switch {
	case b.Mode == RebootInWindow && len(b.Windows) == 0:
		r.Refuse(o.Or("windows"), "is missing: the mode is window", "list the windows in which devices may restart")
	case b.Mode != RebootInWindow && len(b.Windows) > 0:
		r.Refuse(o.Field("windows"), fmt.Sprintf("is not read with mode: %s", b.Mode), "write mode: window, or take the windows out")
	}
	return b
}

// shortest announcement that a person can act on.
const shortestNotice = time.Minute

func (r *parser) people(o manifest.Object) *People {
	o.Need("deadline", "say after how long it is installed all the same, for example deadline: 3d")
	p := &People{
		Postpones: o.Integer("postpones", 3, manifest.Limits{Low: 0, High: 50}),
		Deadline:  o.Duration("deadline", 0),
		Notice:    o.Duration("notice", 15*time.Minute),
		Countdown: o.Duration("countdown", 15*time.Minute),
		Battery:   o.Integer("battery_percent", 25, manifest.Limits{Low: 0, High: 100}),
		Title:     o.Words("title"), Message: o.Words("message"),
	}
	for _, f := range []struct {
		name string
		d    time.Duration
	}{{"notice", p.Notice}, {"countdown", p.Countdown}} {
		if f.d < shortestNotice {
			r.Refuse(o.Or(f.name), "is too short for a person to act on", "write 1m or more")
		}
	}
	for name, text := range map[string]manifest.Text{"title": p.Title, "message": p.Message} {
		if len(text.FR) > wire.MaxTextBytes || len(text.EN) > wire.MaxTextBytes {
			r.Refuse(o.Field(name), fmt.Sprintf("is longer than %d bytes", wire.MaxTextBytes), "say it shorter: people read it on their screen")
		}
	}
	if o.Has("deadline") && p.Deadline < p.Notice+p.Countdown {
		r.Refuse(o.Field("deadline"), fmt.Sprintf("leaves no room for a notice of %s and a countdown of %s", p.Notice, p.Countdown), "write a later deadline, for example 3d")
	}
	return p
}

func (r *parser) rules(o manifest.Object) []Rule {
	var out []Rule
	r.named(o, "rules", func(in manifest.Object) { out = append(out, r.rule(in)) }, "name", "patches", "verdict", "until")
	return out
}

var delay = regexp.MustCompile(`^delay (\d{1,3})d$`)

func (r *parser) rule(o manifest.Object) Rule {
	o.Need("verdict", "write verdict: approve, verdict: delay 7d, or verdict: decline")
	rule := Rule{Name: o.Identifier("name"), Patches: r.patches(o)}
	said := o.Text("verdict")
	days := delay.FindStringSubmatch(said)
	switch {
	case said == "":
	case said == "approve":
		rule.Verdict = Approved
	case said == "decline":
		rule.Verdict = Declined
	case days != nil:
		n, _ := strconv.Atoi(days[1]) // three digits at most
		rule.Verdict, rule.Delay = Delayed, time.Duration(n)*24*time.Hour
	default:
		r.Refuse(o.Field("verdict"), fmt.Sprintf("%q is not a verdict", said), "write approve, decline, or delay with a number of days: delay 7d")
	}
	if o.Has("until") {
		rule.Until = o.Date("until").AddDays(1).At(0, r.orUTC())
		if rule.Verdict != Declined && rule.Verdict != "" {
			r.Refuse(o.Field("until"), "is only read with verdict: decline", "take it out, or write verdict: decline")
		}
	}
	return rule
}

func (r *parser) orUTC() *time.Location {
	if r.zone == nil {
		return time.UTC
	}
	return r.zone
}

func (r *parser) patches(o manifest.Object) *PatchCondition {
	if !o.Has("patches") {
		return nil
	}
	c, err := CompilePatches(o.Text("patches"))
	if err != nil {
		fix := `compare fields of patches, for example patch.class == "security"`
		if strings.Contains(err.Error(), `"device.`) {
			fix = "conditions on devices stand in devices: of a profile"
		}
		r.Refuse(o.Field("patches"), err.Error(), fix)
	}
	return c
}

// chosen reads a condition on devices; without one every device is meant.
func (r *parser) chosen(o manifest.Object, name string) Chosen {
	if !o.Has(name) {
		return Chosen{condition: -1}
	}
	return r.condition(o.Field(name))
}

func (r *parser) condition(at manifest.Place) Chosen {
	source := r.Text(at)
	c, err := CompileDevices(source)
	if err != nil && source != "" {
		fix := `compare fields of devices, for example device.kind == "server"`
		if strings.Contains(err.Error(), `"patch.`) {
			fix = "conditions on patches stand in patches: of a rule"
		}
		r.Refuse(at, err.Error(), fix)
	}
	r.conditions = append(r.conditions, c)
	return Chosen{Source: source, condition: len(r.conditions) - 1}
}

func (r *parser) freeze(o manifest.Object) Freeze {
	o.Need("from", "write its first day, YYYY-MM-DD")
	o.Need("to", "write its last day, YYYY-MM-DD")
	o.Need("reason", "say why, for example reason: Closing of accounts")
	f := Freeze{Name: o.Identifier("name"), Devices: r.chosen(o, "devices"), From: o.Date("from"), To: o.Date("to"), Reason: o.Words("reason"), Zone: r.orUTC()}
	if o.Has("timezone") {
		f.Zone = o.Zone("timezone")
	}
	switch {
	case f.From.IsZero() || f.To.IsZero():
	case f.To.Compare(f.From) < 0:
		r.Refuse(o.Field("to"), fmt.Sprintf("%s is before %s", f.To, f.From), "put the first day first")
	case f.To.DaysSince(f.From) > 92:
		r.Warn(o.Field("to"), fmt.Sprintf("the freeze lasts %d days, in which nothing is mended", f.To.DaysSince(f.From)+1), "shorten it, or count on emergencies")
	}
	return f
}

func (r *parser) safeguard(o manifest.Object) Safeguard {
	o.Need("devices", `say which devices, for example devices: device.model == "X1"`)
	o.Need("patches", `say which patches, for example patches: patch.name.startsWith("nvidia")`)
	o.Need("reason", "say what breaks")
	return Safeguard{Name: o.Identifier("name"), Devices: r.chosen(o, "devices"), Patches: r.patches(o), Reason: o.Words("reason"), LiftOn: r.chosen(o, "lift_on")}
}

var percent = regexp.MustCompile(`^(\d{1,3})%$`)

func (r *parser) limit(o manifest.Object) Limit {
	o.Need("devices", `say which devices, for example devices: device.tags.cluster == "sql"`)
	o.Need("at_most", "say how many at once: at_most: 1, or at_most: 25%")
	l := Limit{Name: o.Identifier("name"), Devices: r.chosen(o, "devices"), Each: o.Text("each"), StopAfter: o.Integer("stop_after", 0, manifest.Limits{Low: 0, High: 1e6})}
	if said := o.Text("at_most"); said != "" {
		if m := percent.FindStringSubmatch(said); m != nil {
			l.AtMostPc, _ = strconv.Atoi(m[1]) // three digits at most
			if l.AtMostPc < 1 || l.AtMostPc > 100 {
				r.Refuse(o.Field("at_most"), said+" is out of range", "write 1% to 100%")
			}
		} else {
			l.AtMost = o.Integer("at_most", 1, manifest.Limits{Low: 1, High: 1e6})
		}
	}
	o.List("order", func(at manifest.Place) { l.Order = append(l.Order, r.condition(at)) })
	return l
}

func (r *parser) bandwidth(o manifest.Object) Bandwidth {
	o.Need("devices", `say which devices share it, for example devices: device.site == "lyon"`)
	o.Need("mbit_per_s", "say how much they may take together, for example mbit_per_s: 20")
	megabits := o.Number("mbit_per_s", 1, manifest.Limits{Low: 0.1, High: 100_000})
	return Bandwidth{Name: o.Identifier("name"), Devices: r.chosen(o, "devices"), Each: o.Text("each"), BytesPerS: int64(megabits * 1e6 / 8)}
}

// checkDelays refuses a delay that the policy itself would cut short.
func (r *parser) checkDelays(o manifest.Object, p Policy) {
	if p.MaxExposure == 0 {
		return
	}
	check := func(rules []Rule) {
		for _, rule := range rules {
			if rule.Delay > p.MaxExposure {
				r.Refuse(o.Field("max_exposure"), fmt.Sprintf("is shorter than the delay of rule %s", rule.Name), "shorten the delay, or allow a longer exposure")
			}
		}
	}
	check(p.Rules)
	for _, profile := range p.Profiles {
		check(profile.Rules)
	}
}
