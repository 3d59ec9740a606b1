package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"patchring/internal/core/procedure"
	"patchring/internal/service/foresight"
)

type rehearseOptions struct {
	file, month, policy string
	ring, bucket        string
	reason, cursor      string
	now                 bool
	limit               int
}

func (c *cli) campaignRehearse() *cobra.Command {
	var o rehearseOptions
	cmd := c.verb(verb{
		use: "rehearse [PROCEDURE] (--month YYYY-MM | --now)", short: "Say what a campaign would do, before it exists", optional: 1,
		long: `The campaign is played on the fleet and catalogue as they were last recorded, by
the rules that decide in a real one: who gets what when, restarts by the hour,
downloads by site, who will not make it and why, and the dates that would not be
kept. Nothing is written. With -f or --policy a file takes the place of what is
in force. It is the best case: what it assumes is told at the end.

--limit lists devices too; --ring, --bucket and --reason choose which.`,
		example: `  patchring campaign rehearse postes-france --month 2026-12
  patchring campaign rehearse --now -f postes-france.yaml --policy policy.yaml
  patchring campaign rehearse postes-france --month 2026-12 --reason no_window --limit 100`,
		run: func(ctx context.Context, api *client, args []string) error { return o.run(ctx, c, api, args) },
	})
	flags := cmd.Flags()
	flags.StringVarP(&o.file, "file", "f", "", "a procedure's file that need not have been applied; - reads standard input")
	flags.StringVar(&o.month, "month", "", "the calendar month whose dates it takes")
	flags.BoolVar(&o.now, "now", false, "start at once")
	flags.StringVar(&o.policy, "policy", "", "a policy's file, in place of the one in force")
	flags.StringVar(&o.ring, "ring", "", "list devices of this ring")
	flags.StringVar(&o.bucket, "bucket", "", "list devices that are done, failed, not_reached, unreachable or exempt at the verification")
	flags.StringVar(&o.reason, "reason", "", "list devices that are not done for this reason, by its code")
	flags.StringVar(&o.cursor, "after", "", "go on after this device, as the page before says")
	flags.IntVar(&o.limit, "limit", 0, "devices to list, 500 at most")
	return cmd
}

func (o rehearseOptions) run(ctx context.Context, c *cli, api *client, args []string) error {
	blamed := "" // the file that a refusal's problems are of
	in := body{}.set("month", o.month).set("ring", o.ring).set("bucket", o.bucket).set("reason", o.reason).set("cursor", o.cursor)
	switch {
	case len(args) == 1 && o.file != "":
		return usage{errors.New("name a procedure or give its file with -f, not both")}
	case o.file != "":
		name, text, err := readText("procedure", o.file, c.In)
		if err != nil {
			return err
		}
		in["file"], in["text"], blamed = name, text, name
	case len(args) == 1:
		in["procedure"] = args[0]
	default:
		return usage{errors.New("no procedure: name it, or give its file with -f")}
	}
	if o.policy != "" {
		name, text, err := readText("policy", o.policy, c.In)
		if err != nil {
			return err
		}
		in["policy_file"], in["policy_text"] = name, text
		if sent, both := in["text"].(string); !both || sound(sent) {
			blamed = name
		}
	}
	if o.now {
		in["now"] = true
	}
	if o.limit > 0 {
		in["limit"] = o.limit
	} else if o.ring+o.bucket+o.reason+o.cursor != "" {
		in["limit"] = 50
	}
	var out foresight.Rehearsal
	if err := api.weigh(ctx, "/campaigns/rehearse", in, &out); err != nil {
		return inFile(blamed, err)
	}
	return c.emit(out, func() error { return c.rehearsed(out) })
}

// sound tells that the procedure is not the one of two files that is refused.
func sound(text string) bool {
	_, err := procedure.Parse("", []byte(text))
	return err == nil
}
