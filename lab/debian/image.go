package debian

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"patchring/lab/aptrepo"
	"patchring/lab/lock"
)

// Image is a finished root with its mirror, read-only from now on.
type Image struct {
	Dir     string    `json:"-"`
	Suite   string    `json:"suite"`
	Built   time.Time `json:"built"`
	Pending []Update  `json:"pending"` // what the mirror offers the root
}

// Root is the lower layer of every host.
func (i Image) Root() string { return filepath.Join(i.Dir, "root") }

// Mirror is to be served at the recipe's server address.
func (i Image) Mirror() string { return filepath.Join(i.Dir, "mirror") }

const readyFile = "ready.json"

// Cache is the folder in which images are kept.
type Cache struct {
	Dir string
	Key aptrepo.Key // signs the repository of previous versions
	// Say tells a person what takes the time; it must not be nil.
	Say func(string)
}

// Find returns the image of that recipe if it is ready.
func (c Cache) Find(r Recipe) (Image, bool, error) {
	dir := filepath.Join(c.Dir, r.Name())
	text, err := os.ReadFile(filepath.Join(dir, readyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Image{}, false, nil
	}
	if err != nil {
		return Image{}, false, fmt.Errorf("read image: %w", err)
	}
	image := Image{Dir: dir}
	if err := json.Unmarshal(text, &image); err != nil {
		return Image{}, false, fmt.Errorf("read image %s: %w", dir, err)
	}
	return image, true, nil
}

// Make returns the image of that recipe, building it if it is not there.
//
// Everything is made under another name, the marker last, and moved into place by
// one rename after a sync. Whoever dies before leaves only a ".building" folder,
// which the next builder, who holds the lock, removes.
func (c Cache) Make(ctx context.Context, r Recipe) (image Image, err error) {
	dir := filepath.Join(c.Dir, r.Name())
	held, err := lock.Acquire(ctx, dir+".lock", func() { c.Say("another build of the same image is running; waiting for it") })
	if err != nil {
		return Image{}, err
	}
	defer func() { err = errors.Join(err, held.Release()) }()
	image, ready, err := c.Find(r)
	if err != nil || ready {
		return image, err
	}
	b := builder{recipe: r, cache: c, dir: dir + ".building"}
	if err := os.RemoveAll(b.dir); err != nil {
		return Image{}, fmt.Errorf("remove unfinished image: %w", err)
	}
	if err := b.build(ctx); err != nil {
		return Image{}, fmt.Errorf("build image %s: %w", r.Name(), err)
	}
	syncDisks()
	if err := os.Rename(b.dir, dir); err != nil {
		return Image{}, fmt.Errorf("finish image: %w", err)
	}
	image, ready, err = c.Find(r)
	if err == nil && !ready {
		err = fmt.Errorf("finish image: %s has no %s", dir, readyFile)
	}
	return image, err
}

// Remove deletes the image of that recipe, so that the next Make starts anew.
func (c Cache) Remove(ctx context.Context, r Recipe) (err error) {
	dir := filepath.Join(c.Dir, r.Name())
	held, err := lock.Acquire(ctx, dir+".lock", nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, held.Release()) }()
	// The marker goes first: a removal that dies in the middle must not leave a
	// root with holes that passes for ready.
	if err := os.Remove(filepath.Join(dir, readyFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove image: %w", err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove image: %w", err)
	}
	return nil
}
