package lang

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
)

// The command line speaks English by itself; this file has its help in French,
// commands by their path below the program, flags by what they say in English:
// a flag that says something else wants another sentence.
//
//go:embed help.fr.json
var frenchHelp []byte

// Help is the help of the command line in a language other than English.
type Help struct {
	// Frame are the words around: headings, placeholders, exit codes.
	Frame    map[string]string      `json:"frame"`
	Commands map[string]CommandHelp `json:"commands"`
	Flags    map[string]string      `json:"flags"` // by the English text
}

// CommandHelp is the help of one command.
type CommandHelp struct {
	Short string `json:"short"`
	Long  string `json:"long,omitempty"`
	Args  string `json:"args,omitempty"` // what stands behind the command's name
	// Example replaces the English one where that has English in it.
	Example string `json:"example,omitempty"`
}

var loadHelp = sync.OnceValue(func() Help {
	var h Help
	if err := json.Unmarshal(frenchHelp, &h); err != nil {
		panic(fmt.Sprintf("lang: parse the French help: %v", err))
	}
	return h
})

// Help gives the help in the language of w; none in English, which the commands
// speak by themselves.
func (w Words) Help() (Help, bool) {
	if w.lang != French {
		return Help{}, false
	}
	return loadHelp(), true
}

// Command is the help of a command by its path without the program's name. The
// spaces before French punctuation are plain: lines of help are copied.
func (h Help) Command(path string) (CommandHelp, bool) {
	_, below, _ := strings.Cut(path, " ")
	c, ok := h.Commands[below]
	return c, ok
}
