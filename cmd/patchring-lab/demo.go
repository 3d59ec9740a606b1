package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"patchring/lab/demo"
)

func newDemoCommand() *cobra.Command {
	var o demo.Options
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Carry one real patch campaign through its rings on a fleet of real hosts",
		Long: `Brings up real Debian hosts, starts the server, enrols an agent in each host,
applies the example procedure with its calendar compressed, and shows the
campaign until Ctrl-C, which takes everything down.

With --once it signs the gates by itself, runs to the end, writes
demo/out/summary.json and exits: 0, or another status with the reason.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Root, err = checkout(o.Root); err != nil {
				return err
			}
			o.Out = cmd.OutOrStdout()
			return demo.Run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Root, "root", "", "the checkout (default: the folder above this program's)")
	f.IntVar(&o.Hosts, "hosts", demo.DefaultHosts, "how many hosts")
	f.BoolVar(&o.Once, "once", false, "sign the gates, run to the end, write the summary")
	f.DurationVar(&o.Day, "day", demo.DefaultDay, "how long a procedure day lasts")
	f.StringVar(&o.Listen, "listen", demo.DefaultListen, "where this machine reaches the console")
	f.StringSliceVar(&o.Packages, "packages", nil, "cases of the lab's repository on every host, beside Debian's updates")
	return cmd
}

// checkout finds the folder that has examples/: the binaries are in its bin/.
func checkout(root string) (string, error) {
	if root == "" {
		exe, err := os.Executable()
		if err != nil {
			return "", fmt.Errorf("find own program: %w", err)
		}
		root = filepath.Dir(filepath.Dir(exe))
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return "", fmt.Errorf("find checkout: %w", err)
	}
	if _, err := os.Stat(filepath.Join(root, "examples", "procedures")); err != nil {
		return "", fmt.Errorf("%s is no checkout of this project (give --root): %w", root, err)
	}
	return root, nil
}
