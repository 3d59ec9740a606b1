package desktop

import (
	"fmt"
	"strings"

	"patchring/internal/core/fault"
)

// What Windows means by its numbers, read here for every system so that it is
// tested on every system.

// winBusy is what SHQueryUserNotificationState says (QUNS_…). A locked session
// is "not present": it presents nothing.
func winBusy(state uint32) fault.Code {
	switch state {
	case 2, 3: // QUNS_BUSY, QUNS_RUNNING_D3D_FULL_SCREEN: something fills the screen
		return fault.UserFullScreen
	case 4: // QUNS_PRESENTATION_MODE
		return fault.UserBusy
	case 6: // QUNS_QUIET_TIME
		return fault.UserUndisturbed
	}
	return "" // 1 not present, 5 accepts notifications, 7 an app of the store
}

// winBattery reads SYSTEM_POWER_STATUS: 255 is not known, and flag 128 means
// that there is no battery.
func winBattery(acLine, flag, percent byte) (inUse bool, full int) {
	if flag&128 != 0 || flag == 255 || percent > 100 {
		return false, 0
	}
	return acLine == 0, int(percent)
}

// winLanguage is of those there are words for; a LANGID has the primary
// language in its low ten bits.
func winLanguage(id uint16) string {
	switch id & 0x3ff {
	case 0x09:
		return "en"
	case 0x0c:
		return "fr"
	}
	return ""
}

// The answers of a message box with the buttons yes, no and cancel.
const (
	winCancel = 2
	winYes    = 6
	winNo     = 7
)

// winBox is the text of a message box, and the buttons by its answers. It has
// yes, no and cancel and no words of its own: what each means stands above
// them. Whoever puts it away has not answered.
func winBox(p Popup, lang string) (text string, byAnswer map[int]string) {
	yes, no := "Yes", "No"
	if lang == "fr" {
		yes, no = "Oui", "Non"
	}
	byAnswer = map[int]string{}
	lines := []string{p.Body}
	for i, b := range p.Buttons {
		switch i {
		case 0:
			lines, byAnswer[winYes] = append(lines, "", fmt.Sprintf("[%s]  %s", yes, b.Label)), b.Key
		case 1:
			lines, byAnswer[winNo] = append(lines, fmt.Sprintf("[%s]  %s", no, b.Label)), b.Key
		}
	}
	if len(p.Buttons) > 2 {
		lines = append(lines, "", p.Plain)
	}
	return strings.Join(lines, "\n"), byAnswer
}
