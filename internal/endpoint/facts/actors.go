package facts

import (
	"strings"

	"patchring/wire"
)

// Names of other programs that install updates.
const (
	ActorUnattended = "unattended-upgrades"
	ActorTimer      = "apt-daily-upgrade.timer"
	ActorPackageKit = "packagekit"
)

// actors lists the programs that could install updates beside the agent, and
// whether each would do so by itself.
func (r *Reader) actors() []wire.Actor {
	var actors []wire.Actor
	timer := r.enabled("timers.target.wants", ActorTimer)
	if r.exists("usr/lib/systemd/system/"+ActorTimer) || r.exists("lib/systemd/system/"+ActorTimer) {
		actors = append(actors, wire.Actor{Name: ActorTimer, Active: timer})
	}
	if r.exists("usr/bin/unattended-upgrade") {
		// Without systemd the same script runs from cron.daily.
		scheduled := timer || !r.exists("run/systemd/system") && r.exists("etc/cron.daily/apt-compat")
		actors = append(actors, wire.Actor{Name: ActorUnattended, Active: scheduled && r.periodic()})
	}
	for _, daemon := range []string{"usr/libexec/packagekitd", "usr/lib/packagekit/packagekitd", "usr/lib/packagekitd"} {
		if r.exists(daemon) {
			// It acts when a user asks, and at the next boot when an update was prepared.
			actors = append(actors, wire.Actor{Name: ActorPackageKit, Active: r.exists("system-update") || r.exists("var/lib/PackageKit/prepared-update")})
			break
		}
	}
	return actors
}

// enabled tells that a unit is wanted and not masked.
func (r *Reader) enabled(wants, unit string) bool {
	return r.exists("etc/systemd/system/"+wants+"/"+unit) && r.target("etc/systemd/system/"+unit) != "/dev/null"
}

// periodic tells whether APT::Periodic lets unattended-upgrades run. The value
// is a number of days or "always"; 0 is off, and so is Enable "0".
func (r *Reader) periodic() bool {
	settings := aptSettings{}
	for _, name := range append(r.names("etc/apt/apt.conf.d"), "etc/apt/apt.conf") {
		settings.read(r.text(name))
	}
	on := func(key, unset string) bool {
		value, ok := settings[key]
		if !ok {
			value = unset
		}
		return value != "" && value != "0" && value != "false" && value != "no"
	}
	return on("apt::periodic::enable", "1") && on("apt::periodic::unattended-upgrade", "0")
}

// aptSettings are values of apt.conf(5) by their full lower-case name; the
// last one said counts.
type aptSettings map[string]string

// read understands what is common: comments, NAME "value"; and NAME { … };.
func (s aptSettings) read(text string) {
	var scope []string
	name := ""
	for _, word := range aptWords(text) {
		switch {
		case word == "{":
			scope, name = append(scope, name), ""
		case word == "}":
			if len(scope) > 0 {
				scope = scope[:len(scope)-1]
			}
			name = ""
		case word == ";":
			name = ""
		case strings.HasPrefix(word, `"`):
			if name != "" {
				s[strings.ToLower(strings.Join(append(append([]string(nil), scope...), name), "::"))] = strings.Trim(word, `"`)
			}
		default:
			name = word
		}
	}
}

// aptWords splits apt.conf into names, quoted values, braces and semicolons.
func aptWords(text string) []string {
	var words []string
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		n := 1
		switch {
		case text[0] == '#', strings.HasPrefix(text, "//"):
			if n = strings.IndexByte(text, '\n'); n < 0 {
				n = len(text)
			}
			text = text[n:]
			continue
		case strings.HasPrefix(text, "/*"):
			if n = strings.Index(text, "*/"); n < 0 {
				return words
			}
			text = text[n+2:]
			continue
		case text[0] == '"':
			if n = strings.IndexByte(text[1:], '"') + 2; n < 2 {
				return words
			}
		case strings.IndexByte("{};", text[0]) < 0:
			if n = strings.IndexAny(text, " \t\n{};\""); n < 0 {
				n = len(text)
			}
		}
		words = append(words, text[:n])
		text = text[n:]
	}
	return words
}
