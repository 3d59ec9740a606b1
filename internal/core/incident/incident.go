// Package incident owns the life of an incident: open while somebody looks for
// its cause, corrected once something was done about it, closed when that held,
// and open again when it did not.
//
// It refuses an act that its state does not allow, and to call anything
// corrected or closed without a cause and a correction in words. Who may act,
// and what a campaign does about a severity, is not its affair: service/access
// and core/campaign know. Every value is pure and safe from any goroutine.
package incident

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"patchring/internal/core/fault"
)

// State is where an incident stands.
type State string

// States.
const (
	Open      State = "open"
	Corrected State = "corrected" // something was done; whether it holds is watched
	Closed    State = "closed"
)

// States lists them, in the order of a life.
func States() []State { return []State{Open, Corrected, Closed} }

// Origin is what an incident was made of.
type Origin string

// Origins.
const (
	Person   Origin = "person"
	Feedback Origin = "feedback" // somebody said on a device's page that an update broke something
	Test     Origin = "test"     // an item of a checklist failed
	Alert    Origin = "alert"    // a rule over live measures fired
)

// Origins lists them.
func Origins() []Origin { return []Origin{Person, Feedback, Test, Alert} }

// Act is what is done to an incident.
type Act string

// Acts.
const (
	Note    Act = "note"
	Correct Act = "correct"
	Close   Act = "close"
	Reopen  Act = "reopen"
	Join    Act = "join" // the same thing was said again, or of another device
)

// Acts lists them.
func Acts() []Act { return []Act{Note, Correct, Close, Reopen, Join} }

// Incident is what its acts are judged on.
type Incident struct {
	State      State
	Cause      string
	Correction string
	Reopened   int // how often
}

// Say is an act with its words: Text is a note's, or the reason of a reopening;
// Cause and Correction replace what was written before, where they are given.
type Say struct {
	Act        Act
	Text       string
	Cause      string
	Correction string
}

// Bounds of the words.
const (
	MaxTitle = 200
	MaxText  = 4000
)

// Apply is the incident after an act, or why it cannot be done. A refusal
// changes nothing.
func Apply(i Incident, s Say) (Incident, error) {
	if err := allowed(i.State, s.Act); err != nil {
		return i, err
	}
	if err := checkWords(s); err != nil {
		return i, err
	}
	out := i
	switch s.Act {
	case Note, Join:
		return out, nil
	case Reopen:
		out.State, out.Reopened = Open, i.Reopened+1
		return out, nil
	}
	out.Cause, out.Correction = or(s.Cause, i.Cause), or(s.Correction, i.Correction)
	switch {
	case out.Cause == "":
		return i, invalid("cause", "empty", "write_it")
	case out.Correction == "":
		return i, invalid("correction", "empty", "write_it")
	}
	out.State = Corrected
	if s.Act == Close {
		out.State = Closed
	}
	return out, nil
}

// allowed: a closed incident takes notes, and is opened again; everything else
// is about one that is not closed.
func allowed(s State, a Act) error {
	wanted := "open, corrected"
	switch a {
	case Note:
		return nil
	case Correct, Close, Join:
		if s != Closed {
			return nil
		}
	case Reopen:
		if s != Open {
			return nil
		}
		wanted = "corrected, closed"
	}
	return fault.New(fault.Conflict, "what", "incident", "state", string(s), "wanted", wanted)
}

func checkWords(s Say) error {
	if (s.Act == Note || s.Act == Reopen || s.Act == Join) && strings.TrimSpace(s.Text) == "" {
		if s.Act == Reopen {
			return fault.New(fault.ReasonRequired)
		}
		return invalid("text", "empty", "write_it")
	}
	for field, text := range map[string]string{"text": s.Text, "cause": s.Cause, "correction": s.Correction} {
		if err := Words(field, text, MaxText); err != nil {
			return err
		}
	}
	return nil
}

// Words refuses a text that is longer than most letters.
func Words(field, text string, most int) error {
	if utf8.RuneCountInString(text) > most {
		return invalid(field, "too_long", fmt.Sprintf("≤ %d", most))
	}
	return nil
}

func or(text, otherwise string) string {
	if text = strings.TrimSpace(text); text == "" {
		return otherwise
	}
	return text
}

func invalid(field, problem, fix string) *fault.Error {
	return fault.New(fault.InvalidField, "field", field, "problem", problem, "fix", fix)
}
