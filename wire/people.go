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
	// Link is the device's signed page, where its people postpone and say
	// whether an update works; empty: there is none.
	Link string `json:"link,omitempty"`
	// Logo is the SHA-256, in hex, of the tenant's logo, a PNG which is at
	// LogoPath below Link; empty: there is none.
	Logo string `json:"logo,omitempty"`
}

// LogoPath is where the logo is below the address of a device's page.
const LogoPath = "/logo"

// MaxLogoBytes bounds a logo.
const MaxLogoBytes = 64 << 10

// Choice is what a person may answer to a notice.
type Choice string

// The choices. At names an instant of the person's own.
const (
	ChoiceNow      Choice = "now"
	ChoiceHour     Choice = "1h"
	ChoiceEvening  Choice = "evening"
	ChoiceTomorrow Choice = "tomorrow"
	ChoiceAt       Choice = "until"
)

// Offer is a choice and when it would be.
type Offer struct {
	Choice Choice `json:"choice"`
	AtUS   int64  `json:"at_us"`
}

// Said is a "later" that somebody said on the device's page instead of at the
// device, signed as orders are. It holds for everybody who is asked there, by
// the rules that hold at the device: the agent takes it or refuses it, and tells
// which by a notice that names it.
type Said struct {
	ID        string `json:"id"`
	Tenant    string `json:"tenant"`
	Device    string `json:"device"`
	Serial    int64  `json:"serial"` // of the order
	Choice    Choice `json:"choice"` // 1h, evening or tomorrow
	ExpiresUS int64  `json:"expires_us"`
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
	// DeadlineUS and Offers go with a question: what the person may answer.
	DeadlineUS int64   `json:"deadline_us,omitempty"`
	Offers     []Offer `json:"offers,omitempty"`
	// Said is the id of the answer from the page that this is the outcome of.
	Said string `json:"said,omitempty"`
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
	NoticeRefused   NoticeWhat = "refused"   // an answer from the page (Said) was not taken, for the event's Cause
)
