package apt

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/internal/endpoint/provider/apt/dpkg"
	"patchring/internal/endpoint/provider/tool"
	"patchring/wire"
)

// refreshTimeout ends an apt-get update that hangs; nothing breaks by it.
const refreshTimeout = 15 * time.Minute

// downloadTimeout ends a download that hangs; what arrived is kept by apt.
const downloadTimeout = 2 * time.Hour

// Scan implements provider.Provider.
func (p *Provider) Scan(ctx context.Context, refresh bool) wire.Patches {
	result := wire.Patches{Provider: Name, Status: wire.ScanOK}
	var stale *fault.Reason
	if refresh {
		if err := p.refresh(ctx); err != nil {
			reason := reasonOf(err)
			stale = &reason
		}
	}
	at, some, err := p.listed()
	if err != nil {
		return failed(result, err)
	}
	if some {
		result.ListsUS = at.UnixMicro()
	}
	if stale == nil && (!some || p.o.Now().Sub(at) > p.o.StaleAfter) {
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
	result.Patches, err = p.applicable(ctx)
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

// refresh updates the lists. apt-get update says 0 on most failures of a
// mirror; Error-Mode=any (since 2.1.8) makes it say 100, and older ones are
// found out by what they print.
func (p *Provider) refresh(ctx context.Context) error {
	if err := p.waitLocks(ctx, refreshLocks, time.Minute, nil); err != nil {
		return err
	}
	at := p.o.Now()
	c := p.command("apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "update")
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
		return p.noteRefreshed(at)
	}
	if h, held, err := p.lockHolder(refreshLocks); err == nil && held {
		return fault.Again(fault.LockHeld, "holder", h.name, "pid", itoa(h.pid), "waited", "0s")
	}
	said := errorLines(exit.Stderr)
	if len(said) == 0 {
		said = append(slices.Compact(down), lastLine(exit.Stderr))
	}
	return fault.Again(fault.RepositoryDown, "error", wire.Clean(strings.Join(said, "; "), wire.MaxTextBytes))
}

// simulate runs apt-get's own solver without touching anything or waiting for
// anyone.
func (p *Provider) simulate(ctx context.Context, args ...string) (simulation, error) {
	var s simulation
	args = append([]string{"-s", "-q", "-o", "Debug::NoLocking=1"}, args...)
	exit, err := tool.Lines(ctx, p.command("apt-get", args...), s.line)
	s.exit, s.errors = exit.Code, errorLines(exit.Stderr)
	return s, err
}

// applicable lists what dist-upgrade would do and what it would not.
func (p *Provider) applicable(ctx context.Context) ([]wire.Patch, error) {
	full, err := p.simulate(ctx, "dist-upgrade")
	if err != nil {
		return nil, err
	}
	if full.exit != 0 {
		return nil, p.explain(ctx, full)
	}
	blocked, err := p.blocked(ctx, full)
	if err != nil {
		return nil, err
	}
	others, err := p.notOffered(ctx, full)
	if err != nil {
		return nil, err
	}
	updates := make([]update, 0, len(full.actions)/2+len(others))
	for _, a := range full.actions {
		if a.verb == "Inst" {
			u := update{action: a, state: wire.PatchOffered}
			if blocked[a.name] {
				u.state, u.why = wire.PatchKeptBack, a.name+" would come with the removal of "+strings.Join(full.removed(), ", ")
			}
			updates = append(updates, u)
		}
	}
	return p.group(ctx, append(updates, others...))
}

func (s *simulation) removed() []string {
	var names []string
	for _, a := range s.actions {
		if a.removes() {
			names = append(names, a.name)
		}
	}
	return names
}

// blocked is what dist-upgrade does only because it may remove packages: the
// difference to an upgrade that may not. Asked for only when there is a removal.
func (p *Provider) blocked(ctx context.Context, full simulation) (map[string]bool, error) {
	if len(full.removed()) == 0 {
		return nil, nil
	}
	gentle, err := p.simulate(ctx, "--with-new-pkgs", "upgrade")
	if err != nil {
		return nil, err
	}
	if gentle.exit != 0 {
		return nil, p.explain(ctx, gentle)
	}
	names := map[string]bool{}
	for _, a := range full.actions {
		names[a.name] = a.verb == "Inst" || names[a.name]
	}
	for _, a := range gentle.actions {
		delete(names, a.name)
	}
	return names, nil
}

// explain turns a simulation that failed into its reason. A device whose
// packages are broken is told apart: repair comes before any patch.
func (p *Provider) explain(ctx context.Context, s simulation) error {
	broken, err := p.broken(ctx)
	if err != nil {
		return err
	}
	if len(broken) > 0 {
		return fault.Again(fault.DpkgBroken, "packages", listNames(broken)).Wrap(errors.New(s.problem()))
	}
	return fault.Again(fault.ToolFailed, "tool", "apt-get", "exit", itoa(s.exit), "error", wire.Clean(s.problem(), wire.MaxTextBytes))
}

// update is one package that could go to another version.
type update struct {
	action
	state, why string
}

// notOffered finds where the packages that dist-upgrade leaves alone would go
// to, and why it leaves them.
func (p *Provider) notOffered(ctx context.Context, full simulation) ([]update, error) {
	left := append(slices.Clone(full.keptBack), full.phased...)
	if len(left) == 0 {
		return nil, nil
	}
	keys := make([]dpkg.Key, len(left))
	for i, name := range left {
		keys[i] = dpkg.Key(name)
	}
	choices, err := p.choices(ctx, keys)
	if err != nil {
		return nil, err
	}
	installed, err := p.packages(ctx, nil)
	if err != nil {
		return nil, err
	}
	places, err := p.places(ctx)
	if err != nil {
		return nil, err
	}
	updates := make([]update, 0, len(left))
	for i, name := range left {
		c, pkg := choices[keys[i]], installed[keys[i]]
		to, ok := c.target(pkg.Version)
		if !ok {
			continue
		}
		u := update{action: action{verb: "Inst", name: name, old: pkg.Version, version: to.version, arch: pkg.Arch}}
		for _, place := range to.places {
			u.origins = append(u.origins, places[place])
		}
		switch {
		case pkg.Held():
			u.state, u.why = wire.PatchHeld, name+" is on hold"
		case to.phased || slices.Contains(full.phased, name):
			u.state, u.why = wire.PatchPhased, name+" is offered to a part of the devices so far"
		default:
			u.state, u.why = wire.PatchKeptBack, name+" needs new or removed packages"
		}
		updates = append(updates, u)
	}
	return updates, nil
}

// target is the version a package would go to. Newer apt makes a phased
// version no candidate at all: it is then found in the version table.
func (c choice) target(installed string) (offer, bool) {
	for _, o := range c.versions {
		if o.version == c.candidate && dpkg.Compare(o.version, installed) > 0 {
			return o, true
		}
	}
	for _, o := range c.versions {
		if o.phased && dpkg.Compare(o.version, installed) > 0 {
			return o, true
		}
	}
	return offer{}, false
}

// group makes patches out of packages, one per source, source version and
// suite, in a steady order. Where the packages of one are not in the same
// state the most hindering one counts, because they are installed together.
// A new package alone is no patch: it comes with the one that needs it.
func (p *Provider) group(ctx context.Context, updates []update) ([]wire.Patch, error) {
	details, err := p.describe(ctx, updates)
	if err != nil {
		return nil, err
	}
	repos, err := p.readRepositories()
	if err != nil {
		return nil, err
	}
	groups := map[patch.Key]*group{}
	for _, u := range updates {
		d := details[u.at(p.native)]
		k := patch.Key{Provider: Name, Name: d.source, Version: d.sourceVersion, Suite: repos.suite(mainOrigin(u.origins))}
		if groups[k] == nil {
			groups[k] = &group{}
		}
		groups[k].add(u, d, repos)
	}
	patches := make([]wire.Patch, 0, len(groups))
	for k, g := range groups {
		if g.rebuild != "" {
			k.Version = g.rebuild
		}
		if g.upgrades {
			patches = append(patches, g.patch(k))
		}
	}
	slices.SortFunc(patches, func(a, b wire.Patch) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Suite, b.Suite))
	})
	return patches, nil
}

