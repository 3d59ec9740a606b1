package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"patchring/internal/service/conductor"
)

func (c *cli) procedureApply() *cobra.Command {
	var file string
	cmd := c.verb(verb{
		use: "apply -f FILE", short: "Keep a procedure file as the next version of its name",
		long: `Everything wrong with the file is listed, each with its line. The same text twice
is the same version. Campaigns that have begun keep theirs.`,
		run: func(ctx context.Context, api *client, _ []string) error {
			name, text, err := readText("procedure", file, c.In)
			if err != nil {
				return err
			}
			var applied conductor.Applied
			if err := api.post(ctx, "/procedures", body{"file": name, "text": text}, &applied); err != nil {
				return inFile(name, err)
			}
			for _, p := range applied.Warnings {
				c.tell(name + ":" + p.String() + "\n")
			}
			return c.emit(applied, func() error {
				w := c.words()
				return c.say(w.T("detail.procedure", "name", applied.Name, "version", w.Number(applied.Version)))
			})
		},
	})
	cmd.Flags().StringVarP(&file, "file", "f", "", "the procedure's file; - reads standard input")
	return cmd
}

// readText reads the file of a procedure or a policy.
func readText(what, file string, in io.Reader) (name, text string, err error) {
	switch file {
	case "":
		return "", "", usage{fmt.Errorf("no %s: name its file with -f", what)}
	case "-":
		raw, err := io.ReadAll(in)
		return "stdin", string(raw), err
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", "", fmt.Errorf("read %s: %w", what, err)
	}
	return filepath.Base(file), string(raw), nil
}
