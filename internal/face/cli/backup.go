package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

func (c *cli) backup() *cobra.Command {
	return c.verb(verb{
		use: "backup FILE", short: "Write a consistent copy of the server's database", args: 1,
		long: `The server goes on working. The keys are not in the copy, because whoever has
them can sign orders: keep a copy of the server's keys directory apart. A server
on PostgreSQL refuses: use pg_dump.`,
		run: func(ctx context.Context, api *client, args []string) error {
			n, err := api.save(ctx, "/backup", args[0])
			if err != nil {
				return err
			}
			return c.emit(map[string]any{"file": args[0], "bytes": n}, func() error {
				w := c.words()
				return c.say(w.T("cli.saved", "file", args[0], "size", w.Bytes(n)))
			})
		},
	})
}

// save downloads into a file that is there whole or not at all.
func (c *client) save(ctx context.Context, from, to string) (n int64, err error) {
	file, err := os.OpenFile(to+".part", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, fmt.Errorf("write %s: %w", to, err)
	}
	n, err = c.download(ctx, from, file)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), to)
	}
	if err != nil {
		return 0, errors.Join(err, os.Remove(file.Name()))
	}
	return n, nil
}
