package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"patchring/internal/core/campaign"
	"patchring/internal/core/document"
	"patchring/internal/core/fault"
	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
	"patchring/internal/service/access"
	"patchring/internal/service/desk"
	"patchring/internal/service/dossier"
)

// MissingList are the parameters of the list of missing devices.
type MissingList struct {
	OneCampaign
	Paged
	MissingWhich
}

// MissingWhich chooses among missing devices.
type MissingWhich struct {
	Bucket string `query:"bucket" enum:"failed,not_reached,unreachable" doc:"all three when not given"`
	By     string `query:"by" enum:"ring,department,site,system" doc:"only those that have value there"`
	Value  string `query:"value" maxLength:"260" doc:"of by; empty: those without one"`
}

func (m MissingWhich) query(campaign string, p view.Paging) view.MissingQuery {
	return view.MissingQuery{Paging: p, Campaign: campaign, Bucket: m.Bucket, By: m.By, Value: m.Value}
}

// SignVerification is a sign-off on the verification of a campaign.
type SignVerification struct {
	Role    string `json:"role" minLength:"1" maxLength:"63"`
	Yes     bool   `json:"yes"`
	Comment string `json:"comment,omitempty" maxLength:"1000"`
	Ticked  []int  `json:"ticked,omitempty" maxItems:"100" doc:"indexes of the checklist's points that were done"`
}

// IssueDossier asks for the next revision of a dossier.
type IssueDossier struct {
	Lang   string `json:"lang" enum:"fr,en"`
	Reason string `json:"reason" maxLength:"300" doc:"its line in the table of revisions"`
}

// InLang chooses a language.
type InLang struct {
	Lang string `query:"lang" enum:"fr,en" doc:"the account's, when not given"`
}

func (l InLang) of(p access.Principal) string {
	if l.Lang == "" {
		return p.Lang
	}
	return l.Lang
}

// DossierFile are the parameters of a dossier as a file.
type DossierFile struct {
	OneCampaign
	InLang
	Format   document.Format `query:"format" enum:"pdf,html,xlsx" default:"pdf"`
	Revision int64           `query:"revision" minimum:"0" doc:"one that was issued, as it was; a draft when not given"`
}

// fileAnswer is a document in one piece.
type fileAnswer struct {
	Type        string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Cache       string `header:"Cache-Control"`
	Body        []byte
}

// file registers a route that answers with a document.
func file[I any](a *API, op operation, f func(context.Context, access.Principal, *I) (dossier.File, error)) {
	spec := op.huma()
	spec.Responses = map[string]*huma.Response{"200": {
		Description: "The file.", Content: map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{Type: "string", Format: "binary"}}},
	}}
	huma.Register(a.huma, spec, func(ctx context.Context, in *I) (*fileAnswer, error) {
		p := principalIn(ctx)
		if err := p.Need(op.act); err != nil {
			return nil, a.problem(ctx, err)
		}
		out, err := f(ctx, p, in)
		if err != nil {
			return nil, a.problem(ctx, err)
		}
		return &fileAnswer{Type: out.Type, Disposition: `attachment; filename="` + out.Name + `"`, Cache: "no-store", Body: out.Body}, nil
	})
}

