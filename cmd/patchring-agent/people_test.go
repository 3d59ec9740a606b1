package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"patchring/internal/endpoint/executor"
	"patchring/internal/endpoint/executor/people"
	"patchring/internal/endpoint/notice"
	"patchring/wire"
)

func TestPeoplesVerbsSayWhatIsWrong(t *testing.T) {
	t.Setenv("LC_ALL", "fr_FR.UTF-8")
	dir := t.TempDir()
	for args, want := range map[string]error{
		"notices": errNotRunning, "install-now": errNotRunning, "defer": errNotRunning, "defer evening": errNotRunning,
		"defer --until 2026-12-08T18:00": errNotRunning, "defer tonight": errUsage, "defer 1h evening": errUsage,
		"defer evening --until 2026-12-08T18:00": errUsage, "defer --until tomorrow": errUsage,
	} {
		var out strings.Builder
		err := run(t.Context(), append(strings.Fields(args), "--dir", dir), &out)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", args, err, want)
		}
		if errors.Is(want, errNotRunning) && !strings.Contains(err.Error(), "l'agent ne répond pas") {
			t.Errorf("%s: %v, want it in French", args, err)
		}
	}
	if got := exit(errNotTaken); got != exitNotTaken || !strings.Contains(usage, "7 the answer was not taken") {
		t.Errorf("exit %d", got)
	}
}

func TestNoticesAreListedWithTheirChoices(t *testing.T) {
	now := time.Date(2026, 12, 8, 11, 0, 0, 0, time.UTC)
	list := []executor.Announcement{{Notice: people.Notice{
		Act: wire.ActReboot, State: people.StateAsked, Left: 1, Deadline: now.Add(24 * time.Hour),
		Offers: []people.Offer{{Choice: people.Now, At: now}, {Choice: people.Tomorrow, At: now.Add(21 * time.Hour)}},
	}}}
	got := noticesText(notice.English, list, now)
	for _, want := range []string{"Restart needed\n", "the deadline: tomorrow at 11:00", "  now        Restart now\n", "  tomorrow   Tomorrow (08:00)\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q lacks %q", got, want)
		}
	}
	if got := noticesText(notice.French, nil, now); got != "Rien n'est annoncé.\n" {
		t.Errorf("%q", got)
	}
}
