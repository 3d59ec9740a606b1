package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"patchring/lab/aptrepo"
	"patchring/lab/fleet"
)

func newRepoCommand(t *target) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "repo",
		Short: "change the lab's own repository while hosts look on",
		Long: `The lab's repository has small packages that each behave in one way that patching
has to cope with. add, drop and build change what is planned; publish makes it
visible to hosts; supersede does both.`,
	}
	cmd.AddCommand(
		newRepoCasesCommand(),
		repoVerb(t, "list", "show what is planned", noArgs, printPlan),
		repoVerb(t, "build", "plan what a new lab publishes", noArgs, func(cmd *cobra.Command, r *aptrepo.Repo, _ []string) error {
			return r.Reset(cmd.Context())
		}),
		repoVerb(t, "add PKG VERSION...", "plan versions that were kept for later", atLeastTwo, func(cmd *cobra.Command, r *aptrepo.Repo, args []string) error {
			return r.Add(cmd.Context(), versions(args)...)
		}),
		repoVerb(t, "drop PKG VERSION...", "plan that versions disappear", atLeastTwo, func(cmd *cobra.Command, r *aptrepo.Repo, args []string) error {
			return r.Drop(cmd.Context(), versions(args)...)
		}),
		repoVerb(t, "publish", "make the plan visible to hosts", noArgs, func(cmd *cobra.Command, r *aptrepo.Repo, _ []string) error {
			return r.Publish(cmd.Context())
		}),
		repoVerb(t, "supersede PKG OLD NEW", "publish NEW in the place of OLD, whose file is gone", cobra.ExactArgs(3), func(cmd *cobra.Command, r *aptrepo.Repo, args []string) error {
			return r.Supersede(cmd.Context(), args[0], args[1], args[2])
		}),
	)
	return cmd
}

func repoVerb(t *target, use, short string, args cobra.PositionalArgs, do func(*cobra.Command, *aptrepo.Repo, []string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: args,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := t.attach(cmd.Context())
			if err != nil {
				return err
			}
			return errors.Join(do(cmd, f.Repo(), args), f.Close())
		},
	}
}

func atLeastTwo(cmd *cobra.Command, args []string) error {
	if err := cobra.MinimumNArgs(2)(cmd, args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	return nil
}

func versions(args []string) []aptrepo.ID {
	var ids []aptrepo.ID
	for _, v := range args[1:] {
		ids = append(ids, aptrepo.ID{Package: args[0], Version: v})
	}
	return ids
}

func printPlan(cmd *cobra.Command, r *aptrepo.Repo, _ []string) error {
	plan, err := r.Plan()
	if err != nil {
		return err
	}
	for _, id := range plan.Published {
		fmt.Fprintln(cmd.OutOrStdout(), id)
	}
	return nil
}

func newRepoCasesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cases",
		Short: "show the lab's packages and how each behaves",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, c := range aptrepo.Cases() {
				var numbers []string
				for _, v := range c.Versions {
					numbers = append(numbers, v.Number)
				}
				fmt.Fprintf(w, "%s\t%s\t%s\n", c.Package, strings.Join(numbers, " "), c.About)
			}
			return w.Flush()
		},
	}
}

func newTableCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "table N",
		Short: "show the inventory: names, departments, kinds and owners of N hosts",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := strconv.Atoi(args[0])
			if err != nil {
				return fmt.Errorf("%w: %q is not a number of hosts", errUsage, args[0])
			}
			hosts, err := fleet.Table(n)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), hosts)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "HOST\tADDRESS\tKIND\tDEPARTMENT\tSITE\tRING\tOWNER\tTAGS")
			for _, h := range hosts {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", h.Name, h.Address, h.Kind, h.Department, h.Site, h.Ring, h.Owner, strings.Join(h.Tags, " "))
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
