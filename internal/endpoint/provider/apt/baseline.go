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
	"patchring/internal/endpoint/provider/tool"
	"patchring/wire"
)

// baseline is what was installed when an order first acted. It is written
// before the first transaction and read again when the same order is taken up
// after a crash, so that what came before is not forgotten with the agent.
//
// Crash story: without it nothing has been changed yet. With it, the order is
// the same one (by its key) and the versions are those before its first act.
type baseline struct {
	Order  string              `json:"order"`
	Before map[dpkg.Key]string `json:"before"`
	New    map[dpkg.Key]bool   `json:"new,omitempty"` // what the order's plan brings onto the device
}

func (p *Provider) baselineFile() string { return filepath.Join(p.o.State, "apt", "baseline.json") }

func (p *Provider) baseline(kind wire.OrderKind, items []wire.Item, in *intent) (baseline, error) {
	order, err := orderKey(kind, items)
	if err != nil {
		return baseline{}, err
	}
	base := baseline{Order: order, Before: map[dpkg.Key]string{}, New: map[dpkg.Key]bool{}}
	var last baseline
	text, err := os.ReadFile(p.baselineFile())
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return baseline{}, fmt.Errorf("read baseline: %w", err)
	case json.Unmarshal(text, &last) == nil && last.Order == order:
		if last.New == nil {
			last.New = map[dpkg.Key]bool{}
		}
		return last, nil
	}
	for key, pkg := range in.before {
		if pkg.Present() {
			base.Before[key] = pkg.Version
		}
	}
	return base, nil
}

// keepBaseline notes what the plan brings, and makes the baseline last.
func (p *Provider) keepBaseline(base baseline, plan simulation) error {
	for _, a := range plan.actions {
		if a.verb == "Inst" && a.old == "" {
			base.New[dpkg.Key(a.name)] = true
		}
	}
	text, err := json.Marshal(base)
	if err != nil {
		return fmt.Errorf("encode baseline: %w", err)
	}
	return tool.WriteDurable(p.baselineFile(), text)
}

// orderKey names a set of items at their versions, whatever is known of their
// rollback by now.
func orderKey(kind wire.OrderKind, items []wire.Item) (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, kind)
	enc := json.NewEncoder(hash)
	for _, item := range items {
		packages := make([]wire.Change, len(item.Packages))
		for i, c := range item.Packages {
			packages[i] = wire.Change{Name: c.Name, Arch: c.Arch, To: c.To}
		}
		item.Packages = packages
		if err := enc.Encode(item); err != nil {
			return "", fmt.Errorf("encode items: %w", err)
		}
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
