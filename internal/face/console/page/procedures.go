package page

import (
	"time"

	"patchring/internal/core/procedure"
)

// Procedures is the list of procedures.
type Procedures struct {
	Procedures []ProcedureLine
}

// ProcedureLine is a procedure in its latest version.
type ProcedureLine struct {
	Name    string
	Title   string // in the reader's language
	Version int64
	By      string
	At      time.Time
}

// Procedure is one version of a procedure.
type Procedure struct {
	ProcedureLine
	Owner     string
	Zone      string
	Text      string // the file as it was applied
	SHA256    string
	Rings     []ProcedureRing
	Visas     []ProcedureVisa
	Versions  []ProcedureLine // newest first
	Campaigns []CampaignLine  // open ones of this procedure
}

// TimeZone is where the procedure's times are told.
func (p Procedure) TimeZone() string { return p.Zone }

// Heading names the page.
func (p Procedure) Heading() string { return p.Title }

// ProcedureRing is a ring as the procedure says it.
type ProcedureRing struct {
	Name     string
	Title    string
	Opens    int // campaign day
	OpensAt  string
	Closes   int // campaign day; 0: when the next one opens
	Soak     time.Duration
	MinDone  float64
	MaxFails int64
	Roles    []string // who signs
}

// ProcedureVisa is a role's signature on the procedure itself.
type ProcedureVisa struct {
	Kind procedure.VisaKind
	Name string // where the procedure gives one
	Role string
	Date time.Time
}

// Register is a list of register entries: of a campaign, of a device, or all.
type Register struct {
	Subject string // name of the campaign or device; empty: the whole register
	Up      string // where it belongs
	Path    string // its own address
	Query   RegisterQuery
	Events  []Event
	Next    string
}

// RegisterQuery is which entries are asked for.
type RegisterQuery struct {
	Campaign string
	Device   string
	After    string
}

// Search is what one word finds.
type Search struct {
	Word      string
	Devices   []DeviceLine
	Patches   []PatchLine
	Campaigns []CampaignLine
}

// Login is the door.
type Login struct {
	Name  string
	Back  string
	Error string
}

// Problem is a page that could not be shown.
type Problem struct {
	Status int
	Text   string
}
