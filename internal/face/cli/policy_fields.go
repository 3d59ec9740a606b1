package cli

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"patchring/internal/core/policy"
	"patchring/internal/face/lang"
)

func (c *cli) policyFields() *cobra.Command {
	return c.verb(verb{
		use: "fields", short: "List what conditions may ask of devices and of patches", offline: true,
		long: `The fields that this program knows; a server of another version may know more
or fewer. Needs no server.`,
		run: func(context.Context, *client, []string) error {
			fields := slices.Concat(policy.DeviceFields(), policy.PatchFields())
			return c.emit(fields, func() error {
				w := c.words()
				out := make([][]string, 0, len(fields))
				for _, f := range fields {
					out = append(out, []string{f.Name, w.Word(lang.FieldType, string(f.Type)), f.Doc.In(string(w.Lang()))})
				}
				return c.table([]string{"col.field", "col.type", "col.meaning"}, out)
			})
		},
	})
}
