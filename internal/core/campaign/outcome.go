package campaign

import (
	"slices"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/wire"
)

// Apply gives the progress of an item after its device reported an outcome.
func (p Progress) Apply(kind wire.OrderKind, o wire.Outcome, t Terms, at time.Time) Progress {
	p.Updated, p.Next, p.Reason = at, time.Time{}, reasonOf(o.Cause)
	if len(o.Packages) > 0 && kind == wire.OrderInstall {
		p.Packages = o.Packages
	}
	switch o.State {
	case wire.ItemVerified:
		p.State, p.Reason = patch.Verified, fault.Reason{}
	case wire.ItemClaimed:
		p.State, p.Reason = patch.InstalledPendingReboot, orElse(p.Reason, fault.Because(fault.RebootPendingNow))
	case wire.ItemRolledBack:
		p.State = patch.RolledBack
	case wire.ItemNotApplicable:
		p.State = patch.NotApplicable
	case wire.ItemSkipped:
		p.State = patch.Waiting
		if p.Reason.Code == fault.LocalVeto {
			p.Next = at.Add(t.RetryAfter) // the device's administrator may change their mind
		}
	case wire.ItemNoEffect:
		p.NoEffects++
		p = p.fail(t, at, fault.Because(fault.NoEffect))
	default:
		p = p.fail(t, at, fault.Because(fault.Internal))
	}
	return p
}

// Refuse gives the progress of an item whose order the device did not accept.
// An order that ran out of time is nobody's failure: the item simply waits.
func (p Progress) Refuse(cause fault.Reason, t Terms, at time.Time) Progress {
	p.Updated, p.Reason = at, cause
	if slices.Contains(notAnAttempt(), cause.Code) {
		p.State, p.Next = patch.Applicable, time.Time{}
		return p
	}
	return p.fail(t, at, cause)
}

func (p Progress) fail(t Terms, at time.Time, fallback fault.Reason) Progress {
	p.State = patch.Failed
	p.Reason = orElse(p.Reason, fallback)
	p.Attempts++
	p.Next = at.Add(t.RetryAfter)
	if slices.Contains(hopeless(), p.Reason.Code) {
		p.Attempts, p.Next = max(p.Attempts, t.Attempts), time.Time{}
	}
	return p
}

// hopeless are causes that the same attempt will meet again until a person
// changes something.
func hopeless() []fault.Code {
	return []fault.Code{fault.WouldRemove, fault.VersionGone, fault.PlanDrift, fault.RollbackCannot, fault.NoOldPackage, fault.NewPackage}
}

// notAnAttempt are causes that say nothing about the patch.
func notAnAttempt() []fault.Code {
	return []fault.Code{fault.OrderExpired, fault.OrderStale, fault.OrderCancelled, fault.Interrupted}
}

func reasonOf(c *wire.Cause) fault.Reason {
	if c == nil {
		return fault.Reason{}
	}
	return fault.Reason{Code: fault.Code(c.Code), Args: c.Args}
}

// StateOf is how an item shows while an order on it is at a step.
func StateOf(step wire.Step) patch.State {
	switch step {
	case wire.StepPreserve, wire.StepDownload:
		return patch.Downloading
	case wire.StepWait:
		return patch.Ready
	case wire.StepQuiesce, wire.StepInstall, wire.StepSettle:
		return patch.Installing
	case wire.StepReboot:
		return patch.Rebooting
	case wire.StepVerify, wire.StepProbe, wire.StepReport, wire.StepDone:
		return patch.Verifying
	default:
		return patch.Scheduled
	}
}
