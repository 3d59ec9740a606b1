package access

import (
	"regexp"
	"slices"
	"strings"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
)

// Act is what somebody may be allowed to do. This file has the whole table:
// nothing else in the program asks for a role by name, but for the gates, whose
// roles are the procedure's.
type Act string

// Acts.
const (
	See        Act = "see"        // every list and page of the tenant
	RunAct     Act = "run"        // campaigns: create, hold, resume, expedite, withdraw, amend, roll back, close
	DecideAct  Act = "decide"     // verdicts on patches
	Procedures Act = "procedures" // apply a procedure
	Policies   Act = "policies"   // put a policy in force
	FreezeAct  Act = "freeze"     // place and end freezes by hand
	SiteAct    Act = "site"       // what holds for all tenants: its policy and its freezes
	ExceptAct  Act = "except"     // grant and end exceptions
	TaskAct    Act = "tasks"      // open, close and reopen every manual task; its owner closes it without
	Incidents  Act = "incidents"  // open incidents, note, correct, close and reopen them; their tickets
	FleetAct   Act = "fleet"      // groups, letting clean-ups go, and retiring a device
	AlertAct   Act = "alerts"     // alert rules, silences, tests, links to feeds, and acknowledging; who must act acknowledges without
	EnrollAct  Act = "enroll"     // enrolment tokens
	Export     Act = "export"     // the register, whole or a device's passport
	Accounts   Act = "accounts"   // people and their roles, everybody's API tokens
	Backup     Act = "backup"     // a copy of everything
	FeedAct    Act = "feeds"      // import feeds of vulnerabilities, whose facts every tenant sees
)

// Roles that grant acts. Every other word is a role of the organisation's own:
// it grants seeing, and signing the gates that ask for it.
const (
	Admin    = "admin"
	Operator = "operator"
	Auditor  = "auditor"
)

// granted lists, for each act, the roles that grant it; anyone means every
// account. Signing a gate is not here: it needs the very role that the gate
// asks for, and no other role stands for it, not even admin.
var granted = map[Act][]string{
	See:        {anyone},
	RunAct:     {Admin, Operator},
	DecideAct:  {Admin, Operator},
	ExceptAct:  {Admin, Operator},
	TaskAct:    {Admin, Operator},
	Incidents:  {Admin, Operator},
	Procedures: {Admin, Operator},
	Policies:   {Admin, Operator},
	FreezeAct:  {Admin, Operator},
	SiteAct:    {Admin},
	FleetAct:   {Admin, Operator},
	AlertAct:   {Admin, Operator},
	EnrollAct:  {Admin, Operator},
	Export:     {Admin, Operator, Auditor},
	Accounts:   {Admin},
	Backup:     {Admin},
	FeedAct:    {Admin},
}

const anyone = "*"

// ofSite are the acts that reach beyond a tenant: they are its administrators'
// only in the first tenant, whose people run the site.
var ofSite = []Act{SiteAct, Backup}

// Principal is who asks: a person by a session, or a program by a token that
// acts for a person.
type Principal struct {
	Tenant  fleet.TenantID
	Account string // id
	Name    string
	Roles   []string
	Lang    string
	Token   string // id of the API token used; empty with a session
}

// Actor is how the register names the principal.
func (p Principal) Actor() register.Actor { return register.User(p.Name) }

// May tells whether the principal's roles grant the act.
func (p Principal) May(a Act) bool {
	if slices.Contains(ofSite, a) && p.Tenant != fleet.DefaultTenant {
		return false
	}
	return slices.ContainsFunc(granted[a], func(role string) bool { return role == anyone || p.Has(role) })
}

// Has tells whether the principal has a role.
func (p Principal) Has(role string) bool { return slices.Contains(p.Roles, role) }

// Need refuses an act that the principal's roles do not grant.
func (p Principal) Need(a Act) error {
	if p.May(a) {
		return nil
	}
	if slices.Contains(ofSite, a) && p.Tenant != fleet.DefaultTenant {
		return fault.New(fault.Forbidden, "role", strings.Join(granted[a], ",")+"@"+string(fleet.DefaultTenant))
	}
	return fault.New(fault.Forbidden, "role", strings.Join(granted[a], ","))
}

// NeedRole refuses to sign for a role that the principal does not have.
func (p Principal) NeedRole(role string) error {
	if p.Has(role) {
		return nil
	}
	return fault.New(fault.Forbidden, "role", role)
}

// Names are what a task may call the principal by: its name and its roles.
func (p Principal) Names() []string { return append([]string{p.Name}, p.Roles...) }

// NeedTask refuses to close a task that is somebody else's. Those it belongs to
// are its owner and, once it has escalated, the one above.
func (p Principal) NeedTask(belongs ...string) error {
	if p.May(TaskAct) || slices.ContainsFunc(p.Names(), func(name string) bool { return slices.Contains(belongs, name) }) {
		return nil
	}
	return fault.New(fault.Forbidden, "role", strings.Join(append(slices.Clone(granted[TaskAct]), belongs...), ","))
}

// NeedAlert refuses to acknowledge an alert on which somebody else must act.
func (p Principal) NeedAlert(who string) error {
	if p.May(AlertAct) || slices.Contains(p.Names(), who) {
		return nil
	}
	return fault.New(fault.Forbidden, "role", strings.Join(append(slices.Clone(granted[AlertAct]), who), ","))
}

var roleWord = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

const maxRoles, maxRole = 20, 63

// checkRoles wants words, each once. Procedures may name roles freely; a role
// that no gate asks for is harmless.
func checkRoles(roles []string) ([]string, error) {
	out := slices.Clone(roles)
	slices.Sort(out)
	out = slices.Compact(out)
	if len(out) == 0 || len(out) > maxRoles {
		return nil, invalid("roles", "no_role", "admin, operator, auditor, it, business")
	}
	for _, r := range out {
		if !roleWord.MatchString(r) || len(r) > maxRole {
			return nil, invalid("roles", "not_a_word", "a-z 0-9 -")
		}
	}
	return out, nil
}

func invalid(field, problem, fix string) *fault.Error {
	return fault.New(fault.InvalidField, "field", field, "problem", problem, "fix", fix)
}

// Granted lists the acts that the principal's roles grant, for faces that show
// only what can be done.
func (p Principal) Granted() []Act {
	out := []Act{}
	for act := range granted {
		if p.May(act) {
			out = append(out, act)
		}
	}
	slices.Sort(out)
	return out
}
