package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"patchring/internal/core/fleet"
	"patchring/internal/face/lang"
	"patchring/internal/service/access"
)

func (c *cli) enrollmentList() *cobra.Command {
	return c.verb(verb{
		use: "list", short: "List the tokens that still let devices in",
		run: func(ctx context.Context, api *client, _ []string) error {
			var list []access.Enrollment
			if err := api.get(ctx, "/enrollments", nil, &list); err != nil {
				return err
			}
			return c.emit(list, func() error {
				w := c.words()
				out := make([][]string, 0, len(list))
				for _, e := range list {
					out = append(out, []string{e.ID, w.Word(lang.Kind, string(e.Kind)), tagText(e.Tags), strings.Join(e.Groups, ", "), w.Number(e.UsesLeft), when(w, e.Expires), w.Actor(e.Actor)})
				}
				return c.table([]string{"col.id", "col.kind", "col.tags", "col.groups", "col.uses", "col.expires", "col.by"}, out)
			})
		},
	})
}

func tagText(tags fleet.Tags) string {
	out := make([]string, 0, len(tags))
	for k, v := range tags {
		out = append(out, k+"="+v)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}
