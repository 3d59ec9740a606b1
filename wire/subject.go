package wire

import (
	"fmt"
	"strings"
)

// The subjects of one tenant's account. The tenant is not in them: each
// tenant is a broker account of its own, so a subject cannot reach another
// tenant's agents whatever it says.
//
// Whose a subject is stands first, a device's id or all, and then its
// direction, up or to. So three patterns are all that a device may do, and that
// matters: a broker keeps a tree of permissions for each connection, and a
// subject for each purpose made it twice as large.
//
// A device id is a UUID in text form: it holds no dot, star, blank or ">"
// and is safe as a token. DeviceOf refuses anything else.
const (
	SubjectOrderAll    = "all.ord" // to every agent: the holds in force
	SubjectQuestionAll = "all.q"   // to every agent: a question

	ReportPattern = "*.up.*"     // what the gateway serves
	AnswerPattern = "*.up.ans.*" // what a questioner listens to

	ofAll = "all.>"
)

// ReportKind is the last token of a report subject.
type ReportKind string

// The kinds of report an agent makes. Each is a request the server answers.
const (
	ReportCheckin ReportKind = "checkin" // Checkin → CheckinReply
	ReportPart    ReportKind = "part"    // Part → PartReply
	ReportEvents  ReportKind = "events"  // Events → EventsReply
	ReportRenew   ReportKind = "renew"   // RenewRequest → RenewReply

	ReportMeasures ReportKind = "measures" // MeasuresReport → MeasuresReply
)

// ReportSubject is where a device sends a report.
func ReportSubject(device string, kind ReportKind) string {
	return device + ".up." + string(kind)
}

// OrderSubject is where a device receives its own signed envelopes.
func OrderSubject(device string) string { return device + ".to.ord" }

// QuestionSubject is where one device is asked something.
func QuestionSubject(device string) string { return device + ".to.q" }

// AnswerSubject is where a device answers a question: the permission to
// publish below <device>.up is what authenticates the sender.
func AnswerSubject(device, question string) string { return device + ".up.ans." + question }

// InboxPrefix is the private reply prefix of a device.
func InboxPrefix(device string) string { return device + ".to.in" }

// IsQuestion tells whether a subject asks for answers.
func IsQuestion(subject string) bool { return strings.HasSuffix(subject, ".q") }

// Permissions are the subjects a client may publish and subscribe to.
type Permissions struct {
	Publish   []string
	Subscribe []string
}

// AgentPermissions are all that a device's certificate allows: to tell, and to
// listen to what is for it or for all.
func AgentPermissions(device string) Permissions {
	return Permissions{Publish: []string{device + ".up.>"}, Subscribe: []string{device + ".to.>", ofAll}}
}

// DeviceOf names the device that a report or answer subject belongs to, and
// its last token: the kind of report, or the question.
func DeviceOf(subject string) (device, last string, err error) {
	parts := strings.Split(subject, ".")
	report := len(parts) == 3 && parts[1] == "up"
	answer := len(parts) == 4 && parts[1] == "up" && parts[2] == "ans"
	if !report && !answer || parts[0] == "" || parts[len(parts)-1] == "" {
		return "", "", fmt.Errorf("subject %q is no report or answer", subject)
	}
	return parts[0], parts[len(parts)-1], nil
}
