package cli

import (
	"github.com/spf13/cobra"

	"patchring/internal/core/policy"
)

func (c *cli) patchDelay() *cobra.Command {
	return c.decide("delay", "Delay a patch until a day", policy.Delayed)
}
