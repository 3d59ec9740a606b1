// Package debian makes, once, what every lab host stands on: a Debian root with
// real security updates pending, and the partial mirror that serves exactly those
// updates with Debian's own signed metadata.
//
// It owns the cached images under one folder. It never takes an unfinished image
// for a ready one, and two builders of the same image wait for each other. It
// knows nothing of hosts or namespaces; the fleet calls it.
package debian

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// format is part of every image's name: raise it when the way of building changes
// what is built in a way that the recipe's fields do not show.
const format = 1

// Suites are the releases that were tried.
func Suites() []string { return []string{"bullseye", "bookworm", "trixie"} }

// Recipe is everything an image depends on.
type Recipe struct {
	Suite   string
	Include []string // packages beside a minimal system
	Keyring []byte   // public key of the lab's own repositories
	Server  string   // where hosts find the mirror, such as http://10.99.0.1:8000
}

// NewRecipe returns the usual set: a server with real services in it, so that
// updates restart something.
func NewRecipe(suite string, keyring []byte, server string) (Recipe, error) {
	if !slices.Contains(Suites(), suite) {
		return Recipe{}, fmt.Errorf("choose suite: %q is not one of %s", suite, strings.Join(Suites(), ", "))
	}
	return Recipe{
		Suite: suite,
		Include: []string{
			"ca-certificates", "openssl", "curl", "nginx-light", "memcached", "rsync", "unzip", "xz-utils", "jq",
			"procps", "psmisc", "iproute2", "systemd", "systemd-sysv", "dbus", "iputils-ping", "busybox",
		},
		Keyring: keyring,
		Server:  server,
	}, nil
}

// Name is the image's folder: the suite, and a hash of all that the recipe says.
func (r Recipe) Name() string {
	text, err := json.Marshal(struct {
		Format int
		Recipe Recipe
		Files  []File
	}{format, r, r.Files()})
	if err != nil {
		panic(fmt.Sprintf("debian: recipe is not plain data: %v", err))
	}
	sum := sha256.Sum256(text)
	return r.Suite + "-" + hex.EncodeToString(sum[:6])
}

// File is a file that the lab puts in the root.
type File struct {
	Path    string
	Mode    uint32
	Content string
}

// security is the name of the suite that carries the updates.
func (r Recipe) security() string { return r.Suite + "-security" }

// Sources is what a host's apt reads: Debian's security archive under Debian's own
// key, the versions before those for rollback, and the lab's repository. The main
// archive is left out on purpose: its 63,000 packages cost apt seconds of CPU in
// every host and offer nothing that the image lacks.
func (r Recipe) Sources() string {
	const debianKey = "/usr/share/keyrings/debian-archive-keyring.gpg"
	return strings.Join([]string{
		fmt.Sprintf("deb [signed-by=%s] %s/debian-security %s main", debianKey, r.Server, r.security()),
		fmt.Sprintf("deb [signed-by=%s] %s/previous ./", keyringFile, r.Server),
		fmt.Sprintf("deb [signed-by=%s] %s/lab lab main", keyringFile, r.Server),
		fmt.Sprintf("deb [signed-by=%s] %s/lab lab-security main", keyringFile, r.Server),
		"",
	}, "\n")
}

const keyringFile = "/usr/share/keyrings/patchring-lab.gpg"

// Share is where hosts see the folder that the lab shares with them.
const Share = "/opt/patchring"

// LightInit is pid 1 of a host without systemd.
const LightInit = "/usr/local/sbin/lab-init"

// Files are the lab's files in the root. Those that apt reads are written last,
// after the build has used apt with the machine's own sources.
func (r Recipe) Files() []File {
	return []File{
		{"/etc/apt/apt.conf.d/99lab", 0o644, aptConf},
		{"/etc/dpkg/dpkg.cfg.d/lab", 0o644, "force-unsafe-io\n"},
		{keyringFile, 0o644, string(r.Keyring)},
		{"/etc/apt/sources.list", 0o644, r.Sources()},
		{"/etc/machine-id", 0o444, ""}, // filled in each host at its first boot
		{"/etc/resolv.conf", 0o644, ""},
		{LightInit, 0o755, lightInit},
		{Share + "/.keep", 0o644, ""},
		{"/etc/lab/.keep", 0o644, ""},
	}
}

// A cached mirror outlives the seven days that Debian's security metadata is valid.
const aptConf = `Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
`

// lightInit runs what the share and the host have to start, each again one second
// after it ends, and collects orphans, which the shell does while it waits.
const lightInit = `#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root
keep() { while :; do if [ -x "$1" ]; then "$1"; sleep 1; else sleep 2; fi; done; }
keep ` + Share + `/start &
keep /etc/lab/start &
while :; do wait; sleep 1; done
`

// timers of a stock Debian that would patch or index behind the agent's back.
var timers = []string{"apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer"}
