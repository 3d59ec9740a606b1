package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"patchring/internal/service/survey"
)

func (c *cli) lifecycleImport() *cobra.Command {
	var file, product string
	var hardware, extended bool
	cmd := c.verb(verb{
		use: "import -f FILE (--product PRODUCT | --hardware)", short: "Import a table of how long systems are supported",
		long: `A file as https://endoflife.date/api/PRODUCT.json gives it, which takes the place
of the product's table; the server itself never asks the Internet. --hardware
imports the least hardware of versions: [{"product": "debian", "cycle": "13",
"ram_gb": 2, "disk_gb": 10, "cpus": 1}]. The whole fleet is judged anew: a device
whose system has ended is no longer counted compliant.`,
		example: `  patchring lifecycle import -f debian.json --product debian
  patchring lifecycle import -f ubuntu.json --product ubuntu --extended`,
		run: func(ctx context.Context, api *client, _ []string) error {
			if (product == "") == !hardware {
				return usage{errors.New("name the product with --product, or say --hardware")}
			}
			name, text, err := readText("table", file, c.In)
			if err != nil {
				return err
			}
			ask := body{"file": name, "text": text}.set("product", product)
			if hardware {
				ask["hardware"] = true
			}
			if extended {
				ask["extended"] = true
			}
			var done survey.Imported
			if err := api.post(ctx, "/lifecycle", ask, &done); err != nil {
				return err
			}
			return c.emit(done, func() error { return c.imported(done) })
		},
	})
	flags := cmd.Flags()
	flags.StringVarP(&file, "file", "f", "", "the table; - reads standard input")
	flags.StringVar(&product, "product", "", "as endoflife.date spells it: debian, ubuntu, rhel, rocky-linux, windows, macos")
	flags.BoolVar(&hardware, "hardware", false, "the table is of the least hardware of versions")
	flags.BoolVar(&extended, "extended", false, "you have the longer support that the table tells of: it counts")
	return cmd
}

func (c *cli) imported(t survey.Imported) error {
	w := c.words()
	product := t.Product
	if t.Hardware {
		product = w.T("lifecycle.hardware")
	}
	if t.Unchanged {
		return c.say(w.T("lifecycle.unchanged", "product", product, "sha256", t.SHA256))
	}
	return c.say(w.T("lifecycle.imported", "product", product, "entries", w.Number(t.Entries), "sha256", t.SHA256))
}
