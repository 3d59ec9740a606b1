package query

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/provider/apt/dpkg"
	"patchring/internal/endpoint/provider/tool"
	"patchring/wire"
)

// Action is one line of apt-get's plan:
//
//	Inst libperl5.36 [5.36.0-7+deb12u2] (5.36.0-7+deb12u4 Debian-Security:12/oldstable-security [amd64]) [perl:amd64 ]
//	Inst linux-image-6.1.0-50-amd64 (6.1.170-1 Debian:12.15/oldstable, Debian-Security:12/oldstable-security [amd64])
//	Remv victim [1.0]
//	Conf good (1.1 FleetLab:lab [all])
type Action struct {
	Verb    string // Inst, Conf, Remv or Purg
	Name    string // with :arch when apt says so
	Old     string // empty: not installed before
	Version string // empty for a removal
	Arch    string
	Origins []Origin
}

// Origin is where a version comes from, as apt abbreviates it: the label of
// the repository, then its version and its suite.
type Origin struct{ Label, Suite string }

// Security tells the pockets of Debian and of Ubuntu (noble-security, ESM's
// noble-apps-security) and any repository that names itself the same way.
func (o Origin) Security() bool {
	return strings.HasSuffix(o.Suite, "-security") || o.Label == "Debian-Security"
}

// Removes tells that a package would go.
func (a Action) Removes() bool { return a.Verb == "Remv" || a.Verb == "Purg" }

// parseAction reads a plan line; any other line is not one.
func parseAction(line string) (Action, bool) {
	verb, rest, ok := strings.Cut(line, " ")
	if !ok || verb != "Inst" && verb != "Conf" && verb != "Remv" && verb != "Purg" {
		return Action{}, false
	}
	a := Action{Verb: verb}
	a.Name, rest, _ = strings.Cut(rest, " ")
	if a.Name == "" {
		return Action{}, false
	}
	if old, after, ok := bracket(rest); ok {
		a.Old, rest = old, after
	}
	if a.Removes() {
		return a, true
	}
	// The origins may hold any text, the noise after the parenthesis holds none.
	end := strings.LastIndex(rest, ")")
	if !strings.HasPrefix(rest, "(") || end < 0 {
		return Action{}, false
	}
	inner := rest[1:end]
	if at := strings.LastIndex(inner, " ["); at >= 0 && strings.HasSuffix(inner, "]") {
		a.Arch = inner[at+2 : len(inner)-1]
		inner = inner[:at]
	}
	a.Version, inner, _ = strings.Cut(inner, " ")
	if a.Version == "" {
		return Action{}, false
	}
	a.Origins = parseOrigins(inner)
	return a, true
}

// parseOrigins splits a list of origins. A label may hold the separator: a
// piece that is no whole origin belongs to the label of the next one.
func parseOrigins(s string) []Origin {
	if s == "" {
		return nil
	}
	var found []Origin
	part := ""
	for piece := range strings.SplitSeq(s, ", ") {
		part += piece
		if !strings.Contains(part, ":") && !hostOrArchive(part) {
			part += ", "
			continue
		}
		found = append(found, parseOrigin(part))
		part = ""
	}
	if part != "" {
		found = append(found, parseOrigin(strings.TrimSuffix(part, ", ")))
	}
	return found
}

// hostOrArchive tells what apt prints of a repository without a label: its
// version and archive, or, without a Release file, the host it is on.
func hostOrArchive(s string) bool {
	return !strings.Contains(s, " ") && (s == "localhost" || s == "local-deb" || strings.ContainsAny(s, "./"))
}

// bracket takes a leading "[text]" off.
func bracket(s string) (inside, rest string, ok bool) {
	if !strings.HasPrefix(s, "[") {
		return "", s, false
	}
	end := strings.IndexByte(s, ']')
	if end < 0 {
		return "", s, false
	}
	return s[1:end], strings.TrimPrefix(s[end+1:], " "), true
}

