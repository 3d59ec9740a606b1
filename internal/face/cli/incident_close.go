package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (c *cli) incidentClose() *cobra.Command {
	return c.incidentCorrects("close", "close ID --cause TEXT --correction TEXT", "Close an incident, with its cause and its correction",
		`Both are needed, unless "incident correct" has given them. Its holds stay until
"campaign resume" lifts them.`,
		`  patchring incident close 0195e1c4 --cause "the printer's driver" --correction "driver put back to 2.1"`)
}

func (c *cli) incidentCorrect() *cobra.Command {
	return c.incidentCorrects("correct", "correct ID --cause TEXT --correction TEXT", "Say what an incident was and what was done about it",
		`It is not closed: whether it holds is watched. "incident close" closes it.`,
		`  patchring incident correct 0195e1c4 --cause "the printer's driver" --correction "driver put back to 2.1"`)
}

func (c *cli) incidentCorrects(act, use, short, long, example string) *cobra.Command {
	var cause, correction, text string
	cmd := c.verb(verb{
		use: use, short: short, long: long, example: example, args: 1,
		run: func(ctx context.Context, api *client, args []string) error {
			ask := body{}.set("cause", cause).set("correction", correction).set("text", text)
			if err := api.post(ctx, path("incidents", args[0], act), ask, nil); err != nil {
				return err
			}
			return c.done(args[0])
		},
	})
	cmd.Flags().StringVar(&cause, "cause", "", "what it was")
	cmd.Flags().StringVar(&correction, "correction", "", "what was done about it")
	cmd.Flags().StringVar(&text, "text", "", "what else is to be said")
	return cmd
}
