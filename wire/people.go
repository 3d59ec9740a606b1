package wire

// People are the terms between an order and whoever works at the device. They
// hold for each act by itself: the install, then the reboot. Without a person
// logged in to a desktop they ask nothing.
//
// Until the deadline an act begins only when everybody logged in has said so,
// and never while one of them is busy. From it on nobody is asked: each is
// told, and the act begins when the countdown is over.
type People struct {
	Postpones  int   `json:"postpones"`   // how often each person may say later; 0: only now, or no answer
	DeadlineUS int64 `json:"deadline_us"` // never before the first window
	// NoticeS is how long before a window people are asked, and the least
	// announcement of an install after the deadline.
	NoticeS int64 `json:"notice_s"`
	// CountdownS is the least announcement of any act after the deadline, whole
	// inside a window; a minute or more.
	CountdownS int64 `json:"countdown_s"`
	// BatteryPercent: before the deadline nothing begins on battery below it.
	BatteryPercent int         `json:"battery_percent,omitempty"`
	Text           *NoticeText `json:"text,omitempty"` // the tenant's own words
}

// NoticeText is what a tenant says instead of the agent's own words; a
// language without words keeps those.
type NoticeText struct {
	FR NoticeWords `json:"fr,omitzero"`
	EN NoticeWords `json:"en,omitzero"`
}

// NoticeWords are plain text. What, when and the choices follow the body by
// themselves.
type NoticeWords struct {
	Title string `json:"title,omitempty"`
	Body  string `json:"body,omitempty"`
}

// Act is what people are told of.
type Act string

// The acts.
const (
	ActInstall Act = "install"
	ActReboot  Act = "reboot"
)

// Notice is what happened between an order and one person.
type Notice struct {
	What NoticeWhat `json:"what"`
	Act  Act        `json:"act"`
	User string     `json:"user,omitempty"` // login name; empty when the sessions cannot be read
	// UntilUS is when the act may begin (postponed, countdown), or the end of
	// what was asked.
	UntilUS int64 `json:"until_us,omitempty"`
	Left    int   `json:"left"` // how often the person may still say later
}

// NoticeWhat is what happened.
type NoticeWhat string

// What happens with notices.
const (
	NoticeAsked     NoticeWhat = "asked"     // the question is put, until UntilUS
	NoticeShown     NoticeWhat = "shown"     // it is on the person's screen
	NoticeUnseen    NoticeWhat = "unseen"    // it could not be shown, for the event's Cause; the command still tells it
	NoticePostponed NoticeWhat = "postponed" // the person said later: not before UntilUS
	NoticeAccepted  NoticeWhat = "accepted"  // the person said now
	NoticeCountdown NoticeWhat = "countdown" // after the deadline: the act begins at UntilUS
	NoticeDeadline  NoticeWhat = "deadline"  // the act begins because the deadline has passed
)
