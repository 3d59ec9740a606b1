package cli

import (
	"context"

	"github.com/spf13/cobra"

	"patchring/internal/service/rulebook"
)

// policyFile is the flag of the verbs that read a policy's file.
func policyFile(cmd *cobra.Command, file *string) *cobra.Command {
	cmd.Flags().StringVarP(file, "file", "f", "", "the policy's file; - reads standard input")
	return cmd
}

// forAllTenants is the flag of the verbs that can speak for the whole site.
func forAllTenants(cmd *cobra.Command, all *bool) *cobra.Command {
	cmd.Flags().BoolVar(all, "all-tenants", false, "of all tenants, under each one's own")
	return cmd
}

// policies is the path of the tenant's policy, or of the one for all tenants.
func policies(all bool) string {
	if all {
		return "/all-tenants/policies"
	}
	return "/policies"
}

func (c *cli) policyApply() *cobra.Command {
	var file string
	var all bool
	return forAllTenants(policyFile(c.verb(verb{
		use: "apply -f FILE", short: "Put a policy file in force",
		long: `Everything wrong with the file is listed, each with its line, and nothing is
changed. What is allowed and probably not meant is warned of, with figures from
the catalogue of the last twelve months. The same text twice is the same version.
Open campaigns decide again at once; see "policy diff" first.

With --all-tenants it is the policy for all tenants, which stands under each one's
own: for administrators of the first tenant, and in every tenant's register.`,
		run: func(ctx context.Context, api *client, _ []string) error {
			name, text, err := readText("policy", file, c.In)
			if err != nil {
				return err
			}
			var applied rulebook.AppliedPolicy
			if err := api.post(ctx, policies(all), body{"file": name, "text": text}, &applied); err != nil {
				return inFile(name, err)
			}
			c.warnOfPolicy(name, applied.Checked)
			return c.emit(applied, func() error {
				w, id := c.words(), "policy.applied"
				if applied.Unchanged {
					id = "policy.unchanged"
				}
				return c.say(w.T(id, "name", applied.Name, "version", w.Number(applied.Version)))
			})
		},
	}), &file), &all)
}

// warnOfPolicy says what is allowed and probably not meant, beside the answer.
func (c *cli) warnOfPolicy(file string, checked rulebook.Checked) {
	for _, p := range checked.Warnings {
		c.tell(file + ":" + p.String() + "\n")
	}
	for _, line := range c.starvedLines(checked) {
		c.tell(line + "\n")
	}
}

func (c *cli) starvedLines(checked rulebook.Checked) []string {
	w := c.words()
	var out []string
	for _, s := range checked.Starved {
		out = append(out, w.N("policy.starved", int64(s.Versions), "rule", w.Rule(s.Rule), "what", s.Name+" ("+s.Suite+")"))
	}
	return out
}
