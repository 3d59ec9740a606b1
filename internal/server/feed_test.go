package server_test

import (
	"context"
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
	"patchring/internal/service/rulebook"
)

func TestFeedsOpenByTheirLinkUntilItIsRevoked(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	smtp := heraldtest.Start(t, heraldtest.Plain, "")
	w.rules(smtp, strings.Replace(cpuRule, "for: 10m", "for: 0h", 1))
	w.campaign(t, "2026-01")
	w.sampled(w.device("<pc> & co", fleet.Workstation, "", nil, nil), busy(99))
	handler := feed.New(feed.Options{
		View: w.srv.View, Open: w.srv.Herald.OpenLink, Windows: w.srv.Rulebook.Windows, Base: func() string { return "https://p.example.org" }, Zone: paris, Clock: func() time.Time { return w.now }, Log: quiet(),
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
	if err != nil || len(eventsOf(cal, "ring-"))+len(eventsOf(cal, "verification-")) != 4 || !strings.Contains(calendar.Body.String(), "2026-01 · R0") {
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

// eventsOf are those whose id begins so.
func eventsOf(cal *ics.Calendar, prefix string) []*ics.VEvent {
	var out []*ics.VEvent
	for _, e := range cal.Events() {
		if strings.HasPrefix(e.Id(), prefix) {
			out = append(out, e)
		}
	}
	return out
}

func TestTheCalendarHasTheWindowsThroughAChangeOfTheHour(t *testing.T) {
	w := newWorld(t, time.Date(2026, 3, 27, 9, 0, 0, 0, paris))
	for _, name := range []string{"srv-1", "srv-2"} {
		w.device(name, fleet.Server, "", nil, nil)
	}
	// A freeze makes two lots of the profile; the hours that both have are one event.
	w.policy(`
profiles:
  - name: servers
    devices: device.kind == "server"
    windows: [{name: night, days: [sat, sun, mon], start: "03:00", end: "05:00"}]
freezes:
  - {name: closing, devices: 'device.name == "srv-2"', from: 2026-03-28, to: 2026-03-28, reason: {fr: Clôture, en: Closing}}
  - {name: all, devices: 'true', from: 2026-04-04, to: 2026-04-06, reason: {fr: Pâques, en: Easter}}
`)
	asked := 0
	handler := feed.New(feed.Options{
		View: w.srv.View, Open: w.srv.Herald.OpenLink, Base: func() string { return "https://p.example.org" }, Zone: paris, Clock: func() time.Time { return w.now }, Log: quiet(),
		Windows: func(ctx context.Context, tenant fleet.TenantID, ask rulebook.WindowsAsk) (rulebook.WindowList, error) {
			asked++
			return w.srv.Rulebook.Windows(ctx, tenant, ask)
		},
	})
	link, err := w.srv.Herald.MakeLink(t.Context(), "main", w.by, herald.MakeLink{Kind: herald.CalendarFeed, Name: "x", Lang: "fr"})
	w.must(err)
	read := func() []*ics.VEvent {
		out := httptest.NewRecorder()
		handler.ServeHTTP(out, httptest.NewRequestWithContext(t.Context(), http.MethodGet, link.Path, nil))
		cal, err := ics.ParseCalendar(out.Body)
		w.must(err)
		return eventsOf(cal, "window-profile-servers-")
	}
	events := read()
	// 3 nights a week from 28 March to 1 May: 5 Saturdays, Sundays and Mondays, without the 3 of Easter.
	if len(events) != 12 {
		t.Fatalf("%d windows, want 12", len(events))
	}
	for i, want := range []struct{ start, end, devices string }{
		{"20260328T020000Z", "20260328T040000Z", "1 poste "},
		{"20260329T010000Z", "20260329T030000Z", "2 postes "}, // 03:00 is the hour after 01:59
		{"20260330T010000Z", "20260330T030000Z", "2 postes "},
		{"20260411T010000Z", "20260411T030000Z", "2 postes "}, // Easter is frozen
	} {
		e := events[i]
		start, end, text := e.GetProperty(ics.ComponentPropertyDtStart).Value, e.GetProperty(ics.ComponentPropertyDtEnd).Value, e.GetProperty(ics.ComponentPropertyDescription).Value
		if start != want.start || end != want.end || !strings.HasPrefix(text, want.devices) || !strings.Contains(text, "night") {
			t.Errorf("window %d: %s to %s, %q; want %+v", i, start, end, text, want)
		}
	}
	if got := events[0].GetProperty(ics.ComponentPropertyTransp).Value; got != "TRANSPARENT" {
		t.Errorf("a window makes people %s", got)
	}
	first := events[0].Id()
	w.now = w.now.Add(9 * time.Minute)
	if read(); asked != 1 {
		t.Errorf("the fleet was read %d times in nine minutes", asked)
	}
	w.now = w.now.Add(2 * time.Minute)
	if again := read(); asked != 2 || again[0].Id() != first {
		t.Errorf("read %d times; the first window is now %s", asked, again[0].Id())
	}
}
