package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"patchring/lab/fleet"
)

// newHostCommands are the verbs that do one thing to some hosts.
func newHostCommands(t *target) []*cobra.Command {
	verbs := []struct {
		use, short string
		do         func(*fleet.Fleet, context.Context, string) error
	}{
		{"cut", "take hosts off the network; they stay off over reboots", (*fleet.Fleet).Cut},
		{"heal", "put hosts back on the network", (*fleet.Fleet).Heal},
		{"reboot", "have hosts reboot, and wait until they are up", (*fleet.Fleet).Reboot},
		{"power-cut", "stop hosts as if their cable was pulled; they stay off", (*fleet.Fleet).PowerCut},
		{"power-on", "boot hosts that are off, with the disk they had", (*fleet.Fleet).PowerOn},
		{"reset", "give hosts a fresh disk and boot them", (*fleet.Fleet).Reset},
	}
	var commands []*cobra.Command
	for _, v := range verbs {
		commands = append(commands, &cobra.Command{
			Use:   v.use + " HOST...",
			Short: v.short,
			Args:  atLeastOne,
			RunE: func(cmd *cobra.Command, hosts []string) error {
				f, err := t.attach(cmd.Context())
				if err != nil {
					return err
				}
				for _, h := range hosts {
					if err := v.do(f, cmd.Context(), h); err != nil {
						return err
					}
				}
				return f.Close()
			},
		})
	}
	return commands
}

func noArgs(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	return nil
}

func atLeastOne(cmd *cobra.Command, args []string) error {
	if err := cobra.MinimumNArgs(1)(cmd, args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	return nil
}
