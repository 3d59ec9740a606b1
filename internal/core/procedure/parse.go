package procedure

import (
	"fmt"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/fleet"
	"patchring/internal/core/manifest"
	"patchring/internal/core/patch"
)

// The only anchor: days are counted from Patch Tuesday.
const anchor = "patch-tuesday"

// What a procedure does when its file does not say.
const (
	defaultAttempts   = 3
	defaultRetryAfter = 4 * time.Hour
	// DefaultUnreachable is how long a device may be silent where no procedure says.
	DefaultUnreachable  = 72 * time.Hour
	defaultVerification = 2
)

// Parse reads the text of a procedure file; file is its name in messages. The
// error is a *manifest.Error with every problem there is.
func Parse(file string, text []byte) (Procedure, error) {
	r := &manifest.Reader{What: "procedure", Examples: "examples/procedures"}
	p := readProcedure(r, text)
	if err := r.Err(file); err != nil {
		return Procedure{}, err
	}
	p.Warnings = r.Warnings()
	return p, nil
}

func readProcedure(r *manifest.Reader, text []byte) Procedure {
	at, ok := r.Document(text)
	if !ok {
		return Procedure{}
	}
	o := r.Object(at, "procedure", "title", "owner", "timezone", "anchor", "perimeter", "content", "rings",
		"windows", "reboot", "attempts", "retry_after", "unreachable_after", "rollback", "breaker", "verification", "emergency", "on_feedback",
		"visas", "classification", "sla")
	o.Need("procedure", "name it with lower-case letters, digits and dashes, for example procedure: workstations")
	o.Need("title", "say what it is for, for example title: Monthly updates")
	o.Need("owner", "name the role or team that answers for it")
	o.Need("timezone", "name a zone, for example timezone: Europe/Paris")
	o.Need("anchor", "write anchor: "+anchor)
	o.Need("perimeter", "say which devices it is about, for example perimeter: {kinds: [workstation]}")
	o.Need("rings", "list at least one ring")
	manifest.Choice(o, "anchor", "", []string{anchor})
	p := Procedure{
		Name:             o.Identifier("procedure"),
		Title:            o.Words("title"),
		Owner:            o.Text("owner"),
		Zone:             o.Zone("timezone"),
		Classes:          readClasses(o),
		Reboot:           manifest.Choice(o, "reboot", RebootIfNeeded, []Reboot{RebootNever, RebootIfNeeded}),
		Attempts:         o.Integer("attempts", defaultAttempts, manifest.Limits{Low: 1, High: 10}),
		RetryAfter:       o.Duration("retry_after", defaultRetryAfter),
		UnreachableAfter: o.Duration("unreachable_after", DefaultUnreachable),
		Verification:     readVerification(o),
		OnFeedback:       manifest.Choice(o, "on_feedback", FeedbackNone, OnFeedbacks()),
		Visas:            readVisas(o),
		Classification:   readClassification(o),
		SLA:              readSLA(o),
	}
	p.Perimeter, p.Exclude = readPerimeter(o)
	p.RollbackOn, p.HoldOn, p.Rollback = readRollback(o)
	p.Emergency = readEmergency(o)
	p.Breaker, p.AfterGlobal = readBreakers(o)
	rings := readRings(o)
	p.Windows = readWindows(o, p.Zone)
	for _, ring := range rings {
		p.Rings = append(p.Rings, ring.Ring)
	}
	checkRings(r, rings)
	if r.Err("") == nil {
		checkDates(r, p, rings)
	}
	return p
}

func readClasses(o manifest.Object) []patch.Class {
	if !o.Has("content") {
		return []patch.Class{patch.Security}
	}
	content := o.Reader.Object(o.Field("content"), "classes")
	content.Need("classes", "write classes: [security]")
	var out []patch.Class
	content.List("classes", func(at manifest.Place) {
		out = append(out, manifest.OneOf(o.Reader, at, "", []patch.Class{patch.Security, patch.Quality, patch.ThirdParty}))
	})
	if content.Has("classes") && len(out) == 0 {
		o.Reader.Refuse(content.Field("classes"), "is empty", "write classes: [security]")
	}
	return out
}

func readVerification(o manifest.Object) Verification {
	v := Verification{DaysAfterLastRingOpens: defaultVerification}
	if o.Has("verification") {
		in := o.Reader.Object(o.Field("verification"), "days_after_last_ring_opens", "sign_offs")
		in.Need("days_after_last_ring_opens", "write how many days, for example 2")
		if v.SignOffs = readSignOffs(in); in.Has("sign_offs") && len(v.SignOffs) == 0 {
			o.Reader.Refuse(in.Field("sign_offs"), "is empty", "name who vouches for the verification, or leave sign_offs out")
		}
		v.DaysAfterLastRingOpens = in.Integer("days_after_last_ring_opens", defaultVerification, manifest.Limits{Low: 1, High: 30})
	}
	return v
}

func readClassification(o manifest.Object) manifest.Text {
	if !o.Has("classification") {
		return manifest.Text{}
	}
	return o.Words("classification")
}

