package debian

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"patchring/lab/aptrepo"
	"patchring/lab/tool"
)

// builder makes one image in a folder of its own.
type builder struct {
	recipe Recipe
	cache  Cache
	dir    string
	origin origin
}

func (b *builder) root() string   { return filepath.Join(b.dir, "root") }
func (b *builder) mirror() string { return filepath.Join(b.dir, "mirror") }

// debs is where debootstrap keeps what it downloaded: the versions that a rollback
// goes back to, and a warm start for the next build.
func (b *builder) debs() string { return filepath.Join(b.cache.Dir, "debs-"+b.recipe.Suite) }

func (b *builder) build(ctx context.Context) error {
	for _, dir := range []string{b.dir, b.mirror(), b.debs()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	var err error
	if b.origin, err = machineOrigin(ctx); err != nil {
		return err
	}
	b.cache.Say(fmt.Sprintf("debootstrap %s from %s (one to two minutes, once)", b.recipe.Suite, b.origin.main))
	if err := b.bootstrap(ctx); err != nil {
		return err
	}
	b.cache.Say("download the pending security updates of " + b.recipe.security())
	pending, err := b.makeMirror(ctx)
	if err != nil {
		return fmt.Errorf("mirror: %w", err)
	}
	if err := b.makePrevious(ctx, pending); err != nil {
		return fmt.Errorf("previous versions: %w", err)
	}
	if err := b.finishRoot(); err != nil {
		return fmt.Errorf("finish root: %w", err)
	}
	marker, err := json.MarshalIndent(Image{Suite: b.recipe.Suite, Built: time.Now().UTC(), Pending: pending}, "", " ")
	if err != nil {
		return err
	}
	b.cache.Say(fmt.Sprintf("image %s is ready: %d updates pending", b.recipe.Name(), len(pending)))
	return os.WriteFile(filepath.Join(b.dir, readyFile), marker, 0o644)
}

// alone runs a command in mount and process namespaces of its own: debootstrap
// mounts /proc in the root, and neither that mount nor a daemon that a maintainer
// script started may outlive the command, however it ends.
func alone(args ...string) []string {
	return append([]string{"unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private", "--"}, args...)
}

func (b *builder) bootstrap(ctx context.Context) (err error) {
	path := filepath.Join(b.cache.Dir, "debootstrap.log")
	log, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	args := alone("eatmydata", "debootstrap", "--variant=minbase", "--include="+strings.Join(b.recipe.Include, ","),
		"--cache-dir="+b.debs(), b.recipe.Suite, b.root(), b.origin.main)
	if _, err := (tool.Cmd{Args: args, Env: tool.OnlineEnvironment(), Log: log}).Output(ctx); err != nil {
		return fmt.Errorf("%w (whole log: %s)", err, path)
	}
	return nil
}

// inRoot runs a command inside the root.
func (b *builder) inRoot(ctx context.Context, args ...string) (string, error) {
	out, err := tool.Cmd{Args: alone(append([]string{"chroot", b.root()}, args...)...), Env: tool.OnlineEnvironment()}.Output(ctx)
	return string(out), err
}

// keepXZ makes apt store Packages.xz as it was served, so that its hash stays the
// one in the InRelease that Debian signed.
var keepXZ = []string{
	"-o", "Acquire::GzipIndexes=true",
	"-o", "Acquire::CompressionTypes::Order::=xz",
	"-o", "Acquire::IndexTargets::deb::Packages::KeepCompressedAs=xz",
}

// makeMirror lets apt in the root find, verify and download what is pending, then
// lays those files out as Debian's archive does.
func (b *builder) makeMirror(ctx context.Context) ([]Update, error) {
	if err := b.prepareApt(); err != nil {
		return nil, err
	}
	if _, err := b.inRoot(ctx, append([]string{"apt-get", "update", "-qq"}, keepXZ...)...); err != nil {
		return nil, err
	}
	simulated, err := b.inRoot(ctx, "apt-get", "-s", "-qq", "dist-upgrade")
	if err != nil {
		return nil, err
	}
	// Asked before the download: apt leaves out what it already has.
	addresses, err := b.inRoot(ctx, "apt-get", "-qq", "--print-uris", "dist-upgrade")
	if err != nil {
		return nil, err
	}
	files, err := parseURIs(addresses, b.origin.security)
	if err != nil {
		return nil, err
	}
	if _, err := b.inRoot(ctx, "apt-get", "-y", "-qq", "-d", "dist-upgrade"); err != nil {
		return nil, err
	}
	archive := filepath.Join(b.mirror(), "debian-security")
	for _, f := range files {
		if err := move(filepath.Join(b.root(), "var/cache/apt/archives", f.name), filepath.Join(archive, f.path)); err != nil {
			return nil, err
		}
	}
	pending := ParseSimulation(simulated)
	if len(pending) == 0 {
		return nil, fmt.Errorf("no update is pending in %s: a lab without updates shows nothing", b.recipe.Suite)
	}
	return pending, b.placeIndexes(filepath.Join(archive, "dists", b.recipe.security()))
}

// prepareApt gives the root the machine's resolver and only the security archive.
func (b *builder) prepareApt() error {
	resolver, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return err
	}
	for _, pattern := range []string{"var/cache/apt/archives/*.deb", "var/lib/apt/lists/*_*"} {
		if err := removeAll(filepath.Join(b.root(), pattern)); err != nil {
			return err
		}
	}
	for _, f := range []File{
		{"/etc/resolv.conf", 0o644, string(resolver)},
		{"/etc/apt/apt.conf.d/99lab", 0o644, aptConf},
		{"/etc/apt/sources.list", 0o644, fmt.Sprintf("deb %s %s main\n", b.origin.security, b.recipe.security())},
	} {
		if err := b.write(f); err != nil {
			return err
		}
	}
	return nil
}

