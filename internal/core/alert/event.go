package alert

import (
	"encoding/json"

	"patchring/internal/core/fault"
	"patchring/internal/core/procedure"
	"patchring/internal/core/register"
	"patchring/internal/core/task"
)

// Event names what a rule may be about beside a measure.
type Event string

// Events. The first three are absences and states, found by looking; the others
// are read from the register, each entry once.
const (
	ProbeDown         Event = "probe_down"
	DeviceSilent      Event = "device_silent"
	UnreachableReboot Event = "unreachable_after_reboot"
	InstallFailed     Event = "install_failed"
	RollbackFailed    Event = "rollback_failed"
	GateStopped       Event = "gate_stopped"
	HoldPlaced        Event = "hold_placed"
	BreakerTripped    Event = "breaker_tripped" // a hold that the breaker placed
	IncidentOpened    Event = "incident_opened"
	RegressionFound   Event = "regression" // a hold that the breaker placed for what got worse
	FeedbackBroken    Event = "feedback_broken"
	RollbackRequested Event = "rollback_requested"
	TaskOverdue       Event = "task_overdue"
	TestDue           Event = "test_due" // its ring closes soon, and it is not ticked
	TestOverdue       Event = "test_overdue"
	RegisterForked    Event = "register_forked"
	RebootLoop        Event = "reboot_loop"
	EmergencyStarted  Event = "emergency_approved"
	AmendmentAdded    Event = "amendment_added"
	VerificationDone  Event = "verification_done"
)

// Events lists them.
func Events() []Event {
	return []Event{
		ProbeDown, DeviceSilent, UnreachableReboot, InstallFailed, RollbackFailed, GateStopped, HoldPlaced, BreakerTripped, IncidentOpened,
		RegressionFound, FeedbackBroken, RollbackRequested, TaskOverdue, TestDue, TestOverdue, RegisterForked, RebootLoop, EmergencyStarted, AmendmentAdded, VerificationDone,
	}
}

// Absent tells whether the event is that nothing came.
func (e Event) Absent() bool { return e == DeviceSilent || e == UnreachableReboot }

// InRegister tells whether the event is read from the register.
func (e Event) InRegister() bool { return e != "" && e != ProbeDown && !e.Absent() }

// Signal is what one register entry says of one event.
type Signal struct {
	Event Event
	Over  bool // it is no more
	// Replaced: it is over because something worse of the same stands in its place,
	// which is nothing to be told.
	Replaced bool
	Subject  string // what it is about, where that is neither a device nor a ring
	Device   string
	// All: it is over wherever it stands in the campaign.
	All      bool
	Campaign string
	Ring     string
	Patch    string
	Grade    float64 // the higher the worse
	Args     map[string]string
}

// Key is what one alert of a rule is about: several signals of one key are one
// alert.
func (s Signal) Key() string {
	switch {
	case s.Subject != "":
		return s.Subject
	case s.Device != "":
		return DeviceKey(s.Device)
	}
	return "campaign:" + s.Campaign + "/" + s.Ring
}

// DeviceKey is the key of what is about a device.
func DeviceKey(device string) string { return "device:" + device }

// Read says what an entry means; most mean nothing.
func Read(e register.Entry) []Signal {
	out := readKind(e)
	switch e.Reason.Code {
	case fault.RegisterForked:
		out = append(out, of(e, RegisterForked))
	case fault.RebootLoop:
		out = append(out, of(e, RebootLoop))
	}
	return out
}

func of(e register.Entry, event Event) Signal {
	s := Signal{Event: event, Device: e.Device, Campaign: e.Campaign, Ring: e.Ring, Patch: e.Patch, Args: map[string]string{}}
	if e.Actor != "" {
		s.Args["by"] = string(e.Actor)
	}
	for _, key := range []string{"why", "what", "words", "title"} {
		if text, ok := e.Detail[key].(string); ok && text != "" {
			s.Args["why"] = text
		}
	}
	return s
}

func over(s Signal) Signal { s.Over = true; return s }

func readKind(e register.Entry) []Signal {
	switch e.Kind {
	case register.OrderResult:
		return readResult(e)
	case register.GateDecided:
		return readGate(e)
	case register.RingDone:
		return []Signal{over(of(e, GateStopped))}
	case register.CampaignClosed:
		return readClosed(e)
	case register.HoldPlaced, register.HoldLifted:
		return readHold(e)
	case register.IncidentOpened, register.IncidentClosed:
		return readIncident(e)
	case register.FeedbackGiven, register.FeedbackClosed:
		return readFeedback(e)
	case register.TaskReminded, register.TaskClosed:
		return readTask(e)
	case register.TestReminded, register.TestTicked:
		return readTest(e)
	case register.RollbackRequested:
		return []Signal{of(e, RollbackRequested)}
	case register.EmergencyApproved:
		return []Signal{of(e, EmergencyStarted)}
	case register.AmendmentAdded:
		return []Signal{of(e, AmendmentAdded)}
	case register.VerificationDone:
		return []Signal{of(e, VerificationDone)}
	}
	return nil
}

