package campaign

import (
	"slices"
	"strconv"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/wire"
)

// Progress is what the campaign knows of one item on the device.
type Progress struct {
	Item   patch.ID
	State  patch.State
	Reason fault.Reason
	// Attempts that failed. They stay while the next one runs: until an item is
	// made good, its device counts as failed.
	Attempts  int
	NoEffects int           // installs that claimed success and changed nothing
	Rollback  bool          // a rollback campaign has it; in one, always
	Packages  []wire.Change // as reported: From before, To after, with what is known of the rollback
	Next      time.Time     // no attempt before
	Updated   time.Time
	// Found is, in a rollback campaign, where the campaign that goes back has the
	// item on the device; nil: as it was when it was asked for.
	Found *Progress
	// Rehearsal is how far the rehearsal of its rollback has come here.
	Rehearsal Rehearsal
}

// Quarantine is after how many installs without effect a patch is left alone
// on a device: what claims success and changes nothing will do so again.
const Quarantine = 2

// Ordered gives the progress of an item that was put in an order.
func (p Progress) Ordered(kind wire.OrderKind, item wire.Item, at time.Time) Progress {
	if kind == wire.OrderRollback && !p.Rollback && p.Rehearsal.Stage != GoingBack {
		p.Rehearsal.Stage, p.Attempts, p.NoEffects = GoingBack, 0, 0 // those were of the install
	}
	if kind == wire.OrderInstall {
		p.Packages = p.remember(item.Packages)
	}
	if p.Attempts == 0 {
		p.Reason = fault.Reason{}
	}
	p.Item, p.State, p.Updated, p.Next = patch.ID(item.ID), patch.Scheduled, at, time.Time{}
	return p
}

// Apply gives the progress of an item after its device reported an outcome.
func (p Progress) Apply(kind wire.OrderKind, o wire.Outcome, t Terms, at time.Time) Progress {
	if kind == wire.OrderRollback && !p.Rollback {
		return p.triedBack(o, t, at)
	}
	if len(o.Packages) > 0 && kind == wire.OrderInstall {
		p.Packages = p.remember(o.Packages)
	}
	cause := reasonOf(o.Cause)
	switch o.State {
	case wire.ItemVerified:
		return p.become(patch.Verified, fault.Reason{}, at)
	case wire.ItemClaimed:
		return p.become(claimed(kind), orElse(cause, fault.Because(fault.RebootPendingNow)), at)
	case wire.ItemRolledBack:
		return p.become(patch.RolledBack, cause, at)
	case wire.ItemNotApplicable:
		if kind == wire.OrderRollback { // it is not there: what was asked for
			return p.become(patch.RolledBack, cause, at)
		}
		if p.Rehearsal.Stage == ComingAgain { // it is at its version already
			return p.become(patch.Verified, fault.Reason{}, at)
		}
		return p.become(patch.NotApplicable, cause, at)
	case wire.ItemSkipped:
		return p.skip(cause, t, at)
	case wire.ItemNoEffect:
		p.NoEffects++
		return p.fail(orElse(cause, fault.Because(fault.NoEffect)), t, at)
	default:
		return p.fail(orElse(cause, fault.Because(fault.Internal)), t, at)
	}
}

// claimed is where an item is that waits for a reboot.
func claimed(kind wire.OrderKind) patch.State {
	if kind == wire.OrderRollback {
		return patch.Rebooting // "installed" would be the opposite of what was done
	}
	return patch.InstalledPendingReboot
}

// Refuse gives the progress of an item whose order the device did not accept.
func (p Progress) Refuse(cause fault.Reason, t Terms, at time.Time) Progress {
	if slices.Contains(notAnAttempt(), cause.Code) {
		return p.skip(cause, t, at)
	}
	return p.fail(cause, t, at).triedEnough(t, at)
}

// Contradict gives the progress of an item that a scan offers again after its
// install was claimed: one more install without effect.
func (p Progress) Contradict(because fault.Reason, t Terms, at time.Time) Progress {
	p.NoEffects++
	return p.fail(because, t, at)
}

func (p Progress) become(s patch.State, why fault.Reason, at time.Time) Progress {
	p.State, p.Reason, p.Updated, p.Next = s, why, at, time.Time{}
	return p
}

// skip is an order that ended without this item: nobody's failure. What it was
// stopped by decides whether asking again at once makes sense: a hold is known
// here and an order taken back is replaced at once, but a device that lets its
// orders run out, or whose administrator says no, is left some time.
func (p Progress) skip(cause fault.Reason, t Terms, at time.Time) Progress {
	state := patch.Waiting
	if slices.Contains(notAnAttempt(), cause.Code) {
		state = patch.Applicable
	}
	next := p.become(state, cause, at)
	if p.Attempts > 0 {
		next.Reason = orElse(p.Reason, cause) // it is still the failure that people ask about
	}
	switch cause.Code {
	case fault.LocalVeto, fault.OrderExpired, fault.OrderStale, fault.Interrupted:
		next.Next = at.Add(t.RetryAfter)
	}
	return next
}

func (p Progress) fail(cause fault.Reason, t Terms, at time.Time) Progress {
	p = p.become(patch.Failed, cause, at)
	p.Attempts++
	p.Next = at.Add(t.RetryAfter)
	if slices.Contains(hopeless(), cause.Code) {
		p.Attempts, p.Next = max(p.Attempts, t.Attempts), time.Time{}
	}
	return p
}

// owes tells that the item failed and has not been made good since.
func (p *Progress) owes() bool {
	return p != nil && (p.Attempts > 0 || p.State == patch.Failed)
}

// failure is the cause of the last failed attempt.
func (p *Progress) failure(t Terms) fault.Reason {
	return orElse(p.Reason, fault.Because(fault.RetryBackoff,
		"attempt", strconv.Itoa(p.Attempts), "attempts", strconv.Itoa(t.Attempts), "next", until(p.Next)))
}

// remember keeps what each package was before the first attempt: a second one
// finds half of the work done, and a rollback must not stop there.
func (p Progress) remember(changes []wire.Change) []wire.Change {
	if p.Attempts == 0 || len(p.Packages) == 0 {
		return changes
	}
	out := slices.Clone(p.Packages)
	for _, c := range changes {
		i := slices.IndexFunc(out, func(o wire.Change) bool { return o.Name == c.Name && o.Arch == c.Arch })
		switch {
		case i < 0:
			out = append(out, c)
		case out[i].From == c.From:
			out[i] = c
		default:
			out[i].To = c.To
		}
	}
	return out
}

// hopeless are causes that the same attempt will meet again until a person
// changes something.
func hopeless() []fault.Code {
	return []fault.Code{fault.WouldRemove, fault.VersionGone, fault.PlanDrift, fault.RollbackCannot, fault.NoOldPackage, fault.NewPackage}
}

// notAnAttempt are causes that say nothing about the patch.
func notAnAttempt() []fault.Code {
	return []fault.Code{fault.OrderExpired, fault.OrderStale, fault.OrderCancelled, fault.Interrupted, fault.Superseded}
}

func reasonOf(c *wire.Cause) fault.Reason {
	if c == nil {
		return fault.Reason{}
	}
	return fault.Reason{Code: fault.Code(c.Code), Args: c.Args}
}