// group is a patch in the making.
type group struct {
	origin   string
	class    patch.Class
	state    string
	why      []string
	upgrades bool
	// rebuild is the version with the number of a rebuild (+b1), where there
	// was one: the source version alone would name two different contents.
	rebuild  string
	bytes    int64
	packages []wire.Change
	summary  map[string]string // by package
}

// hindrance orders states: the last one wins.
var hindrance = []string{wire.PatchOffered, wire.PatchPhased, wire.PatchKeptBack, wire.PatchHeld}

func (g *group) add(u update, d detail, repos repositories) {
	if g.packages == nil {
		g.origin, g.class, g.summary = mainOrigin(u.origins).label, repos.class(u.origins), map[string]string{}
	}
	if repos.class(u.origins) == patch.Security {
		g.class = patch.Security
	}
	if slices.Index(hindrance, u.state) > slices.Index(hindrance, g.state) {
		g.state, g.why = u.state, nil
	}
	if u.why != "" && u.state == g.state {
		g.why = append(g.why, u.why)
	}
	g.upgrades = g.upgrades || u.old != ""
	if number, ok := strings.CutPrefix(u.version, d.sourceVersion+"+b"); ok && number != "" && dpkg.Compare(u.version, g.rebuild) > 0 {
		g.rebuild = u.version
	}
	g.bytes += d.bytes
	g.packages = append(g.packages, wire.Change{Name: u.named(), Arch: u.arch, From: u.old, To: u.version})
	g.summary[u.named()] = d.summary
}

