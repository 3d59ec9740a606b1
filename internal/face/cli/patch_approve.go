package cli

import (
	"github.com/spf13/cobra"

	"patchring/internal/core/policy"
)

func (c *cli) patchApprove() *cobra.Command {
	return c.decide("approve", "Approve a patch", policy.Approved)
}
