package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/spf13/cobra"

	"patchring/internal/core/alert"
	"patchring/internal/core/fault"
	"patchring/internal/core/manifest"
	"patchring/internal/service/watch"
)

// rulesFile is the flag of the verbs that read a document of alert rules.
func rulesFile(cmd *cobra.Command, file *string) *cobra.Command {
	cmd.Flags().StringVarP(file, "file", "f", "", "the document's file; - reads standard input")
	return cmd
}

func (c *cli) alertRuleApply() *cobra.Command {
	var file string
	return rulesFile(c.verb(verb{
		use: "apply -f FILE", short: "Put a document of rules and outputs in force", asks: true,
		long: `Everything wrong with the file is listed, each with its line, and nothing is
changed. What it changes is shown, as "alert rule diff" does, with every rule that
acts by itself; it is in force after a yes. The same text twice is the same version. Open alerts whose rule is no more
in it are over, and nobody is told. Secrets are never written in it: file:NAME is a
file in the server's directory of secrets, env:PATCHRING_SECRET_NAME a variable.`,
		run: func(ctx context.Context, api *client, _ []string) error {
			name, text, err := readText("document of alert rules", file, c.In)
			if err != nil {
				return err
			}
			if err := c.askOfRules(ctx, api, name, text); err != nil {
				return err
			}
			var applied watch.AppliedBook
			if err := api.post(ctx, "/alert-rules", body{"file": name, "text": text}, &applied); err != nil {
				return inFile(name, err)
			}
			c.warnOfRules(name, applied.CheckedBook)
			return c.emit(applied, func() error {
				w, id := c.words(), "alert.applied"
				if applied.Unchanged {
					id = "alert.unchanged"
				}
				return c.say(w.T(id, "name", applied.Name, "version", w.Number(applied.Version)))
			})
		},
	}), &file)
}

func (c *cli) warnOfRules(file string, checked watch.CheckedBook) {
	for _, p := range checked.Warnings {
		c.tell(file + ":" + p.String() + "\n")
	}
}

func (c *cli) alertRuleCheck() *cobra.Command {
	var file string
	return rulesFile(c.verb(verb{
		use: "check -f FILE", short: "Say what is wrong with a document of alert rules", offline: true,
		long: `It needs no server: the file is read here, as a server would.`,
		run: func(_ context.Context, _ *client, _ []string) error {
			name, text, err := readText("document of alert rules", file, c.In)
			if err != nil {
				return err
			}
			b, err := alert.Parse(name, []byte(text))
			var wrong *manifest.Error
			if errors.As(err, &wrong) {
				return inFile(name, &refused{
					Status: http.StatusUnprocessableEntity, Code: fault.InvalidField, Problems: wrong.Problems,
					Args: map[string]string{"field": "file", "problem": strconv.Itoa(len(wrong.Problems)) + " problems"},
				})
			}
			if err != nil {
				return err
			}
			checked := watch.CheckedBook{Name: b.Name, Rules: len(b.Rules), Outputs: len(b.Outputs), Warnings: append([]manifest.Problem{}, b.Warnings...)}
			c.warnOfRules(name, checked)
			return c.emit(checked, func() error {
				w := c.words()
				return c.say(w.T("alert.sound", "name", b.Name, "rules", w.Number(int64(len(b.Rules))), "outputs", w.Number(int64(len(b.Outputs)))))
			})
		},
	}), &file)
}

func (c *cli) alertRuleList() *cobra.Command {
	return c.verb(verb{
		use: "list", short: "List the versions of the rules, the one in force first",
		run: func(ctx context.Context, api *client, _ []string) error {
			var list []watch.BookVersion
			if err := api.get(ctx, "/alert-rules", nil, &list); err != nil {
				return err
			}
			return c.emit(list, func() error {
				w := c.words()
				out := make([][]string, 0, len(list))
				for _, v := range list {
					out = append(out, []string{w.Number(v.Version), v.Name, when(w, v.At), w.Actor(v.By)})
				}
				return c.table([]string{"col.version", "col.rules", "col.applied", "col.by"}, out)
			})
		},
	})
}

func (c *cli) alertRuleShow() *cobra.Command {
	return c.verb(verb{
		use: "show [VERSION]", short: "Write the text of the rules in force, or of a version", optional: 1,
		long:    `Where none was ever applied these are the rules that hold without any.`,
		example: `  patchring alert rule show > alerts.yaml`,
		run: func(ctx context.Context, api *client, args []string) error {
			version := "0"
			if len(args) > 0 {
				if n, err := strconv.ParseInt(args[0], 10, 64); err != nil || n < 1 {
					return usage{fmt.Errorf("version %q: write a number of \"patchring alert rule list\"", args[0])}
				}
				version = args[0]
			}
			var b watch.BookVersion
			if err := api.get(ctx, path("alert-rules", version), nil, &b); err != nil {
				return err
			}
			return c.emit(b, func() error {
				_, err := fmt.Fprint(c.Out, b.Body)
				return err
			})
		},
	})
}
