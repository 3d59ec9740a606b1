package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"patchring/internal/core/campaign"
	"patchring/internal/core/document"
	"patchring/internal/infra/view"
	"patchring/internal/service/access"
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
}
