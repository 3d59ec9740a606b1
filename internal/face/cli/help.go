package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"patchring/internal/face/lang"
)

// speakHelp makes the help of every command come in the reader's language. The
// commands are written in English, which cobra shows; for another language the
// texts are looked up here, when help is asked for: only then is --lang read.
func (c *cli) speakHelp(root *cobra.Command) {
	english := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		chosen, err := cmd.Flags().GetString("lang")
		if err != nil {
			chosen = ""
		}
		help, ok := wordsOf(c.Env, chosen).Help()
		if !ok {
			english(cmd, args)
			return
		}
		if _, err := io.WriteString(cmd.OutOrStdout(), helpText(cmd, help)); err != nil {
			c.tell(err.Error() + "\n")
		}
	})
}

// helpText lays a command's help out as cobra does.
func helpText(cmd *cobra.Command, h lang.Help) string {
	var out strings.Builder
	section := func(title, body string) {
		if body = strings.TrimRight(body, "\n"); body != "" {
			fmt.Fprintf(&out, "\n%s\n%s\n", h.Frame[title], body)
		}
	}
	out.WriteString(helpHead(cmd, h) + "\n")
	section("usage", "  "+helpUse(cmd, h))
	section("examples", helpExample(cmd, h))
	section("commands", helpCommands(cmd, h))
	section("flags", helpFlags(cmd.LocalFlags(), h))
	section("global", helpFlags(cmd.InheritedFlags(), h))
	if cmd.HasAvailableSubCommands() {
		out.WriteString("\n" + strings.ReplaceAll(h.Frame["more"], "{{.path}}", cmd.CommandPath()) + "\n")
	}
	return out.String()
}

// helpHead is what the command does, and its exit codes where the English text
// has them.
func helpHead(cmd *cobra.Command, h lang.Help) string {
	text, _ := h.Command(cmd.CommandPath())
	head := text.Long
	if head == "" {
		head = text.Short + "."
	} else if strings.HasPrefix(cmd.Long, cmd.Short+".\n") {
		head = text.Short + ".\n\n" + text.Long
	}
	if strings.Contains(cmd.Long, strings.TrimSpace(exitCodes)) {
		head += "\n\n" + h.Frame["exit_codes"]
	}
	return head
}

func helpUse(cmd *cobra.Command, h lang.Help) string {
	text, _ := h.Command(cmd.CommandPath())
	use := cmd.CommandPath()
	switch {
	case text.Args != "":
		use += " " + text.Args
	case cmd.HasAvailableSubCommands():
		use += " " + h.Frame["command"]
	}
	if cmd.HasAvailableFlags() {
		use += " " + h.Frame["options"]
	}
	return use
}

func helpExample(cmd *cobra.Command, h lang.Help) string {
	if text, _ := h.Command(cmd.CommandPath()); text.Example != "" {
		return text.Example
	}
	return cmd.Example
}

func helpCommands(cmd *cobra.Command, h lang.Help) string {
	var out strings.Builder
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() || sub.Name() == "help" {
			text, _ := h.Command(sub.CommandPath())
			fmt.Fprintf(&out, "  %-*s %s\n", cmd.NamePadding(), sub.Name(), text.Short)
		}
	}
	return out.String()
}

// helpFlags says the flags in the language, as pflag lays them out.
func helpFlags(flags *pflag.FlagSet, h lang.Help) string {
	var names, texts []string
	width := 0
	flags.VisitAll(func(f *pflag.Flag) {
		name := "      --" + f.Name
		if f.Shorthand != "" {
			name = "  -" + f.Shorthand + ", --" + f.Name
		}
		if word := h.Frame[f.Value.Type()]; word != "" {
			name += " " + word
		}
		names, texts = append(names, name), append(texts, flagText(f, h)+flagDefault(f, h))
		width = max(width, utf8.RuneCountInString(name))
	})
	var out strings.Builder
	for i, name := range names {
		fmt.Fprintf(&out, "%-*s   %s\n", width, name, texts[i])
	}
	return out.String()
}

// flagDefault says what a flag is when it is not given, unless that is nothing.
func flagDefault(f *pflag.Flag, h lang.Help) string {
	switch f.DefValue {
	case "", "0", "0s", "false", "[]":
		return ""
	}
	return " (" + h.Frame["default"] + " " + f.DefValue + ")"
}

func flagText(f *pflag.Flag, h lang.Help) string {
	if f.Name == "help" {
		return h.Frame["help_flag"]
	}
	if text, ok := h.Flags[f.Usage]; ok {
		return text
	}
	return f.Usage
}
