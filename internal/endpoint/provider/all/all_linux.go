// Package all knows every provider there is, so that the agent need not. It is
// the only package that imports them all.
package all

import (
	"time"

	"patchring/internal/endpoint/provider"
	"patchring/internal/endpoint/provider/apt"
)

// Present lists the providers that manage this device; state is the agent's
// directory.
func Present(state string, now func() time.Time) []provider.Provider {
	var present []provider.Provider
	for _, p := range []provider.Provider{
		apt.New(apt.Options{State: state, Now: now}),
	} {
		if p.Present() {
			present = append(present, p)
		}
	}
	return present
}
