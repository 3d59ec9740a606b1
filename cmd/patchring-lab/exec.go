package main

import (
	"errors"
	"os"
	"os/exec"

	"github.com/spf13/cobra"
	"patchring/lab/fleet"
)

func newExecCommand(t *target) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "exec HOST [--] COMMAND...",
		Short: "run a command in a host, or on the server's side when HOST is lan",
		Long: `Run a command in a host, as root, with this terminal's input and output. HOST
may be "lan": the lab's network with this machine's files, where hosts reach a
server at ` + fleet.ServerAddress + `.`,
		Args: atLeastOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := t.attach(cmd.Context())
			if err != nil {
				return err
			}
			inside, err := f.Command(cmd.Context(), args[0], command(args[1:])...)
			if err != nil {
				return err
			}
			inside.Stdin, inside.Stdout, inside.Stderr = os.Stdin, os.Stdout, os.Stderr
			err = inside.Run()
			if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() > 0 {
				return exitStatus(exit.ExitCode())
			}
			return err
		},
	}
	cmd.Flags().SetInterspersed(false) // options after HOST are the command's
	return cmd
}

// command is what follows HOST, without the "--" that may stand between.
func command(args []string) []string {
	if len(args) > 0 && args[0] == "--" {
		return args[1:]
	}
	return args
}

func newForwardCommand(t *target) *cobra.Command {
	return &cobra.Command{
		Use:   "forward LISTEN TARGET",
		Short: "carry connections from this machine into the lab's network",
		Long: `Listen on an address of this machine, such as 127.0.0.1:8443, and carry each
connection to an address in the lab's network, such as 10.99.0.1:8443, until
interrupted.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := t.attach(cmd.Context())
			if err != nil {
				return err
			}
			address, err := f.Forward(args[0], args[1])
			if err != nil {
				return err
			}
			say(cmd)("forwarding " + address.String() + " to " + args[1])
			<-cmd.Context().Done()
			return f.Close()
		},
	}
}
