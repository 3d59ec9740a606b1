package lang

import "strings"

// Family is a set of stored values that have words: the prefix of their keys.
type Family string

// Families.
const (
	PatchState     Family = "patch_state"
	CampaignState  Family = "campaign_state"
	RingState      Family = "ring_state"
	DeviceState    Family = "device_state"
	OrderState     Family = "order_state"
	Verdict        Family = "verdict"
	Gate           Family = "gate"     // what a gate decided
	Evidence       Family = "evidence" // what a gate measures
	Bucket         Family = "bucket"   // the five numbers
	Outcome        Family = "outcome"  // of one device, as a bucket counts it
	Step           Family = "step"     // of an order
	Kind           Family = "kind"     // of a device
	Class          Family = "class"    // of a patch
	Offer          Family = "offer"    // how a patch is offered on a device
	Scan           Family = "scan"     // how a scan ended
	Answer         Family = "answer"   // of a sign-off
	Goal           Family = "goal"     // install or rollback
	Act            Family = "act"      // register entry kinds
	Check          Family = "check"    // links of the chain that leads to an install
	Severity       Family = "severity"
	Grade          Family = "grade"         // of a vulnerability
	GradedBy       Family = "graded_by"     // who said so
	Feed           Family = "feed"          // of vulnerabilities
	DebianStatus   Family = "debian_status" // of a vulnerability in a release
	Rollback       Family = "rollback"      // readiness
	RebootSignal   Family = "reboot_signal" // why a reboot is wanted
	CalendarNote   Family = "note"
	Origin         Family = "origin" // of a campaign
	TaskState      Family = "task_state"
	Feedback       Family = "feedback_says" // what people say of an update
	ProofKind      Family = "proof"         // that a manual task asks for
	ExceptionState Family = "exception_state"
	Thing          Family = "thing"   // what a refusal speaks of
	Finding        Family = "finding" // kinds of what is to be put right before a campaign
	Urgency        Family = "urgency" // its severities
	Fix            Family = "fix"
	Lifecycle      Family = "lifecycle_state" // of a system
	Advice         Family = "advice"
	Feature        Family = "feature"    // kinds of what pilots cover
	Hardware       Family = "hardware"   // parts of a device
	Part           Family = "part"       // of what policies say beside verdicts
	FieldType      Family = "field_type" // of what conditions may ask
	CleanUpState   Family = "clean_up_state"
	CleanUpKind    Family = "clean_up_kind"
	FreezeOrigin   Family = "freeze_origin"
	FreezeState    Family = "freeze_state"
	HoursOf        Family = "hours_of" // what gives devices their windows
	Measure        Family = "measure"
	ProbeType      Family = "probe_type"
	ProbeState     Family = "probe_state"
	AlertEvent     Family = "alert_event" // what happened
	AlertSeverity  Family = "alert_severity"
	AlertState     Family = "alert_state"
	AlertNotice    Family = "alert_notice" // what a message tells of an alert
	AlertEnd       Family = "alert_end"    // why it is over
	AlertDo        Family = "alert_do"     // what can be done from it
	AlertChange    Family = "alert_change" // what becomes of a rule or an output
	AlertField     Family = "alert_field"  // of a document of rules
	OutputWay      Family = "output_way"
	OutputStep     Family = "output_step" // at which telling failed
	SecretProblem  Family = "secret_problem"
	FeedKind       Family = "feed_kind"
	DeliveryState  Family = "delivery_state"
	IncidentState  Family = "incident_state"
	IncidentAct    Family = "incident_act"
	IncidentOrigin Family = "incident_origin"
	Response       Family = "response"   // of a campaign to an incident
	TestState      Family = "test_state" // of an item of a gate's tests
	Health         Family = "health"     // verdicts on measures
	HealthWhy      Family = "health_why" // why there is none yet
	role           Family = "role"
)

// Word is the word of a stored value. A value without one (a role of the
// customer's own, a state of a newer server) is shown as it is.
func (w Words) Word(f Family, value string) string {
	if value == "" {
		return ""
	}
	if id := string(f) + "." + value; w.Has(id) {
		return w.T(id)
	}
	return value
}

func word(f Family) meaning {
	return func(w Words, value string) string { return w.Word(f, value) }
}

// Role is the title of a role.
func (w Words) Role(value string) string { return w.Word(role, value) }

// anyState is a state of whatever a conflict speaks of. Where two families
// share a value its word is the same in both.
func (w Words) anyState(value string) string {
	for _, f := range []Family{CampaignState, RingState, DeviceState, PatchState, OrderState, CleanUpState} {
		if w.Has(string(f) + "." + value) {
			return w.Word(f, value)
		}
	}
	return value
}

// Evidence is a measured fact of a gate: its name, what is asked (">= 97") and
// what was found, as people read them.
func (w Words) Evidence(name, need, have string) (title, asked, found string) {
	value := w.amount
	switch {
	case strings.HasSuffix(name, "_percent"):
		value = w.share
	case strings.HasSuffix(name, "_hours"):
		value = w.decimal
	}
	op, number, _ := strings.Cut(need, " ")
	switch op {
	case ">=":
		asked = "≥" + noBreak + value(number)
	case "<=":
		asked = "≤" + noBreak + value(number)
	default:
		asked = need
	}
	if name == "health" {
		return w.Word(Evidence, name), "", w.Word(Health, have)
	}
	return w.Word(Evidence, name), asked, value(have)
}

// Actor is who did something: "user:name", "agent:device" or "system:part".
func (w Words) Actor(actor string) string {
	kind, name, ok := strings.Cut(actor, ":")
	if !ok {
		return actor
	}
	switch kind {
	case "user":
		return name
	case "agent":
		return w.T("actor.agent", "name", name)
	case "system":
		return w.T("actor.system")
	}
	return actor
}
