// Package fleet is the lab's door: real Debian hosts on this machine, with real
// security updates pending, that can be cut off, lose power, reboot and be reset.
//
// It owns the folder of the lab (the cached image, the signing key, one folder for
// each run), starts and ends runs, and speaks to the processes inside. It refuses to
// work without root or on another system than Linux, and says so. The lab's command
// line, the demo and the end-to-end tests call it, from any goroutine; a program
// that opens fleets calls Reexec first of all in main or TestMain. It knows nothing
// of the product that the hosts are to run.
package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"patchring/lab/aptrepo"
	"patchring/lab/debian"
	"patchring/lab/holder"
)

// DefaultDir survives clones, so that the image is built once on a machine.
const DefaultDir = "/var/lib/patchring-lab"

// DefaultName is the run that is meant when none is named.
const DefaultName = "lab"

// DefaultSuite is the release of the hosts.
const DefaultSuite = "bookworm"

// ServerAddress is where a server started in Lan is reached by the hosts. They have
// no other route than the lab's network.
const ServerAddress = holder.ServerAddress

// SharePath is where hosts see Config.Share.
const SharePath = debian.Share

// Config describes a fleet to open. Only Hosts is required.
type Config struct {
	Dir   string // of the lab; DefaultDir
	Name  string // of the run; DefaultName. Runs of different names do not meet
	Suite string // DefaultSuite

	Hosts    []Host
	Light    bool     // no systemd: many hosts, no services
	Share    string   // folder that hosts see, read-only, at SharePath
	Packages []string // cases of the lab's repository that every host starts with
	// HostPackages are further cases, by host name.
	HostPackages map[string][]string

	// Binary is the program that calls Reexec; this one when empty.
	Binary string
	// Detached fleets outlive the process that opened them and end by Down. Others
	// end with it, however it ends.
	Detached bool
	// Say tells a person what takes the time; silent when nil.
	Say func(string)
}

func (c Config) withDefaults() (Config, error) {
	if c.Say == nil {
		c.Say = func(string) {}
	}
	if c.Name == "" {
		c.Name = DefaultName
	}
	if c.Suite == "" {
		c.Suite = DefaultSuite
	}
	var err error
	if c.Dir, err = cleanDir(c.Dir); err != nil {
		return c, err
	}
	if err := checkName(c.Name); err != nil {
		return c, fmt.Errorf("name run: %w", err)
	}
	if err := checkHosts(c.Hosts); err != nil {
		return c, err
	}
	if c.Binary == "" {
		if c.Binary, err = os.Executable(); err != nil {
			return c, fmt.Errorf("find own program: %w", err)
		}
	}
	if c.Share != "" {
		if c.Share, err = filepath.Abs(c.Share); err != nil {
			return c, fmt.Errorf("find share: %w", err)
		}
		if st, err := os.Stat(c.Share); err != nil {
			return c, fmt.Errorf("find share: %w", err)
		} else if !st.IsDir() {
			return c, fmt.Errorf("find share: %s is not a folder", c.Share)
		}
	}
	return c, nil
}

// cleanDir refuses what could not work inside: overlay mounts take paths without
// colons and commas, and the lab has a /run of its own.
func cleanDir(dir string) (string, error) {
	if dir == "" {
		dir = DefaultDir
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find lab folder: %w", err)
	}
	if strings.ContainsAny(dir, ":,\\") || strings.HasPrefix(dir+"/", "/run/") || strings.HasPrefix(dir+"/", "/proc/") {
		return "", fmt.Errorf("use lab folder %s: it cannot be below /run or have a colon, comma or backslash", dir)
	}
	return dir, nil
}

// Reexec becomes one of the lab's inner processes if the program was started as
// one, and does not return then.
func Reexec() {
	if status, inner := holder.Stage(os.Args); inner {
		os.Exit(status)
	}
}

// MakeImage returns the image of that suite, building it if it is not cached.
func MakeImage(ctx context.Context, dir, suite string, say func(string)) (debian.Image, error) {
	cache, recipe, err := imageOf(ctx, dir, suite, say)
	if err != nil {
		return debian.Image{}, err
	}
	return cache.Make(ctx, recipe)
}

// RemoveImage forgets the image of that suite: the next MakeImage takes what Debian
// has then.
func RemoveImage(ctx context.Context, dir, suite string) error {
	cache, recipe, err := imageOf(ctx, dir, suite, func(string) {})
	if err != nil {
		return err
	}
	return cache.Remove(ctx, recipe)
}

func imageOf(ctx context.Context, dir, suite string, say func(string)) (debian.Cache, debian.Recipe, error) {
	if err := Supported(); err != nil {
		return debian.Cache{}, debian.Recipe{}, err
	}
	dir, err := cleanDir(dir)
	if err != nil {
		return debian.Cache{}, debian.Recipe{}, err
	}
	key, err := openKey(ctx, dir)
	if err != nil {
		return debian.Cache{}, debian.Recipe{}, err
	}
	recipe, err := debian.NewRecipe(suite, key.Public, holder.MirrorURL)
	return debian.Cache{Dir: filepath.Join(dir, "images"), Key: key, Say: say}, recipe, err
}

func openKey(ctx context.Context, dir string) (aptrepo.Key, error) {
	return aptrepo.OpenKey(ctx, filepath.Join(dir, "key"))
}

// Fleet is one run. A closed one must not be used.
type Fleet struct {
	dir   string // of the run
	spec  holder.Spec
	table []Host
	image debian.Image
	repo  *aptrepo.Repo
	owned *started // nil when another process opened the run

	forwards sync.WaitGroup
	mu       sync.Mutex // guards closers
	closers  []func() error
}

