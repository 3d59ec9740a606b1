package holder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"patchring/lab/tool"
)

// layerKey tells hosts apart that start with different packages.
func layerKey(h Host) string { return strings.Join(h.Install, " ") }

// makeLayers installs each distinct set of starting packages once, with apt, over
// the image's root. Hosts of that set stack the result under their own disk.
func (k *keeper) makeLayers(ctx context.Context) (map[string]string, error) {
	layers := map[string]string{"": ""}
	for _, h := range k.spec.Hosts {
		key := layerKey(h)
		if _, ok := layers[key]; ok {
			continue
		}
		dir := filepath.Join(k.spec.Dir, "layers", strconv.Itoa(len(layers)))
		if err := k.makeLayer(ctx, dir, h); err != nil {
			return nil, fmt.Errorf("install %s: %w", key, err)
		}
		layers[key] = filepath.Join(dir, "upper")
	}
	return layers, nil
}

func (k *keeper) makeLayer(ctx context.Context, dir string, h Host) (err error) {
	o := overlay{lower: []string{k.spec.Root}, dir: dir}
	if err := o.mount(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.unmount()) }()
	proc := filepath.Join(o.root(), "proc")
	if err := unix.Mount("proc", proc, "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Unmount(proc, unix.MNT_DETACH)) }()
	commands := [][]string{
		{"apt-get", "update", "-qq"},
		append([]string{"apt-get", "install", "-y", "-qq", "--no-install-recommends"}, h.Install...),
	}
	commands = append(commands, h.Prepare...)
	commands = append(commands,
		[]string{"find", "/var/lib/apt/lists", "-type", "f", "-name", "*_*", "-delete"},
		[]string{"find", "/var/cache/apt", "-type", "f", "-delete"})
	for _, c := range commands {
		if err := tool.Run(ctx, append([]string{"chroot", o.root()}, c...)...); err != nil {
			return err
		}
	}
	return nil
}

// overlay is a writable root over read-only ones.
type overlay struct {
	lower []string // topmost first
	dir   string
}

func (o overlay) root() string { return filepath.Join(o.dir, "root") }

// mount makes the directories it needs. "volatile" leaves out the syncs of the disk
// below: a host's power cut kills its processes and not the machine's page cache,
// so they would protect nothing and cost 7 ms each.
func (o overlay) mount() error {
	upper, work := filepath.Join(o.dir, "upper"), filepath.Join(o.dir, "work")
	for _, dir := range []string{upper, work, o.root()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make directory: %w", err)
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s,volatile", strings.Join(o.lower, ":"), upper, work)
	if err := unix.Mount("overlay", o.root(), "overlay", 0, options); err != nil {
		return fmt.Errorf("mount root: %w", err)
	}
	return nil
}

func (o overlay) unmount() error {
	if err := unix.Unmount(o.root(), unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount root: %w", err)
	}
	return nil
}

// wipe throws the written layer away. The root must not be mounted.
func (o overlay) wipe() error {
	for _, dir := range []string{"upper", "work"} {
		if err := os.RemoveAll(filepath.Join(o.dir, dir)); err != nil {
			return fmt.Errorf("wipe disk: %w", err)
		}
	}
	return nil
}