// Days of an emergency: shorter than an hour no device is reached in, and a
// whole one is no emergency.
const (
	defaultEmergencyDay = 2 * time.Hour
	minEmergencyDay     = time.Hour
	maxEmergencyDay     = 12 * time.Hour
)

func readEmergency(o manifest.Object) Emergency {
	if !o.Has("emergency") {
		return Emergency{}
	}
	in := o.Reader.Object(o.Field("emergency"), "day", "sign_offs")
	in.Need("sign_offs", "name who lets an emergency start, for example sign_offs: [{role: security, title: Security officer}]")
	e := Emergency{Day: in.Duration("day", defaultEmergencyDay), SignOffs: readSignOffs(in)}
	if e.Day < minEmergencyDay || e.Day > maxEmergencyDay {
		o.Reader.Refuse(in.Or("day"), fmt.Sprintf("lasts %s", e.Day), fmt.Sprintf("write %s to %s, for example 2h", minEmergencyDay, maxEmergencyDay))
	}
	if in.Has("sign_offs") && len(e.SignOffs) == 0 {
		o.Reader.Refuse(in.Field("sign_offs"), "is empty", "name at least one role: nobody starts an emergency alone")
	}
	return e
}

func readVisas(o manifest.Object) []Visa {
	var out []Visa
	o.List("visas", func(at manifest.Place) {
		in := o.Reader.Object(at, "visa", "name", "role", "date")
		in.Need("role", "name the role that signed")
		in.Need("date", "write when it signed, YYYY-MM-DD")
		visa := Visa{Kind: manifest.Choice(in, "visa", Validated, VisaKinds()), Name: in.Text("name"), Role: in.Text("role")}
		if in.Has("date") {
			var err error
			if visa.Date, err = calendar.ParseDate(in.Text("date")); err != nil {
				o.Reader.Refuse(in.Field("date"), err.Error(), "write it YYYY-MM-DD")
			}
		}
		out = append(out, visa)
	})
	return out
}

// readRollback reads when and how things go back. Without a word in the file a
// critical incident holds and nothing rolls back by itself.
func readRollback(o manifest.Object) (rollBack, hold Severity, how Rollback) {
	if !o.Has("rollback") {
		return NoSeverity, Critical, Rollback{ExceptionDays: DefaultExceptionDays, Control: DefaultControl}
	}
	in := o.Reader.Object(o.Field("rollback"), "on_severity", "hold_on_severity", "rehearse", "exception_days", "control")
	rollBack, hold = readIncidents(in)
	return rollBack, hold, readRehearsal(in)
}

func readIncidents(in manifest.Object) (rollBack, hold Severity) {
	if !in.Has("on_severity") {
		if in.Has("hold_on_severity") {
			in.Need("on_severity", "write on_severity: critical")
		}
		return NoSeverity, Critical
	}
	rollBack = manifest.Choice(in, "on_severity", NoSeverity, Severities())
	hold = manifest.Choice(in, "hold_on_severity", rollBack, Severities())
	if hold.rank() > rollBack.rank() && rollBack != NoSeverity {
		in.Reader.Refuse(in.Field("hold_on_severity"), fmt.Sprintf("is %s, above the severity that rolls back", hold),
			fmt.Sprintf("write %s or a milder one: what rolls back also holds", rollBack))
	}
	return rollBack, hold
}

// Days of the exception that covers what a rollback leaves open: the next
// month's campaign brings what mends it, as a rule.
const (
	DefaultExceptionDays = 30
	// DefaultControl is in both languages: it is kept as a person's words are.
	DefaultControl = "Version précédente en place, suivie jusqu'à la vérification d'une plus récente. / " +
		"The previous version is in place, watched until a newer one is verified."
	maxExceptionDays   = 365
	maxRehearseDevices = 1000
)

// readRehearsal reads what is rehearsed (true, false, or {devices: 2}), and how
// long what is open again is excepted.
func readRehearsal(in manifest.Object) Rollback {
	out := Rollback{Control: DefaultControl}
	if in.Has("control") {
		out.Control = in.Text("control")
	}
	out.ExceptionDays = in.Integer("exception_days", DefaultExceptionDays, manifest.Limits{Low: 1, High: maxExceptionDays})
	switch {
	case !in.Has("rehearse"):
	case in.Field("rehearse").Mapping():
		some := in.Reader.Object(in.Field("rehearse"), "devices")
		some.Need("devices", "write on how many devices each patch is rehearsed, for example rehearse: {devices: 2}")
		out.Rehearse, out.RehearseDevices = true, some.Integer("devices", 1, manifest.Limits{Low: 1, High: maxRehearseDevices})
	default:
		out.Rehearse = in.Boolean("rehearse")
	}
	return out
}

func readPerimeter(o manifest.Object) (perimeter, exclude fleet.Selector) {
	if !o.Has("perimeter") {
		return perimeter, exclude
	}
	in := o.Reader.Object(o.Field("perimeter"), append(manifest.SelectorFields(), "exclude")...)
	perimeter = in.Selector()
	if in.Has("exclude") {
		exclude = o.Reader.Object(in.Field("exclude"), manifest.SelectorFields()...).Selector()
	}
	return perimeter, exclude
}
