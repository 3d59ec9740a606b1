package journal

import "patchring/wire"

// Asked is what the people at the device were told of one act, and what they
// said. What it means is decided in executor/people.
type Asked struct {
	Act       wire.Act          `json:"act"`
	Answers   map[string]Answer `json:"answers,omitempty"` // by login name
	Countdown Countdown         `json:"countdown,omitzero"`
}

// Said is a person's answer.
type Said string

// Answers. None is none yet, which is never a yes.
const (
	SaidNow   Said = "now"
	SaidLater Said = "later"
)

// Answer is where one person stands.
type Answer struct {
	// Round counts the questions put to this person: an answer names the one it
	// answers, so that one that comes twice counts once.
	Round    int   `json:"round"`
	ChanceUS int64 `json:"chance_us"` // the beginning of the window asked for
	ToldUS   int64 `json:"told_us"`
	Said     Said  `json:"said,omitempty"`
	SaidUS   int64 `json:"said_us,omitempty"`
	// UntilUS: later lasts until then, now is good until then.
	UntilUS   int64 `json:"until_us,omitempty"`
	Postponed int   `json:"postponed,omitempty"` // how often this person said later
}

// Countdown is the announcement after the deadline. It is counted in time the
// device was up and looking, so that neither a suspended laptop nor a clock
// that was set makes it shorter than it says.
type Countdown struct {
	ChanceUS int64    `json:"chance_us"` // the beginning of the window it is in
	BeganUS  int64    `json:"began_us"`
	LivedUS  int64    `json:"lived_us"`
	Boot     string   `json:"boot"` // of the last look,
	UptimeUS int64    `json:"uptime_us"`
	Users    []string `json:"users"` // who was told
}
