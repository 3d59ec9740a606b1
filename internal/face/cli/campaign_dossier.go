package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"patchring/internal/infra/view"
)

type dossierOptions struct {
	format, out, reason, check string
	issue                      bool
	revision                   int64
}

func (c *cli) campaignDossier() *cobra.Command {
	var o dossierOptions
	cmd := c.verb(verb{
		use: "dossier CAMPAIGN", short: "Write the dossier of a campaign, issue it, or check a file", args: 1,
		long: `A draft as things stand, in the language of --lang. With --issue it becomes the next
revision: its PDF, HTML and workbook are kept as they are, and their hashes are in
the register. --revision fetches one that was issued. --check says which revision a
file in hand is, or that it is none.

Without the server, "patchring register verify EXPORT --document FILE" says the same.`,
		example: `  patchring campaign dossier 2026-11 --format pdf --lang fr -o dossier.pdf
  patchring campaign dossier 2026-11 --issue --reason "For the verification"
  patchring campaign dossier 2026-11 --revision 1 --format xlsx -o dossier.xlsx
  patchring campaign dossier 2026-11 --check dossier.pdf`,
		run: func(ctx context.Context, api *client, args []string) error { return o.run(ctx, c, api, args[0]) },
	})
	flags := cmd.Flags()
	flags.StringVar(&o.format, "format", "pdf", "pdf, html or xlsx")
	flags.StringVarP(&o.out, "output", "o", "", "the file to write")
	flags.BoolVar(&o.issue, "issue", false, "issue the next revision")
	flags.StringVar(&o.reason, "reason", "", "what the revision is for: its line in the table of revisions")
	flags.Int64Var(&o.revision, "revision", 0, "a revision as it was issued")
	flags.StringVar(&o.check, "check", "", "a file: say which revision it is")
	return cmd
}

func (o dossierOptions) run(ctx context.Context, c *cli, api *client, name string) error {
	switch {
	case o.check != "":
		return o.checked(ctx, c, api)
	case o.issue:
		return o.issued(ctx, c, api, name)
	case o.reason != "":
		return usage{errors.New("--reason goes with --issue")}
	case o.out == "" && c.json:
		var d view.Dossier
		if err := api.get(ctx, path("campaigns", name, "dossier"), nil, &d); err != nil {
			return err
		}
		return c.emit(d, nil)
	case o.out == "":
		return usage{errors.New("say which file to write: -o dossier.pdf")}
	}
	return o.save(ctx, c, api, name)
}

func (o dossierOptions) save(ctx context.Context, c *cli, api *client, name string) error {
	query := filters("format", o.format, "lang", string(c.words().Lang()))
	if o.revision > 0 {
		query.Set("revision", fmt.Sprint(o.revision))
	}
	return c.saved(ctx, api, path("campaigns", name, "dossier", "file")+"?"+query.Encode(), o.out)
}

// issued issues the next revision, and writes its file where one is asked for.
func (o dossierOptions) issued(ctx context.Context, c *cli, api *client, name string) error {
	var r view.Revision
	if err := api.post(ctx, path("campaigns", name, "dossier"), body{"lang": string(c.words().Lang()), "reason": o.reason}, &r); err != nil {
		return err
	}
	if o.out != "" {
		o.revision = r.Number
		if err := o.save(ctx, c, api, name); err != nil || c.json {
			return err
		}
	}
	return c.emit(r, func() error {
		w := c.words()
		var out [][]string
		for _, f := range r.Files {
			out = append(out, []string{f.Format, w.Bytes(f.Size), f.SHA256})
		}
		if err := c.say(w.T("dossier.issued", "n", w.Number(r.Number))); err != nil {
			return err
		}
		return c.table([]string{"col.type", "col.size", "dossier.sha256"}, out)
	})
}

func (o dossierOptions) checked(ctx context.Context, c *cli, api *client) error {
	sum, err := fileHash(o.check)
	if err != nil {
		return err
	}
	var f view.IssuedFile
	if err := api.get(ctx, path("dossiers", sum), nil, &f); err != nil {
		return err
	}
	return c.emit(f, func() error {
		w := c.words()
		return c.say(w.T("dossier.is_revision", "n", w.Number(f.Revision), "name", f.Campaign.Name, "by", w.Actor(f.Actor), "at", w.Moment(f.At)))
	})
}

// fileHash is the SHA-256 of a file, in hex.
func fileHash(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("read the document: %w", err)
	}
	defer file.Close() // only read
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", fmt.Errorf("read the document: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
