package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (c *cli) registerExport() *cobra.Command {
	var device string
	cmd := c.verb(verb{
		use: "export FILE", short: "Write the register, or one device's passport, with its proofs", args: 1,
		long: `Anybody can check the file with the register's public key alone, offline:
patchring register verify FILE --key KEY. The export is itself an entry.`,
		run: func(ctx context.Context, api *client, args []string) error {
			from := "/register/export"
			if device != "" {
				from = path("devices", device, "passport")
			}
			n, err := api.save(ctx, from, args[0])
			if err != nil {
				return err
			}
			var head struct {
				Key string `json:"key"`
			}
			if err := api.get(ctx, "/register", nil, &head); err != nil {
				return err
			}
			return c.emit(map[string]any{"file": args[0], "bytes": n, "key": head.Key}, func() error {
				w := c.words()
				return c.say(w.T("cli.saved", "file", args[0], "size", w.Bytes(n)), w.T("cli.verify_with", "command", "patchring register verify "+args[0]+" --key "+head.Key))
			})
		},
	})
	cmd.Flags().StringVar(&device, "device", "", "only this device: its passport")
	return cmd
}
