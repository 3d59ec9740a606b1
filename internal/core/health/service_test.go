package health

import "testing"

func TestAServiceStopsTooOften(t *testing.T) {
	for _, c := range []struct {
		name  string
		s     Stopped
		least int
		want  bool
	}{
		{"the only server", Stopped{Down: 1, Patched: 1}, 1, true},
		{"one of fifty servers", Stopped{Down: 1, Patched: 50, Others: 500}, 1, true},
		{"one of a hundred servers", Stopped{Down: 1, Patched: 100, Others: 500}, 1, false},
		{"one of ten workstations", Stopped{Down: 1, Patched: 10, Others: 90}, 2, false},
		{"two of ten workstations", Stopped{Down: 2, Patched: 10, Others: 90}, 2, true},
		{"two of 350", Stopped{Down: 2, Patched: 350, Others: 4000}, 2, true},
		{"two of 5,000", Stopped{Down: 2, Patched: 5000}, 2, false},
		{"ten of 5,000", Stopped{Down: 10, Patched: 5000}, 2, true},
		{"one of two, and of the others one of four", Stopped{Down: 1, Patched: 2, OthersDown: 1, Others: 4}, 1, false},
		{"one of two, and of the others one of a hundred", Stopped{Down: 1, Patched: 2, OthersDown: 1, Others: 100}, 1, true},
		{"on all, and on all others", Stopped{Down: 9, Patched: 9, OthersDown: 4, Others: 4}, 1, false},
		{"on none", Stopped{Patched: 9, Others: 4}, 1, false},
		{"taken out", Stopped{Down: 9, Patched: 9}, 0, false},
		{"more than were heard of", Stopped{Down: 2, Patched: 1}, 1, true},
	} {
		if got := c.s.TooMany(c.least); got != c.want {
			t.Errorf("%s: %t by a chance of %.4f", c.name, got, c.s.Chance())
		}
	}
}
