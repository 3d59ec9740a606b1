package api

import (
	"context"
	"net/http"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/infra/view"
	"patchring/internal/service/access"
	"patchring/internal/service/incident"
)

// CreateCampaign starts a campaign by hand.
type CreateCampaign struct {
	Procedure string   `json:"procedure" minLength:"1" maxLength:"63"`
	Name      string   `json:"name,omitempty" maxLength:"100" doc:"the month, or the date and hour, when not given"`
	Month     string   `json:"month,omitempty" pattern:"^[0-9]{4}-[0-9]{2}$" doc:"the calendar month whose dates it takes"`
	Now       bool     `json:"now,omitempty" doc:"start at once, the procedure's days counted from now"`
	Day       string   `json:"day,omitempty" doc:"how long a procedure day lasts, for tests and demonstrations: 1m; only with now"`
	Windows   []Window `json:"windows,omitempty" maxItems:"100" doc:"in place of the procedure's windows"`
	Patches   []string `json:"patches,omitempty" maxItems:"1000" doc:"only these; all that policy approves when not given"`
}

// Window is an interval in which devices may act.
type Window struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

// Sign is a sign-off on the gate of a ring.
type Sign struct {
	Amendment int    `json:"amendment,omitempty" minimum:"0"`
	Ring      string `json:"ring" minLength:"1" maxLength:"63"`
	Role      string `json:"role" minLength:"1" maxLength:"63"`
	Yes       bool   `json:"yes"`
	Comment   string `json:"comment,omitempty" maxLength:"1000"`
	Ticked    []int  `json:"ticked,omitempty" maxItems:"100" doc:"indexes of the checklist's tests that were done"`
}

// Hold stops what fits every field that is given.
type Hold struct {
	Ring   string `json:"ring,omitempty" maxLength:"63"`
	Patch  string `json:"patch,omitempty" maxLength:"300"`
	Device string `json:"device,omitempty" maxLength:"260"`
	Reason string `json:"reason" maxLength:"1000"`
}

// Incident says that something went wrong in a campaign: the short way.
type Incident struct {
	Severity string `json:"severity" enum:"minor,major,critical"`
	What     string `json:"what" maxLength:"4000"`
	Ring     string `json:"ring,omitempty" maxLength:"63"`
	Patch    string `json:"patch,omitempty" maxLength:"300" doc:"known or suspected to be the cause; what follows is then about it alone"`
	Device   string `json:"device,omitempty" maxLength:"260"`
}

// Resume lifts one hold, or all of the campaign's.
type Resume struct {
	Hold   string `json:"hold,omitempty" maxLength:"100"`
	Reason string `json:"reason,omitempty" maxLength:"1000"`
}

// Expedite opens a ring before its date, or moves a device to it.
type Expedite struct {
	Amendment int    `json:"amendment,omitempty" minimum:"0"`
	Ring      string `json:"ring" minLength:"1" maxLength:"63"`
	Device    string `json:"device,omitempty" maxLength:"260"`
	Reason    string `json:"reason" maxLength:"1000"`
}

// Withdraw takes one patch out of the campaign.
type Withdraw struct {
	Patch  string `json:"patch" minLength:"1" maxLength:"300"`
	Reason string `json:"reason" maxLength:"1000"`
}

// Amend adds late patches; they start at the first ring.
type Amend struct {
	Patches []string `json:"patches" minItems:"1" maxItems:"1000"`
	Reason  string   `json:"reason" maxLength:"1000"`
}

// Rollback puts back the previous versions.
type Rollback struct {
	Ring   string `json:"ring,omitempty" maxLength:"63"`
	Device string `json:"device,omitempty" maxLength:"260"`
	Patch  string `json:"patch,omitempty" maxLength:"300"`
	Reason string `json:"reason,omitempty" maxLength:"1000" doc:"needed unless only the plan is asked for"`
	Now    string `json:"now,omitempty" doc:"length of an emergency window that opens at once: 2h"`
	ByRing bool   `json:"by_ring,omitempty" doc:"begin a ring when nobody of the one before it has failed; otherwise all go back together"`
	Plan   bool   `json:"plan,omitempty" doc:"only say what it would do"`
}

// CloseCampaign ends the campaign.
type CloseCampaign struct {
	Reason string `json:"reason,omitempty" maxLength:"1000"`
}

// Made is what an act made.
type Made struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// Amended is the number of the amendment that was made.
type Amended struct {
	Amendment int `json:"amendment"`
}

// Counted is how many an act touched.
type Counted struct {
	Count int `json:"count"`
}

// RollbackPlan is what a rollback does.
type RollbackPlan struct {
	Devices    int              `json:"devices"`
	Items      int              `json:"items"`
	Impossible []CannotRollback `json:"impossible"`
	// ExpectedS is how long the slowest device takes, in seconds, by what was
	// rehearsed; not there: nothing of it was.
	ExpectedS  int64             `json:"expected_s,omitempty"`
	Exceptions []OpenAgain       `json:"exceptions"`         // what is open again
	Campaign   *view.CampaignRef `json:"campaign,omitempty"` // that carries it out; not there: only the plan was asked for
}

