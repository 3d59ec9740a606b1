package apt_test

import (
	"strings"
	"testing"

	"patchring/internal/endpoint/provider"
	"patchring/internal/endpoint/provider/apt/aptworld"
	"patchring/internal/endpoint/provider/providertest"
)

// suiteWorld shows the real apt to the conformance suite.
type suiteWorld struct{ *aptworld.World }

func (w suiteWorld) Provider() provider.Provider { return w.World.Provider() }
func (w suiteWorld) Unreachable()                { w.Break() }
func (w suiteWorld) Reachable()                  { w.Repair() }
func (w suiteWorld) Hold(name string)            { w.ByHand("apt-mark", "hold", name) }
func (w suiteWorld) Complaint() string           { return w.Audit() }

func (w suiteWorld) Offer(versions ...providertest.Version) {
	for _, v := range versions {
		p := aptworld.Package{Name: v.Name, Version: v.Version, Fields: map[string]string{}, Scripts: map[string]string{}}
		if len(v.Needs) > 0 {
			p.Fields["Depends"] = strings.Join(v.Needs, ", ")
		}
		if len(v.Removes) > 0 {
			p.Fields["Conflicts"] = strings.Join(v.Removes, ", ")
		}
		if v.Fails {
			p.Scripts["postinst"] = "echo no >&2; exit 1"
		}
		w.World.Offer(p)
	}
}

func (w suiteWorld) InstallByHand(versions ...providertest.Version) {
	var args []string
	for _, v := range versions {
		args = append(args, v.Name+"="+v.Version)
	}
	w.Install(args...)
}

func (w suiteWorld) Installed(name string) string {
	_, version, _ := strings.Cut(w.Status(name), " ok installed ")
	return version
}

func TestConformance(t *testing.T) {
	aptworld.Need(t)
	providertest.Run(t, func(t *testing.T) providertest.World { return suiteWorld{aptworld.New(t)} })
}
