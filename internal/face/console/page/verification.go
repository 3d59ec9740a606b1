package page

import (
	"strconv"

	"patchring/internal/core/campaign"
	"patchring/internal/face/console/ui"
	"patchring/internal/infra/view"
)

// VerificationQuery chooses which missing devices are listed.
type VerificationQuery struct {
	Bucket, By, Value string
	After             string
}

// Reached is what a campaign has reached, who is missing, and the
// documents of it.
type Reached struct {
	view.Verification
	Heads     string // title of the page
	Procedure string // its title
	Query     VerificationQuery
	List      []view.MissingDevice
	Next      string
	Visas     []Visa
	Revisions []view.Revision
}

// Heading names the page.
func (v Reached) Heading() string { return v.Heads }

// TimeZone is the procedure's.
func (v Reached) TimeZone() string { return v.Zone }

// coverTable is one table of a coverage.
type coverTable struct {
	id, head, none, by string
	lines              []view.CoverageLine
}

func (v Reached) tables() []coverTable {
	return []coverTable{
		{"departments", "verification.departments", "verification.no_department", view.ByDepartment, v.Departments},
		{"sites", "verification.sites", "verification.no_site", view.BySite, v.Sites},
		{"systems", "verification.systems", "verification.no_system", view.BySystem, v.Systems},
	}
}

// provenOf is what is proven of a line; nil while nobody has looked.
func (v Reached) provenOf(l view.CoverageLine) *int64 {
	if v.Proven == nil {
		return nil
	}
	return &l.Proven
}

func (v Reached) path(more ...string) string { return campaignPath(v.Campaign.ID, more...) }

// listed is the list of the missing devices behind a number.
func (v Reached) listed(by, value, bucket string) string {
	return ui.With(v.path("verification"), "by", by, "value", value, "bucket", bucket) + "#missing"
}

func (v Reached) csv() string {
	return ui.With(v.path("missing.csv"), "by", v.Query.By, "value", v.Query.Value, "bucket", v.Query.Bucket)
}

func (v Reached) more() string {
	return nextPage(v.Next, v.path("verification"), "by", v.Query.By, "value", v.Query.Value, "bucket", v.Query.Bucket)
}

func (v Reached) first() string {
	return firstPage(v.Query.After, v.path("verification"), "by", v.Query.By, "value", v.Query.Value, "bucket", v.Query.Bucket)
}

func (v Reached) missing() int64 {
	return v.Total.Failed + v.Total.NotReached + v.Total.Unreachable
}

// signable are the sign-offs that a reader with these roles can give now.
func (v Reached) signable(roles []string) []Visa {
	if !v.Signable {
		return nil
	}
	return Ring{State: campaign.RingGate, Visas: v.Visas}.Signable(roles)
}

func (v Reached) file(format string) string {
	return ui.With(v.path("dossier"), "format", format)
}

func (v Reached) issued(r view.Revision, f view.RevisionFile) string {
	return ui.With(v.path("dossier"), "format", f.Format, "revision", strconv.FormatInt(r.Number, 10))
}

func five(n view.Numbers) campaign.Counters {
	return campaign.Counters{Done: int(n.Done), Failed: int(n.Failed), NotReached: int(n.NotReached), Unreachable: int(n.Unreachable), Exempt: int(n.Exempt)}
}

// MonthReport is the report of a month.
type MonthReport struct {
	view.Monthly
	Heads, Last, Following string // title, and the months beside it
}

// Heading names the page.
func (m MonthReport) Heading() string { return m.Heads }

// TimeZone is where the month begins.
func (m MonthReport) TimeZone() string { return m.Zone }

const monthPath = "/reports/monthly"

func (m MonthReport) file(format string) string {
	return ui.With(monthPath+"/file", "month", m.Month, "format", format)
}

func sign(n int64) string {
	if n > 0 {
		return "+"
	}
	return ""
}
