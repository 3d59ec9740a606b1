package feed

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	ics "github.com/arran4/golang-ical"

	"patchring/internal/core/fleet"
	"patchring/internal/face/lang"
	"patchring/internal/service/rulebook"
)

// Bounds of the windows in a calendar. Those of the whole fleet are read once in
// a while for all who subscribe: whoever has a link may ask as often as he likes.
const (
	daysAhead   = 35
	mostWindows = 300
	windowsAge  = 10 * time.Minute
)

// opening is when devices of one profile, procedure or campaign may act. Freezes
// make several lots of one profile; where they have an hour in common it is one
// event, which counts the devices of all.
type opening struct {
	of         rulebook.HoursOf
	name       string
	start, end time.Time
	devices    int
	windows    string
}

// kept are the windows of tenants that were asked for lately.
type kept struct {
	mu   sync.Mutex // guards list
	list map[fleet.TenantID]keptOpenings
}

type keptOpenings struct {
	asked time.Time
	list  []opening
}

// openings are the windows from yesterday on, the nearest first.
func (o *feeds) openings(ctx context.Context, tenant fleet.TenantID) ([]opening, error) {
	now := o.Clock()
	o.known.mu.Lock()
	have, ok := o.known.list[tenant]
	o.known.mu.Unlock()
	if age := now.Sub(have.asked); ok && age >= 0 && age < windowsAge {
		return have.list, nil
	}
	// From the beginning of a day: an event that moved with each question would
	// look like another one.
	day := now.In(o.Zone)
	from := time.Date(day.Year(), day.Month(), day.Day()-1, 0, 0, 0, 0, o.Zone)
	found, err := o.Windows(ctx, tenant, rulebook.WindowsAsk{From: from.Format(time.RFC3339), To: from.AddDate(0, 0, daysAhead+1).Format(time.RFC3339)})
	if err != nil {
		return nil, err
	}
	list := together(found, now)
	o.known.mu.Lock()
	o.known.list[tenant] = keptOpenings{now, list}
	o.known.mu.Unlock()
	return list, nil
}

// together makes one opening of those that only differ by their devices.
func together(found rulebook.WindowList, now time.Time) []opening {
	type key struct {
		of         rulebook.HoursOf
		name       string
		start, end int64
	}
	known := map[key]*opening{}
	for _, lot := range found.Alike {
		for _, s := range lot.Open {
			if s.Start.Equal(found.From) && !s.End.After(now) {
				continue // its beginning is cut off, and it is over
			}
			k := key{lot.Of, lot.Name, s.Start.Unix(), s.End.Unix()}
			if known[k] == nil {
				known[k] = &opening{of: lot.Of, name: lot.Name, start: s.Start, end: s.End, windows: strings.Join(s.Windows, ", ")}
			}
			known[k].devices += lot.Devices
		}
	}
	out := make([]opening, 0, len(known))
	for _, one := range known {
		out = append(out, *one)
	}
	slices.SortFunc(out, func(a, b opening) int {
		return cmp.Or(a.start.Compare(b.start), a.end.Compare(b.end), cmp.Compare(a.of, b.of), cmp.Compare(a.name, b.name))
	})
	return out[:min(len(out), mostWindows)]
}

// addWindows writes them beside rings, as time that nobody is busy in.
func (o *feeds) addWindows(ctx context.Context, cal *ics.Calendar, tenant fleet.TenantID, w lang.Words) error {
	list, err := o.openings(ctx, tenant)
	if err != nil {
		return err
	}
	for _, one := range list {
		e := cal.AddEvent("window-" + string(one.of) + "-" + one.name + "-" + one.start.UTC().Format("20060102T1504Z") + "@patchring")
		e.SetDtStampTime(o.Clock())
		e.SetStartAt(one.start)
		e.SetEndAt(one.end)
		e.SetTimeTransparency(ics.TransparencyTransparent)
		e.SetSummary(w.T("feed.window", "what", w.Word(lang.HoursOf, string(one.of)), "name", one.name))
		text := w.N("feed.window_devices", int64(one.devices))
		if one.windows != "" {
			text += "\n" + one.windows
		}
		e.SetDescription(text)
		e.SetURL(o.Base() + "/calendar")
	}
	return nil
}
