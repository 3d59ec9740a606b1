package apt

import (
	"bytes"
	"strings"
)

// action is one line of apt-get's plan:
//
//	Inst libperl5.36 [5.36.0-7+deb12u2] (5.36.0-7+deb12u4 Debian-Security:12/oldstable-security [amd64]) [perl:amd64 ]
//	Inst linux-image-6.1.0-50-amd64 (6.1.170-1 Debian:12.15/oldstable, Debian-Security:12/oldstable-security [amd64])
//	Remv victim [1.0]
//	Conf good (1.1 FleetLab:lab [all])
type action struct {
	verb    string // Inst, Conf, Remv or Purg
	name    string // with :arch when apt says so
	old     string // empty: not installed before
	version string // empty for a removal
	arch    string
	origins []origin
}

// origin is where a version comes from, as apt abbreviates it: the label of
// the repository, then its version and its suite.
type origin struct{ label, suite string }

func (a action) removes() bool { return a.verb == "Remv" || a.verb == "Purg" }

// parseAction reads a plan line; any other line is not one.
func parseAction(line string) (action, bool) {
	verb, rest, ok := strings.Cut(line, " ")
	if !ok || verb != "Inst" && verb != "Conf" && verb != "Remv" && verb != "Purg" {
		return action{}, false
	}
	a := action{verb: verb}
	a.name, rest, _ = strings.Cut(rest, " ")
	if a.name == "" {
		return action{}, false
	}
	if old, after, ok := bracket(rest); ok {
		a.old, rest = old, after
	}
	if a.removes() {
		return a, true
	}
	// The origins may hold any text, the noise after the parenthesis holds none.
	end := strings.LastIndex(rest, ")")
	if !strings.HasPrefix(rest, "(") || end < 0 {
		return action{}, false
	}
	inner := rest[1:end]
	if at := strings.LastIndex(inner, " ["); at >= 0 && strings.HasSuffix(inner, "]") {
		a.arch = inner[at+2 : len(inner)-1]
		inner = inner[:at]
	}
	a.version, inner, _ = strings.Cut(inner, " ")
	if a.version == "" {
		return action{}, false
	}
	a.origins = parseOrigins(inner)
	return a, true
}

// parseOrigins splits a list of origins. A label may hold the separator: a
// piece that is no whole origin belongs to the label of the next one.
func parseOrigins(s string) []origin {
	if s == "" {
		return nil
	}
	var found []origin
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
func parseOrigin(s string) origin {
	var o origin
	rest := s
	if at := strings.LastIndexByte(s, ':'); at >= 0 {
		o.label, rest = s[:at], s[at+1:]
	}
	if version, suite, ok := strings.Cut(rest, "/"); ok && version != "" {
		rest = suite
	}
	o.suite = rest
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

// simulation is everything learnt from one simulated run.
type simulation struct {
	actions  []action
	keptBack []string
	phased   []string
	unmet    []string // " kept : Depends: newdep but it is not installable"
	exit     int
	errors   []string // the E: lines
	section  string
}

// line takes in one line of the standard output.
func (s *simulation) line(line []byte) error {
	if len(line) > 0 && line[0] == ' ' {
		switch s.section {
		case headKeptBack:
			s.keptBack = append(s.keptBack, strings.Fields(string(line))...)
		case headPhased:
			s.phased = append(s.phased, strings.Fields(string(line))...)
		case headUnmet:
			s.unmet = append(s.unmet, string(bytes.TrimSpace(line)))
		}
		return nil
	}
	text := string(line)
	if a, ok := parseAction(text); ok {
		s.actions = append(s.actions, a)
		return nil
	}
	s.section = text
	return nil
}

// errorLines picks the E: lines out of a tool's standard error, with the
// indented lines that newer solvers add to them.
func errorLines(stderr string) []string {
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

// problem is the shortest true account of why the run failed.
func (s *simulation) problem() string {
	switch {
	case len(s.unmet) > 0:
		return strings.Join(s.unmet, "; ")
	case len(s.errors) > 0:
		return strings.Join(s.errors, "; ")
	}
	return "no error was said"
}
