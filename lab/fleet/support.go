package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"patchring/lab/tool"
)

// ErrUnsupported says that this machine, or this user, cannot have real hosts.
var ErrUnsupported = errors.New("real hosts need root on a Debian machine")

// Supported returns nil if real hosts can run here, and else every reason why not.
// Missing packages are no reason: InstallTools mends that.
func Supported() error {
	var why []string
	if runtime.GOOS != "linux" {
		return fmt.Errorf("%w: this is %s", ErrUnsupported, runtime.GOOS)
	}
	if os.Geteuid() != 0 {
		why = append(why, fmt.Sprintf("the user is not root (uid %d)", os.Geteuid()))
	}
	if _, ok := tool.Find("apt-get"); !ok {
		why = append(why, "there is no apt-get")
	}
	if text, err := os.ReadFile("/proc/filesystems"); err != nil || !strings.Contains(string(text), "\toverlay\n") {
		why = append(why, "the kernel has no overlay file system")
	}
	for _, ns := range []string{"mnt", "net", "pid", "ipc", "uts", "time"} {
		if _, err := os.Stat("/proc/self/ns/" + ns); err != nil {
			why = append(why, "the kernel has no "+ns+" namespaces")
		}
	}
	if len(why) > 0 {
		return fmt.Errorf("%w: %s", ErrUnsupported, strings.Join(why, "; "))
	}
	return nil
}

// needs are the programs that the lab calls and the packages they come from.
var needs = map[string]string{
	"apt-ftparchive": "apt-utils",
	"debootstrap":    "debootstrap",
	"dpkg-deb":       "dpkg",
	"eatmydata":      "eatmydata",
	"gpg":            "gnupg",
	"gpg-agent":      "gnupg",
	"gpgv":           "gpgv",
	"ip":             "iproute2",
	"nsenter":        "util-linux",
	"systemd-nspawn": "systemd-container",
	"unshare":        "util-linux",
	"xz":             "xz-utils",
}

// debianKeyring authenticates what debootstrap downloads; other distributions do
// not have it by themselves.
const debianKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// MissingPackages returns the Debian packages that the lab needs and this machine
// lacks.
func MissingPackages() []string {
	var missing []string
	for program, pkg := range needs {
		if _, ok := tool.Find(program); !ok {
			missing = append(missing, pkg)
		}
	}
	if _, err := os.Stat(debianKeyring); err != nil {
		missing = append(missing, "debian-archive-keyring")
	}
	slices.Sort(missing)
	return slices.Compact(missing)
}

// InstallTools installs what MissingPackages names, with apt, and says so before.
func InstallTools(ctx context.Context, say func(string)) error {
	if err := Supported(); err != nil {
		return err
	}
	missing := MissingPackages()
	if len(missing) == 0 {
		return nil
	}
	say("installing Debian packages that the lab needs: " + strings.Join(missing, " "))
	for _, args := range [][]string{
		{"apt-get", "update", "-qq"},
		append([]string{"apt-get", "install", "-y", "-qq", "--no-install-recommends"}, missing...),
	} {
		if _, err := (tool.Cmd{Args: args, Env: tool.OnlineEnvironment()}).Output(ctx); err != nil {
			return fmt.Errorf("install tools: %w", err)
		}
	}
	if still := MissingPackages(); len(still) > 0 {
		return fmt.Errorf("install tools: apt installed %s, and their programs are still missing", strings.Join(still, " "))
	}
	return nil
}
