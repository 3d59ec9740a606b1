package personal

import (
	"context"
	"fmt"
	"strings"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/identity"
	"patchring/internal/core/patch"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Says is what a person says of an update.
type Says string

// What people say.
const (
	Works  Says = "works"
	Broken Says = "broken"
)

// mostChanges is how often the same thing may be said anew.
const mostChanges = 20

// Feedback is what somebody says on a page. No patch is all that the campaign
// brought to the device.
type Feedback struct {
	Campaign string // id
	Patch    patch.ID
	Says     Says
	Words    string // their own sentence; what is broken needs one
}

// Say keeps feedback: the last word of a device on a campaign's patch counts.
func (o *Office) Say(ctx context.Context, p identity.Page, f Feedback) error {
	f.Words = strings.TrimSpace(f.Words)
	switch {
	case f.Says != Works && f.Says != Broken:
		return invalid("says", "not_a_choice", "works, broken")
	case f.Says == Broken && f.Words == "":
		return invalid("words", "empty", "write_it")
	}
	if err := short("words", f.Words); err != nil {
		return err
	}
	id, err := newID()
	if err != nil {
		return err
	}
	told := func() {}
	err = o.DB.Write(ctx, func(tx *store.Tx) error {
		told = func() {}
		tenant, device, now := string(p.Tenant), string(p.ID), o.Clock().UnixMicro()
		n, err := tx.DeviceCampaignItems(ctx, gen.DeviceCampaignItemsParams{Tenant: tenant, Campaign: f.Campaign, Device: device, Patch: string(f.Patch)})
		if err != nil {
			return fmt.Errorf("read what campaign %s brings to %s: %w", f.Campaign, device, err)
		}
		if n == 0 {
			return fault.New(fault.NotFound, "what", "patch", "name", string(f.Patch))
		}
		before, err := tx.Feedback(ctx, gen.FeedbackParams{Tenant: tenant, Campaign: f.Campaign, Device: device, Patch: string(f.Patch)})
		switch {
		case err != nil && !store.IsNone(err):
			return fmt.Errorf("read feedback: %w", err)
		case err == nil && before.Changes >= mostChanges:
			return fault.New(fault.TooManyTries)
		case err == nil && before.Says == string(f.Says) && before.Words == f.Words:
			return nil // pressed twice
		case err == nil:
			id = before.ID
		}
		if err := tx.PutFeedback(ctx, gen.PutFeedbackParams{
			Tenant: tenant, Campaign: f.Campaign, Device: device, Patch: string(f.Patch), ID: id, Says: string(f.Says), Words: f.Words, AtUs: now,
		}); err != nil {
			return fmt.Errorf("keep feedback: %w", err)
		}
		tx.Record(register.Entry{
			Tenant: tenant, AtUS: now, Actor: actor, Kind: register.FeedbackGiven, Device: device, Campaign: f.Campaign, Patch: string(f.Patch),
			Detail: map[string]any{"feedback": id, "says": string(f.Says), "words": f.Words},
		})
		// Complaints are counted in the gate and by the breaker: now, not at the
		// next look of whoever measures.
		if err := tx.TouchCampaign(ctx, tenant, f.Campaign); err != nil {
			return fmt.Errorf("have campaign %s decided again: %w", f.Campaign, err)
		}
		if f.Says != Broken {
			return nil
		}
		told, err = o.broken(ctx, tx, gen.Feedback{Tenant: tenant, Campaign: f.Campaign, Device: device, Patch: string(f.Patch), ID: id, Words: f.Words})
		return err
	})
	if err == nil {
		told()
		o.Wake()
		o.Changed(p.Tenant, campaign.ID(f.Campaign))
	}
	return err
}

// broken keeps what is known of the device, and lets the procedure's answer
// follow, in the transaction of what was said.
func (o *Office) broken(ctx context.Context, tx *store.Tx, f gen.Feedback) (told func(), err error) {
	if err := o.diagnose(ctx, tx, f); err != nil {
		return nil, err
	}
	if o.Broken == nil {
		return func() {}, nil
	}
	return o.Broken(ctx, tx, f)
}

// Close records that somebody has dealt with what was said to be broken.
func (o *Office) Close(ctx context.Context, tenant fleet.TenantID, by register.Actor, id, why string) error {
	if strings.TrimSpace(why) == "" {
		return fault.New(fault.ReasonRequired)
	}
	if err := short("reason", why); err != nil {
		return err
	}
	var row gen.Feedback
	err := o.DB.Write(ctx, func(tx *store.Tx) (err error) {
		row, err = tx.FeedbackByID(ctx, string(tenant), id)
		if store.IsNone(err) {
			return fault.New(fault.NotFound, "what", "feedback", "name", id)
		}
		if err != nil {
			return fmt.Errorf("read feedback %s: %w", id, err)
		}
		now := o.Clock().UnixMicro()
		n, err := tx.CloseFeedback(ctx, gen.CloseFeedbackParams{Tenant: string(tenant), ID: id, ClosedUs: now, ClosedBy: string(by), ClosedWhy: why})
		if err != nil {
			return fmt.Errorf("close feedback %s: %w", id, err)
		}
		if n == 0 {
			return fault.New(fault.NothingToDo, "what", "feedback_is_closed")
		}
		tx.Record(register.Entry{
			Tenant: string(tenant), AtUS: now, Actor: by, Kind: register.FeedbackClosed, Device: row.Device, Campaign: row.Campaign, Patch: row.Patch,
			Detail: map[string]any{"feedback": id, "why": why},
		})
		if err := tx.TouchCampaign(ctx, string(tenant), row.Campaign); err != nil {
			return fmt.Errorf("have campaign %s decided again: %w", row.Campaign, err)
		}
		return nil
	})
	if err == nil {
		o.Wake()
		o.Changed(tenant, campaign.ID(row.Campaign))
	}
	return err
}
