package page

import (
	"patchring/internal/core/patch"
	"patchring/internal/face/console/ui"
	"patchring/internal/face/lang"
)

const rollbackReady = "ready"

func rollbackTone(readiness string) ui.Tone {
	if readiness == rollbackReady {
		return ui.Good
	}
	return ui.Warn
}

// rollbackable: what was installed by a campaign and has a way back.
func rollbackable(f ui.Frame, p DevicePatch) bool {
	installed := p.State == patch.Verified || p.State == patch.Failed || p.State == patch.InstalledPendingReboot
	return f.Account != nil && f.Account.May.Run && p.Campaign != "" && p.Rollback == rollbackReady && installed
}

func checkClass(c Check) string {
	if c.OK {
		return "tone-good"
	}
	return "tone-warn"
}

func checkIcon(c Check) string {
	if c.OK {
		return "circle-check"
	}
	return "circle-x"
}

func versions(f ui.Frame, k Package) string {
	switch {
	case k.From == "":
		return f.T("device.package_new", "to", k.To)
	case k.To == "":
		return f.T("device.package_gone", "from", k.From)
	}
	return k.From + " → " + k.To
}

func cpu(f ui.Frame, facts Facts) string {
	if facts.CPUs == 0 {
		return facts.CPU
	}
	return f.N("fact.cpus", int64(facts.CPUs), "model", facts.CPU)
}

func rebootWords(f ui.Frame, d Device) string {
	if !d.RebootPending && len(d.Facts.RebootSignals) == 0 {
		return f.T("fact.no_reboot")
	}
	if len(d.Facts.RebootSignals) == 0 {
		return f.T("fact.reboot_pending")
	}
	return signalWords(f, d.Facts.RebootSignals)
}

func signalWords(f ui.Frame, signals []string) string {
	words := make([]string, len(signals))
	for i, s := range signals {
		words[i] = f.Word(lang.RebootSignal, s)
	}
	return f.List(words)
}

func rebootClass(r Reboot) string {
	if r.Stopped {
		return "tone-bad"
	}
	return "tone-warn"
}

// diskTone warns where an update may lack space.
func diskTone(k Disk) ui.Tone {
	switch {
	case k.Size > 0 && k.Free*20 < k.Size:
		return ui.Bad
	case k.Size > 0 && k.Free*10 < k.Size:
		return ui.Warn
	default:
		return ui.Busy
	}
}
