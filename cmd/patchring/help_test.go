package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"patchring/internal/face/cli"
	"patchring/internal/face/lang"
)

// choices are usages that only list the values one can type.
var choices = regexp.MustCompile(`^[a-z_]+(, [a-z_]+)+$`)

// english are words that no French help holds outside of what one types.
var english = regexp.MustCompile(`(?i)\b(the|of|and|is|with|not|devices?|campaigns?|from|rings?|gates?|sign-off|until|default|flags?|usage:|available|write|show|list)\b`)

func tree() *cobra.Command {
	p := program()
	p.Out, p.Err = &bytes.Buffer{}, &bytes.Buffer{}
	root := cli.New(p)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	return root
}

func walk(cmd *cobra.Command, f func(*cobra.Command)) {
	f(cmd)
	for _, sub := range cmd.Commands() {
		walk(sub, f)
	}
}

// TestEveryCommandAndFlagHasItsFrench walks the whole command line: what is
// added, or said in other words, fails here until it has its French.
func TestEveryCommandAndFlagHasItsFrench(t *testing.T) {
	help, ok := lang.For("fr").Help()
	if !ok {
		t.Fatal("there is no French help")
	}
	commands, flags := map[string]bool{}, map[string]bool{}
	walk(tree(), func(cmd *cobra.Command) {
		_, below, _ := strings.Cut(cmd.CommandPath(), " ")
		commands[below] = true
		text, ok := help.Command(cmd.CommandPath())
		if !ok || text.Short == "" {
			t.Errorf("%q has no French text", cmd.CommandPath())
		}
		own := strings.TrimSpace(strings.TrimPrefix(cmd.Long, cmd.Short+"."))
		if explained := own != "" && !strings.HasPrefix(own, "Exit codes"); explained != (text.Long != "") {
			t.Errorf("%q is explained in English: %t, in French: %t", cmd.CommandPath(), explained, text.Long != "")
		}
		if words := strings.Fields(cmd.Use); (len(words) > 1) != (text.Args != "") {
			t.Errorf("%q takes %q, in French %q", cmd.CommandPath(), cmd.Use, text.Args)
		}
		if quoted := strings.Contains(cmd.Example, `"`); quoted && text.Example == "" || text.Example != "" && strings.Count(text.Example, "\n") != strings.Count(cmd.Example, "\n") {
			t.Errorf("%q: the examples are %q, in French %q", cmd.CommandPath(), cmd.Example, text.Example)
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name == "help" || choices.MatchString(f.Usage) {
				return
			}
			flags[f.Usage] = true
			if help.Flags[f.Usage] == "" {
				t.Errorf("%s --%s: %q has no French text", cmd.CommandPath(), f.Name, f.Usage)
			}
		})
	})
	for path := range help.Commands {
		if !commands[path] {
			t.Errorf("there is no command %q", path)
		}
	}
	for usage := range help.Flags {
		if !flags[usage] {
			t.Errorf("no flag says %q any more", usage)
		}
	}
	if len(commands) < 60 || len(flags) < 60 {
		t.Errorf("only %d commands and %d flags were found", len(commands), len(flags))
	}
}

// typed is what is the same in every language: commands, flags, values, words
// of the trade.
var typed = regexp.MustCompile("«[^»]*»|patchring[a-z -]*|--[a-z-]+|[a-z-]+ \\([^)]*\\)|(?m)^  patchring.*$|Patch Tuesday|source <[^\n]*|[a-z_]+(?:, [a-z_]+)+$|~?/[a-z/.]+")

func TestFrenchHelpIsFrench(t *testing.T) {
	var names []string
	walk(tree(), func(cmd *cobra.Command) { names = append(names, cmd.CommandPath()) })
	for _, name := range names {
		var out bytes.Buffer
		p := program()
		p.Out, p.Err = &out, &out
		p.Env = func(key string) string { return map[string]string{"LC_ALL": "fr_FR.UTF-8"}[key] }
		args := append(strings.Fields(name)[1:], "--help")
		if code := cli.Main(t.Context(), p, args); code != 0 {
			t.Fatalf("%s --help: code %d: %s", name, code, out.String())
		}
		text := out.String()
		if !strings.Contains(text, "Utilisation :") || !strings.Contains(text, "afficher cette aide") && name != "patchring help" {
			t.Errorf("%s --help is not in French:\n%s", name, text)
		}
		for _, line := range strings.Split(text, "\n") {
			if len([]rune(line)) > 160 {
				t.Errorf("%s --help: a line of %d characters: %q", name, len([]rune(line)), line)
			}
			if strings.HasPrefix(line, "  ") && !strings.HasPrefix(strings.TrimSpace(line), "-") {
				continue // examples, and the short texts that are looked at above
			}
			if left := english.FindString(typed.ReplaceAllString(line, "")); left != "" {
				t.Errorf("%s --help says %q: %s", name, left, line)
			}
		}
	}
}

func TestHelpFollowsTheChosenLanguage(t *testing.T) {
	for _, tt := range []struct {
		locale string
		args   []string
		want   string
	}{
		{"", []string{"campaign", "sign", "--help"}, "Sign off the gate of a ring"},
		{"fr_FR.UTF-8", []string{"campaign", "sign", "--help"}, "Viser le jalon d'un anneau"},
		{"fr_FR.UTF-8", []string{"campaign", "sign", "--help", "--lang", "en"}, "Sign off the gate of a ring"},
		{"C", []string{"--lang", "fr", "campaign", "sign", "--help"}, "Viser le jalon d'un anneau"},
		{"C", []string{"campaign", "--lang", "fr"}, "Viser le jalon d'un anneau"},
		{"C", []string{"calendar", "--help", "--lang", "fr"}, "chaque problème est cité"},
		{"fr_FR.UTF-8", []string{"serve", "--help"}, "courtier auquel les agents se connectent"},
		{"fr_FR.UTF-8", []string{"help", "device", "why"}, "Dire pourquoi un correctif en est là"},
	} {
		var out bytes.Buffer
		p := program()
		p.Out, p.Err = &out, &out
		p.Env = func(key string) string { return map[string]string{"LANG": tt.locale}[key] }
		if code := cli.Main(t.Context(), p, tt.args); code != 0 || !strings.Contains(out.String(), tt.want) {
			t.Errorf("%s in %q: code %d, want %q in:\n%s", strings.Join(tt.args, " "), tt.locale, code, tt.want, out.String())
		}
	}
}
