package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/service/access"
)

// Login asks for an API token with a name and a password.
type Login struct {
	Name     string `json:"name" maxLength:"100"`
	Password string `json:"password" maxLength:"256"`
	Token    string `json:"token" maxLength:"100" doc:"what the token is for, for example the machine's name"`
	Life     string `json:"life,omitempty" doc:"how long the token lasts: 12h, 720h; 2160h when not given"`
}

// Me is who asks.
type Me struct {
	Name  string       `json:"name"`
	Roles []string     `json:"roles"`
	May   []access.Act `json:"may"`
}

// CreateToken asks for an API token.
type CreateToken struct {
	Name string `json:"name" minLength:"1" maxLength:"100"`
	Life string `json:"life,omitempty" doc:"how long it lasts: 12h, 720h; 2160h when not given"`
}

// CreateUser asks for an account.
type CreateUser struct {
	Name     string   `json:"name" minLength:"1" maxLength:"100"`
	Roles    []string `json:"roles" minItems:"1" maxItems:"20"`
	Password string   `json:"password,omitempty" maxLength:"256" doc:"generated when not given"`
}

// SetRoles gives a person other roles.
type SetRoles struct {
	Roles []string `json:"roles" minItems:"1" maxItems:"20"`
}

// SetPassword changes a password.
type SetPassword struct {
	Password string `json:"password,omitempty" maxLength:"256" doc:"generated when not given"`
}

// Invite asks for an enrolment token.
type Invite struct {
	Kind   fleet.Kind `json:"kind,omitempty" enum:"workstation,server,critical"`
	Tags   fleet.Tags `json:"tags,omitempty"`
	Groups []string   `json:"groups,omitempty" maxItems:"50"`
	Uses   int64      `json:"uses,omitempty" minimum:"0" maximum:"100000" doc:"1 when not given"`
	Life   string     `json:"life,omitempty" doc:"24h when not given"`
}

// ByID names a row by its id.
type ByID struct {
	ID string `path:"id" maxLength:"100"`
}

// ByName names a row by its name.
type ByName struct {
	Name string `path:"name" maxLength:"100"`
}

func (a *API) registerPeople() {
	const people, enrollment = "people", "enrolment"
	huma.Register(a.huma, operation{method: http.MethodPost, path: "/login", id: "login", summary: "Exchange a name and a password for an API token", tag: people, public: true}.huma(),
		func(ctx context.Context, in *asked[Login]) (*body[access.NewToken], error) {
			out, err := a.login(ctx, in.Body)
			if err != nil {
				return nil, a.problem(ctx, err)
			}
			return &body[access.NewToken]{out}, nil
		})
	handle(a, operation{method: http.MethodGet, path: "/me", id: "me", summary: "Who asks, and what their roles grant", tag: people, act: access.See},
		func(_ context.Context, p access.Principal, _ *struct{}) (Me, error) {
			return Me{Name: p.Name, Roles: p.Roles, May: p.Granted()}, nil
		})
	handle(a, operation{method: http.MethodGet, path: "/tokens", id: "list-tokens", summary: "API tokens: one's own, or everybody's for an administrator", tag: people, act: access.See},
		func(ctx context.Context, p access.Principal, _ *struct{}) ([]access.Token, error) {
			return a.Access.ListTokens(ctx, p)
		})
	handle(a, operation{method: http.MethodPost, path: "/tokens", id: "create-token", summary: "Create an API token; its text is shown once", tag: people, act: access.See, status: http.StatusCreated},
		func(ctx context.Context, p access.Principal, in *asked[CreateToken]) (access.NewToken, error) {
			life, err := duration("life", in.Body.Life)
			if err != nil {
				return access.NewToken{}, err
			}
			return a.Access.CreateToken(ctx, p, in.Body.Name, life)
		})
	do(a, operation{method: http.MethodDelete, path: "/tokens/{id}", id: "revoke-token", summary: "Revoke an API token", tag: people, act: access.See},
		func(ctx context.Context, p access.Principal, in *ByID) error {
			return a.Access.RevokeToken(ctx, p, in.ID)
		})
	a.registerUsers(people)
	a.registerEnrollments(enrollment)
}