// OpenAgain is a patch that a rollback leaves open, under an exception.
type OpenAgain struct {
	Patch   view.PatchRef `json:"patch"`
	Devices int           `json:"devices"`
	Until   time.Time     `json:"until"`
}

// CannotRollback is one package that cannot go back, and why.
type CannotRollback struct {
	Device  view.DeviceRef `json:"device"`
	Package string         `json:"package"`
	Why     string         `json:"why"`
}

// actOn is a request about one campaign.
type actOn[T any] struct {
	OneCampaign
	Body T
}

func (a *API) registerActs() {
	const tag = "campaigns"
	act := func(verb, summary string) operation {
		return operation{method: http.MethodPost, path: "/campaigns/{campaign}/" + verb, id: verb + "-campaign", summary: summary, tag: tag, act: access.RunAct}
	}
	handle(a, operation{method: http.MethodPost, path: "/campaigns", id: "create-campaign", summary: "Start a campaign by hand", tag: tag, act: access.RunAct, status: http.StatusCreated}, a.createCampaign)
	handle(a, operation{method: http.MethodPost, path: "/emergencies", id: "start-emergency", summary: "Ask for an emergency campaign; it waits for its own sign-offs", tag: tag, act: access.RunAct, status: http.StatusCreated}, a.startEmergency)
	approve := act("approve", "Sign off the start of an emergency; needs the role that it asks for")
	approve.act = access.See
	do(a, approve, a.approve)
	sign := act("sign", "Sign off a gate; needs the role that the gate asks for")
	sign.act = access.See
	do(a, sign, a.sign)
	handle(a, act("hold", "Stop a campaign, a ring, a patch or a device"), a.hold)
	handle(a, act("incident", "Record an incident, and do what the procedure says of its severity"), a.incident)
	handle(a, act("resume", "Lift a hold, or all of the campaign's"), a.resume)
	do(a, act("expedite", "Open a ring before its date, or move a device to a ring"), a.expedite)
	do(a, act("withdraw", "Take one patch out"), a.withdraw)
	handle(a, act("amend", "Add late patches; they start at the first ring"), a.amend)
	handle(a, act("rollback", "Put back the previous versions"), a.rollback)
	do(a, act("close", "End the campaign"), func(ctx context.Context, p access.Principal, in *actOn[CloseCampaign]) error {
		return a.Conductor.Close(ctx, p.Tenant, p.Actor(), campaign.Close{Campaign: in.Campaign, Reason: in.Body.Reason})
	})
}

func (a *API) createCampaign(ctx context.Context, p access.Principal, in *asked[CreateCampaign]) (Made, error) {
	if in.Body.Now == (in.Body.Month != "") {
		return Made{}, fault.New(fault.InvalidField, "field", "month", "problem", "month_or_now", "fix", "month | now")
	}
	day, err := duration("day", in.Body.Day)
	if err != nil {
		return Made{}, err
	}
	patches, err := a.patchIDs(ctx, p, in.Body.Patches)
	if err != nil {
		return Made{}, err
	}
	ask := campaign.Create{Procedure: in.Body.Procedure, Name: in.Body.Name, Month: in.Body.Month, Now: in.Body.Now, Day: day, Patches: patches}
	if ask.Windows, err = intervals(in.Body.Windows); err != nil {
		return Made{}, err
	}
	id, err := a.Conductor.CreateCampaign(ctx, p.Tenant, p.Actor(), ask)
	if err != nil {
		return Made{}, err
	}
	return a.madeCampaign(ctx, p, id)
}

func (a *API) madeCampaign(ctx context.Context, p access.Principal, id campaign.ID) (Made, error) {
	ref, err := a.View.FindCampaign(ctx, p.Tenant, string(id))
	return Made{ID: ref.ID, Name: ref.Name}, err
}

func intervals(windows []Window) ([]calendar.Interval, error) {
	var out []calendar.Interval
	for _, w := range windows {
		if !w.Start.Before(w.End) {
			return nil, fault.New(fault.InvalidField, "field", "windows", "problem", "empty_window", "fix", "start < end")
		}
		out = append(out, calendar.Interval{Start: w.Start, End: w.End})
	}
	return out, nil
}

func (a *API) sign(ctx context.Context, p access.Principal, in *actOn[Sign]) error {
	if err := p.NeedRole(in.Body.Role); err != nil {
		return err
	}
	return a.Conductor.Sign(ctx, p.Tenant, p.Actor(), campaign.Sign{
		Campaign: in.Campaign, Amendment: in.Body.Amendment, Ring: in.Body.Ring, Role: in.Body.Role, Yes: in.Body.Yes, Comment: in.Body.Comment, Ticked: in.Body.Ticked,
	})
}

