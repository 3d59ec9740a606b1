package server_test

import (
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	ics "github.com/arran4/golang-ical"

	"patchring/internal/core/fleet"
	"patchring/internal/face/feed"
	"patchring/internal/service/herald"
	"patchring/internal/service/herald/heraldtest"
)

func TestFeedsOpenByTheirLinkUntilItIsRevoked(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	smtp := heraldtest.Start(t, heraldtest.Plain, "")
	w.rules(smtp, strings.Replace(cpuRule, "for: 10m", "for: 0h", 1))
	w.campaign(t, "2026-01")
	w.sampled(w.device("<pc> & co", fleet.Workstation, "", nil, nil), busy(99))
	handler := feed.New(feed.Options{
		View: w.srv.View, Open: w.srv.Herald.OpenLink, Base: func() string { return "https://p.example.org" }, Zone: paris, Clock: func() time.Time { return w.now }, Log: quiet(),
	})
	get := func(path string) *httptest.ResponseRecorder {
		out := httptest.NewRecorder()
		handler.ServeHTTP(out, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		return out
	}
	made := map[herald.FeedKind]herald.FeedLink{}
	for _, kind := range []herald.FeedKind{herald.CalendarFeed, herald.AlertsFeed} {
		l, err := w.srv.Herald.MakeLink(t.Context(), "main", w.by, herald.MakeLink{Kind: kind, Name: "x", Lang: "fr"})
		w.must(err)
		made[kind] = l
	}
	calendar := get(made[herald.CalendarFeed].Path)
	cal, err := ics.ParseCalendar(strings.NewReader(calendar.Body.String()))
	if err != nil || len(cal.Events()) != 4 || !strings.Contains(calendar.Body.String(), "2026-01 · R0") {
		t.Errorf("the calendar: %v\n%s", err, calendar.Body)
	}
	atom := get(made[herald.AlertsFeed].Path)
	var read struct {
		Entries []struct {
			Title string `xml:"title"`
		} `xml:"entry"`
	}
	if err := xml.Unmarshal(atom.Body.Bytes(), &read); err != nil || len(read.Entries) != 1 || !strings.Contains(read.Entries[0].Title, "Processeur saturé — <pc> & co (active)") {
		t.Errorf("the feed of alerts: %v %+v", err, read)
	}
	swapped := strings.TrimSuffix(made[herald.AlertsFeed].Path, ".atom") + ".ics"
	w.must(w.srv.Herald.RevokeLink(t.Context(), "main", w.by, made[herald.CalendarFeed].ID))
	for _, path := range []string{swapped, made[herald.CalendarFeed].Path, herald.FeedPath + "nothing.ics"} {
		if got := get(path); got.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, got.Code)
		}
	}
}