func (a *API) registerDossiers() {
	const tag = "campaigns"
	handle(a, operation{method: http.MethodGet, path: "/campaigns/{campaign}/verification", id: "verification", summary: "What a campaign has reached, and what closing it waits for", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *OneCampaign) (view.Verification, error) {
			c, err := a.View.FindCampaign(ctx, p.Tenant, in.Campaign)
			if err != nil {
				return view.Verification{}, err
			}
			return a.View.Verification(ctx, p.Tenant, c.ID)
		})
	do(a, operation{method: http.MethodPost, path: "/campaigns/{campaign}/verification/sign", id: "sign-verification", summary: "Sign off the verification; needs the role that it asks for", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *actOn[SignVerification]) error {
			if err := p.NeedRole(in.Body.Role); err != nil {
				return err
			}
			return a.Conductor.SignVerification(ctx, p.Tenant, p.Actor(), campaign.Sign{
				Campaign: in.Campaign, Role: in.Body.Role, Yes: in.Body.Yes, Comment: in.Body.Comment, Ticked: in.Body.Ticked,
			})
		})
	handle(a, operation{method: http.MethodGet, path: "/campaigns/{campaign}/missing", id: "list-missing", summary: "Devices that a campaign has not brought to its content, why, and their next attempt", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *MissingList) (view.MissingPage, error) {
			c, err := a.View.FindCampaign(ctx, p.Tenant, in.Campaign)
			if err != nil {
				return view.MissingPage{}, err
			}
			return a.View.Missing(ctx, p.Tenant, in.query(c.ID, in.paging()))
		})
	file(a, operation{method: http.MethodGet, path: "/campaigns/{campaign}/missing.csv", id: "missing-csv", summary: "The whole list of missing devices, for spreadsheets", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *struct {
			OneCampaign
			MissingWhich
			InLang
		}) (dossier.File, error) {
			return a.Dossiers.Missing(ctx, p.Tenant, in.query(in.Campaign, view.Paging{}), in.of(p))
		})
	handle(a, operation{method: http.MethodGet, path: "/campaigns/{campaign}/dossier", id: "dossier", summary: "Everything that the dossier of a campaign says", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *OneCampaign) (view.Dossier, error) {
			return a.Dossiers.Dossier(ctx, p.Tenant, in.Campaign)
		})
	file(a, operation{method: http.MethodGet, path: "/campaigns/{campaign}/dossier/file", id: "dossier-file", summary: "The dossier as a document: a draft, or a revision as it was issued", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *DossierFile) (dossier.File, error) {
			if in.Revision > 0 {
				return a.Dossiers.Issued(ctx, p.Tenant, in.Campaign, in.Revision, in.Format)
			}
			return a.Dossiers.Draft(ctx, p.Tenant, in.Campaign, in.of(p), in.Format)
		})
	handle(a, operation{method: http.MethodPost, path: "/campaigns/{campaign}/dossier", id: "issue-dossier", summary: "Issue the next revision of the dossier: its files are kept, their hashes in the register", tag: tag, act: access.RunAct, status: http.StatusCreated},
		func(ctx context.Context, p access.Principal, in *actOn[IssueDossier]) (view.Revision, error) {
			return a.Dossiers.Issue(ctx, p.Tenant, p.Actor(), dossier.Issue{Campaign: in.Campaign, Lang: in.Body.Lang, Reason: in.Body.Reason})
		})
	handle(a, operation{method: http.MethodGet, path: "/dossiers/{sha256}", id: "find-dossier", summary: "Which issued file has this SHA-256", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *struct {
			SHA256 string `path:"sha256" pattern:"^[0-9a-f]{64}$"`
		}) (view.IssuedFile, error) {
			return a.View.IssuedBy(ctx, p.Tenant, in.SHA256)
		})
	handle(a, operation{method: http.MethodPost, path: "/campaigns/{campaign}/follow-up", id: "follow-up", summary: "Make the catch-up, the tasks and the exceptions of what a campaign left undone, or only plan them", tag: tag, act: access.RunAct}, a.followUp)
	handle(a, operation{method: http.MethodGet, path: "/reports/monthly", id: "monthly-report", summary: "What a month's campaigns came to", tag: "reports", act: access.See},
		func(ctx context.Context, p access.Principal, in *InMonth) (view.Monthly, error) {
			return a.Dossiers.Monthly(ctx, p.Tenant, in.Month)
		})
	file(a, operation{method: http.MethodGet, path: "/reports/monthly/file", id: "monthly-report-file", summary: "The monthly report as a document", tag: "reports", act: access.See},
		func(ctx context.Context, p access.Principal, in *struct {
			InMonth
			InLang
			Format document.Format `query:"format" enum:"pdf,html,xlsx" default:"pdf"`
		}) (dossier.File, error) {
			return a.Dossiers.MonthlyFile(ctx, p.Tenant, in.Month, in.of(p), in.Format)
		})
}

// InMonth chooses a month.
type InMonth struct {
	Month string `query:"month" pattern:"^[0-9]{4}-[0-9]{2}$" doc:"2026-11; the month that is, when not given"`
}

// FollowUp asks what is to come of the devices that a campaign left undone.
type FollowUp struct {
	Plan       bool              `json:"plan,omitempty" doc:"only say what it would do"`
	CatchUp    bool              `json:"catch_up,omitempty" doc:"start an emergency for what they lack; it waits for its own sign-offs"`
	Windows    []Window          `json:"windows,omitempty" maxItems:"100" doc:"of the catch-up, in place of the devices' own"`
	Tasks      []campaign.Bucket `json:"tasks,omitempty" maxItems:"3" enum:"failed,not_reached,unreachable" doc:"devices of these get a manual task"`
	Exceptions []campaign.Bucket `json:"exceptions,omitempty" maxItems:"3" enum:"failed,not_reached,unreachable" doc:"what devices of these lack is left out until a date"`
	Owner      string            `json:"owner,omitempty" maxLength:"200" doc:"of the tasks and the exceptions"`
	EscalateTo string            `json:"escalate_to,omitempty" maxLength:"200"`
	Due        string            `json:"due,omitempty" maxLength:"40" doc:"of the tasks: a date, or an instant"`
	Reason     string            `json:"reason,omitempty" maxLength:"1000" doc:"of the catch-up and the exceptions"`
	Control    string            `json:"control,omitempty" maxLength:"1000" doc:"what protects meanwhile"`
	Until      string            `json:"until,omitempty" maxLength:"40" doc:"end of the exceptions: a date, or an instant"`
	Lang       string            `json:"lang,omitempty" enum:"fr,en" doc:"of the tasks; the account's when not given"`
}

func (a *API) followUp(ctx context.Context, p access.Principal, in *actOn[FollowUp]) (desk.FollowedUp, error) {
	b := in.Body
	for _, need := range []struct {
		asked bool
		act   access.Act
	}{{len(b.Tasks) > 0, access.TaskAct}, {len(b.Exceptions) > 0, access.ExceptAct}} {
		if need.asked {
			if err := p.Need(need.act); err != nil {
				return desk.FollowedUp{}, err
			}
		}
	}
	c, err := a.View.FindCampaign(ctx, p.Tenant, in.Campaign)
	if err != nil {
		return desk.FollowedUp{}, err
	}
	windows, err := intervals(b.Windows)
	if err != nil {
		return desk.FollowedUp{}, err
	}
	words := lang.For(b.Lang, p.Lang)
	return a.Desk.FollowUp(ctx, p.Tenant, p.Actor(), desk.FollowUp{
		Campaign: c.ID, Reason: b.Reason, CatchUp: b.CatchUp, Windows: windows, Tasks: b.Tasks, Except: b.Exceptions, Owner: b.Owner,
		EscalateTo: b.EscalateTo, Due: b.Due, Control: b.Control, Until: b.Until, Plan: b.Plan,
		Words: func(bucket string, why fault.Reason) (string, string) { return words.MissedTask(c.Name, bucket, why) },
	})
}
