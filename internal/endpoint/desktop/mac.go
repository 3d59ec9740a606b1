package desktop

import (
	"regexp"
	"strconv"
	"strings"

	"patchring/internal/core/fault"
)

// What macOS's own tools print, read here for every system so that it is tested
// on every system.

// macBattery reads pmset -g batt:
//
//	Now drawing from 'Battery Power'
//	 -InternalBattery-0 (id=4653155)	63%; discharging; 4:03 remaining present: true
func macBattery(text string) (inUse bool, percent int) {
	match := regexp.MustCompile(`InternalBattery[^\t]*\t(\d{1,3})%`).FindStringSubmatch(text)
	if match == nil {
		return false, 0
	}
	percent, err := strconv.Atoi(match[1])
	if err != nil {
		return false, 0
	}
	return strings.Contains(text, "'Battery Power'"), percent
}

// macBusy reads pmset -g assertions: whoever keeps the screen on is in a call, a
// film or a presentation.
//
//	pid 612(zoom.us): [0x0000213e00058a5b] 00:20:05 PreventUserIdleDisplaySleep named: "Zoom Video Communications"
func macBusy(text string) (fault.Code, string) {
	for line := range strings.Lines(text) {
		if !strings.Contains(line, "PreventUserIdleDisplaySleep named:") && !strings.Contains(line, "NoDisplaySleepAssertion named:") {
			continue
		}
		match := regexp.MustCompile(`pid \d+\(([^)]{1,100})\):`).FindStringSubmatch(line)
		if match != nil && match[1] != "powerd" && match[1] != "WindowServer" {
			return fault.UserBusy, match[1]
		}
	}
	return "", ""
}

// macLocked reads ioreg -n Root -d1 -a: the screen is locked.
//
//	<key>CGSSessionScreenIsLocked</key>
//	<true/>
func macLocked(text string) bool {
	return regexp.MustCompile(`<key>CGSSessionScreenIsLocked</key>\s*<true/>`).MatchString(text)
}

// maxDialogButtons is how many a dialog of AppleScript has.
const maxDialogButtons = 3

// macScript shows a dialog and prints the button that was pressed. The words
// come as arguments, so that none of them can be a program. A dialog that nobody
// answers stays until it is taken away.
const macScript = `on run argv
	set labels to items 3 thru -1 of argv
	set answer to display dialog (item 2 of argv) with title (item 1 of argv) buttons labels default button (item -1 of labels) with icon note
	return button returned of answer
end run`

// macDialog is what osascript is given for a popup, and the buttons by what they
// say: the last answer stands first on the left, as people there expect.
func macDialog(p Popup) (args []string, byLabel map[string]string) {
	buttons := p.Buttons[:min(len(p.Buttons), maxDialogButtons)]
	body := p.Body
	if len(p.Buttons) > len(buttons) {
		body += "\n" + p.Plain
	}
	byLabel = map[string]string{}
	args = []string{"-e", macScript, p.Title, body}
	for i := len(buttons) - 1; i >= 0; i-- {
		args = append(args, buttons[i].Label)
		byLabel[buttons[i].Label] = buttons[i].Key
	}
	if len(buttons) == 0 {
		args = append(args, "OK")
	}
	return args, byLabel
}

// macLanguage reads defaults read -g AppleLanguages: the first of the person's.
//
//	(
//	    "fr-FR",
//	    "en-FR"
//	)
func macLanguage(text string) string {
	match := regexp.MustCompile(`"?([a-z]{2})[-"_,\s]`).FindStringSubmatch(text)
	if match != nil && (match[1] == "fr" || match[1] == "en") {
		return match[1]
	}
	return ""
}
