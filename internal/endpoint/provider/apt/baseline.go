package apt

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"patchring/internal/endpoint/provider/apt/dpkg"
	"patchring/internal/endpoint/provider/apt/query"
	"patchring/internal/endpoint/provider/tool"
	"patchring/wire"
)

// baseline is what was installed when items were first acted on. It is written
// before the first transaction and read again when the same items, or those of
// them that are left, are taken up after a crash: what came before must not be
// forgotten with the agent.
//
// Crash story: without it nothing has been changed yet. With it, the versions
// are those before the first act.
type baseline struct {
	Kind  wire.OrderKind                 `json:"kind"`
	Items map[string]map[dpkg.Key]string `json:"items"`         // by itemKey
	New   map[dpkg.Key]bool              `json:"new,omitempty"` // what the plan brings onto the device
}

func (p *Provider) baselineFile() string { return filepath.Join(p.state, "baseline.json") }

func (p *Provider) baseline(kind wire.OrderKind, items []wire.Item, in *intent) (baseline, error) {
	var last baseline
	text, err := os.ReadFile(p.baselineFile())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return baseline{}, fmt.Errorf("read baseline: %w", err)
	}
	if err == nil {
		if err := json.Unmarshal(text, &last); err != nil {
			return baseline{}, fmt.Errorf("read baseline %s: %w", p.baselineFile(), err)
		}
	}
	base := baseline{Kind: kind, Items: map[string]map[dpkg.Key]string{}, New: map[dpkg.Key]bool{}}
	for _, item := range items {
		key, err := itemKey(item)
		if err != nil {
			return baseline{}, err
		}
		if known, ok := last.Items[key]; ok && last.Kind == kind {
			base.Items[key] = known
			for k := range last.New {
				base.New[k] = true
			}
			continue
		}
		base.Items[key] = in.versions(item)
	}
	return base, nil
}

// versions is what the item's packages are at now. One that is broken at the
// version it was to go to was at the one it came from.
func (in *intent) versions(item wire.Item) map[dpkg.Key]string {
	before := map[dpkg.Key]string{}
	for _, change := range item.Packages {
		key := dpkg.KeyOf(change.Name, change.Arch, in.native)
		switch now := in.before[key]; {
		case now.Broken() && now.Version == change.To && change.From != "":
			before[key] = change.From
		case now.Present():
			before[key] = now.Version
		}
	}
	return before
}

// flat is the versions of all items.
func (b baseline) flat() map[dpkg.Key]string {
	all := map[dpkg.Key]string{}
	for _, versions := range b.Items {
		for key, version := range versions {
			all[key] = version
		}
	}
	return all
}

// keepBaseline notes what the plan brings, and makes the baseline last.
func (p *Provider) keepBaseline(base baseline, plan query.Simulation) error {
	for _, a := range plan.Actions {
		if a.Verb == "Inst" && a.Old == "" {
			base.New[dpkg.Key(a.Name)] = true
		}
	}
	text, err := json.Marshal(base)
	if err != nil {
		return fmt.Errorf("encode baseline: %w", err)
	}
	return tool.WriteDurable(p.baselineFile(), text)
}

// itemKey names an item at its versions, whatever is known of their rollback
// by now.
func itemKey(item wire.Item) (string, error) {
	packages := make([]wire.Change, len(item.Packages))
	for i, c := range item.Packages {
		packages[i] = wire.Change{Name: c.Name, Arch: c.Arch, To: c.To}
	}
	item.Packages = packages
	text, err := json.Marshal(item)
	if err != nil {
		return "", fmt.Errorf("encode item: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
