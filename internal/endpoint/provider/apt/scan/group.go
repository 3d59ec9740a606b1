package scan

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"patchring/internal/core/patch"
	"patchring/internal/endpoint/provider/apt/dpkg"
	"patchring/internal/endpoint/provider/apt/query"
	"patchring/wire"
)

// group makes patches out of packages, one per source, source version and
// suite, in a steady order. Where the packages of one are not in the same
// state the most hindering one counts, because they are installed together.
// A new package alone is no patch: it comes with the one that needs it.
func (s *Scanner) group(ctx context.Context, updates []update) ([]wire.Patch, error) {
	native, err := s.Device.Architecture(ctx)
	if err != nil {
		return nil, err
	}
	details, err := s.describe(ctx, updates, native)
	if err != nil {
		return nil, err
	}
	repos, err := s.readRepositories()
	if err != nil {
		return nil, err
	}
	groups := map[patch.Key]*group{}
	for _, u := range updates {
		d := details[u.At(native)]
		k := patch.Key{Provider: s.Provider, Name: d.Source, Version: d.SourceVersion, Suite: repos.suite(mainOrigin(u.Origins))}
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

func (g *group) add(u update, d query.Detail, repos repositories) {
	if g.packages == nil {
		g.origin, g.class, g.summary = mainOrigin(u.Origins).Label, repos.class(u.Origins), map[string]string{}
	}
	if repos.class(u.Origins) == patch.Security {
		g.class = patch.Security
	}
	if slices.Index(hindrance, u.state) > slices.Index(hindrance, g.state) {
		g.state, g.why = u.state, nil
	}
	if u.why != "" && u.state == g.state {
		g.why = append(g.why, u.why)
	}
	g.upgrades = g.upgrades || u.Old != ""
	if number, ok := strings.CutPrefix(u.Version, d.SourceVersion+"+b"); ok && number != "" && dpkg.Compare(u.Version, g.rebuild) > 0 {
		g.rebuild = u.Version
	}
	g.bytes += d.Bytes
	g.packages = append(g.packages, wire.Change{Name: u.Named(), Arch: u.Arch, From: u.Old, To: u.Version})
	g.summary[u.Named()] = d.Summary
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

// describe looks up the versions that the last scan did not see: on a steady
// device that is none.
func (s *Scanner) describe(ctx context.Context, updates []update, native string) (map[query.Version]query.Detail, error) {
	known := make(map[query.Version]query.Detail, len(updates))
	var unknown []query.Version
	for _, u := range updates {
		v := u.At(native)
		if d, ok := s.details[v]; ok {
			known[v] = d
			continue
		}
		unknown = append(unknown, v)
	}
	found, err := s.Device.LookUp(ctx, unknown)
	if err != nil {
		return nil, err
	}
	for _, v := range unknown {
		d, ok := found[v]
		if !ok { // a list changed between the two runs: the next scan knows more
			d = query.Detail{Source: string(v.Key), SourceVersion: v.Version}
		}
		known[v] = d
	}
	s.details = known
	return known, nil
}
