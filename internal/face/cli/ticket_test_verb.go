package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
)

var errToolFailed = errors.New("a tool did not answer as it should")

func (c *cli) ticketTest() *cobra.Command {
	return c.verb(verb{
		use: "test [CONNECTOR]", short: "Speak to the tools that tickets go to, and change nothing there", optional: 1,
		long: `Every one of the tenant, or the one named: logs in, and asks for the project or
the profiles. A webhook gets a message that says it is a test.`,
		run: func(ctx context.Context, api *client, args []string) error {
			ask := body{}
			if len(args) > 0 {
				ask["connector"] = args[0]
			}
			var tested struct {
				Rows []struct {
					Connector string `json:"connector"`
					Kind      string `json:"kind"`
					OK        bool   `json:"ok"`
					Error     string `json:"error,omitempty"`
				} `json:"rows"`
			}
			if err := api.weigh(ctx, "/tickets/test", ask, &tested); err != nil {
				return err
			}
			failed := false
			err := c.emit(tested.Rows, func() error {
				var out [][]string
				for _, t := range tested.Rows {
					said := c.words().T("ticket.answers")
					if !t.OK {
						said = t.Error
					}
					out = append(out, []string{t.Connector, t.Kind, said})
				}
				return c.table([]string{"col.connector", "col.kind", "ticket.answer"}, out)
			})
			for _, t := range tested.Rows {
				failed = failed || !t.OK
			}
			if err == nil && failed {
				return errToolFailed
			}
			return err
		},
	})
}
