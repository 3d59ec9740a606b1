package page

import (
	"strconv"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/rehearsal"
	"patchring/internal/face/console/ui"
)

// Rehearsal is what a campaign would do. Without Played it only asks which.
type Rehearsal struct {
	Query      RehearsalQuery
	Procedures []string    // to choose from
	Months     []time.Time // to choose from
	Played     bool
	Title      string // of the procedure, in the reader's language
	Version    int64
	Zone       string
	Campaign   string // its month; empty: it starts now
	Policy     string // in force; empty: none
	Told       rehearsal.Result
	Fates      []rehearsal.Fate // of the reason that is asked for
	Next       string
}

// RehearsalQuery is what is rehearsed, and which devices are listed.
type RehearsalQuery struct {
	Procedure string
	When      string // a month, or "now"; empty: nothing is rehearsed yet
	Ring      string
	Bucket    campaign.Bucket
	Reason    fault.Code
	After     string
}

// Lists tells whether devices are asked for.
func (q RehearsalQuery) Lists() bool { return q.Ring != "" || q.Bucket != "" || q.Reason != "" }

// TimeZone is where the procedure's times are told.
func (v Rehearsal) TimeZone() string { return v.Zone }

// startNow is what a reader chooses in place of a month.
const startNow = "now"

const rehearsalPath = "/campaigns/rehearse"

func (v Rehearsal) path(pairs ...string) string {
	return ui.With(rehearsalPath, append([]string{"procedure", v.Query.Procedure, "when", v.Query.When}, pairs...)...)
}

func (v Rehearsal) lists(ring string, bucket campaign.Bucket, reason fault.Code) string {
	return v.path("ring", ring, "bucket", string(bucket), "reason", string(reason)) + "#devices"
}

func (v Rehearsal) here() []string {
	return []string{"procedure", v.Query.Procedure, "when", v.Query.When, "ring", v.Query.Ring, "bucket", string(v.Query.Bucket), "reason", string(v.Query.Reason)}
}

// mostShown is how many sites and hours a page has; the API has all of them.
const mostShown = 12

// column is one day of the curve.
type column struct {
	day   rehearsal.Day
	at    time.Time // noon
	x     string
	parts []segment
	judge bool // the verification is on it
}

// segment is one of the five numbers of a day, stacked.
type segment struct {
	tone      ui.Tone
	y, height string
}

// The drawing of the curve: a day is so wide, everybody so high.
const (
	dayWidth = 10
	allHigh  = 60.0
)

// columns of the curve, done at the bottom.
func (v Rehearsal) columns(zone *time.Location) []column {
	out := make([]column, 0, len(v.Told.Days))
	judged := calendar.DateOf(v.Told.Verification, zone)
	for i, d := range v.Told.Days {
		c := column{day: d, at: d.Date.At(calendar.EndOfDay/2, zone), x: strconv.Itoa(i * dayWidth), judge: d.Date == judged}
		total, y := float64(d.Ends.Total()), allHigh
		for _, b := range ui.Buckets {
			if n := ui.Count(d.Ends, b); n > 0 {
				height := allHigh * float64(n) / total
				y -= height
				c.parts = append(c.parts, segment{ui.OfBucket(b), strconv.FormatFloat(y, 'f', 2, 64), strconv.FormatFloat(height, 'f', 2, 64)})
			}
		}
		out = append(out, c)
	}
	return out
}

func (v Rehearsal) viewBox() string {
	return "0 0 " + strconv.Itoa(max(1, len(v.Told.Days))*dayWidth) + " " + strconv.Itoa(int(allHigh))
}

// busy days are those on which anything happens, and the verification's.
func busy(columns []column) []column {
	var out []column
	for _, c := range columns {
		if c.judge || c.day.Bytes > 0 || c.installs() > 0 || c.day.Reboots >= 0.5 {
			out = append(out, c)
		}
	}
	return out
}

func (c column) installs() int64 {
	n := int64(0)
	for _, i := range c.day.Installs {
		n += int64(i)
	}
	return n
}

func expected(reboots float64) int64 { return int64(reboots + 0.5) }

func (v Rehearsal) busiest() []rehearsal.Hour {
	list := rehearsal.Busiest(v.Told.Hours)
	return list[:min(mostShown, len(list))]
}

func (v Rehearsal) sites() []rehearsal.Site { return v.Told.Sites[:min(mostShown, len(v.Told.Sites))] }

const noon = calendar.EndOfDay / 2

// slipTone: a date that is never kept is worse than one that comes late.
func slipTone(s rehearsal.Slip) ui.Tone {
	if s.Expected.IsZero() {
		return ui.Bad
	}
	return ui.Warn
}