// ErrUp says that a run of that name is up already.
var ErrUp = errors.New("a lab of that name is up")

// ErrNotUp says that there is no such run.
var ErrNotUp = errors.New("no lab of that name is up")

// Open brings a fleet up and returns when every host has booted. What a dead run of
// the same name left is removed first; a living one is refused with ErrUp.
func Open(ctx context.Context, c Config) (*Fleet, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	image, err := MakeImage(ctx, c.Dir, c.Suite, c.Say)
	if err != nil {
		return nil, err
	}
	f := &Fleet{dir: runDir(c.Dir, c.Name), table: slices.Clone(c.Hosts), image: image}
	if err := f.start(ctx, c); err != nil {
		return nil, fmt.Errorf("open fleet %s: %w", c.Name, err)
	}
	c.Say(fmt.Sprintf("booting %d hosts", len(c.Hosts)))
	err = f.awaitAll(ctx)
	if err == nil && c.Detached {
		err = f.detach()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open fleet %s: %w", c.Name, err), f.down(context.WithoutCancel(ctx)))
	}
	return f, nil
}

// Attach returns the run of that name that another process brought up.
func Attach(ctx context.Context, dir, name string) (*Fleet, error) {
	dir, err := cleanDir(dir)
	if err != nil {
		return nil, err
	}
	run := runDir(dir, name)
	s, err := readState(run)
	if err != nil {
		return nil, fmt.Errorf("attach to fleet %s: %w", name, err)
	}
	if !s.alive() {
		return nil, fmt.Errorf("attach to fleet %s: %w", name, ErrNotUp)
	}
	key, err := openKey(ctx, dir)
	if err != nil {
		return nil, err
	}
	return &Fleet{dir: run, spec: s.Spec, table: s.Hosts, image: s.Image,
		repo: aptrepo.Open(repoDir(run), s.Debs, key)}, nil
}

// Names returns the runs that are up.
func Names(dir string) ([]string, error) {
	dir, err := cleanDir(dir)
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "runs", "*", stateFile))
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	var names []string
	for _, file := range files {
		s, err := readState(filepath.Dir(file))
		if errors.Is(err, ErrNotUp) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if s.alive() {
			names = append(names, filepath.Base(filepath.Dir(file)))
		}
	}
	return names, nil
}

// Hosts returns the fleet's hosts in order.
func (f *Fleet) Hosts() []Host { return slices.Clone(f.table) }

// Image is what the hosts stand on.
func (f *Fleet) Image() debian.Image { return f.image }

// Repo is the lab's own repository, which can change while hosts look on.
func (f *Fleet) Repo() *aptrepo.Repo { return f.repo }

// Log is the file with what the lab itself had to say: boots, requests to the mirror.
func (f *Fleet) Log() string { return holder.LogFile(f.dir) }

// Console is the file with what a host wrote on its console.
func (f *Fleet) Console(host string) string { return holder.ConsoleFile(f.dir, host) }

// Close ends a fleet that this process opened and removes every trace of it, hosts,
// mounts, networks, control groups and disks. Of another's fleet, or of a detached
// one, it only lets go.
func (f *Fleet) Close() error {
	f.mu.Lock()
	closers := f.closers
	f.closers = nil
	f.mu.Unlock()
	var all []error
	for _, closeOne := range slices.Backward(closers) {
		all = append(all, closeOne())
	}
	f.forwards.Wait()
	if f.owned != nil && !f.owned.detached {
		all = append(all, f.down(context.Background()))
	}
	return errors.Join(all...)
}

// onClose has something done before the fleet ends.
func (f *Fleet) onClose(do func() error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closers = append(f.closers, do)
}

// install says what a host has from the start.
func install(c Config, host string) ([]string, [][]string, error) {
	packages := slices.Concat(c.Packages, c.HostPackages[host])
	ids, err := aptrepo.Starting(packages)
	if err != nil {
		return nil, nil, err
	}
	var names []string
	var prepare [][]string
	for _, id := range ids {
		one, err := aptrepo.Find(id.Package)
		if err != nil {
			return nil, nil, err
		}
		names = append(names, id.String())
		prepare = append(prepare, one.Prepare...)
	}
	return names, prepare, nil
}

func (f *Fleet) makeSpec(c Config) error {
	f.spec = holder.Spec{
		Dir: f.dir, Binary: c.Binary, Root: f.image.Root(), Mirror: f.image.Mirror(), Repo: f.repo.Root(),
		Share: c.Share, Light: c.Light, Cgroup: fmt.Sprintf("patchring-lab-%s-%d", c.Name, os.Getpid()),
	}
	for _, h := range c.Hosts {
		packages, prepare, err := install(c, h.Name)
		if err != nil {
			return fmt.Errorf("prepare %s: %w", h.Name, err)
		}
		f.spec.Hosts = append(f.spec.Hosts, holder.Host{Name: h.Name, Address: h.Address, Install: packages, Prepare: prepare})
	}
	for name := range c.HostPackages {
		if !slices.ContainsFunc(c.Hosts, func(h Host) bool { return h.Name == name }) {
			return fmt.Errorf("prepare hosts: packages for %q, which is not in the fleet", name)
		}
	}
	text, err := json.MarshalIndent(f.spec, "", " ")
	if err != nil {
		return fmt.Errorf("encode spec: %w", err)
	}
	if err := os.WriteFile(holder.SpecFile(f.dir), text, 0o600); err != nil {
		return fmt.Errorf("write spec: %w", err)
	}
	return nil
}

func runDir(dir, name string) string { return filepath.Join(dir, "runs", name) }
func repoDir(run string) string      { return filepath.Join(run, "repo") }