// placeIndexes puts the signed metadata in its place, after checking that the index
// still is the one that was signed.
func (b *builder) placeIndexes(dists string) error {
	lists := filepath.Join(b.root(), "var/lib/apt/lists")
	release, err := one(filepath.Join(lists, "*_InRelease"))
	if err != nil {
		return err
	}
	index, err := one(filepath.Join(lists, "*_Packages.xz"))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(index)
	hash := hex.EncodeToString(sum[:])
	if !bytes.Contains(release, []byte(hash)) {
		return fmt.Errorf("check index: Packages.xz with SHA-256 %s is not the one InRelease signs", hash)
	}
	binary := filepath.Join(dists, "main", "binary-"+aptrepo.Architecture())
	for path, content := range map[string][]byte{
		filepath.Join(dists, "InRelease"):                release,
		filepath.Join(binary, "Packages.xz"):             index,
		filepath.Join(binary, "by-hash", "SHA256", hash): index,
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// makePrevious keeps the versions that the root has now of everything that is
// pending: what a rollback installs. A pending package that comes new has none.
func (b *builder) makePrevious(ctx context.Context, pending []Update) error {
	folder := filepath.Join(b.mirror(), "previous")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, u := range pending {
		if u.From == "" {
			continue
		}
		name, err := b.findDeb(ctx, u)
		if err != nil {
			return err
		}
		if err := os.Link(filepath.Join(b.debs(), name), filepath.Join(folder, name)); err != nil {
			return err
		}
	}
	return aptrepo.PublishFlat(ctx, folder, "Patchring-Lab-Previous", b.cache.Key)
}

// findDeb looks in debootstrap's cache, which may hold versions of older builds.
func (b *builder) findDeb(ctx context.Context, u Update) (string, error) {
	name, _, _ := strings.Cut(u.Package, ":")
	candidates, err := filepath.Glob(filepath.Join(b.debs(), name+"_*.deb"))
	if err != nil {
		return "", err
	}
	for _, file := range candidates {
		version, err := tool.Output(ctx, "dpkg-deb", "-f", file, "Version")
		if err != nil {
			return "", err
		}
		if strings.TrimSpace(string(version)) == u.From {
			return filepath.Base(file), nil
		}
	}
	return "", fmt.Errorf("find %s %s: debootstrap kept no such file in %s", name, u.From, b.debs())
}

// finishRoot removes the traces of the build and writes the lab's files.
func (b *builder) finishRoot() error {
	for _, pattern := range []string{"var/lib/apt/lists/*_*", "var/cache/apt/*.bin", "var/cache/apt/archives/*.deb"} {
		if err := removeAll(filepath.Join(b.root(), pattern)); err != nil {
			return err
		}
	}
	for _, timer := range timers {
		err := os.Remove(filepath.Join(b.root(), "etc/systemd/system/timers.target.wants", timer))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, f := range b.recipe.Files() {
		if err := b.write(f); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) write(f File) error {
	path := filepath.Join(b.root(), f.Path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	// A link in the root, as resolv.conf may be, would lead out of it.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, []byte(f.Content), fs.FileMode(f.Mode))
}

func move(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.Rename(from, to)
}

func removeAll(pattern string) error {
	files, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := os.RemoveAll(file); err != nil {
			return err
		}
	}
	return nil
}

// one reads the only file of that pattern.
func one(pattern string) ([]byte, error) {
	files, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	if len(files) != 1 {
		return nil, fmt.Errorf("find %s: %d files, want one", pattern, len(files))
	}
	return os.ReadFile(files[0])
}