func (g *group) patch(k patch.Key) wire.Patch {
	slices.SortFunc(g.packages, compareChanges)
	summary := g.summary[k.Name]
	if summary == "" {
		summary = g.summary[g.packages[0].Name]
	}
	slices.Sort(g.why)
	return wire.Patch{
		Provider: k.Provider, Name: k.Name, Version: k.Version, Suite: k.Suite, Origin: g.origin, Class: string(g.class),
		State: g.state, StateDetail: wire.Clean(strings.Join(slices.Compact(g.why), "; "), wire.MaxTextBytes),
		DownloadBytes: g.bytes, Summary: wire.Clean(summary, wire.MaxTextBytes), Packages: g.packages,
	}
}

func compareChanges(a, b wire.Change) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch))
}

// named is the package's name without its architecture.
func (a action) named() string {
	name, _, _ := strings.Cut(a.name, ":")
	return name
}

// at is the version an action leads to, by its key.
func (a action) at(native string) pkgVersion {
	return pkgVersion{dpkg.KeyOf(a.named(), a.arch, native), a.version}
}

// describe looks up the versions that the last scan did not see: on a steady
// device that is none.
func (p *Provider) describe(ctx context.Context, updates []update) (map[pkgVersion]detail, error) {
	native, err := p.architecture(ctx)
	if err != nil {
		return nil, err
	}
	known := make(map[pkgVersion]detail, len(updates))
	var unknown []pkgVersion
	for _, u := range updates {
		v := u.at(native)
		if d, ok := p.details[v]; ok {
			known[v] = d
			continue
		}
		unknown = append(unknown, v)
	}
	found, err := p.lookUp(ctx, unknown)
	if err != nil {
		return nil, err
	}
	for _, v := range unknown {
		d, ok := found[v]
		if !ok { // a list changed between the two runs: the next scan knows more
			d = detail{source: string(v.key), sourceVersion: v.version}
		}
		known[v] = d
	}
	p.details = known
	return known, nil
}
