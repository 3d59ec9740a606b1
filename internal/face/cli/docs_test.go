package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"patchring/internal/face/cli"
)

// The manuals show command lines; each must be one that the program takes:
// its verb, its flags and the number of its arguments.
func TestManualsShowCommandsThatExist(t *testing.T) {
	files, err := filepath.Glob("../../../docs/*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, "../../../README.md", "../../../SECURITY.md")
	lines := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range commandLines(string(text)) {
			lines++
			if err := takes(line); err != nil {
				t.Errorf("%s: %s: %v", file, strings.Join(line, " "), err)
			}
		}
	}
	if lines < 30 {
		t.Errorf("only %d command lines found in %d manuals: the test reads nothing", lines, len(files))
	}
}

var (
	shown  = regexp.MustCompile("(?m)(?:^    |`)patchring ([a-z][^`\n]*)")
	quoted = regexp.MustCompile(`"[^"]*"|\S+`)
)

// commandLines are what stands after "patchring" in an indented line or
// between backquotes.
func commandLines(text string) [][]string {
	var out [][]string
	for _, m := range shown.FindAllStringSubmatch(text, -1) {
		out = append(out, quoted.FindAllString(m[1], -1))
	}
	return out
}

func takes(args []string) error {
	root := cli.New(cli.Program{
		In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: &bytes.Buffer{}, Env: func(string) string { return "" }, Clock: time.Now,
		Serve: &cobra.Command{Use: "serve", FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true}, RunE: func(*cobra.Command, []string) error { return nil }},
	})
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	if len(cmd.Flags().Args()) == 0 && len(rest) == 0 {
		return nil // named in a sentence, without its arguments
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}
