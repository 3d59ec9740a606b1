package cli

import (
	"github.com/spf13/cobra"

	"patchring/internal/core/policy"
)

func (c *cli) patchDecline() *cobra.Command {
	return c.decide("decline", "Decline a patch", policy.Declined)
}
