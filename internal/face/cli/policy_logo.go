package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

type policyLogoOptions struct {
	set, output string
	remove      bool
}

func (c *cli) policyLogo() *cobra.Command {
	var o policyLogoOptions
	cmd := c.verb(verb{
		use: "logo", short: "Change, fetch or remove the logo that people see on pages and notices",
		long: "A PNG or JPEG of at most 2 MiB. The server draws it again, at most 320 × 96.",
		example: `  patchring policy logo --set logo.png
  patchring policy logo --output now.png
  patchring policy logo --remove`,
		run: func(ctx context.Context, api *client, _ []string) error { return o.run(ctx, c, api) },
	})
	flags := cmd.Flags()
	flags.StringVar(&o.set, "set", "", "file with the new logo")
	flags.StringVar(&o.output, "output", "", "file to write the logo to")
	flags.BoolVar(&o.remove, "remove", false, "show no logo any more")
	return cmd
}

func (o policyLogoOptions) run(ctx context.Context, c *cli, api *client) error {
	switch {
	case o.set != "" && o.output == "" && !o.remove:
		content, err := os.ReadFile(o.set)
		if err != nil {
			return fmt.Errorf("read the logo: %w", err)
		}
		if err := api.send(ctx, http.MethodPut, "/logo", body{"file": content}, nil); err != nil {
			return err
		}
		return c.done(o.set)
	case o.remove && o.set == "" && o.output == "":
		if err := api.send(ctx, http.MethodDelete, "/logo", nil, nil); err != nil {
			return err
		}
		return c.done("logo")
	case o.output != "" && o.set == "" && !o.remove:
		return o.fetch(ctx, c, api)
	}
	return usage{errors.New("give one of --set FILE, --output FILE and --remove")}
}

func (o policyLogoOptions) fetch(ctx context.Context, c *cli, api *client) (err error) {
	file, err := os.CreateTemp(filepath.Dir(o.output), ".logo-*")
	if err != nil {
		return fmt.Errorf("write the logo: %w", err)
	}
	_, err = api.download(ctx, "/logo", file)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), o.output)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return c.done(o.output)
}
