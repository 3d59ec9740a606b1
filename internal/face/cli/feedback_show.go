package cli

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"patchring/internal/core/incident"
	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
)

func (c *cli) feedbackShow() *cobra.Command {
	return c.verb(verb{
		use: "show ID", short: "Show what somebody said, with what was known of the device then", args: 1,
		long:    "Of what is broken: the campaign's patches on the device, its probes, its last sample\nand its latest events, as they were when it was said.",
		example: `  patchring feedback show 0195e1c4`,
		run: func(ctx context.Context, api *client, args []string) error {
			var f view.FeedbackDetail
			if err := api.get(ctx, path("feedback", args[0]), nil, &f); err != nil {
				return err
			}
			return c.emit(f, func() error { return c.showFeedback(f) })
		},
	})
}

func (c *cli) showFeedback(f view.FeedbackDetail) error {
	w := c.words()
	about, opened := "", ""
	if f.Patch != nil {
		about = strings.TrimSpace(f.Patch.Name + " " + f.Patch.Version)
	}
	if f.Incident != nil {
		opened = f.Incident.Title + " (" + f.Incident.ID + ")"
	}
	err := c.fields("col.id", f.ID, "col.when", when(w, f.At), "col.device", f.Device.Name, "col.campaign", strings.TrimSpace(f.Campaign.Name+" "+f.Ring),
		"col.patch", about, "col.state", w.Word(lang.Feedback, f.Says), "col.why", f.Words, "col.incident", opened)
	if err != nil || f.Diagnosis == nil {
		return err
	}
	return c.showDiagnosis(*f.Diagnosis)
}

func (c *cli) showDiagnosis(d incident.Diagnosis) error {
	w := c.words()
	if err := c.say(w.T("feedback.diagnosis") + ", " + when(w, d.At)); err != nil {
		return err
	}
	for _, p := range d.Patches {
		line := "  " + p.Name + " " + p.Version + ": " + w.Word(lang.PatchState, p.State)
		if p.Reason != nil {
			line += ", " + w.Reason(*p.Reason)
		}
		if err := c.say(line); err != nil {
			return err
		}
	}
	for _, p := range d.Probes {
		line := "  " + p.Name + ": " + w.Word(lang.ProbeState, p.State) + ", " + when(w, p.Since)
		if p.Cause != nil {
			line += ", " + w.Reason(*p.Cause)
		}
		if err := c.say(line); err != nil {
			return err
		}
	}
	if d.Sample != nil {
		for _, m := range slices.Sorted(maps.Keys(d.Sample.Values)) {
			if err := c.say("  " + w.Word(lang.Measure, string(m)) + ": " + w.Measured(m, d.Sample.Values[m])); err != nil {
				return err
			}
		}
	}
	for _, e := range d.Events {
		if err := c.say("  " + w.Brief(e.At) + " " + w.Word(lang.Act, e.Kind)); err != nil {
			return err
		}
	}
	return nil
}
