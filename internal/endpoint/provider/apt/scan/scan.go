// Package scan finds the updates that apply to a device and says of each what
// it is and whether an install of it would be tried. A scan that could not run
// says so; lists that are old or missing never look like "up to date".
package scan

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/provider/apt/dpkg"
	"patchring/internal/endpoint/provider/apt/query"
	"patchring/internal/endpoint/provider/tool"
	"patchring/wire"
)

// refreshTimeout ends an apt-get update that hangs; nothing breaks by it.
const refreshTimeout = 15 * time.Minute

// Scanner scans one device again and again. It is for one goroutine.
type Scanner struct {
	Provider   string // name on the wire
	Device     *query.Device
	State      string // directory for the time of the last refresh
	Now        func() time.Time
	StaleAfter time.Duration // lists older than this are not believed

	details map[query.Version]query.Detail // of the candidates of the last scan
}

// Scan refreshes the lists if asked to and lists what is applicable.
func (s *Scanner) Scan(ctx context.Context, refresh bool) wire.Patches {
	result := wire.Patches{Provider: s.Provider, Status: wire.ScanOK}
	var stale *fault.Reason
	if refresh {
		if err := s.Refresh(ctx); err != nil {
			reason := reasonOf(err)
			stale = &reason
		}
	}
	at, some, err := s.listed()
	if err != nil {
		return failed(result, err)
	}
	if some {
		result.ListsUS = at.UnixMicro()
	}
	if stale == nil && (!some || s.Now().Sub(at) > s.StaleAfter) {
		shown := ""
		if some {
			shown = at.UTC().Format(time.RFC3339)
		}
		reason := fault.Because(fault.ScanStale, "at", shown)
		stale = &reason
	}
	if stale != nil {
		result.Status, result.Cause = wire.ScanStale, cause(*stale)
	}
	result.Patches, err = s.applicable(ctx)
	if err != nil {
		return failed(result, err)
	}
	return result
}

// failed is a scan that learnt nothing: never an empty list that looks clean.
func failed(result wire.Patches, err error) wire.Patches {
	result.Status, result.Patches = wire.ScanFailed, nil
	result.Cause = cause(reasonOf(err))
	return result
}

// Refresh updates the lists. apt-get update says 0 on most failures of a
// mirror; Error-Mode=any (since 2.1.8) makes it say 100, and older ones are
// found out by what they print.
func (s *Scanner) Refresh(ctx context.Context) error {
	if err := s.Device.WaitLocks(ctx, query.RefreshLocks, time.Minute, nil); err != nil {
		return err
	}
	at := s.Now()
	c := s.Device.Command("apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "update")
	c.Timeout = refreshTimeout
	var down []string
	exit, err := tool.Lines(ctx, c, func(line []byte) error {
		if text := string(line); strings.HasPrefix(text, "Err:") {
			down = append(down, text)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if exit.Code == 0 && len(down) == 0 && !strings.Contains(exit.Stderr, "W: Failed to fetch") {
		return s.noteRefreshed(at)
	}
	if h, held, err := s.Device.LockHolder(query.RefreshLocks); err == nil && held {
		return fault.Again(fault.LockHeld, "holder", h.Name, "pid", strconv.Itoa(h.PID), "waited", "0s")
	}
	said := query.ErrorLines(exit.Stderr)
	if len(said) == 0 {
		said = append(slices.Compact(down), query.LastLine(exit.Stderr))
	}
	return fault.Again(fault.RepositoryDown, "error", wire.Clean(strings.Join(said, "; "), wire.MaxTextBytes))
}

// applicable lists what dist-upgrade would do and what it would not.
func (s *Scanner) applicable(ctx context.Context) ([]wire.Patch, error) {
	full, err := s.Device.Simulate(ctx, "dist-upgrade")
	if err != nil {
		return nil, err
	}
	if full.Exit != 0 {
		return nil, s.Device.Explain(ctx, full)
	}
	blocked, err := s.blocked(ctx, full)
	if err != nil {
		return nil, err
	}
	others, err := s.notOffered(ctx, full)
	if err != nil {
		return nil, err
	}
	updates := make([]update, 0, len(full.Actions)/2+len(others))
	for _, a := range full.Actions {
		if a.Verb == "Inst" {
			u := update{Action: a, state: wire.PatchOffered}
			if blocked[a.Name] {
				u.state, u.why = wire.PatchKeptBack, a.Name+" would come with the removal of "+strings.Join(full.Removed(), ", ")
			}
			updates = append(updates, u)
		}
	}
	return s.group(ctx, append(updates, others...))
}

// blocked is what dist-upgrade does only because it may remove packages: the
// difference to an upgrade that may not. Asked for only when there is a removal.
func (s *Scanner) blocked(ctx context.Context, full query.Simulation) (map[string]bool, error) {
	if len(full.Removed()) == 0 {
		return nil, nil
	}
	gentle, err := s.Device.Simulate(ctx, "--with-new-pkgs", "upgrade")
	if err != nil {
		return nil, err
	}
	if gentle.Exit != 0 {
		return nil, s.Device.Explain(ctx, gentle)
	}
	names := map[string]bool{}
	for _, a := range full.Actions {
		names[a.Name] = a.Verb == "Inst" || names[a.Name]
	}
	for _, a := range gentle.Actions {
		delete(names, a.Name)
	}
	return names, nil
}

// update is one package that could go to another version.
type update struct {
	query.Action
	state, why string
}

// notOffered finds where the packages that dist-upgrade leaves alone would go
// to, and why it leaves them.
func (s *Scanner) notOffered(ctx context.Context, full query.Simulation) ([]update, error) {
	left := append(slices.Clone(full.KeptBack), full.Phased...)
	if len(left) == 0 {
		return nil, nil
	}
	keys := make([]dpkg.Key, len(left))
	for i, name := range left {
		keys[i] = dpkg.Key(name)
	}
	choices, err := s.Device.Choices(ctx, keys)
	if err != nil {
		return nil, err
	}
	installed, err := s.Device.Packages(ctx, nil)
	if err != nil {
		return nil, err
	}
	places, err := s.Device.Places(ctx)
	if err != nil {
		return nil, err
	}
	updates := make([]update, 0, len(left))
	for i, name := range left {
		c, pkg := choices[keys[i]], installed[keys[i]]
		to, ok := c.Target(pkg.Version)
		if !ok {
			continue
		}
		u := update{Action: query.Action{Verb: "Inst", Name: name, Old: pkg.Version, Version: to.Version, Arch: pkg.Arch}}
		for _, place := range to.Places {
			u.Origins = append(u.Origins, places[place])
		}
		switch {
		case pkg.Held():
			u.state, u.why = wire.PatchHeld, name+" is on hold"
		case to.Phased || slices.Contains(full.Phased, name):
			u.state, u.why = wire.PatchPhased, name+" is offered to a part of the devices so far"
		default:
			u.state, u.why = wire.PatchKeptBack, name+" needs new or removed packages"
		}
		updates = append(updates, u)
	}
	return updates, nil
}

// reasonOf is what an operator may see of err.
func reasonOf(err error) fault.Reason {
	var known *fault.Error
	if errors.As(err, &known) {
		return known.Reason
	}
	return fault.Because(fault.Internal, "error", wire.Clean(err.Error(), wire.MaxTextBytes))
}

func cause(r fault.Reason) *wire.Cause { return &wire.Cause{Code: string(r.Code), Args: r.Args} }
