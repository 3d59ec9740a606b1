package register

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"patchring/internal/core/fault"
)

// Step is what a witness makes of the next checkpoint that it is shown.
type Step string

const (
	// StepKnown: it is remembered already.
	StepKnown Step = "known"
	// StepLonger: the same log, or the first one seen, with entries at its end.
	StepLonger Step = "longer"
	// StepProven: the log was restored from a backup, and is proven to contain
	// what the witness remembers of the time before it.
	StepProven Step = "proven"
	// StepUnproven: the log was restored from a backup, and nothing that the
	// witness remembers can be proven of it.
	StepUnproven Step = "unproven"
)

// ErrUnproven is no fork, as far as can be told: the proof does not start at the
// longest log that the witness remembers. A proof from a shorter one would pass
// for a log that was rewritten since.
var ErrUnproven = errors.New("the proof does not start at the longest register that this device has seen")

// Offer is the next checkpoint, with the proof that it extends the log of size From.
type Offer struct {
	Next  Checkpoint
	From  int64
	Proof []Hash
}

// Follow is the rule of a witness: what it remembers, longest last and all of
// one restore, against the next checkpoint.
//
// Without a restore between them the log must extend what is remembered. A
// checkpoint of before the restore that the witness has seen is of the
// abandoned log. One of a later restore may lack what came after the backup,
// but never what the backup held: where the offer proves from a size that is
// remembered and that the backup had, the proof must hold.
//
// Whoever has the register's key can sign a restore that never was. Follow
// cannot tell; the witness keeps what it gives up, and testifies.
func Follow(seen []Checkpoint, offer Offer) (Step, error) {
	if len(seen) == 0 {
		return StepLonger, nil
	}
	next, newest := offer.Next, seen[len(seen)-1]
	switch {
	case next.Origin != newest.Origin:
		return "", fmt.Errorf("%w: %s, not %s", ErrOtherLog, next.Origin, newest.Origin)
	case next.Restored.AtUS > newest.Restored.AtUS:
		return followRestored(seen, offer)
	case next.Restored != newest.Restored: // an older one, or another story of the same
		return "", fmt.Errorf("%w: it was restored at %s to %d entries", ErrForked, newest.Restored.At(), newest.Restored.Size)
	}
	return followGrowth(seen, offer)
}

func followGrowth(seen []Checkpoint, offer Offer) (Step, error) {
	for _, old := range seen {
		switch {
		case old == offer.Next:
			return StepKnown, nil
		case old.Size == offer.Next.Size:
			return "", ErrForked
		}
	}
	newest := seen[len(seen)-1]
	if offer.From != newest.Size || offer.Next.Size < newest.Size {
		return "", ErrUnproven
	}
	if err := Extends(newest, offer.Next, offer.Proof); err != nil {
		return "", err
	}
	return StepLonger, nil
}

func followRestored(seen []Checkpoint, offer Offer) (Step, error) {
	old, found := remembered(seen, offer.From)
	if !found || old.Size > offer.Next.Restored.Size {
		return StepUnproven, nil
	}
	if err := Extends(old, offer.Next, offer.Proof); err != nil {
		return "", err
	}
	return StepProven, nil
}

func remembered(seen []Checkpoint, size int64) (Checkpoint, bool) {
	for _, old := range seen {
		if old.Size == size {
			return old, true
		}
	}
	return Checkpoint{}, false
}

// Testimony is what a witness says, into the restored log, of the one that it
// had seen before; step is what Follow made of the restored one.
func Testimony(seen, next Checkpoint, step Step) fault.Reason {
	code := fault.RegisterRestoredUnproven
	if step == StepProven {
		code = fault.RegisterRestored
	}
	return fault.Because(code, "at", next.Restored.At().Format(time.RFC3339),
		"backup", strconv.FormatInt(next.Restored.Size, 10), "seen", strconv.FormatInt(seen.Size, 10))
}
