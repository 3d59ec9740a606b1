package cli

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/spf13/cobra"

	"patchring/internal/core/fault"
	"patchring/internal/core/manifest"
	"patchring/internal/core/policy"
	"patchring/internal/service/rulebook"
)

func (c *cli) policyCheck() *cobra.Command {
	var file string
	var all bool
	return forAllTenants(policyFile(c.verb(verb{
		use: "check -f FILE", short: "Say what is wrong with a policy file", offline: true,
		long: `Problems and warnings need no server: the file is read here. Logged in, the
server also plays its catalogue of the last twelve months over, and names what
the policy would never have let through; without a login that is left out, and
said.`,
		run: func(ctx context.Context, api *client, _ []string) error {
			name, text, err := readText("policy", file, c.In)
			if err != nil {
				return err
			}
			checked, err := checkHere(name, text)
			if err != nil {
				return err
			}
			if api == nil {
				c.tell(c.words().T("policy.no_figures") + "\n")
			} else if err := api.weigh(ctx, policies(all)+"/check", body{"file": name, "text": text}, &checked); err != nil {
				return inFile(name, err)
			}
			c.warnOfPolicy(name, checked)
			return c.emit(checked, func() error { return c.say(c.words().T("policy.sound", "name", checked.Name)) })
		},
	}), &file), &all)
}

// checkHere reads a policy without a server, and refuses as a server does.
func checkHere(name, text string) (rulebook.Checked, error) {
	p, err := policy.Parse(name, []byte(text))
	var wrong *manifest.Error
	switch {
	case errors.As(err, &wrong):
		return rulebook.Checked{}, inFile(name, &refused{
			Status: http.StatusUnprocessableEntity, Code: fault.InvalidField, Problems: wrong.Problems,
			Args: map[string]string{"field": "file", "problem": strconv.Itoa(len(wrong.Problems)) + " problems"},
		})
	case err != nil:
		return rulebook.Checked{}, err
	}
	return rulebook.Checked{Name: p.Name, Warnings: append([]manifest.Problem{}, p.Warnings...), Starved: []policy.Starved{}}, nil
}
