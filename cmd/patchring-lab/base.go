package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"patchring/lab/fleet"
)

func newDepsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "deps",
		Short: "install the Debian packages that the lab needs",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := fleet.InstallTools(cmd.Context(), say(cmd)); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "every program that the lab needs is installed")
			return nil
		},
	}
}

func newBaseCommand(t *target) *cobra.Command {
	var suite string
	var refresh bool
	cmd := &cobra.Command{
		Use:   "base",
		Short: "build the image that hosts stand on, once",
		Long: `Build the cached image: a Debian root, and a partial mirror of the security
updates pending for it. A second call finds it ready. It takes one to two minutes
and downloads some 150 MB; 'up' does it by itself when needed.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			if err := fleet.InstallTools(ctx, say(cmd)); err != nil {
				return err
			}
			if refresh {
				if err := fleet.RemoveImage(ctx, t.dir, suite); err != nil {
					return err
				}
			}
			image, err := fleet.MakeImage(ctx, t.dir, suite, say(cmd))
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s, %d updates pending\n", image.Dir, image.Suite, len(image.Pending))
			return nil
		},
	}
	cmd.Flags().StringVar(&suite, "suite", fleet.DefaultSuite, "Debian release: bullseye, bookworm or trixie")
	cmd.Flags().BoolVar(&refresh, "refresh", false, "forget the cached image first; no lab of it may be up")
	return cmd
}
