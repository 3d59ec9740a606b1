package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"patchring/internal/core/task"
)

var (
	errNoFile   = errors.New("no file was shown for this task")
	errOneProof = errors.New("show one proof: --text, --file, --command with --output, or --rescan")
)

type taskCloseOptions struct {
	text, file, command, output string
	rescan                      bool
}

func (c *cli) taskClose() *cobra.Command {
	var o taskCloseOptions
	cmd := c.verb(verb{
		use: "close ID", short: "Close a manual task on a proof", args: 1,
		long: `One proof is needed: a text, a file of at most 1 MiB, a command with what it
said, or a re-scan, which the server checks: the device has scanned since the
task was opened and no longer misses the patch.`,
		example: `  patchring task close 0195e1c4 --text "restarted, the till prints"
  patchring task close 0195e1c4 --file till.jpg
  systemctl status cups | patchring task close 0195e1c4 --command "systemctl status cups" --output -
  patchring task close 0195e1c4 --rescan`,
		run: func(ctx context.Context, api *client, args []string) error {
			ask, err := o.proof(c.In)
			if err != nil {
				return err
			}
			if err := api.post(ctx, path("tasks", args[0], "close"), ask, nil); err != nil {
				return err
			}
			return c.done(args[0])
		},
	})
	flags := cmd.Flags()
	flags.StringVar(&o.text, "text", "", "what was done and seen")
	flags.StringVar(&o.file, "file", "", "a file that shows it")
	flags.StringVar(&o.command, "command", "", "the command that shows it")
	flags.StringVar(&o.output, "output", "", "file with what the command said; - is the standard input")
	flags.BoolVar(&o.rescan, "rescan", false, "the device's last scan shows it")
	return cmd
}

// proof is the one that the flags show.
func (o taskCloseOptions) proof(in io.Reader) (body, error) {
	given := 0
	for _, is := range []bool{o.text != "", o.file != "", o.command != "", o.rescan} {
		if is {
			given++
		}
	}
	if given != 1 || (o.command != "") != (o.output != "") {
		return nil, usage{errOneProof}
	}
	switch {
	case o.text != "":
		return body{"proof": task.Text, "text": o.text}, nil
	case o.rescan:
		return body{"proof": task.Rescan}, nil
	case o.file != "":
		content, err := os.ReadFile(o.file)
		if err != nil {
			return nil, fmt.Errorf("read the proof: %w", err)
		}
		return body{"proof": task.File, "file_name": filepath.Base(o.file), "file": content}, nil
	}
	said, err := readAll(o.output, in)
	return body{"proof": task.Command, "command": o.command, "output": said}, err
}

func readAll(file string, in io.Reader) (string, error) {
	var content []byte
	var err error
	if file == "-" {
		content, err = io.ReadAll(in)
	} else {
		content, err = os.ReadFile(file)
	}
	if err != nil {
		return "", fmt.Errorf("read the command's output: %w", err)
	}
	return string(content), nil
}
