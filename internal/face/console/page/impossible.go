package page

import (
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
)

// Impossible is what could not be put back, in one campaign or in all that are
// open.
type Impossible struct {
	Campaign string // id; empty: all
	Name     string // of that campaign
	Rows     []ImpossibleRollback
	After    string
	Next     string
}

// Heading names the page of one campaign.
func (v Impossible) Heading() string { return v.Name }

// ImpossibleRollback is a patch on a device that could not be put back.
type ImpossibleRollback struct {
	Campaign   string
	Name       string
	Ring       string
	Device     string
	DeviceName string
	Patch      string
	PatchName  string
	State      patch.State
	Reason     fault.Reason
	Updated    time.Time
}

// ImpossibleQuery is what they are asked for.
type ImpossibleQuery struct {
	Campaign string
	After    string
}

// UnheldRole is a sign-off that nobody can give: no active account has its role.
type UnheldRole struct {
	Campaign string
	Name     string
	Ring     string
	Role     string
	Title    string
}

// unheldRoles are the roles to give, each once.
func (t Today) unheldRoles() []string {
	var out []string
	for _, u := range t.Unheld {
		if !has(out, u.Role) {
			out = append(out, u.Role)
		}
	}
	return out
}

const impossiblePath = "/rollbacks"
