// Package feed is what programs read that cannot log in: the dates of campaigns
// and the maintenance windows as a calendar (iCal), and alerts as Atom. A signed link opens one feed of one
// tenant until somebody revokes it; whoever has it reads, and does nothing else.
//
// It decides nothing, and keeps windows for some minutes only. Safe from any goroutine.
package feed

import (
	"context"
	"encoding/xml"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	ics "github.com/arran4/golang-ical"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
	"patchring/internal/service/herald"
	"patchring/internal/service/rulebook"
)

// Options of the feeds.
type Options struct {
	View *view.Reader
	// Open is the link that a token opens.
	Open func(ctx context.Context, token string) (fleet.TenantID, herald.FeedLink, error)
	// Windows is when devices may act; rulebook.Rulebook tells it.
	Windows func(ctx context.Context, tenant fleet.TenantID, ask rulebook.WindowsAsk) (rulebook.WindowList, error)
	Base    func() string // where the console is
	Zone    *time.Location
	Clock   func() time.Time
	Log     *slog.Logger
}

// New is the handler of everything below herald.FeedPath.
func New(o Options) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET "+herald.FeedPath+"{file}", &feeds{Options: o, known: kept{list: map[fleet.TenantID]keptOpenings{}}})
	return mux
}

type feeds struct {
	Options
	known kept
}

// rows bound a feed: a reader asks again and again.
const rows = 100

// ServeHTTP implements http.Handler. Any link that does not open answers the
// same: what was never there and what was revoked look alike.
func (o *feeds) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, kind, _ := strings.Cut(r.PathValue("file"), ".")
	tenant, link, err := o.Open(r.Context(), token)
	if errors.Is(err, fault.New(fault.LinkInvalid)) || err == nil && kind != strings.TrimPrefix(link.Path[strings.LastIndex(link.Path, "."):], ".") {
		http.Error(w, "no such feed", http.StatusNotFound)
		return
	}
	var body []byte
	contentType := "text/calendar; charset=utf-8"
	if err == nil {
		words := lang.For(link.Lang).In(o.Zone)
		if link.Kind == herald.AlertsFeed {
			contentType = "application/atom+xml; charset=utf-8"
			body, err = o.atom(r.Context(), tenant, link, words)
		} else {
			body, err = o.calendar(r.Context(), tenant, words)
		}
	}
	if err != nil {
		o.Log.Error("write a feed", "feed", link.ID, "err", err)
		http.Error(w, "try again later", http.StatusServiceUnavailable)
		return
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "private, max-age=60")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	if _, err := w.Write(body); err != nil {
		o.Log.Debug("write a feed", "err", err)
	}
}

// calendar has the rings and the verification of every campaign, past ones too:
// a calendar that loses its events looks like one that was changed.
func (o *feeds) calendar(ctx context.Context, tenant fleet.TenantID, w lang.Words) ([]byte, error) {
	list, err := o.View.Campaigns(ctx, tenant, view.CampaignQuery{Paging: view.Paging{Limit: rows}})
	if err != nil {
		return nil, err
	}
	cal := ics.NewCalendar()
	cal.SetMethod(ics.MethodPublish)
	cal.SetProductId("-//Patchring//" + string(w.Lang()))
	cal.SetXWRCalName(w.T("feed.campaigns"))
	now := o.Clock()
	for _, c := range list.Rows {
		add := func(id, title string, from, to time.Time) {
			if from.IsZero() {
				return
			}
			e := cal.AddEvent(id + "-" + c.ID + "@patchring")
			e.SetDtStampTime(now)
			e.SetStartAt(from)
			if to.After(from) {
				e.SetEndAt(to)
			} else {
				e.SetEndAt(from.Add(time.Hour))
			}
			e.SetSummary(title)
			e.SetDescription(w.T("feed.state", "state", w.Word(lang.CampaignState, c.State)))
			e.SetURL(o.Base() + "/campaigns/" + c.ID)
		}
		for _, r := range c.Rings {
			add("ring-"+r.Ring, c.Name+" · "+r.Ring, r.Opens, r.Closes)
		}
		add("verification", c.Name+" · "+w.T("feed.verification"), c.Verification, time.Time{})
	}
	if err := o.addWindows(ctx, cal, tenant, w); err != nil {
		return nil, err
	}
	return []byte(cal.Serialize(ics.WithNewLineWindows)), nil
}

// The part of RFC 4287 that readers need.
type (
	atomFeed struct {
		XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
		Lang    string      `xml:"xml:lang,attr"`
		ID      string      `xml:"id"`
		Title   string      `xml:"title"`
		Updated string      `xml:"updated"`
		Author  atomAuthor  `xml:"author"`
		Links   []atomLink  `xml:"link"`
		Entries []atomEntry `xml:"entry"`
	}
	atomAuthor struct {
		Name string `xml:"name"`
	}
	atomLink struct {
		Rel  string `xml:"rel,attr"`
		Href string `xml:"href,attr"`
	}
	atomEntry struct {
		ID       string       `xml:"id"`
		Title    string       `xml:"title"`
		Updated  string       `xml:"updated"`
		Link     atomLink     `xml:"link"`
		Category atomCategory `xml:"category"`
		Content  string       `xml:"content"`
	}
	atomCategory struct {
		Term string `xml:"term,attr"`
	}
)

// atom has the latest alerts, open or over; an entry is updated when its alert
// is acknowledged or over.
func (o *feeds) atom(ctx context.Context, tenant fleet.TenantID, link herald.FeedLink, w lang.Words) ([]byte, error) {
	list, err := o.View.Alerts(ctx, tenant, view.AlertQuery{Which: "all", Paging: view.Paging{Limit: rows}})
	if err != nil {
		return nil, err
	}
	feed := atomFeed{
		Lang: string(w.Lang()), ID: "urn:uuid:" + link.ID, Title: w.T("feed.alerts"), Updated: link.Created.UTC().Format(time.RFC3339), Author: atomAuthor{"Patchring"},
		Links: []atomLink{{"alternate", o.Base() + "/alerts"}, {"self", o.Base() + link.Path}},
	}
	latest := link.Created
	for _, a := range list.Rows {
		updated := a.Fired
		for _, t := range []time.Time{a.Acked, a.Ended} {
			if t.After(updated) {
				updated = t
			}
		}
		if updated.After(latest) {
			latest = updated
		}
		title := w.Word(lang.AlertSeverity, string(a.Severity)) + w.T("alert.colon") + a.Title.In(string(w.Lang()))
		if where := w.AlertWhere(a.Message()); where != "" {
			title += " — " + where
		}
		feed.Entries = append(feed.Entries, atomEntry{
			ID: "urn:uuid:" + a.ID, Title: title + " (" + w.Word(lang.AlertState, string(a.State)) + ")", Updated: updated.UTC().Format(time.RFC3339),
			Link: atomLink{"alternate", o.Base() + "/alerts/" + a.ID}, Category: atomCategory{string(a.Severity)}, Content: w.AlertLine(a.Message()),
		})
	}
	feed.Updated = latest.UTC().Format(time.RFC3339)
	out, err := xml.MarshalIndent(feed, "", " ")
	return append([]byte(xml.Header), out...), err
}
