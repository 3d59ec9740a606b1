// Package providertest holds what every provider must do: Run is the
// conformance suite of provider.Provider, for a real package manager or for
// Fake, a device in memory that tests of the agent may use. Only tests import it.
package providertest

import (
	"testing"

	"patchring/internal/endpoint/provider"
)

// Version is one version of one package in a repository.
type Version struct {
	Name, Version string
	Fails         bool     // its own script fails after it was unpacked
	Needs         []string // other packages it cannot do without
	Removes       []string // packages it cannot stand
}

// World is a device, what its repositories offer, and its administrator.
type World interface {
	// Provider is a new provider on the same device, as a restarted agent has.
	Provider() provider.Provider
	// Offer publishes versions beside those that are offered.
	Offer(versions ...Version)
	// Withdraw takes a version out of the repository.
	Withdraw(name, version string)
	// Unreachable and Reachable cut the repositories off and bring them back.
	Unreachable()
	Reachable()
	// InstallByHand installs versions as the device's administrator would.
	InstallByHand(versions ...Version)
	// Hold makes the administrator hold a package.
	Hold(name string)
	// Installed is what the device's own tool says: "" when a package is not
	// installed or not in order.
	Installed(name string) string
	// Complaint is what the package manager's own check finds wrong.
	Complaint() string
}

// Make builds a new world with nothing installed and nothing offered.
type Make func(t *testing.T) World
