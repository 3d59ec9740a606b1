// Package source fills the console's pages from the read models: it turns
// view's rows, which are the API's bodies, into the pages' view structs.
//
// It translates shapes and chooses languages; it decides nothing and asks view
// for no more rows than a page shows, however large the fleet. A Source is
// safe from any goroutine.
package source

import (
	"context"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/face/console/page"
	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
	"patchring/internal/service/conductor"
	"patchring/internal/service/rulebook"
	"patchring/internal/service/survey"
)

// Explainer gives the chain of what leads to an install.
type Explainer interface {
	Why(ctx context.Context, tenant fleet.TenantID, device fleet.DeviceID, id patch.ID) ([]conductor.Explanation, error)
}

// Rules tells what policies say; rulebook.Rulebook does.
type Rules interface {
	List(ctx context.Context, tenant fleet.TenantID) ([]rulebook.PolicyVersion, error)
	Show(ctx context.Context, tenant fleet.TenantID, version int64) (rulebook.PolicyVersion, error)
	OfDevice(ctx context.Context, tenant fleet.TenantID, device fleet.DeviceID) (rulebook.Standing, error)
	OfPatch(ctx context.Context, tenant fleet.TenantID, id patch.ID) (rulebook.Spoken, error)
	Freezes(ctx context.Context, tenant fleet.TenantID, past bool) ([]rulebook.FreezeLine, error)
	Windows(ctx context.Context, tenant fleet.TenantID, ask rulebook.WindowsAsk) (rulebook.WindowList, error)
}

// Source reads for the console.
type Source struct {
	View   *view.Reader
	Why    Explainer
	Rules  Rules
	Survey *survey.Survey
	// Probers tells what probes there are.
	Probers Probers
	Clock   func() time.Time
	// Foresight plays campaigns that do not exist yet.
	Foresight Rehearser
}

// Viewer is for whom a page is read.
type Viewer struct {
	Tenant fleet.TenantID
	Names  []string // by which tasks may call them: the account's, and the roles
	Roles  []string // whose sign-offs are awaited
	Words  lang.Words
}

func because(r *fault.Reason) fault.Reason {
	if r == nil {
		return fault.Reason{}
	}
	return *r
}

// patchName is how a patch is written where its version matters.
func patchName(p view.PatchRef) string {
	if p.Version == "" {
		return p.Name
	}
	return p.Name + " " + p.Version
}

// Register fills a page of the register.
func (s *Source) Register(ctx context.Context, who Viewer, q page.RegisterQuery) (page.Register, error) {
	out := page.Register{Query: q, Path: "/register"}
	switch {
	case q.Campaign != "":
		ref, err := s.View.FindCampaign(ctx, who.Tenant, q.Campaign)
		if err != nil {
			return page.Register{}, err
		}
		out.Subject, out.Up = ref.Name, "/campaigns/"+ref.ID
	case q.Device != "":
		ref, err := s.View.FindDevice(ctx, who.Tenant, q.Device)
		if err != nil {
			return page.Register{}, err
		}
		out.Subject, out.Up = ref.Name, "/devices/"+string(ref.ID)
	}
	if out.Up != "" {
		out.Path = out.Up + "/register"
	}
	list, err := s.View.Events(ctx, who.Tenant, view.EventQuery{
		Campaign: q.Campaign, Device: q.Device, Paging: view.Paging{Cursor: q.After},
	})
	if err != nil {
		return page.Register{}, err
	}
	out.Events, out.Next = events(who.Words, list.Rows), list.Next
	return out, nil
}

func events(w lang.Words, rows []view.Event) []page.Event {
	out := make([]page.Event, len(rows))
	for i, e := range rows {
		out[i] = page.Event{
			Index: e.Index, At: e.At, Kind: string(e.Kind), Actor: e.Actor, Ring: e.Ring,
			Reason: because(e.Reason), Detail: detail(w, e.Detail),
		}
		if e.Device != nil {
			out[i].Device, out[i].DeviceName = string(e.Device.ID), e.Device.Name
			if out[i].Detail == e.Device.Name {
				out[i].Detail = "" // said already
			}
		}
		if e.Campaign != nil {
			out[i].Campaign = e.Campaign.ID
		}
		if e.Patch != nil {
			out[i].Patch, out[i].PatchName = string(e.Patch.ID), patchName(*e.Patch)
		}
	}
	return out
}
