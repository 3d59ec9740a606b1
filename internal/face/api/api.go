// Package api is the HTTP API, the product's contract: OpenAPI 3.1 in
// openapi.yaml, one error shape with a stable code, keyset cursors, and
// idempotency keys on writes. The CLI speaks nothing else.
//
// It owns paths, bodies and status codes, and who a request comes from. It
// refuses to decide: what roles grant is service/access, what a campaign does
// is service/conductor, what is shown is infra/view. Bodies of answers are the
// types of view and of the services; bodies of requests are here.
//
// The handler is safe from any goroutine; New starts none.
package api

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fleet"
	"patchring/internal/infra/view"
	"patchring/internal/service/access"
	"patchring/internal/service/catalogue"
	"patchring/internal/service/checklist"
	"patchring/internal/service/cleaner"
	"patchring/internal/service/conductor"
	"patchring/internal/service/desk"
	"patchring/internal/service/dossier"
	"patchring/internal/service/foresight"
	"patchring/internal/service/herald"
	"patchring/internal/service/incident"
	"patchring/internal/service/passport"
	"patchring/internal/service/personal"
	"patchring/internal/service/roster"
	"patchring/internal/service/rulebook"
	"patchring/internal/service/sampler"
	"patchring/internal/service/survey"
	"patchring/internal/service/ticket"
	"patchring/internal/service/watch"
)

// Prefix is what every path of the API begins with.
const Prefix = "/api/v1"

// Options of the API: the services it is a face of.
type Options struct {
	Access    *access.Service
	Sessions  *scs.SessionManager
	View      *view.Reader
	Conductor *conductor.Conductor
	Roster    *roster.Roster
	Rulebook  *rulebook.Rulebook
	Foresight *foresight.Foresight
	Desk      *desk.Desk
	Incidents *incident.Keeper
	Tests     *checklist.Bench
	Tickets   *ticket.Clerk
	Cleaner   *cleaner.Cleaner
	Sampler   *sampler.Sampler
	Passport  *passport.Office
	Survey    *survey.Survey
	Catalogue *catalogue.Catalogue
	Dossiers  *dossier.Office
	Personal  *personal.Office
	Watch     *watch.Watch
	Herald    *herald.Herald
	// Listen hears that a campaign changed, until stop is called; the channel
	// is closed when the server stops.
	Listen func(fleet.TenantID, campaign.ID) (changed <-chan struct{}, stop func())
	// Backup writes a consistent copy of the database.
	Backup  func(context.Context, io.Writer) error
	Clock   func() time.Time
	Log     *slog.Logger
	Version string
}

// API is the handler of everything below Prefix, and of the enrolment path.
type API struct {
	Options
	huma    huma.API
	handler http.Handler
}

// New builds the API.
func New(o Options) *API {
	mux := http.NewServeMux()
	config := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI:    "3.1.0",
			Info:       &huma.Info{Title: "Patchring", Version: "1", Description: description},
			Servers:    []*huma.Server{{URL: Prefix}},
			Components: &huma.Components{Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer), SecuritySchemes: schemes()},
			Security:   []map[string][]string{{"token": {}}, {"session": {}}},
		},
		OpenAPIPath:                  "/openapi",
		Formats:                      huma.DefaultFormats,
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{problemOf},
	}
	a := &API{Options: o, huma: humago.New(mux, config)}
	a.register()
	describeProblems(a.huma.OpenAPI())
	a.handler = a.around(mux)
	return a
}

const description = `Everything Patchring can do. Write with an Idempotency-Key header to make a
repeated request harmless: the first answer is kept for 24 hours. A list gives
"next" when there is more: ask again with it as the cursor. Instants are RFC
3339 in UTC. A refusal is application/problem+json with a stable code and its
arguments; "retry" says that the same request may pass later.`

func schemes() map[string]*huma.SecurityScheme {
	return map[string]*huma.SecurityScheme{
		"token":   {Type: "http", Scheme: "bearer", Description: "An API token: patchring token create"},
		"session": {Type: "apiKey", In: "cookie", Name: access.SessionCookie, Description: "The console's session"},
	}
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.handler.ServeHTTP(w, r) }

// OpenAPI is the contract as YAML.
func (a *API) OpenAPI() ([]byte, error) { return a.huma.OpenAPI().YAML() }

func (a *API) register() {
	a.registerPeople()
	a.registerDevices()
	a.registerPatches()
	a.registerPolicies()
	a.registerFreezes()
	a.registerCampaigns()
	a.registerEvidence()
	a.registerActs()
	a.registerDesk()
	a.registerIncidents()
	a.registerTests()
	a.registerTickets()
	a.registerPersonal()
	a.registerRegister()
	a.registerSurvey()
	a.registerVulnerabilities()
	a.registerCleanUps()
	a.registerMeasures()
	a.registerAlerts()
	a.registerDossiers()
}

// body wraps an answer as huma wants it.
type body[T any] struct{ Body T }

// asked wraps a request's body.
type asked[T any] struct{ Body T }

// operation is what a route needs beside its function.
type operation struct {
	method, path, id, summary string
	act                       access.Act
	tag                       string
	status                    int
	public                    bool
	maxBody                   int64 // when it is not what every request may be
}

func (o operation) huma() huma.Operation {
	op := huma.Operation{
		OperationID: o.id, Method: o.method, Path: o.path, Summary: o.summary, Tags: []string{o.tag}, DefaultStatus: o.status, MaxBodyBytes: o.maxBody,
		Errors: []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity},
	}
	if o.maxBody > maxBody {
		op.BodyReadTimeout = uploadTimeout // five seconds, which is huma's, do not carry a file over a slow line
	}
	if o.act != "" && !o.public {
		op.Description = "Needs: " + string(o.act) + "."
	}
	if o.public {
		op.Security = []map[string][]string{}
	}
	return op
}

// handle registers a route that answers with a body.
func handle[I, O any](a *API, op operation, f func(context.Context, access.Principal, *I) (O, error)) {
	huma.Register(a.huma, op.huma(), func(ctx context.Context, in *I) (*body[O], error) {
		p := principalIn(ctx)
		if err := p.Need(op.act); err != nil {
			return nil, a.problem(ctx, err)
		}
		out, err := f(ctx, p, in)
		if err != nil {
			return nil, a.problem(ctx, err)
		}
		return &body[O]{out}, nil
	})
}

// do registers a route that answers with nothing: 204.
func do[I any](a *API, op operation, f func(context.Context, access.Principal, *I) error) {
	huma.Register(a.huma, op.huma(), func(ctx context.Context, in *I) (*struct{}, error) {
		p := principalIn(ctx)
		if err := p.Need(op.act); err != nil {
			return nil, a.problem(ctx, err)
		}
		if err := f(ctx, p, in); err != nil {
			return nil, a.problem(ctx, err)
		}
		return nil, nil
	})
}

// Paged are the parameters of every list.
type Paged struct {
	Cursor string `query:"cursor" doc:"next of the page before"`
	Limit  int    `query:"limit" minimum:"0" maximum:"500" doc:"rows wanted; 50 when not given"`
}

func (p Paged) paging() view.Paging { return view.Paging{Cursor: p.Cursor, Limit: p.Limit} }
