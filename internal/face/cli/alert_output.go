package cli

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
	"patchring/internal/service/herald"
)

func (c *cli) alertTest() *cobra.Command {
	return c.verb(verb{
		use: "test OUTPUT", short: "Send a test to an output, and say what came of it", args: 1,
		long: `The test is sent at once, by the rules in force, and is marked as one. A failure
says at which step, and what the other side said.`,
		run: func(ctx context.Context, api *client, args []string) error {
			var t herald.Tested
			if err := api.post(ctx, path("alert-outputs", args[0], "test"), body{}, &t); err != nil {
				return err
			}
			err := c.emit(t, func() error {
				if !t.OK {
					return nil
				}
				w := c.words()
				took := w.Duration((time.Duration(t.TookMS) * time.Millisecond).Round(time.Millisecond))
				return c.say(w.T("alert.tested", "output", t.Output, "way", w.Word(lang.OutputWay, string(t.Way)), "where", t.Where, "took", took))
			})
			if err == nil && !t.OK && t.Cause != nil {
				return &refused{Status: http.StatusUnprocessableEntity, Code: t.Cause.Code, Args: t.Cause.Args}
			}
			return err
		},
	})
}

func (c *cli) alertOutputs() *cobra.Command {
	return c.verb(verb{
		use: "outputs", short: "List where alerts go",
		run: func(ctx context.Context, api *client, _ []string) error {
			var list []struct {
				Name  string   `json:"name"`
				Way   string   `json:"way"`
				Where string   `json:"where"`
				Rules []string `json:"rules"`
			}
			if err := api.get(ctx, "/alert-outputs", nil, &list); err != nil {
				return err
			}
			return c.emit(list, func() error {
				w := c.words()
				out := make([][]string, 0, len(list))
				for _, o := range list {
					out = append(out, []string{o.Name, w.Word(lang.OutputWay, o.Way), o.Where, strings.Join(o.Rules, ", ")})
				}
				return c.table([]string{"col.output", "col.way", "col.where", "col.rules"}, out)
			})
		},
	})
}

func (c *cli) alertDeliveries() *cobra.Command {
	var state string
	var limit int
	cmd := c.verb(verb{
		use: "deliveries", short: "List what was sent, waits or was given up, the latest first",
		run: func(ctx context.Context, api *client, _ []string) error {
			list, more, err := rows[view.DeliveryRow](ctx, api, "/alert-deliveries", filters("state", state), limit)
			if err != nil {
				return err
			}
			defer c.more(more)
			return c.emit(list, func() error {
				w := c.words()
				out := make([][]string, 0, len(list))
				for _, d := range list {
					why := ""
					if d.Cause != nil {
						why = w.Reason(*d.Cause)
					}
					out = append(out, []string{d.ID, d.Output, w.Word(lang.DeliveryState, d.State), w.Number(d.Notices), w.Number(d.Attempts), when(w, d.Created), when(w, d.Next), why})
				}
				return c.table([]string{"col.id", "col.output", "col.state", "col.alerts", "col.attempts", "col.created", "col.next", "col.why"}, out)
			})
		},
	})
	cmd.Flags().StringVar(&state, "state", "", "waiting, sent or dead")
	limitFlag(cmd, &limit)
	return cmd
}

func (c *cli) alertRetry() *cobra.Command {
	var dismiss bool
	cmd := c.verb(verb{
		use: "retry DELIVERY", short: "Try again what was given up", args: 1,
		run: func(ctx context.Context, api *client, args []string) error {
			what := "retry"
			if dismiss {
				what = "dismiss"
			}
			if err := api.post(ctx, path("alert-deliveries", args[0], what), body{}, nil); err != nil {
				return err
			}
			return c.done(args[0])
		},
	})
	cmd.Flags().BoolVar(&dismiss, "dismiss", false, "take it from the list instead")
	return cmd
}

func (c *cli) alertFeedCreate() *cobra.Command {
	var language string
	cmd := c.verb(verb{
		use: "create KIND NAME", short: "Make a link to the calendar or to the feed of alerts", args: 2,
		long: `KIND is calendar (iCal: dates and windows of campaigns) or alerts (Atom). Whoever
has the address reads it without a login, until it is revoked.`,
		example: `  patchring alert feed create calendar "Outlook of the IT department"`,
		run: func(ctx context.Context, api *client, args []string) error {
			var made herald.FeedLink
			if err := api.post(ctx, "/feed-links", body{"kind": args[0], "name": args[1]}.set("lang", language), &made); err != nil {
				return err
			}
			return c.emit(made, func() error { return c.say(api.address(made.Path)) })
		},
	})
	cmd.Flags().StringVar(&language, "language", "", "fr or en (default fr)")
	return cmd
}

func (c *cli) alertFeedList() *cobra.Command {
	return c.verb(verb{
		use: "list", short: "List the links, with their addresses",
		run: func(ctx context.Context, api *client, _ []string) error {
			var list []herald.FeedLink
			if err := api.get(ctx, "/feed-links", nil, &list); err != nil {
				return err
			}
			return c.emit(list, func() error {
				w := c.words()
				out := make([][]string, 0, len(list))
				for _, l := range list {
					address := w.T("alert.revoked")
					if l.Path != "" {
						address = api.address(l.Path)
					}
					out = append(out, []string{l.ID, w.Word(lang.FeedKind, string(l.Kind)), l.Name, when(w, l.Created), w.Actor(l.By), address})
				}
				return c.table([]string{"col.id", "col.kind", "col.name", "col.created", "col.by", "col.link"}, out)
			})
		},
	})
}

func (c *cli) alertFeedRevoke() *cobra.Command {
	return c.verb(verb{
		use: "revoke LINK", short: "Let a link open nothing any more", args: 1,
		run: func(ctx context.Context, api *client, args []string) error {
			if err := api.post(ctx, path("feed-links", args[0], "revoke"), body{}, nil); err != nil {
				return err
			}
			return c.done(args[0])
		},
	})
}

// address is a path of the server as programs open it.
func (c *client) address(path string) string { return c.base + path }
