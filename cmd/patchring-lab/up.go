package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"patchring/lab/fleet"
)

type upOptions struct {
	suite    string
	light    bool
	names    []string
	share    string
	packages []string
	onHosts  []string
}

func newUpCommand(t *target) *cobra.Command {
	var o upOptions
	cmd := &cobra.Command{
		Use:   "up [N]",
		Short: "bring up N hosts of the inventory, or those of --names",
		Long: `Bring up hosts and return when all have booted. They stay up until 'down'.
What a killed lab of the same name left behind is removed first.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runUp(cmd, *t, o, args) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.suite, "suite", fleet.DefaultSuite, "Debian release of the hosts")
	flags.BoolVar(&o.light, "light", false, "hosts without systemd: many hosts, no services")
	flags.StringSliceVar(&o.names, "names", nil, "names of the hosts, instead of N")
	flags.StringVar(&o.share, "share", "", "folder that hosts see, read-only, at "+fleet.SharePath)
	flags.StringSliceVar(&o.packages, "packages", nil, "lab packages that every host starts with (see 'repo cases')")
	flags.StringArrayVar(&o.onHosts, "on", nil, "HOST=PKG,PKG: further lab packages for one host")
	return cmd
}

func runUp(cmd *cobra.Command, t target, o upOptions, args []string) error {
	hosts, err := o.hosts(args)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	onHosts, err := parseOnHosts(o.onHosts)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	ctx := cmd.Context()
	if err := fleet.InstallTools(ctx, say(cmd)); err != nil {
		return err
	}
	f, err := fleet.Open(ctx, fleet.Config{
		Dir: t.dir, Name: t.name, Suite: o.suite, Hosts: hosts, Light: o.light, Share: o.share,
		Packages: o.packages, HostPackages: onHosts, Detached: true, Say: say(cmd),
	})
	if err != nil {
		return err
	}
	if err := printStatus(cmd, f, false); err != nil {
		return err
	}
	return f.Close()
}

func (o upOptions) hosts(args []string) ([]fleet.Host, error) {
	if len(o.names) > 0 && len(args) > 0 {
		return nil, fmt.Errorf("give a number of hosts or their names, not both")
	}
	if len(o.names) > 0 {
		return fleet.Named(o.names)
	}
	if len(args) == 0 {
		return nil, fmt.Errorf("how many hosts?")
	}
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return nil, fmt.Errorf("%q is not a number of hosts", args[0])
	}
	return fleet.Table(n)
}

// parseOnHosts reads values such as IT-PC-01=lab-good,lab-svc.
func parseOnHosts(values []string) (map[string][]string, error) {
	all := map[string][]string{}
	for _, value := range values {
		host, packages, ok := strings.Cut(value, "=")
		if !ok || host == "" || packages == "" {
			return nil, fmt.Errorf("--on %q is not HOST=PKG,PKG", value)
		}
		all[host] = append(all[host], strings.Split(packages, ",")...)
	}
	return all, nil
}

func newDownCommand(t *target) *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "end the lab and remove every trace of it; the image stays",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return fleet.Down(cmd.Context(), t.dir, t.name)
		},
	}
}