func (a *API) login(ctx context.Context, in Login) (access.NewToken, error) {
	life, err := duration("life", in.Life)
	if err != nil {
		return access.NewToken{}, err
	}
	p, err := a.Access.Login(ctx, in.Name, in.Password)
	if err != nil {
		return access.NewToken{}, err
	}
	return a.Access.CreateToken(ctx, p, in.Token, life)
}

func (a *API) registerUsers(tag string) {
	handle(a, operation{method: http.MethodGet, path: "/users", id: "list-users", summary: "People and their roles", tag: tag, act: access.Accounts},
		func(ctx context.Context, p access.Principal, _ *struct{}) ([]access.Account, error) {
			return a.Access.ListAccounts(ctx, p)
		})
	handle(a, operation{method: http.MethodPost, path: "/users", id: "create-user", summary: "Create an account; its password is shown once", tag: tag, act: access.Accounts, status: http.StatusCreated},
		func(ctx context.Context, p access.Principal, in *asked[CreateUser]) (access.Credentials, error) {
			return a.Access.CreateAccount(ctx, p, in.Body.Name, in.Body.Roles, in.Body.Password)
		})
	do(a, operation{method: http.MethodPut, path: "/users/{name}/roles", id: "set-roles", summary: "Give a person other roles", tag: tag, act: access.Accounts},
		func(ctx context.Context, p access.Principal, in *struct {
			ByName
			Body SetRoles
		}) error {
			return a.Access.SetRoles(ctx, p, in.Name, in.Body.Roles)
		})
	handle(a, operation{method: http.MethodPut, path: "/users/{name}/password", id: "set-password", summary: "Change a password: one's own, or anybody's by an administrator", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *struct {
			ByName
			Body SetPassword
		}) (access.Credentials, error) {
			return a.Access.SetPassword(ctx, p, in.Name, in.Body.Password)
		})
	do(a, operation{method: http.MethodDelete, path: "/users/{name}", id: "close-user", summary: "Close an account; its sessions and tokens end", tag: tag, act: access.Accounts},
		func(ctx context.Context, p access.Principal, in *ByName) error {
			return a.Access.CloseAccount(ctx, p, in.Name)
		})
}

func (a *API) registerEnrollments(tag string) {
	handle(a, operation{method: http.MethodGet, path: "/enrollments", id: "list-enrollments", summary: "Enrolment tokens that can still be used", tag: tag, act: access.EnrollAct},
		func(ctx context.Context, p access.Principal, _ *struct{}) ([]access.Enrollment, error) {
			return a.Access.ListEnrollments(ctx, p)
		})
	handle(a, operation{method: http.MethodPost, path: "/enrollments", id: "create-enrollment", summary: "Create an enrolment token; its text is shown once", tag: tag, act: access.EnrollAct, status: http.StatusCreated},
		func(ctx context.Context, p access.Principal, in *asked[Invite]) (access.NewEnrollment, error) {
			life, err := duration("life", in.Body.Life)
			if err != nil {
				return access.NewEnrollment{}, err
			}
			return a.Access.CreateEnrollment(ctx, p, access.Invite{Kind: in.Body.Kind, Tags: in.Body.Tags, Groups: in.Body.Groups, Uses: in.Body.Uses, Life: life})
		})
	do(a, operation{method: http.MethodDelete, path: "/enrollments/{id}", id: "revoke-enrollment", summary: "Take away the uses an enrolment token has left", tag: tag, act: access.EnrollAct},
		func(ctx context.Context, p access.Principal, in *ByID) error {
			return a.Access.RevokeEnrollment(ctx, p, in.ID)
		})
}

// duration reads a Go duration; empty is zero. What does not parse is refused:
// it never means zero.
func duration(field, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fault.New(fault.InvalidField, "field", field, "problem", "not_a_duration", "fix", "90s, 15m, 24h")
	}
	return d, nil
}
