package apt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/provider/apt/dpkg"
	"patchring/wire"
)

// packageError is one pmerror line of APT::Status-Fd:
//
//	pmerror:bad:53.8462:installed bad package post-installation script subprocess returned error exit status 1
//	pmerror:/var/cache/apt/archives/prebroken_1.1_all.deb:20.0000:new prebroken package pre-installation script …
type packageError struct{ name, text string }

func readErrors(statusFile string) ([]packageError, error) {
	file, err := os.Open(statusFile)
	if err != nil {
		return nil, fmt.Errorf("read apt's status: %w", err)
	}
	defer file.Close()
	var errs []packageError
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if e, ok := parseError(lines.Text()); ok {
			errs = append(errs, e)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read apt's status: %w", err)
	}
	return errs, nil
}

// parseError finds the package between the keyword and the percentage; the
// name may be a path and carry an architecture after a colon of its own.
func parseError(line string) (packageError, bool) {
	rest, ok := strings.CutPrefix(line, "pmerror:")
	if !ok {
		return packageError{}, false
	}
	parts := strings.Split(rest, ":")
	for i := 1; i < len(parts)-1; i++ {
		if !isPercentage(parts[i]) {
			continue
		}
		name := strings.Join(parts[:i], ":")
		if base := name[strings.LastIndexByte(name, '/')+1:]; base != name || strings.HasSuffix(name, ".deb") {
			name, _, _ = strings.Cut(base, "_")
		}
		return packageError{name: name, text: strings.TrimSpace(strings.Join(parts[i+1:], ":"))}, name != ""
	}
	return packageError{}, false
}

func isPercentage(s string) bool {
	return s != "" && strings.Trim(s, "0123456789.") == ""
}

// blame finds, among the targets that did not get there, those whose own
// packages failed. What only waits for another package (unpacked, triggers)
// is let finish first: it may need nothing but the failed one's return.
func (r *run) blame(ctx context.Context, left []target, errs []packageError) ([]target, error) {
	if len(left) == 0 {
		return nil, nil
	}
	guilty := r.guilty(left, errs, func(pkg dpkg.Package) bool {
		return pkg.Status == dpkg.HalfConfigured || pkg.Status == dpkg.HalfInstalled || pkg.State() == "reinst-required"
	})
	if len(guilty) > 0 || !slices.ContainsFunc(left, func(t target) bool { return t.broken(r.db) }) {
		return guilty, nil
	}
	configure := r.p.device.Command("dpkg", append(slices.Clone(keepConffiles), "--configure", "-a")...)
	if _, err := r.p.bench.Run(r.log, configure, r.tell); err != nil {
		return nil, err
	}
	var err error
	if r.db, err = r.p.device.Packages(ctx, nil); err != nil {
		return nil, err
	}
	return r.guilty(left, errs, dpkg.Package.Broken), nil
}

func (t target) broken(db map[dpkg.Key]dpkg.Package) bool {
	return slices.ContainsFunc(t.wants, func(w want) bool { return db[w.key].Broken() })
}

// guilty notes for each target at fault which package failed and what the
// tool said last about it.
func (r *run) guilty(left []target, errs []packageError, bad func(dpkg.Package) bool) []target {
	var found []target
	for _, t := range left {
		for _, w := range t.wants {
			said, named := saidOf(errs, w.key)
			if w.reached(r.db) || !bad(r.db[w.key]) && !named {
				continue
			}
			if !named { // it fell with another one: a new dependency, a trigger
				said = lastSaid(errs)
			}
			state := r.db[w.key].State()
			if state == "" {
				state = string(dpkg.Installed) // refused before it was unpacked: the old version is still whole
			}
			r.failed[t.item] = fault.Because(fault.PackageFailed, "package", string(w.key), "state", state, "error", wire.Clean(said, wire.MaxTextBytes))
			found = append(found, t)
			break
		}
	}
	return found
}

// saidOf is the last error about a package that is not merely the shadow of
// another one's.
func saidOf(errs []packageError, key dpkg.Key) (string, bool) {
	name, _, _ := strings.Cut(string(key), ":")
	for _, e := range slices.Backward(errs) {
		if own, _, _ := strings.Cut(e.name, ":"); own == name && !e.shadow() {
			return e.text, true
		}
	}
	return "", false
}

func lastSaid(errs []packageError) string {
	for _, e := range slices.Backward(errs) {
		if !e.shadow() {
			return e.name + ": " + e.text
		}
	}
	return ""
}

func (e packageError) shadow() bool { return strings.HasPrefix(e.text, "dependency problems") }

// restore puts back the versions that the failed targets had, first alone,
// then together with whatever else the failure left broken. What cannot be put
// back stays as dpkg left it, and the outcome says so.
func (r *run) restore(ctx context.Context, failed []target) {
	err := r.putBack(ctx, failed)
	if err == nil {
		err = r.dropNew(ctx)
	}
	if err != nil {
		r.log.Note("the previous version could not be restored: %s", err)
	}
}

// putBack installs the previous versions of the targets' packages, if that
// touches nothing else.
func (r *run) putBack(ctx context.Context, failed []target) error {
	in := &intent{kind: wire.OrderRollback, allowed: map[dpkg.Key]string{}, owner: map[dpkg.Key]string{}, before: r.db}
	for _, t := range failed {
		back := target{item: t.item}
		for _, w := range t.wants {
			now, old := r.db[w.key], r.before[w.key]
			if old == "" || now.Version == old && now.Sound() {
				continue
			}
			in.allowed[w.key] = old
			back.wants = append(back.wants, want{key: w.key, to: old, now: now})
		}
		if len(back.wants) > 0 {
			in.targets = append(in.targets, back)
		}
	}
	if len(in.targets) == 0 {
		return nil
	}
	args, err := r.p.arguments(ctx, wire.OrderRollback, in.targets)
	if err != nil {
		return err
	}
	s, err := r.p.device.Simulate(ctx, args...)
	if err != nil {
		return err
	}
	if why := in.judge(s, false); !why.IsZero() {
		return fault.New(why.Code).Wrap(errors.New(why.String()))
	}
	if _, _, err := r.apt(ctx, args); err != nil {
		return err
	}
	for _, t := range in.targets {
		if !t.reached(r.db) {
			return fault.New(fault.DpkgBroken, "packages", t.item)
		}
	}
	return nil
}

// dropNew removes packages that the order brought onto the device and that are
// broken, when nothing else goes with them: before it they were not there.
func (r *run) dropNew(ctx context.Context) error {
	args := []string{"-o", "APT::Get::Remove=true", "remove"}
	fixed := len(args)
	for key, pkg := range r.db {
		if r.base.New[key] && pkg.Broken() {
			args = append(args, string(key))
		}
	}
	if len(args) == fixed {
		return nil
	}
	slices.Sort(args[fixed:])
	s, err := r.p.device.Simulate(ctx, args...)
	if err != nil {
		return err
	}
	for _, a := range s.Actions {
		if a.Verb != "Conf" && !slices.Contains(args[fixed:], a.Name) {
			return fault.New(fault.WouldRemove, "packages", a.Name)
		}
	}
	_, _, err = r.apt(ctx, args)
	return err
}

// conffiles lists the configuration files a package registered.
func (p *Provider) conffiles(pkg dpkg.Package) []string {
	for _, name := range []string{pkg.Name, pkg.Name + ":" + pkg.Arch} {
		text, err := os.ReadFile(p.device.Path(dpkg.AdminDir, "info", name+".conffiles"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			return strings.Fields(string(text))
		}
	}
	return nil
}
