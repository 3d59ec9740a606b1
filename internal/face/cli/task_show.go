package cli

import (
	"context"

	"github.com/spf13/cobra"

	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
)

func (c *cli) taskShow() *cobra.Command {
	var save string
	cmd := c.verb(verb{
		use: "show ID", short: "Show a manual task with what was shown for it", args: 1,
		run: func(ctx context.Context, api *client, args []string) error {
			var t view.TaskDetail
			if err := api.get(ctx, path("tasks", args[0]), nil, &t); err != nil {
				return err
			}
			if save != "" {
				if err := c.saveProof(ctx, api, t, save); err != nil {
					return err
				}
			}
			return c.emit(t, func() error { return c.showTask(t) })
		},
	})
	cmd.Flags().StringVar(&save, "save", "", "write the latest proof's file here")
	return cmd
}

func (c *cli) saveProof(ctx context.Context, api *client, t view.TaskDetail, file string) error {
	for _, p := range t.Proofs {
		if p.File != "" {
			_, err := api.save(ctx, path("tasks", t.ID, "proofs", p.ID), file)
			return err
		}
	}
	return usage{errNoFile}
}

func (c *cli) showTask(t view.TaskDetail) error {
	w := c.words()
	where, in, about := "", "", ""
	if t.Device != nil {
		where = t.Device.Name
	}
	if t.Campaign != nil {
		in = t.Campaign.Name
	}
	if t.Patch != nil {
		about = t.Patch.Name + " " + t.Patch.Version
	}
	err := c.fields("col.title", t.Title, "col.id", t.ID, "col.state", w.Word(lang.TaskState, string(t.State)), "task.what", t.What, "col.device", where,
		"col.campaign", in, "col.ring", t.Ring, "col.patch", about, "col.owner", w.Role(t.Owner), "task.escalate_to", w.Role(t.EscalateTo),
		"task.escalates", when(w, t.Escalates), "col.due", when(w, t.Due), "task.next", when(w, t.Next), "col.proof", w.Word(lang.ProofKind, string(t.Proof)),
		"col.by", w.Actor(t.Actor), "col.created", when(w, t.Created), "col.closed", when(w, t.Closed))
	if err != nil {
		return err
	}
	for _, p := range t.Proofs {
		line := w.Brief(p.At) + " " + w.Actor(p.Actor) + ": " + w.Word(lang.ProofKind, string(p.Kind))
		switch {
		case p.File != "":
			line += ": " + p.File + " (" + w.Bytes(p.Size) + ", SHA-256 " + p.SHA256 + ")"
		case p.Text != "":
			line += ": " + p.Text
		}
		if p.Output != "" {
			line += "\n" + p.Output
		}
		if err := c.say(line); err != nil {
			return err
		}
	}
	return nil
}