// named resolves the device and the patch that an act names; empty stays empty.
func (a *API) named(ctx context.Context, p access.Principal, device, named string) (fleet.DeviceID, patch.ID, error) {
	var d view.DeviceRef
	var f view.PatchRef
	var err error
	if device != "" {
		if d, err = a.View.FindDevice(ctx, p.Tenant, device); err != nil {
			return "", "", err
		}
	}
	if named != "" {
		if f, err = a.View.FindPatch(ctx, p.Tenant, named); err != nil {
			return "", "", err
		}
	}
	return d.ID, f.ID, nil
}

func (a *API) hold(ctx context.Context, p access.Principal, in *actOn[Hold]) (Made, error) {
	device, item, err := a.named(ctx, p, in.Body.Device, in.Body.Patch)
	if err != nil {
		return Made{}, err
	}
	id, err := a.Conductor.Hold(ctx, p.Tenant, p.Actor(), campaign.PlaceHold{Campaign: in.Campaign, Ring: in.Body.Ring, Patch: item, Device: device, Reason: in.Body.Reason})
	return Made{ID: id}, err
}

func (a *API) incident(ctx context.Context, p access.Principal, in *actOn[Incident]) (incident.Opened, error) {
	ask := OpenIncident{
		Severity: in.Body.Severity, What: in.Body.What, Campaign: in.Campaign, Ring: in.Body.Ring, Patch: in.Body.Patch,
	}
	if in.Body.Device != "" {
		ask.Devices = []string{in.Body.Device}
	}
	return a.openIncident(ctx, p, &asked[OpenIncident]{ask})
}

func (a *API) resume(ctx context.Context, p access.Principal, in *actOn[Resume]) (Counted, error) {
	n, err := a.Conductor.Resume(ctx, p.Tenant, p.Actor(), campaign.Resume{Campaign: in.Campaign, Hold: in.Body.Hold, Reason: in.Body.Reason})
	return Counted{n}, err
}

func (a *API) expedite(ctx context.Context, p access.Principal, in *actOn[Expedite]) error {
	device, _, err := a.named(ctx, p, in.Body.Device, "")
	if err != nil {
		return err
	}
	return a.Conductor.Expedite(ctx, p.Tenant, p.Actor(), campaign.Expedite{Campaign: in.Campaign, Amendment: in.Body.Amendment, Ring: in.Body.Ring, Device: device, Reason: in.Body.Reason})
}

func (a *API) withdraw(ctx context.Context, p access.Principal, in *actOn[Withdraw]) error {
	_, item, err := a.named(ctx, p, "", in.Body.Patch)
	if err != nil {
		return err
	}
	return a.Conductor.Withdraw(ctx, p.Tenant, p.Actor(), campaign.Withdraw{Campaign: in.Campaign, Patch: item, Reason: in.Body.Reason})
}

func (a *API) amend(ctx context.Context, p access.Principal, in *actOn[Amend]) (Amended, error) {
	patches, err := a.patchIDs(ctx, p, in.Body.Patches)
	if err != nil {
		return Amended{}, err
	}
	number, err := a.Conductor.Amend(ctx, p.Tenant, p.Actor(), campaign.Amend{Campaign: in.Campaign, Patches: patches, Reason: in.Body.Reason})
	return Amended{number}, err
}

func (a *API) rollback(ctx context.Context, p access.Principal, in *actOn[Rollback]) (RollbackPlan, error) {
	now, err := duration("now", in.Body.Now)
	if err != nil {
		return RollbackPlan{}, err
	}
	device, item, err := a.named(ctx, p, in.Body.Device, in.Body.Patch)
	if err != nil {
		return RollbackPlan{}, err
	}
	ask := campaign.Rollback{Campaign: in.Campaign, Ring: in.Body.Ring, Device: device, Patch: item, Reason: in.Body.Reason, Now: now, ByRing: in.Body.ByRing}
	var plan campaign.RollbackPlan
	if in.Body.Plan {
		plan, err = a.Conductor.PlanRollback(ctx, p.Tenant, ask)
	} else {
		plan, err = a.Conductor.Rollback(ctx, p.Tenant, p.Actor(), ask)
	}
	if err != nil {
		return RollbackPlan{}, err
	}
	return planned(plan), nil
}

func planned(plan campaign.RollbackPlan) RollbackPlan {
	out := RollbackPlan{
		Devices: plan.Devices, Items: plan.Items, Impossible: []CannotRollback{}, Exceptions: []OpenAgain{},
		ExpectedS: int64((plan.Expected + time.Second - 1) / time.Second),
	}
	if plan.Campaign != "" {
		out.Campaign = &view.CampaignRef{ID: string(plan.Campaign), Name: plan.Name}
	}
	for _, e := range plan.Exceptions {
		out.Exceptions = append(out.Exceptions, OpenAgain{Patch: view.PatchRef{ID: e.Patch, Name: e.Name, Version: e.Version}, Devices: e.Devices, Until: e.Until})
	}
	for _, c := range plan.Impossible {
		out.Impossible = append(out.Impossible, CannotRollback{Device: view.DeviceRef{ID: c.Device, Name: c.Name}, Package: c.Package, Why: c.Why})
	}
	return out
}
