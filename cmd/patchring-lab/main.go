// Command patchring-lab is the test and demo fleet of Patchring: real Debian hosts,
// each with systemd and an address of its own, on one Debian machine.
//
// It is flags and wiring only; package lab/fleet does the work.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"patchring/lab/fleet"
)

// The exit statuses, beside 0 and those of commands run by exec.
const (
	exitFailure     = 1
	exitUsage       = 2
	exitUnsupported = 3
	exitNotUp       = 4
)

func main() {
	fleet.Reexec()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, newCommand())
	stop()
	os.Exit(status)
}

// run executes the command and chooses the exit status.
func run(ctx context.Context, cmd *cobra.Command) int {
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if exit, ok := errors.AsType[exitStatus](err); ok {
		return int(exit)
	}
	fmt.Fprintln(cmd.ErrOrStderr(), "patchring-lab:", err)
	switch {
	case errors.Is(err, fleet.ErrUnsupported):
		return exitUnsupported
	case errors.Is(err, fleet.ErrNotUp):
		return exitNotUp
	case errors.Is(err, errUsage):
		return exitUsage
	}
	return exitFailure
}

// exitStatus is the status of a command that ran in a host: ours too, with nothing
// to add in words.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("status %d", int(s)) }

var errUsage = errors.New("wrong usage")

// target is what nearly every verb needs to know.
type target struct {
	dir  string
	name string
}

func (t target) attach(ctx context.Context) (*fleet.Fleet, error) {
	return fleet.Attach(ctx, t.dir, t.name)
}

func newCommand() *cobra.Command {
	var t target
	cmd := &cobra.Command{
		Use:   "patchring-lab",
		Short: "real Debian hosts to test and show Patchring on",
		Long: `patchring-lab brings up real Debian hosts on this machine, each with its own
systemd, network and disk, with real security updates pending from a partial
mirror, and a signed repository of packages that behave badly on purpose.

It needs root on a Debian machine and says so plainly elsewhere. A lab is for
throwing away: its verbs act at once and ask nothing.

Exit status: 0 done, 1 failed, 2 wrong usage, 3 no real hosts possible here,
4 no such lab is up; exec ends with the status of its command.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", errUsage, err) })
	cmd.PersistentFlags().StringVar(&t.dir, "dir", fleet.DefaultDir, "folder of the cached image and of all runs")
	cmd.PersistentFlags().StringVar(&t.name, "run", fleet.DefaultName, "name of the run, so that several can be up at once")
	cmd.AddCommand(
		newDepsCommand(), newBaseCommand(&t), newUpCommand(&t), newDownCommand(&t), newStatusCommand(&t),
		newExecCommand(&t), newForwardCommand(&t), newRepoCommand(&t), newTableCommand(), newSimCommand(), newDemoCommand(),
	)
	cmd.AddCommand(newHostCommands(&t)...)
	return cmd
}

// say prints what takes the time.
func say(cmd *cobra.Command) func(string) {
	return func(text string) { fmt.Fprintln(cmd.ErrOrStderr(), text) }
}
