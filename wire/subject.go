package wire

import (
	"fmt"
	"strings"
)

// The subjects of one tenant's account. The tenant is not in them: each
// tenant is a broker account of its own, so a subject cannot reach another
// tenant's agents whatever it says.
//
// A device id is a UUID in text form: it holds no dot, star, blank or ">"
// and is safe as a token. DeviceOf refuses anything else.
const (
	SubjectOrderAll    = "ord.all" // to every agent: the holds in force
	SubjectQuestionAll = "q.all"   // to every agent: a question

	ReportPattern = "rep.*.*" // what the gateway serves
	AnswerPattern = "ans.*.*" // what a questioner listens to
)

// ReportKind is the last token of a report subject.
type ReportKind string

// The kinds of report an agent makes. Each is a request the server answers.
const (
	ReportCheckin ReportKind = "checkin" // Checkin → CheckinReply
	ReportPart    ReportKind = "part"    // Part → PartReply
	ReportEvents  ReportKind = "events"  // Events → EventsReply
	ReportRenew   ReportKind = "renew"   // RenewRequest → RenewReply
)

// ReportSubject is where a device sends a report.
func ReportSubject(device string, kind ReportKind) string {
	return "rep." + device + "." + string(kind)
}

// OrderSubject is where a device receives its own signed envelopes.
func OrderSubject(device string) string { return "ord." + device }

// QuestionSubject is where one device is asked something.
func QuestionSubject(device string) string { return "q." + device }

// AnswerSubject is where a device answers a question: the permission to
// publish below ans.<device> is what authenticates the sender.
func AnswerSubject(device, question string) string { return "ans." + device + "." + question }

// InboxPrefix is the private reply prefix of a device.
func InboxPrefix(device string) string { return "in." + device }

// Permissions are the subjects a client may publish and subscribe to.
type Permissions struct {
	Publish   []string
	Subscribe []string
}

// AgentPermissions are all that a device's certificate allows.
func AgentPermissions(device string) Permissions {
	return Permissions{
		Publish: []string{"rep." + device + ".*", "ans." + device + ".*"},
		Subscribe: []string{
			OrderSubject(device), QuestionSubject(device),
			SubjectOrderAll, SubjectQuestionAll,
			InboxPrefix(device) + ".>",
		},
	}
}

// DeviceOf names the device that a report or answer subject belongs to, and
// its last token.
func DeviceOf(subject string) (device, last string, err error) {
	parts := strings.Split(subject, ".")
	if len(parts) != 3 || (parts[0] != "rep" && parts[0] != "ans") || parts[1] == "" || parts[2] == "" {
		return "", "", fmt.Errorf("subject %q is no report or answer", subject)
	}
	return parts[1], parts[2], nil
}
