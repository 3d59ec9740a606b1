package lang

import (
	"strings"
	"testing"
	"time"
)

func paris(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestTheFirstPreferenceWeSpeakWins(t *testing.T) {
	for _, c := range []struct {
		preferences []string
		want        Lang
	}{
		{nil, English},
		{[]string{""}, English},
		{[]string{"fr"}, French},
		{[]string{"fr-CA"}, French},
		{[]string{"fr_FR.UTF-8"}, French},
		{[]string{"C.UTF-8"}, English},
		{[]string{"de-DE,de;q=0.9"}, English},
		{[]string{"de-DE,de;q=0.9,fr;q=0.8,en;q=0.7"}, French},
		{[]string{"en;q=0.3, fr;q=0.9"}, French},
		{[]string{"", "en-US,en;q=0.5"}, English},
		{[]string{"fr", "en-US,en;q=0.5"}, French},
		{[]string{"not a language at all;;", "fr"}, French},
	} {
		if got := For(c.preferences...).Lang(); got != c.want {
			t.Errorf("For(%q) = %s, want %s", c.preferences, got, c.want)
		}
	}
}

func TestTimesAreToldInTheZone(t *testing.T) {
	at := time.Date(2026, 1, 13, 18, 0, 0, 0, time.UTC)
	summer := time.Date(2026, 7, 1, 5, 5, 9, 0, time.UTC)
	fr, en := For("fr").In(paris(t)), For("en").In(paris(t))
	for _, c := range []struct{ got, want string }{
		{fr.Moment(at), "mardi 13 janvier 2026 à 19:00 (Europe/Paris)"},
		{en.Moment(at), "Tuesday 13 January 2026 at 19:00 (Europe/Paris)"},
		{For("en").Moment(at), "Tuesday 13 January 2026 at 18:00 (UTC)"},
		{fr.Brief(at), "13 janv. 2026 19:00 CET"},
		{fr.Brief(summer), "1er juil. 2026 07:05 CEST"},
		{en.Brief(summer), "1 Jul 2026 07:05 CEST"},
		{fr.NearSecond(summer, summer), "07:05:09"},
		{fr.NearSecond(summer, summer.Add(24*time.Hour)), "1er juil. 07:05"},
		{fr.Near(at, summer), "13 janv. 19:00"},
		{fr.Near(at, at), "19:00"},
		{fr.Range(at, at.Add(time.Hour), at), "19:00–20:00"},
		{fr.Range(at, at.Add(30*time.Hour), at), "13 janv. 19:00 – 15 janv. 01:00"},
		{fr.Range(at, time.Time{}, at), "à partir de 19:00"},
		{fr.Range(time.Time{}, time.Time{}, at), "—"},
		{fr.Weekday(at), "mar."},
		{fr.Month(2026, time.August), "août 2026"},
		{fr.Span(at, at.Add(2*time.Hour)), "13 janv. 2026, 19:00–21:00"},
		{fr.Span(at, at.Add(30*time.Hour)), "13 janv. 19:00 – 15 janv. 2026 01:00"},
	} {
		if ordinary(c.got) != c.want {
			t.Errorf("got %q, want %q", ordinary(c.got), c.want)
		}
	}
}

func TestQuantities(t *testing.T) {
	fr, en := For("fr"), For("en")
	now := time.Date(2026, 1, 13, 18, 0, 0, 0, time.UTC)
	for _, c := range []struct{ got, want string }{
		{fr.Number(12480), "12\u202f480"},
		{en.Number(12480), "12,480"},
		{fr.Number(-1500), "-1\u202f500"},
		{fr.Number(999), "999"},
		{fr.Bytes(999), "999\u00a0o"},
		{fr.Bytes(1_234_567_890), "1,2\u00a0Go"},
		{en.Bytes(1_234_567_890), "1.2\u00a0GB"},
		{fr.Bytes(64_000_000), "64\u00a0Mo"},
		{fr.Bytes(999_600), "1,0\u00a0Mo"},
		{fr.Share(988, 1000), "98,8\u00a0%"},
		{en.Share(988, 1000), "98.8%"},
		{fr.Share(99_999, 100_000), "99,9\u00a0%"},
		{fr.Share(1, 100_000), "<\u00a00,1\u00a0%"},
		{fr.Share(5, 5), "100\u00a0%"},
		{fr.Share(0, 5), "0\u00a0%"},
		{fr.Share(0, 0), "—"},
		{fr.Duration(161 * time.Second), "2\u00a0min 41\u00a0s"},
		{fr.Duration(76*time.Hour + 50*time.Minute), "3\u00a0j 4\u00a0h"},
		{en.Duration(24 * time.Hour), "1\u00a0d"},
		{en.Duration(24*time.Hour + 5*time.Minute), "1\u00a0d"},
		{fr.Duration(0), "0\u00a0s"},
		{fr.Ago(now.Add(-3*time.Minute-4*time.Second), now), "il y a 3\u00a0min"},
		{fr.Ago(now.Add(2*time.Hour), now), "dans 2\u00a0h"},
		{en.Ago(now, now), "just now"},
		{fr.List([]string{"a", "b", "c"}), "a, b et c"},
		{fr.List([]string{"a"}), "a"},
		{fr.List(nil), ""},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestNoOrdinarySpaceBeforeFrenchHighPunctuation(t *testing.T) {
	for id, forms := range file(t, French) {
		for _, form := range forms {
			said := typography(form)
			for _, bad := range []string{" :", " ;", " ?", " !", " %", "« ", " »", "'"} {
				if strings.Contains(said, bad) {
					t.Errorf("%s: %q has %q", id, said, bad)
				}
			}
			for i, r := range said {
				if strings.ContainsRune(";?!", r) && i > 0 && !strings.HasSuffix(said[:i], narrowNoBreak) {
					t.Errorf("%s: %q wants a space before %q", id, said, r)
				}
			}
		}
	}
}

func TestAMissingWordShowsItsKey(t *testing.T) {
	if got := For("fr").T("no.such.key"); got != "[no.such.key]" {
		t.Errorf("got %q, want the key in brackets", got)
	}
	if got := For("fr").Word(RingState, "frozen"); got != "frozen" {
		t.Errorf("got %q, want the raw value", got)
	}
}

// ordinary makes expectations readable: ordinary spaces for unbreakable ones.
func ordinary(s string) string {
	return strings.NewReplacer(noBreak, " ", narrowNoBreak, " ").Replace(s)
}
