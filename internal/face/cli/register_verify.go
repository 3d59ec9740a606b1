package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"patchring/internal/core/register"
)

type verifyOptions struct{ key string }

// verifyResult is the outcome for programs.
type verifyResult struct {
	OK          bool          `json:"ok"`
	Form        register.Form `json:"form,omitempty"`
	Tenant      string        `json:"tenant"`
	Device      string        `json:"device,omitempty"`
	Entries     int64         `json:"entries"`
	Size        int64         `json:"size"`
	Root        string        `json:"root"`
	Key         string        `json:"key"`
	KeyFromFile bool          `json:"key_from_file,omitempty"`
	Flaw        register.Flaw `json:"flaw,omitempty"`
	First       int64         `json:"first"`
	Last        int64         `json:"last"`
	Detail      string        `json:"detail,omitempty"`
}

func (c *cli) registerVerify() *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use: "verify [FILE]", Short: "Verify an export or a passport offline, or the server's own register",
		Long: `Verify an export or a passport: no server is asked. Give the register's public
key with --key; without it the one in the file is used, which shows damage but
not a forger with a key of his own.

Without a file, the server verifies the register where it keeps it.

Exit codes:
  0  every entry fits
  1  it could not be read
  2  the flags make no sense
  3  it does not verify; the first entry that does not fit is named`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			result, err := o.run(cmd.Context(), c, args)
			if err != nil {
				return err
			}
			if err := c.emit(result, func() error { return c.sayVerified(result) }); err != nil {
				return err
			}
			if !result.OK {
				return doesNotVerify{result}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&o.key, "key", "", "the register's public key")
	cmd.Flags().BoolVar(&c.json, "json", false, "write JSON")
	return cmd
}

// doesNotVerify is the error of a register that was changed.
type doesNotVerify struct{ verifyResult }

// Error implements error.
func (d doesNotVerify) Error() string { return d.Detail }

// ExitCode is what the help promises.
func (d doesNotVerify) ExitCode() int { return exitRefused }

func (o verifyOptions) run(ctx context.Context, c *cli, args []string) (verifyResult, error) {
	if len(args) == 0 {
		api, err := c.connect()
		if err != nil {
			return verifyResult{}, err
		}
		var result verifyResult
		err = api.post(ctx, "/register/verify", nil, &result)
		return result, err
	}
	file, err := os.Open(args[0])
	if err != nil {
		return verifyResult{}, fmt.Errorf("read the register: %w", err)
	}
	defer file.Close() // only read
	found, err := register.Verify(file, register.Trust{Key: o.key})
	result := verifyResult{
		OK: err == nil, Form: found.Form, Tenant: found.Tenant, Device: found.Device, Entries: found.Entries, Size: found.Checkpoint.Size,
		Root: found.Checkpoint.Root.String(), Key: found.Key, KeyFromFile: found.KeyFromFile, First: -1, Last: -1,
	}
	var broken *register.Broken
	if errors.As(err, &broken) {
		result.Flaw, result.First, result.Last, result.Detail = broken.Flaw, broken.First, broken.Last, broken.Error()
		return result, nil
	}
	return result, err
}

func (c *cli) sayVerified(r verifyResult) error {
	w := c.words()
	if !r.OK {
		return c.say(w.T("cli.not_verified", "entry", w.Number(r.First), "flaw", w.T("flaw."+string(r.Flaw))))
	}
	lines := []string{w.N("cli.verified", r.Entries, "tenant", r.Tenant, "root", r.Root)}
	if r.KeyFromFile {
		lines = append(lines, w.T("cli.key_from_file", "key", r.Key))
	}
	return c.say(lines...)
}
