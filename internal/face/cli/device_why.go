package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
)

func (c *cli) deviceWhy() *cobra.Command {
	return c.verb(verb{
		use: "why DEVICE [PATCH]", short: "Say why a patch is where it is on a device, and when it is next tried", args: 1, optional: 1,
		long: `Without a patch, every one that the device misses or that an open campaign
carries to it. A patch is a name, a name and version in quotes, or an id.`,
		run: func(ctx context.Context, api *client, args []string) error {
			query := filters()
			if len(args) > 1 {
				query.Set("patch", args[1])
			}
			var why view.Why
			if err := api.get(ctx, path("devices", args[0], "why"), query, &why); err != nil {
				return err
			}
			return c.emit(why, func() error { return c.sayWhy(why) })
		},
	})
}

func (c *cli) sayWhy(why view.Why) error {
	w := c.words()
	line := why.Device.Name + ": " + w.Word(lang.DeviceState, string(why.State))
	if why.Reason != nil {
		line += " (" + w.Reason(*why.Reason) + ")"
	}
	if err := c.say(line); err != nil {
		return err
	}
	if why.Wake != nil {
		if err := c.sayWhyWake(w, *why.Wake); err != nil {
			return err
		}
	}
	if why.Reboot != nil {
		if err := c.sayWhyReboot(w, *why.Reboot); err != nil {
			return err
		}
	}
	for _, p := range why.Patches {
		if err := c.sayWhyPatch(w, p); err != nil {
			return err
		}
	}
	if len(why.Patches) == 0 {
		return c.say(w.T("why.none"))
	}
	return nil
}

func (c *cli) sayWhyWake(w lang.Words, k view.Wake) error {
	line := w.T("why.wake") + ": "
	if k.Reason != nil {
		line += w.Reason(*k.Reason)
	} else {
		line += w.T("why.woken", "at", w.Brief(k.Woken), "by", strings.Join(k.By, ", "))
	}
	return c.say("", line)
}

func (c *cli) sayWhyReboot(w lang.Words, r view.PendingReboot) error {
	line := w.T("why.reboot")
	if r.Reason != nil {
		line += ": " + w.Reason(*r.Reason)
	}
	if !r.Next.IsZero() {
		line += " → " + w.T("col.next") + ": " + w.Brief(r.Next)
	}
	return c.say("", line)
}

func (c *cli) sayWhyPatch(w lang.Words, p view.WhyPatch) error {
	where := ""
	if p.Campaign != nil {
		where = " [" + p.Campaign.Name + " " + p.Ring + "]"
	}
	lines := []string{"", p.Patch.Name + " " + p.Patch.Version + where + ": " + w.Word(lang.PatchState, string(p.State))}
	if p.Reason != nil {
		lines[1] += ": " + w.Reason(*p.Reason)
	}
	for _, check := range p.Chain {
		mark := "✓"
		if !check.OK {
			mark = "✗"
		}
		line := fmt.Sprintf("  %s %s", mark, w.T("check."+string(check.Check)))
		if check.Reason != nil {
			line += ": " + w.Reason(*check.Reason)
		}
		lines = append(lines, line)
	}
	if p.Campaign == nil {
		lines = append(lines, "  "+w.T("patch.no_campaign"))
	}
	if !p.Next.IsZero() {
		lines = append(lines, "  → "+w.T("col.next")+": "+w.Brief(p.Next))
	}
	return c.say(lines...)
}
