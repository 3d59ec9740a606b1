package cli

import (
	"runtime"

	"github.com/spf13/cobra"
)

func (c *cli) version() *cobra.Command {
	cmd := &cobra.Command{
		Use: "version", Short: "Show the program's version", Args: noVerb,
		RunE: func(*cobra.Command, []string) error {
			v := map[string]string{"version": c.Version, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}
			return c.emit(v, func() error { return c.say("patchring " + c.Version + " (" + v["go"] + " " + v["platform"] + ")") })
		},
	}
	cmd.Flags().BoolVar(&c.json, "json", false, "write JSON")
	return cmd
}
