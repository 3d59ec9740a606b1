package cli

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"

	"patchring/internal/core/fault"
	"patchring/internal/infra/view"
)

func (c *cli) cleanUpApprove() *cobra.Command {
	var device string
	cmd := c.verb(verb{
		use: "approve ITEM", short: "Let an item of clean-up go, after its dry run", args: 1, asks: true,
		long: `Shows what the dry runs counted, and asks. Each device does it in its next window, after
its own dry run. An item that the policy changes later is another one, and is counted
and approved again.`,
		run: func(ctx context.Context, api *client, args []string) error {
			s, err := cleanUpToApprove(ctx, api, args[0])
			if err != nil {
				return err
			}
			w := c.words()
			plan := w.T("cli.clean_up_plan", "item", s.Item, "size", w.Bytes(s.CountedBytes), "counted", w.Number(s.Counted), "devices", w.Number(s.Devices))
			if device != "" {
				plan = w.T("cli.clean_up_device_plan", "item", s.Item, "device", device)
			}
			if err := c.confirm(plan); err != nil {
				return err
			}
			if err := api.post(ctx, "/clean-ups/approve", body{"item": s.Item, "fingerprint": s.Fingerprint}.set("device", device), nil); err != nil {
				return err
			}
			return c.done(s.Item)
		},
	})
	cmd.Flags().StringVar(&device, "device", "", "on this device only")
	return cmd
}

// cleanUpToApprove is the item as it is in force: while a policy is on its way
// through the fleet, the form that most devices have.
func cleanUpToApprove(ctx context.Context, api *client, item string) (out view.CleanUpSum, err error) {
	list, err := cleanUps(ctx, api)
	if err != nil {
		return out, err
	}
	for _, s := range list {
		if s.Item == item && s.Fingerprint != "" && s.Devices > out.Devices {
			out = s
		}
	}
	if out.Item == "" {
		return out, &refused{Status: http.StatusNotFound, Code: fault.NotFound, Args: map[string]string{"what": "clean_up", "name": item}}
	}
	return out, nil
}

func (c *cli) cleanUpRevoke() *cobra.Command {
	var device string
	cmd := c.verb(verb{
		use: "revoke ITEM", short: "Take the approvals of an item of clean-up back", args: 1,
		long: `What is under way stops at the agent's next check-in. What is gone is gone.`,
		run: func(ctx context.Context, api *client, args []string) error {
			if err := api.post(ctx, "/clean-ups/revoke", body{"item": args[0]}.set("device", device), nil); err != nil {
				return err
			}
			return c.done(args[0])
		},
	})
	cmd.Flags().StringVar(&device, "device", "", "the approval of this device only")
	return cmd
}
