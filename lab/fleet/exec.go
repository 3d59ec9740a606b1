package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"patchring/lab/debian"
	"patchring/lab/tool"
)

// Lan, in place of a host's name, is the server's side: the lab's network with the
// machine's own files and processes. Hosts reach it at ServerAddress.
const Lan = "lan"

// Result is what a command left behind.
type Result = tool.Result

// ErrDown says that the host is off or has not booted far enough to run anything.
var ErrDown = errors.New("the host is down")

// hostEnvironment is what a command in a host starts with. It is that of a root
// login and hides nothing: no DEBIAN_FRONTEND, no proxy of this machine.
func hostEnvironment() []string {
	return []string{"PATH=" + tool.Path, "LC_ALL=C.UTF-8", "HOME=/root", "USER=root", "TERM=dumb"}
}

// Exec runs a command in a host, as root, to its end. An error means that it could
// not run; its own status is in the result. stdin may be nil.
func (f *Fleet) Exec(ctx context.Context, host string, stdin io.Reader, args ...string) (Result, error) {
	full, env, err := f.commandLine(ctx, host, args)
	if err != nil {
		return Result{}, err
	}
	res, err := tool.Cmd{Args: full, Env: env, Stdin: stdin}.Do(ctx)
	if err != nil {
		return res, fmt.Errorf("exec in %s: %w", host, err)
	}
	return res, nil
}

// Run is Exec for a command that must succeed. It returns what it printed, without
// space around it.
func (f *Fleet) Run(ctx context.Context, host string, args ...string) (string, error) {
	res, err := f.Exec(ctx, host, nil, args...)
	if err != nil {
		return "", err
	}
	out := strings.TrimSpace(string(res.Stdout))
	if res.Code != 0 {
		return out, fmt.Errorf("in %s: %w", host, &tool.ExitError{Args: args, Result: res})
	}
	return out, nil
}

// WriteFile puts a file into a host.
func (f *Fleet) WriteFile(ctx context.Context, host, path string, mode os.FileMode, content io.Reader) error {
	res, err := f.Exec(ctx, host, content, "sh", "-c", `set -e; mkdir -p "$(dirname "$1")"; cat > "$1.new"; chmod "$2" "$1.new"; mv "$1.new" "$1"`,
		"sh", path, strconv.FormatUint(uint64(mode.Perm()), 8))
	if err != nil {
		return err
	}
	if res.Code != 0 {
		return fmt.Errorf("write %s in %s: %s", path, host, strings.TrimSpace(string(res.Stderr)))
	}
	return nil
}

// Command prepares a command in a host, or in Lan, for a caller that wants its
// streams and its process. In Lan the process is the command itself and keeps this
// program's environment; in a host it is the nsenter around it.
func (f *Fleet) Command(ctx context.Context, host string, args ...string) (*exec.Cmd, error) {
	full, env, err := f.commandLine(ctx, host, args)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, full[0], full[1:]...)
	cmd.Env = env
	return cmd, nil
}

// ServerNetNS is the network namespace in which a server is reached by the hosts.
func (f *Fleet) ServerNetNS() (string, error) {
	pid, err := f.labPID()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("/proc/%d/ns/net", pid), nil
}

func (f *Fleet) labPID() (int, error) {
	s, err := readState(f.dir)
	if err != nil {
		return 0, err
	}
	if !s.alive() {
		return 0, ErrNotUp
	}
	return s.Lab.PID, nil
}

// commandLine enters the lab first and then the host: a host's init is known by its
// number inside the lab only.
func (f *Fleet) commandLine(ctx context.Context, host string, args []string) ([]string, []string, error) {
	if len(args) == 0 {
		return nil, nil, fmt.Errorf("exec in %s: no command", host)
	}
	lab, err := f.labPID()
	if err != nil {
		return nil, nil, fmt.Errorf("exec in %s: %w", host, err)
	}
	nsenter, ok := tool.Find("nsenter")
	if !ok {
		return nil, nil, fmt.Errorf("exec in %s: nsenter is not installed", host)
	}
	target := strconv.Itoa(lab)
	if host == Lan {
		return append([]string{nsenter, "-t", target, "-n", "--"}, args...), os.Environ(), nil
	}
	status, err := f.HostStatus(ctx, host)
	if err != nil {
		return nil, nil, err
	}
	if status.Power != PowerOn {
		return nil, nil, fmt.Errorf("exec in %s: %w (%s)", host, ErrDown, status.Power)
	}
	full := []string{nsenter, "-t", target, "-m", "-n", "-p", "-i", "--",
		nsenter, "-t", strconv.Itoa(status.PID), "-a", "-r", "-w", "--"}
	return slices.Concat(full, args), hostEnvironment(), nil
}

// Versions returns the version of every package that dpkg in that host has, in any
// state in which its files are there.
func (f *Fleet) Versions(ctx context.Context, host string) (map[string]string, error) {
	text, err := f.Run(ctx, host, "dpkg-query", "-W", "-f", `${db:Status-Status} ${Package} ${Version}\n`)
	if err != nil {
		return nil, err
	}
	return parseVersions(text), nil
}

// parseVersions reads lines such as "installed nginx 1.22.1-9+deb12u11" or
// "half-configured lab-broken 1.1".
func parseVersions(text string) map[string]string {
	versions := map[string]string{}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[0] == "not-installed" || fields[0] == "config-files" {
			continue
		}
		versions[fields[1]] = fields[2]
	}
	return versions
}

// Pending refreshes the package lists of that host and returns what apt there would
// install.
func (f *Fleet) Pending(ctx context.Context, host string) ([]debian.Update, error) {
	if _, err := f.Run(ctx, host, "apt-get", "update", "-qq"); err != nil {
		return nil, err
	}
	text, err := f.Run(ctx, host, "apt-get", "-s", "-qq", "dist-upgrade")
	if err != nil {
		return nil, err
	}
	return debian.ParseSimulation(text), nil
}
