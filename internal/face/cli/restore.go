package cli

import "github.com/spf13/cobra"

// Restore puts a backup in the place of a stopped server's database.
type Restore struct {
	File   string
	Config string
	Data   string
}

func (c *cli) restore() *cobra.Command {
	var o Restore
	cmd := &cobra.Command{
		Use: "restore FILE", Short: "Put a backup in the place of a stopped server's database",
		Long: `Put a backup in the place of a stopped server's database. What happened after
the backup is lost, and the register says so; the database that was there is
kept beside it. The keys are not in a backup: they must be in --data.
` + exitCodes,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.File = args[0]
			if err := c.confirm(c.words().T("cli.restore_plan", "file", o.File)); err != nil {
				return err
			}
			if err := c.Restore(cmd.Context(), o); err != nil {
				return err
			}
			return c.emit(map[string]string{"restored": o.File}, func() error { return c.say(c.words().T("cli.restored", "file", o.File)) })
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.Config, "config", "c", "", "the server's configuration file")
	flags.StringVar(&o.Data, "data", "", "the server's data directory (default /var/lib/patchring)")
	flags.BoolVar(&c.yes, "yes", false, "do not ask")
	flags.BoolVar(&c.json, "json", false, "write JSON")
	return cmd
}
