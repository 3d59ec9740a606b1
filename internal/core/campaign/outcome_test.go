package campaign_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/internal/core/procedure"
	"patchring/wire"
)

var terms = campaign.Terms{Attempts: 3, RetryAfter: 4 * time.Hour, UnreachableAfter: 72 * time.Hour}

func TestApply(t *testing.T) {
	cause := func(code fault.Code) *wire.Cause { return &wire.Cause{Code: string(code)} }
	later := noon.Add(4 * time.Hour)
	tests := []struct {
		name    string
		kind    wire.OrderKind
		given   campaign.Progress
		outcome wire.Outcome
		want    campaign.Progress
	}{
		{"verified", wire.OrderInstall, campaign.Progress{Attempts: 1, Reason: fault.Because(fault.PackageFailed)}, wire.Outcome{State: wire.ItemVerified},
			campaign.Progress{State: patch.Verified, Attempts: 1}},
		{"claimed", wire.OrderInstall, campaign.Progress{}, wire.Outcome{State: wire.ItemClaimed},
			campaign.Progress{State: patch.InstalledPendingReboot, Reason: fault.Because(fault.RebootPendingNow)}},
		{"claimed, with its cause", wire.OrderInstall, campaign.Progress{}, wire.Outcome{State: wire.ItemClaimed, Cause: cause(fault.RebootLoop)},
			campaign.Progress{State: patch.InstalledPendingReboot, Reason: fault.Because(fault.RebootLoop)}},
		{"nothing to do", wire.OrderInstall, campaign.Progress{}, wire.Outcome{State: wire.ItemNotApplicable, Cause: cause(fault.NotApplicable)},
			campaign.Progress{State: patch.NotApplicable, Reason: fault.Because(fault.NotApplicable)}},
		{"failed", wire.OrderInstall, campaign.Progress{Attempts: 1}, wire.Outcome{State: wire.ItemFailed, Cause: cause(fault.PackageFailed)},
			campaign.Progress{State: patch.Failed, Attempts: 2, Reason: fault.Because(fault.PackageFailed), Next: later}},
		{"failed without a word", wire.OrderInstall, campaign.Progress{}, wire.Outcome{State: wire.ItemFailed},
			campaign.Progress{State: patch.Failed, Attempts: 1, Reason: fault.Because(fault.Internal), Next: later}},
		{"a word of a newer agent", wire.OrderInstall, campaign.Progress{}, wire.Outcome{State: "vaporised"},
			campaign.Progress{State: patch.Failed, Attempts: 1, Reason: fault.Because(fault.Internal), Next: later}},
		{"without effect", wire.OrderInstall, campaign.Progress{Attempts: 1, NoEffects: 1}, wire.Outcome{State: wire.ItemNoEffect},
			campaign.Progress{State: patch.Failed, Attempts: 2, NoEffects: 2, Reason: fault.Because(fault.NoEffect), Next: later}},
		{"hopeless", wire.OrderInstall, campaign.Progress{}, wire.Outcome{State: wire.ItemFailed, Cause: cause(fault.WouldRemove)},
			campaign.Progress{State: patch.Failed, Attempts: 3, Reason: fault.Because(fault.WouldRemove)}},
		{"skipped for a hold: free as soon as it is lifted", wire.OrderInstall, campaign.Progress{}, wire.Outcome{State: wire.ItemSkipped, Cause: cause(fault.ItemHeld)},
			campaign.Progress{State: patch.Waiting, Reason: fault.Because(fault.ItemHeld)}},
		{"skipped for a veto: asked about later", wire.OrderInstall, campaign.Progress{}, wire.Outcome{State: wire.ItemSkipped, Cause: cause(fault.LocalVeto)},
			campaign.Progress{State: patch.Waiting, Reason: fault.Because(fault.LocalVeto), Next: later}},
		{"skipped because the order was taken back: free at once", wire.OrderInstall, campaign.Progress{}, wire.Outcome{State: wire.ItemSkipped, Cause: cause(fault.OrderCancelled)},
			campaign.Progress{State: patch.Applicable, Reason: fault.Because(fault.OrderCancelled)}},
		{"skipped because a newer order came", wire.OrderInstall, campaign.Progress{}, wire.Outcome{State: wire.ItemSkipped, Cause: cause(fault.Superseded)},
			campaign.Progress{State: patch.Applicable, Reason: fault.Because(fault.Superseded)}},
		{"skipped because the order ran out", wire.OrderInstall, campaign.Progress{}, wire.Outcome{State: wire.ItemSkipped, Cause: cause(fault.OrderExpired)},
			campaign.Progress{State: patch.Applicable, Reason: fault.Because(fault.OrderExpired), Next: later}},
		{"skipped, and still the failure it was", wire.OrderInstall, campaign.Progress{Attempts: 1, Reason: fault.Because(fault.PackageFailed)},
			wire.Outcome{State: wire.ItemSkipped, Cause: cause(fault.OrderExpired)},
			campaign.Progress{State: patch.Applicable, Attempts: 1, Reason: fault.Because(fault.PackageFailed), Next: later}},
		{"rolled back", wire.OrderRollback, campaign.Progress{Rollback: true, Attempts: 1}, wire.Outcome{State: wire.ItemRolledBack},
			campaign.Progress{State: patch.RolledBack, Rollback: true, Attempts: 1}},
		{"was not there: rolled back", wire.OrderRollback, campaign.Progress{Rollback: true}, wire.Outcome{State: wire.ItemNotApplicable},
			campaign.Progress{State: patch.RolledBack, Rollback: true}},
		{"went back and waits for a reboot", wire.OrderRollback, campaign.Progress{Rollback: true}, wire.Outcome{State: wire.ItemClaimed},
			campaign.Progress{State: patch.Rebooting, Rollback: true, Reason: fault.Because(fault.RebootPendingNow)}},
		{"did not go back", wire.OrderRollback, campaign.Progress{Rollback: true}, wire.Outcome{State: wire.ItemFailed, Cause: cause(fault.NoOldPackage)},
			campaign.Progress{State: patch.Failed, Rollback: true, Attempts: 3, Reason: fault.Because(fault.NoOldPackage)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.Updated = noon
			if diff := cmp.Diff(tt.want, tt.given.Apply(tt.kind, tt.outcome, terms, noon)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRefuse(t *testing.T) {
	tests := []struct {
		code  fault.Code
		state patch.State
		tries int
		next  time.Time
	}{
		{fault.OrderExpired, patch.Applicable, 0, noon.Add(4 * time.Hour)},
		{fault.OrderStale, patch.Applicable, 0, noon.Add(4 * time.Hour)},
		{fault.Interrupted, patch.Applicable, 0, noon.Add(4 * time.Hour)},
		{fault.OrderCancelled, patch.Applicable, 0, time.Time{}},
		{fault.OrderForged, patch.Failed, 1, noon.Add(4 * time.Hour)},
		{fault.RegisterForked, patch.Failed, 1, noon.Add(4 * time.Hour)},
		{fault.WouldRemove, patch.Failed, 3, time.Time{}},
	}
	for _, tt := range tests {
		p := campaign.Progress{}.Refuse(fault.Because(tt.code), terms, noon)
		if p.State != tt.state || p.Attempts != tt.tries || !p.Next.Equal(tt.next) || p.Reason.Code != tt.code {
			t.Errorf("%s: got %+v, want %s, %d attempts, next %s", tt.code, p, tt.state, tt.tries, tt.next)
		}
	}
}

func TestARollbackRemembersWhatWasBeforeTheFirstAttempt(t *testing.T) {
	change := func(name, from, to, rollback string) wire.Change {
		return wire.Change{Name: name, From: from, To: to, Rollback: rollback}
	}
	order := func(changes ...wire.Change) wire.Item { return wire.Item{ID: "i", Packages: changes} }
	p := campaign.Progress{}.Ordered(wire.OrderInstall, order(change("libssl", "1", "2", ""), change("openssl", "1", "2", "")), noon)
	// The first attempt leaves libssl new and openssl half way.
	p = p.Apply(wire.OrderInstall, wire.Outcome{State: wire.ItemFailed, Packages: []wire.Change{
		change("libssl", "1", "2", wire.RollbackReady), change("openssl", "1", "2", wire.RollbackReady),
	}}, terms, noon)
	// The second one finds the rest only, and another package beside it.
	p = p.Ordered(wire.OrderInstall, order(change("openssl", "2", "2", "")), noon)
	p = p.Apply(wire.OrderInstall, wire.Outcome{State: wire.ItemVerified, Packages: []wire.Change{
		change("openssl", "2", "2", wire.RollbackImpossible), change("ca", "1", "2", wire.RollbackReady),
	}}, terms, noon)
	want := []wire.Change{
		change("libssl", "1", "2", wire.RollbackReady), change("openssl", "1", "2", wire.RollbackReady), change("ca", "1", "2", wire.RollbackReady),
	}
	if diff := cmp.Diff(want, p.Packages); diff != "" {
		t.Error(diff)
	}
}

func TestOrdered(t *testing.T) {
	failed := campaign.Progress{Item: "i", State: patch.Failed, Reason: fault.Because(fault.PackageFailed), Attempts: 2, NoEffects: 1, Next: noon}
	again := failed.Ordered(wire.OrderInstall, wire.Item{ID: "i"}, noon)
	want := campaign.Progress{Item: "i", State: patch.Scheduled, Reason: fault.Because(fault.PackageFailed), Attempts: 2, NoEffects: 1, Updated: noon}
	if diff := cmp.Diff(want, again); diff != "" {
		t.Errorf("a retry: %s", diff)
	}
	back := failed.Ordered(wire.OrderRollback, wire.Item{ID: "i", Packages: []wire.Change{{Name: "backwards"}}}, noon)
	if diff := cmp.Diff(campaign.Progress{Item: "i", State: patch.Scheduled, Rehearsal: campaign.Rehearsal{Stage: campaign.GoingBack}, Updated: noon}, back); diff != "" {
		t.Errorf("the first attempt to go back: %s", diff)
	}
	back.Attempts = 1
	if once := back.Ordered(wire.OrderRollback, wire.Item{ID: "i"}, noon); once.Attempts != 1 {
		t.Errorf("the second attempt to go back counts %d before it, want 1", once.Attempts)
	}
}

func TestTermsOf(t *testing.T) {
	p := procedure.Procedure{Attempts: 2, RetryAfter: 4 * time.Hour, UnreachableAfter: 72 * time.Hour, Reboot: procedure.RebootNever}
	want := campaign.Terms{Attempts: 2, RetryAfter: 4 * time.Hour, UnreachableAfter: 72 * time.Hour, Reboot: procedure.RebootNever, Margin: campaign.DefaultMargin}
	if got := campaign.TermsOf(p, calendar.Compress{}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	tests := []struct {
		day                        time.Duration
		retry, unreachable, margin time.Duration
	}{
		{time.Hour, 10 * time.Minute, 3 * time.Hour, campaign.DefaultMargin}, // an emergency has real windows
		{time.Minute, 10 * time.Second, 3 * time.Minute, 0},
		{2 * time.Second, time.Second, 90 * time.Second, 0}, // a heartbeat takes seconds however short the days
	}
	for _, tt := range tests {
		got := campaign.TermsOf(p, calendar.Compress{Day: tt.day})
		if got.RetryAfter != tt.retry || got.UnreachableAfter != tt.unreachable || got.Margin != tt.margin {
			t.Errorf("days of %s: got %+v, want retries after %s, silence of %s, a margin of %s", tt.day, got, tt.retry, tt.unreachable, tt.margin)
		}
	}
}