// readResult reads what came of an order: an install that fails is bad until
// one on the same device does not.
func readResult(e register.Entry) []Signal {
	event := map[any]Event{"install": InstallFailed, "rollback": RollbackFailed}[e.Detail["kind"]]
	outcomes, ok := e.Detail["outcomes"].([]any)
	if event == "" || !ok {
		return nil
	}
	s := of(e, event)
	s.Over = len(outcomes) > 0
	for _, one := range outcomes {
		o, ok := one.(map[string]any)
		if !ok || o["state"] != "failed" {
			continue
		}
		s.Over = false
		if patch, ok := o["patch"].(string); ok {
			s.Patch = patch
		}
		if cause, ok := o["cause"].(string); ok {
			s.Args["cause"] = cause
		}
	}
	if s.Over || len(outcomes) > 0 {
		return []Signal{s}
	}
	return nil
}

// readGate: a gate that stops is bad until it is decided otherwise.
func readGate(e register.Entry) []Signal {
	s := of(e, GateStopped)
	switch e.Detail["verdict"] {
	case "hold":
		return []Signal{s}
	case "pass":
		return []Signal{over(s)}
	}
	return nil // it waits, as gates do
}

// readClosed: with its campaign everything is over that was about the campaign.
func readClosed(e register.Entry) []Signal {
	var out []Signal
	for _, event := range []Event{GateStopped, HoldPlaced, BreakerTripped, RegressionFound, TestDue, TestOverdue} {
		s := over(of(e, event))
		s.All = true
		out = append(out, s)
	}
	return out
}

// readHold: a hold is an alert of its own, with its id. The breaker's holds say
// why they were placed in a code; a hold for what an incident asked, or a rule,
// is not the breaker's, whoever signs it.
func readHold(e register.Entry) []Signal {
	s := of(e, HoldPlaced)
	if id, ok := e.Detail["hold"].(string); ok {
		s.Subject = "hold:" + id
	}
	s.Over = e.Kind == register.HoldLifted
	as := func(event Event) Signal {
		s := s
		s.Event = event
		return s
	}
	if s.Over {
		return []Signal{s, as(BreakerTripped), as(RegressionFound)}
	}
	why, _ := fault.ParseReason(s.Args["why"])
	switch why.Code {
	case fault.BreakerRegressions:
		return []Signal{as(BreakerTripped), as(RegressionFound)}
	case fault.BreakerFailures, fault.BreakerUnreachable, fault.BreakerProbes, fault.BreakerService, fault.BreakerComplaints, fault.BreakerElsewhere:
		return []Signal{as(BreakerTripped)}
	}
	return []Signal{s}
}

func readIncident(e register.Entry) []Signal {
	s := of(e, IncidentOpened)
	if id, ok := e.Detail["incident"].(string); ok && id != "" {
		s.Subject = "incident:" + id
	}
	s.Over = e.Kind == register.IncidentClosed
	if severity, ok := e.Detail["severity"].(string); ok {
		s.Args["severity"] = severity
		for i, known := range procedure.Severities() {
			if string(known) == severity {
				s.Grade = float64(i + 1)
			}
		}
	}
	return []Signal{s}
}

func readFeedback(e register.Entry) []Signal {
	s := of(e, FeedbackBroken)
	s.Over = e.Kind == register.FeedbackClosed || e.Detail["says"] != "broken"
	return []Signal{s}
}

// readTest: a test that waits is an alert of its own, and what comes of it is the
// affair of whoever it waits for. It is over when nothing is left to tick of it.
func readTest(e register.Entry) []Signal {
	due := of(e, TestDue)
	name, _ := e.Detail["test"].(string)
	due.Subject = "test:" + e.Campaign + "/" + number(e.Detail["amendment"]) + "/" + e.Ring + "/" + name
	due.Args["test"] = name
	late := due
	late.Event = TestOverdue
	if e.Kind == register.TestTicked {
		if number(e.Detail["left"]) != "0" {
			return nil
		}
		return []Signal{over(due), over(late)}
	}
	due.Args["whom"], _ = e.Detail["whom"].(string)
	due.Args["open"] = number(e.Detail["open"])
	state, _ := e.Detail["state"].(string)
	switch task.State(state) {
	case task.DueSoon:
		return []Signal{due}
	case task.Overdue, task.Escalated:
		due.Replaced = true
		return []Signal{over(due), late}
	}
	return nil
}

// number is a whole number of an entry as it was read back; empty: there is none.
func number(v any) string {
	n, _ := v.(json.Number)
	return n.String()
}

func readTask(e register.Entry) []Signal {
	s := of(e, TaskOverdue)
	if id, ok := e.Detail["task"].(string); ok {
		s.Subject = "task:" + id
	}
	s.Over = e.Kind == register.TaskClosed
	if whom, ok := e.Detail["whom"].(string); ok {
		s.Args["whom"] = whom
	}
	if !s.Over && e.Detail["state"] != "overdue" && e.Detail["state"] != "escalated" {
		return nil
	}
	return []Signal{s}
}