// parseOrigin reads LABEL:VERSION/SUITE or LABEL:SUITE. A label may itself
// hold a colon, version and suite do not.
func parseOrigin(s string) Origin {
	var o Origin
	rest := s
	if at := strings.LastIndexByte(s, ':'); at >= 0 {
		o.Label, rest = s[:at], s[at+1:]
	}
	if version, suite, ok := strings.Cut(rest, "/"); ok && version != "" {
		rest = suite
	}
	o.Suite = rest
	return o
}

// Headings of apt-get's human part under LC_ALL=C. The names follow on lines
// that begin with two blanks. Since 2.5 what is phased has its own heading;
// before, it was kept back like everything else.
const (
	headKeptBack = "The following packages have been kept back:"
	headPhased   = "The following upgrades have been deferred due to phasing:"
	headUnmet    = "The following packages have unmet dependencies:"
)

// Simulation is everything learnt from one simulated run.
type Simulation struct {
	Actions  []Action
	KeptBack []string
	Phased   []string
	Unmet    []string // " kept : Depends: newdep but it is not installable"
	Exit     int
	Errors   []string // the E: lines
	section  string
}

// line takes in one line of the standard output.
func (s *Simulation) line(line []byte) error {
	if len(line) > 0 && line[0] == ' ' {
		switch s.section {
		case headKeptBack:
			s.KeptBack = append(s.KeptBack, strings.Fields(string(line))...)
		case headPhased:
			s.Phased = append(s.Phased, strings.Fields(string(line))...)
		case headUnmet:
			s.Unmet = append(s.Unmet, string(bytes.TrimSpace(line)))
		}
		return nil
	}
	text := string(line)
	if a, ok := parseAction(text); ok {
		s.Actions = append(s.Actions, a)
		return nil
	}
	s.section = text
	return nil
}

// ErrorLines picks the E: lines out of a tool's standard error, with the
// indented lines that newer solvers add to them.
func ErrorLines(stderr string) []string {
	var found []string
	inside := false
	for line := range strings.Lines(stderr) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, "E: "):
			found, inside = append(found, strings.TrimPrefix(line, "E: ")), true
		case inside && strings.HasPrefix(line, " "):
			found[len(found)-1] += " " + strings.TrimSpace(line)
		default:
			inside = false
		}
	}
	return found
}

// Problem is the shortest true account of why the run failed.
func (s Simulation) Problem() string {
	switch {
	case len(s.Unmet) > 0:
		return strings.Join(s.Unmet, "; ")
	case len(s.Errors) > 0:
		return strings.Join(s.Errors, "; ")
	}
	return "no error was said"
}

// Simulate runs apt-get's own solver without touching anything or waiting for
// anyone.
func (d *Device) Simulate(ctx context.Context, args ...string) (Simulation, error) {
	var s Simulation
	args = append([]string{"-s", "-q", "-o", "Debug::NoLocking=1"}, args...)
	exit, err := tool.Lines(ctx, d.Command("apt-get", args...), s.line)
	s.Exit, s.Errors = exit.Code, ErrorLines(exit.Stderr)
	return s, err
}

// Removed names the packages that would go.
func (s Simulation) Removed() []string {
	var names []string
	for _, a := range s.Actions {
		if a.Removes() {
			names = append(names, a.Name)
		}
	}
	return names
}

// Named is the package's name without its architecture.
func (a Action) Named() string {
	name, _, _ := strings.Cut(a.Name, ":")
	return name
}

// At is the version an action leads to, by its key.
func (a Action) At(native string) Version {
	return Version{Key: dpkg.KeyOf(a.Named(), a.Arch, native), Version: a.Version}
}

// Explain turns a simulation that failed into its reason. A device whose
// packages are broken is told apart: repair comes before any patch.
func (d *Device) Explain(ctx context.Context, s Simulation) error {
	broken, err := d.Broken(ctx)
	if err != nil {
		return err
	}
	if len(broken) > 0 {
		return fault.Again(fault.DpkgBroken, "packages", List(broken)).Wrap(errors.New(s.Problem()))
	}
	return fault.Again(fault.ToolFailed, "tool", "apt-get", "exit", strconv.Itoa(s.Exit), "error", wire.Clean(s.Problem(), wire.MaxTextBytes))
}
