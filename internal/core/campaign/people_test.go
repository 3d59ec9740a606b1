package campaign_test

import (
	"testing"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/manifest"
	"patchring/internal/core/policy"
	"patchring/internal/endpoint/executor/people"
	"patchring/wire"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestAnnounce(t *testing.T) {
	terms := policy.People{Postpones: 2, Deadline: 24 * time.Hour, Notice: 10 * time.Minute, Countdown: 20 * time.Minute, Battery: 30,
		Title: manifest.Text{FR: "DSI", EN: "IT"}}
	evening := calendar.Interval{Start: noon.Add(6 * time.Hour), End: noon.Add(9 * time.Hour)}
	morrow := calendar.Interval{Start: noon.Add(30 * time.Hour), End: noon.Add(33 * time.Hour)}
	short := calendar.Interval{Start: noon.Add(6 * time.Hour), End: noon.Add(6*time.Hour + 20*time.Minute)}
	tiny := calendar.Interval{Start: noon, End: noon.Add(3 * time.Minute)}
	for _, c := range []struct {
		why                       string
		since                     time.Time
		windows                   []calendar.Interval
		asked                     bool
		deadline                  time.Time
		notice, countdown, margin time.Duration
	}{
		{"a day from the first order", noon, []calendar.Interval{evening, morrow}, true, noon.Add(24 * time.Hour), 10 * time.Minute, 20 * time.Minute, 15 * time.Minute},
		{"an order written again a day later", noon.Add(-20 * time.Hour), []calendar.Interval{evening, morrow}, true, evening.Start, 10 * time.Minute, 20 * time.Minute, 15 * time.Minute},
		{"never before the first window", noon.Add(-72 * time.Hour), []calendar.Interval{evening}, true, evening.Start, 10 * time.Minute, 20 * time.Minute, 15 * time.Minute},
		{"no room in the last minutes", evening.End.Add(-24*time.Hour - 30*time.Minute), []calendar.Interval{evening}, true, evening.End, 10 * time.Minute, 20 * time.Minute, 15 * time.Minute},
		{"a short window", noon.Add(-72 * time.Hour), []calendar.Interval{short}, true, short.Start, 10 * time.Minute, 17 * time.Minute, 0},
		{"too short to tell anybody", noon, []calendar.Interval{tiny}, false, time.Time{}, 0, 0, 0},
	} {
		got := campaign.Announce(terms, c.since, campaign.Acts{Install: c.windows, Margin: 15 * time.Minute})
		if (got.People != nil) != c.asked || got.Margin != c.margin {
			t.Errorf("%s: %+v", c.why, got)
			continue
		}
		if !c.asked {
			continue
		}
		want := &wire.People{Postpones: 2, DeadlineUS: c.deadline.UnixMicro(), NoticeS: int64(c.notice.Seconds()), CountdownS: int64(c.countdown.Seconds()),
			BatteryPercent: 30, Text: &wire.NoticeText{FR: wire.NoticeWords{Title: "DSI"}, EN: wire.NoticeWords{Title: "IT"}}}
		if diff := cmp.Diff(want, got.People); diff != "" {
			t.Errorf("%s: %s", c.why, diff)
		}
	}
}

// Whatever the policy and the windows, the agent takes the order.
func TestNoAnnouncementIsRefusedByTheAgent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		minutes := func(name string, from, to int) time.Duration {
			return time.Duration(rapid.IntRange(from, to).Draw(t, name)) * time.Minute
		}
		windows := func(name string, atLeast int) []calendar.Interval {
			var out []calendar.Interval
			at := noon
			for range rapid.IntRange(atLeast, 4).Draw(t, name) {
				at = at.Add(minutes(name+" gap", 1, 3000))
				end := at.Add(minutes(name+" length", 1, 600))
				out = append(out, calendar.Interval{Start: at, End: end})
				at = end
			}
			return out
		}
		notice, countdown := minutes("notice", 1, 300), minutes("countdown", 1, 300)
		terms := policy.People{
			Postpones: rapid.IntRange(0, 50).Draw(t, "postpones"), Notice: notice, Countdown: countdown,
			Deadline: notice + countdown + minutes("deadline", 0, 10_000), Battery: rapid.IntRange(0, 100).Draw(t, "battery"),
		}
		acts := campaign.Acts{Install: windows("windows", 1), Reboot: windows("reboots", 0), Margin: minutes("margin", 0, 60)}
		told := campaign.Announce(terms, noon.Add(-minutes("since", 0, 20_000)), acts)
		if told.People == nil {
			return
		}
		order := wire.Order{People: told.People, MarginS: int64(told.Margin / time.Second), Reboot: wire.RebootIfNeeded, Windows: sent(acts.Install)}
		if len(acts.Reboot) > 0 {
			order.Reboot, order.RebootWindows = wire.RebootWindow, sent(acts.Reboot)
		}
		if field, problem := people.Problem(order); field != "" {
			t.Fatalf("%s: %s in %+v", field, problem, order)
		}
		if told.People.CountdownS < 60 || told.People.NoticeS < 60 {
			t.Fatalf("announced too late to be read: %+v", told.People)
		}
	})
}

func sent(windows []calendar.Interval) []wire.Interval {
	var out []wire.Interval
	for _, w := range windows {
		out = append(out, wire.Interval{StartUS: w.Start.UnixMicro(), EndUS: w.End.UnixMicro()})
	}
	return out
}
