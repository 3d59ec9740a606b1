package providertest_test

import (
	"errors"
	"testing"

	"patchring/internal/endpoint/provider"
	"patchring/internal/endpoint/provider/providertest"
	"patchring/wire"
)

func TestFakeConforms(t *testing.T) {
	providertest.Run(t, func(*testing.T) providertest.World { return &providertest.Fake{} })
}

func TestFakeLiesAndFailsWhenAsked(t *testing.T) {
	lost := errors.New("lost")
	f := &providertest.Fake{Lie: true}
	f.Offer(providertest.Version{Name: "a", Version: "1"}, providertest.Version{Name: "a", Version: "2"})
	f.InstallByHand(providertest.Version{Name: "a", Version: "1"})
	items := []wire.Item{{ID: "i", Packages: []wire.Change{{Name: "a", From: "1", To: "2"}}}}
	_, outcomes, err := f.Provider().Install(t.Context(), items, provider.Limits{}, nil)
	if err != nil || outcomes[0].State != wire.ItemNoEffect || f.Installs() != 0 {
		t.Errorf("a lying install ended %+v, %v with %d changes; want no_effect and none", outcomes, err, f.Installs())
	}
	f.Lie, f.Before = false, func(method string) error {
		if method == "install" {
			return lost
		}
		return nil
	}
	if _, _, err := f.Provider().Install(t.Context(), items, provider.Limits{}, nil); !errors.Is(err, lost) {
		t.Errorf("install returned %v, want %v", err, lost)
	}
	f.Before = nil
	if _, _, err := f.Provider().Install(t.Context(), items, provider.Limits{}, nil); err != nil || f.Installed("a") != "2" || f.Installs() != 1 {
		t.Errorf("install: %v, a at %q after %d changes", err, f.Installed("a"), f.Installs())
	}
}
