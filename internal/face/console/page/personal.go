package page

import (
	"strconv"
	"strings"
	"time"

	"rsc.io/qr"

	"patchring/internal/core/fault"
	"patchring/internal/face/console/ui"
	"patchring/wire"
)

// Personal is the page of one device, for whoever has its link. It names nobody.
type Personal struct {
	Token  string
	Device string
	Zone   string
	Logo   bool
	Seen   time.Time
	Away   bool // not heard of for longer than it checks in
	Mute   bool // its agent is too old to hear what is said here
	Coming []Coming
	Later  []PlannedCampaign // no order yet
	Done   []Arrived
	Said   []SaidLater
	Error  string // why the last act was not taken
	Words  string // what was being written then
}

// TimeZone is the device's own.
func (p Personal) TimeZone() string { return p.Zone }

func (p Personal) act(name string) string { return "/p/" + p.Token + "/" + name }

// Coming is one order that the device has.
type Coming struct {
	Order     string
	Campaign  string // name
	Title     string // the tenant's words; empty: our own
	Body      string
	Items     []string
	From, To  time.Time // the next window; zero: none is left
	Open      bool      // the window is open now
	Deadline  time.Time // zero: nobody is asked
	State     wire.NoticeWhat
	Restart   bool // what is asked about is the restart
	Running   bool // it has begun
	Back      bool // previous versions are put back
	Trial     bool // as a rehearsal: they are installed again afterwards
	Until     time.Time
	Remaining int64
	Offers    []wire.Offer
}

// PlannedCampaign is what a campaign is going to bring.
type PlannedCampaign struct {
	Name  string
	Items []string
	Next  time.Time // zero: not known yet
}

// Arrived is what a campaign has brought, to say whether it works.
type Arrived struct {
	Campaign string // id
	Name     string
	Items    []ArrivedItem
	Says     []SaidOf
}

// ArrivedItem is one patch that is there now.
type ArrivedItem struct{ Patch, Name string }

// SaidOf is what was said of it.
type SaidOf struct {
	Name  string // of the patch; empty: of all
	Says  string
	Words string
	At    time.Time
}

// SaidLater is a "later" that was said here.
type SaidLater struct {
	Choice  wire.Choice
	State   string
	Why     string // refused: why
	WhyAt   time.Time
	Until   time.Time
	At      time.Time
	Expired bool // it never reached the device
}

// DeviceLink is the page that an operator prints for a device.
type DeviceLink struct {
	ID, Name string
	URL      string
	Expires  time.Time
}

// Heading names the page.
func (d DeviceLink) Heading() string { return d.Name }

// code is the link as a QR code: a picture of so many squares each way, and the
// path of the dark ones.
func (d DeviceLink) code() (size int, path string, err error) {
	c, err := qr.Encode(d.URL, qr.M)
	if err != nil {
		return 0, "", err
	}
	const quiet = 4 // readers want an empty margin of four squares
	var b strings.Builder
	for y := range c.Size {
		for x := range c.Size {
			if c.Black(x, y) {
				b.WriteString("M" + strconv.Itoa(x+quiet) + " " + strconv.Itoa(y+quiet) + "h1v1h-1z")
			}
		}
	}
	return c.Size + 2*quiet, b.String(), nil
}

// FeedbackFilters are the lists of what people said.
var FeedbackFilters = []string{"open", "broken", "works", "all"}

// FeedbackQuery is which of it is asked for.
type FeedbackQuery struct {
	Which    string
	Campaign string // id
	Device   string // id
	After    string
}

// FeedbackList is what people said on their devices' pages.
type FeedbackList struct {
	Query FeedbackQuery
	Rows  []FeedbackLine
	Next  string
}

func (l FeedbackList) path(which, after string) string {
	return ui.With("/feedback", "which", which, "campaign", l.Query.Campaign, "device", l.Query.Device, "after", after)
}

func (l FeedbackList) first() string {
	if l.Query.After == "" {
		return ""
	}
	return l.path(l.Query.Which, "")
}

func (l FeedbackList) next() string {
	if l.Next == "" {
		return ""
	}
	return l.path(l.Query.Which, l.Next)
}

// FeedbackLine is one of them.
type FeedbackLine struct {
	ID           string
	Campaign     string
	CampaignName string
	Ring         string
	Device       string
	DeviceName   string
	Patch        string
	PatchName    string
	Says         string
	Words        string
	At           time.Time
	Closed       time.Time
	ClosedBy     string
	ClosedWhy    string
}

// Heading names it where it is asked about.
func (l FeedbackLine) Heading() string {
	if l.PatchName != "" {
		return l.DeviceName + " · " + l.PatchName
	}
	return l.DeviceName + " · " + l.CampaignName
}

func (l FeedbackLine) open() bool { return l.Says == "broken" && l.Closed.IsZero() }

func (l FeedbackLine) tone() ui.Tone {
	switch {
	case l.open():
		return ui.Bad
	case l.Says == "works":
		return ui.Good
	}
	return ui.Idle
}

// FeedbackTally counts a campaign's devices by what people say.
type FeedbackTally struct{ Works, Broken, Open int64 }

// refusedLater is the sentence of a "later" that was not taken.
func refusedLater(f ui.Frame, s SaidLater) string {
	args := []string{"why", s.Why}
	if !s.WhyAt.IsZero() {
		args = append(args, "at", s.WhyAt.UTC().Format(time.RFC3339))
	}
	return f.Reason(fault.Because(fault.AnswerNotTaken, args...))
}

// personalWhen says when it begins.
func personalWhen(f ui.Frame, c Coming) string {
	switch {
	case c.State == wire.NoticePostponed && c.Until.After(f.Now):
		return f.T("personal.postponed_until", "when", f.Near(c.Until, f.Now))
	case c.State == wire.NoticeCountdown:
		return f.T("personal.countdown", "when", f.Near(c.Until, f.Now))
	case c.State == wire.NoticeAccepted:
		return f.T("personal.agreed")
	case c.From.IsZero():
		return f.T("personal.no_window")
	case c.Open && !c.Deadline.IsZero():
		return f.T("personal.open_asked", "until", f.Near(c.To, f.Now))
	case c.Open:
		return f.T("personal.open", "until", f.Near(c.To, f.Now))
	default:
		return f.Range(c.From, c.To, f.Now)
	}
}

// laterLabel is what a button of the page says.
func laterLabel(f ui.Frame, o wire.Offer) string {
	return f.T("later."+string(o.Choice), "clock", f.Clock(time.UnixMicro(o.AtUS)))
}
