//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Figure is one measurement beside what it is to be compared with.
type Figure struct {
	Name     string  `json:"name"`
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"`
	Baseline string  `json:"baseline"` // what was measured as such, in the same run
	Base     float64 `json:"base"`
	Ratio    float64 `json:"ratio"`
	// Aim is the most that is wanted, of the value, or of the ratio when
	// OfRatio; 0: none is set.
	Aim     float64 `json:"aim,omitempty"`
	OfRatio bool    `json:"aim_of_ratio,omitempty"`
	Met     *bool   `json:"met,omitempty"`
	Note    string  `json:"note,omitempty"`
}

// add keeps a figure and prints it at once.
func (b *bench) add(f Figure) {
	if f.Base != 0 {
		f.Ratio = f.Value / f.Base
	}
	if f.Aim > 0 {
		met := f.Value <= f.Aim
		if f.OfRatio {
			met = f.Ratio <= f.Aim
		}
		f.Met = &met
	}
	b.figures = append(b.figures, f)
	fmt.Println(f.line())
}

func (f Figure) line() string {
	var s strings.Builder
	fmt.Fprintf(&s, "  %-58s %10s %-7s", f.Name, number(f.Value), f.Unit)
	if f.Baseline != "" {
		fmt.Fprintf(&s, " %-46s %10s  x%-7s", f.Baseline, number(f.Base), number(f.Ratio))
	}
	if f.Met != nil {
		what, word := f.Unit, "MISSED"
		if f.OfRatio {
			what = "times"
		}
		if *f.Met {
			word = "met"
		}
		fmt.Fprintf(&s, " aim %s %s: %s", number(f.Aim), what, word)
	}
	if f.Note != "" {
		s.WriteString("  " + f.Note)
	}
	return s.String()
}

// number shows three digits that say something.
func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.4f", v)
}

// write puts everything into bench.json.
func (b *bench) write() error {
	if err := os.MkdirAll(b.out, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", b.out, err)
	}
	text, err := json.MarshalIndent(struct {
		At       time.Time `json:"at"`
		Seconds  float64   `json:"seconds"`
		Go       string    `json:"go"`
		CPUs     int       `json:"cpus"`
		Load     string    `json:"load"` // the machine's load average at the end
		Revision string    `json:"revision"`
		Figures  []Figure  `json:"figures"`
	}{time.Now().UTC(), time.Since(b.started).Seconds(), runtime.Version(), runtime.NumCPU(), load(), os.Getenv("BENCH_REVISION"), b.figures}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode figures: %w", err)
	}
	path := filepath.Join(b.out, "bench.json")
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write figures: %w", err)
	}
	fmt.Printf("\n%d figures in %.0f s, load %s, written to %s\n", len(b.figures), time.Since(b.started).Seconds(), load(), path)
	return nil
}

func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}
