package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

var errOneOutcome = errors.New("say one of --ok and --failed")

type tickOptions struct {
	ok, failed       bool
	remark, severity string
	amendment        int
}

func (c *cli) campaignTest() *cobra.Command {
	var o tickOptions
	cmd := c.verb(verb{
		use: "test CAMPAIGN RING ITEM --ok|--failed", short: "Say of one item of a gate's tests that it is ok or failed", args: 3,
		long: `ITEM is the name of the test with the number of its item, as "campaign tests"
shows it: office/2, or office when it has one item. A failure needs a remark; it
makes an incident of the severity that the procedure says, or of --severity.
Whoever the test is assigned to may tick it, and operators.`,
		example: `  patchring campaign test 2026-12 R0 office/2 --ok
  patchring campaign test 2026-12 R1 payroll/1 --failed --remark "the export is empty"`,
		run: func(ctx context.Context, api *client, args []string) error { return o.run(ctx, c, api, args) },
	})
	flags := cmd.Flags()
	flags.BoolVar(&o.ok, "ok", false, "it works")
	flags.BoolVar(&o.failed, "failed", false, "it does not work")
	flags.StringVar(&o.remark, "remark", "", "what was seen")
	flags.StringVar(&o.severity, "severity", "", "of the incident: minor, major or critical")
	flags.IntVar(&o.amendment, "amendment", 0, "of which amendment; 0 is the sealed content")
	return cmd
}

func (o tickOptions) run(ctx context.Context, c *cli, api *client, args []string) error {
	if o.ok == o.failed {
		return usage{errOneOutcome}
	}
	test, number, numbered := strings.Cut(args[2], "/")
	item := 1
	if numbered {
		var err error
		if item, err = strconv.Atoi(number); err != nil || item < 1 {
			return usage{fmt.Errorf("item %q: write the test's name and a number from 1, as office/2", args[2])}
		}
	}
	ask := body{"ring": args[1], "test": test, "item": item, "ok": o.ok}.set("remark", o.remark).set("severity", o.severity)
	if o.amendment != 0 {
		ask["amendment"] = o.amendment
	}
	var made struct {
		Incident string `json:"incident,omitempty"`
	}
	if err := api.post(ctx, path("campaigns", args[0], "tests"), ask, &made); err != nil {
		return err
	}
	return c.emit(made, func() error {
		if made.Incident != "" {
			return c.say(c.words().T("test.made_incident", "id", made.Incident))
		}
		return c.done(args[2])
	})
}
