package sweep

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"time"

	"patchring/internal/core/cleanup"
	"patchring/internal/core/fault"
	"patchring/wire"
)

// Sweeper of one device.
type Sweeper struct {
	// Root is the device's root directory; tests have their own.
	Root string
	Now  func() time.Time
	// Open are the files that some process has open or mapped. Not to know is an
	// error, and nothing is removed.
	Open func() (OpenFiles, error)
}

// Step is called now and then with all that has gone so far. An error ends the
// sweep there, and Sweep returns it.
type Step func(wire.Freed) error

// stepEvery is how many files are looked at between two steps.
const stepEvery = 256

// maxDepth of directories that are entered; deeper ones are left alone.
const maxDepth = 64

// Sweep removes what the item is about, or counts it. What it could not look at
// it leaves; an error is one of the whole item, or of step.
func (s *Sweeper) Sweep(ctx context.Context, c wire.CleanUp, step Step) (wire.Freed, error) {
	item := cleanup.FromWire(c)
	if problem := item.Problem(); problem != "" {
		return wire.Freed{}, fault.New(fault.InvalidField, "field", "clean_up", "problem", problem)
	}
	places, err := s.places(item)
	if err != nil {
		return wire.Freed{}, err
	}
	open, err := s.Open()
	if err != nil {
		return wire.Freed{}, fault.New(fault.ToolFailed, "tool", "open files", "error", err.Error())
	}
	w := &walk{
		ctx: ctx, before: s.Now().Add(-item.OlderThan), open: open, dry: c.DryRun, step: step, total: map[string]*wire.FreedPlace{},
	}
	for _, p := range places {
		if err := w.place(s.Root, p); err != nil {
			return w.freed(), err
		}
	}
	return w.freed(), nil
}

// walk is one sweep under way.
type walk struct {
	ctx    context.Context
	before time.Time // only what is older goes
	open   OpenFiles
	dry    bool
	step   Step
	seen   int
	total  map[string]*wire.FreedPlace
}

func (w *walk) freed() wire.Freed {
	var f wire.Freed
	for _, p := range w.total {
		f.Files, f.Bytes = f.Files+p.Files, f.Bytes+p.Bytes
		f.Places = append(f.Places, *p)
	}
	return Bounded(f)
}

// Bounded keeps the largest places, in a steady order.
func Bounded(f wire.Freed) wire.Freed {
	slices.SortFunc(f.Places, func(a, b wire.FreedPlace) int {
		switch {
		case a.Bytes != b.Bytes:
			return int(min(max(b.Bytes-a.Bytes, -1), 1))
		case a.Path < b.Path:
			return -1
		default:
			return 1
		}
	})
	f.Places = f.Places[:min(len(f.Places), wire.MaxFreedPlaces)]
	return f
}

// look is called for each entry.
func (w *walk) look() error {
	if w.seen++; w.seen%stepEvery != 0 {
		return nil
	}
	if err := w.ctx.Err(); err != nil {
		return err
	}
	return w.step(w.freed())
}

// errGone: an entry was removed or replaced while it was looked at, or cannot
// be opened. It is left alone.
var errGone = errors.New("not what it was")

// place sweeps one place, if it is there.
func (w *walk) place(root string, p place) error {
	top, err := openTop(root, p)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errGone) {
		return nil
	}
	if err != nil {
		return fault.New(fault.ToolFailed, "tool", p.name(), "error", err.Error())
	}
	defer top.close()
	return w.descend(top, p, p.globs, w.at(p))
}

func (w *walk) at(p place) *wire.FreedPlace {
	name := wire.Clean(p.name(), 256)
	if w.total[name] == nil {
		w.total[name] = &wire.FreedPlace{Path: name}
	}
	return w.total[name]
}

// descend goes to the directories that the globs name, one component each, and
// sweeps those.
func (w *walk) descend(d *dir, p place, globs []string, into *wire.FreedPlace) error {
	if len(globs) == 0 {
		return w.sweep(d, p, 0, into)
	}
	return d.each(func(name string) error {
		if hit, err := path.Match(globs[0], name); err != nil || !hit {
			return err
		}
		sub, err := d.enter(name)
		if err != nil {
			return nil // no directory, a link, another file system: not ours
		}
		defer sub.close()
		return w.descend(sub, p, globs[1:], into)
	})
}

// sweep works on the entries of one directory.
func (w *walk) sweep(d *dir, p place, depth int, into *wire.FreedPlace) error {
	if p.locked && d.locked() {
		return nil
	}
	return d.each(func(name string) error {
		if err := w.look(); err != nil {
			return err
		}
		if depth == 0 && p.spared(name) || name == "lost+found" {
			return nil
		}
		info, err := d.root.Lstat(name)
		if err != nil {
			return nil // gone by itself
		}
		switch {
		case info.IsDir() && !p.flat && depth < maxDepth:
			return w.enter(d, p, name, info, depth, into)
		case info.Mode().IsRegular():
			return w.file(d, p, name, info, into)
		}
		return nil
	})
}

// enter sweeps a directory below a place, and removes it when it is empty and
// was as old as a file must be. Its age is read before anything in it goes.
func (w *walk) enter(d *dir, p place, name string, info fs.FileInfo, depth int, into *wire.FreedPlace) error {
	sub, err := d.enter(name)
	if err != nil {
		return nil
	}
	err = w.sweep(sub, p, depth+1, into)
	sub.close()
	if err != nil || w.dry || !w.mayGo(p, info) {
		return err
	}
	_ = removeDir(d, name) // refused by the system unless it is empty
	return nil
}

func (w *walk) file(d *dir, p place, name string, info fs.FileInfo, into *wire.FreedPlace) error {
	if !p.wants(name) || !w.mayGo(p, info) || w.open.Has(info) {
		return nil
	}
	if !w.dry {
		if err := removeFile(d, name, info); err != nil {
			return nil // held by a mount, made immutable, replaced: left alone
		}
	}
	into.Files++
	into.Bytes += diskBytes(info)
	return nil
}

// mayGo tells that an entry is old by all its times and belongs to whom it
// should.
func (w *walk) mayGo(p place, info fs.FileInfo) bool {
	return lastTouched(info).Before(w.before) && p.owner(info)
}
