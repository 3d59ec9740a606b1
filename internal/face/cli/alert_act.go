package cli

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
)

var errNoEnd = errors.New("a silence has an end: --for 2h, or --until with an instant")

func (c *cli) alertAck() *cobra.Command {
	var reason string
	cmd := c.verb(verb{
		use: "ack ID", short: "Say that you are on it", args: 1,
		long: `Nothing more is told of it until it gets worse or is over. Who must act by its
rule may do so, and whoever keeps the alerts.`,
		run: func(ctx context.Context, api *client, args []string) error {
			if err := api.post(ctx, path("alerts", args[0], "acknowledge"), body{}.set("reason", reason), nil); err != nil {
				return err
			}
			return c.done(args[0])
		},
	})
	cmd.Flags().StringVar(&reason, "reason", "", "what is being done")
	return cmd
}

func (c *cli) alertAct() *cobra.Command {
	var do, reason, severity string
	var now time.Duration
	cmd := c.verb(verb{
		use: "act ID --do WORD --reason TEXT", short: "Hold, stop, roll back or open an incident from an alert", args: 1, asks: true,
		long: `"alert show" lists what can be done from an alert: hold (its campaign),
hold_patch, hold_device (what remains to be installed on the device), roll_back,
incident (with --severity). It acknowledges the alert.`,
		run: func(ctx context.Context, api *client, args []string) error {
			var a view.AlertRow
			if err := api.get(ctx, path("alerts", args[0]), nil, &a); err != nil {
				return err
			}
			w := c.words()
			if err := c.confirm(w.T("cli.alert_plan", "do", w.Word(lang.AlertDo, do), "where", w.AlertWhere(a.Message()))); err != nil {
				return err
			}
			ask := body{"do": do, "reason": reason}.set("severity", severity)
			if now > 0 {
				ask["now_s"] = int64(now / time.Second)
			}
			if err := api.post(ctx, path("alerts", args[0], "act"), ask, nil); err != nil {
				return err
			}
			return c.done(args[0])
		},
	})
	flags := cmd.Flags()
	flags.StringVar(&do, "do", "", "hold, hold_patch, hold_device, roll_back or incident")
	flags.StringVar(&reason, "reason", "", "why; needed")
	flags.StringVar(&severity, "severity", "", "of an incident: minor, major or critical")
	flags.DurationVar(&now, "now", 0, "roll back in an emergency window of this length, from now on")
	return cmd
}

func (c *cli) alertSilence() *cobra.Command {
	var rule, device, until, reason string
	var length time.Duration
	cmd := c.verb(verb{
		use: "silence [ID] --for DURATION --reason TEXT", short: "Let nothing be told of an alert, a rule or a device for a while", optional: 1,
		long: `It ends by itself; what still fires then is told. What is found meanwhile is kept
and shown all the same.`,
		example: `  patchring alert silence 0195e1c4 --for 2h --reason "disk ordered"
  patchring alert silence --device srv-01 --for 4h --reason "moved to another rack"
  patchring alert silence --rule cpu --until 2026-12-24T06:00:00+01:00 --reason "year end"`,
		run: func(ctx context.Context, api *client, args []string) error {
			end := c.Clock().Add(length)
			switch {
			case (length == 0) == (until == ""):
				return usage{errNoEnd}
			case until != "":
				var err error
				if end, err = time.Parse(time.RFC3339, until); err != nil {
					return usage{errNoEnd}
				}
			}
			ask := body{"until": end.UTC(), "reason": reason}.set("rule", rule).set("device", device)
			if len(args) > 0 {
				ask["alert"] = args[0]
			}
			var made struct {
				ID string `json:"id"`
			}
			if err := api.post(ctx, "/alert-silences", ask, &made); err != nil {
				return err
			}
			return c.emit(made, func() error { return c.say(made.ID) })
		},
	})
	flags := cmd.Flags()
	flags.StringVar(&rule, "rule", "", "every alert of this rule")
	flags.StringVar(&device, "device", "", "every alert of this device")
	flags.DurationVar(&length, "for", 0, "how long: 30m, 2h, 72h")
	flags.StringVar(&until, "until", "", "until when: an instant (RFC 3339)")
	flags.StringVar(&reason, "reason", "", "why; needed")
	return cmd
}

func (c *cli) alertUnsilence() *cobra.Command {
	return c.verb(verb{
		use: "unsilence SILENCE", short: "End a silence before its time", args: 1,
		run: func(ctx context.Context, api *client, args []string) error {
			if err := api.post(ctx, "/alert-silences/"+url.PathEscape(args[0])+"/end", body{}, nil); err != nil {
				return err
			}
			return c.done(args[0])
		},
	})
}
