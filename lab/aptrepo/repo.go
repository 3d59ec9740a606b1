package aptrepo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"patchring/lab/lock"
	"patchring/lab/tool"
)

// Repo is one repository on disk: a plan, and the tree last published from it.
type Repo struct {
	dir  string
	debs string
	key  Key
}

// Open opens the repository of that folder, which may be empty, over the packages
// that Build made.
func Open(dir, debs string, key Key) *Repo { return &Repo{dir: dir, debs: debs, key: key} }

// Root is the folder to serve. It is a link that Publish moves in one step, so it
// must be looked up at each request.
func (r *Repo) Root() string { return filepath.Join(r.dir, "www") }

func (r *Repo) planFile() string { return filepath.Join(r.dir, "plan.json") }

// Plan returns what the repository is to publish.
func (r *Repo) Plan() (Plan, error) {
	text, err := os.ReadFile(r.planFile())
	if errors.Is(err, fs.ErrNotExist) {
		return FirstPlan(), nil
	}
	if err != nil {
		return Plan{}, fmt.Errorf("read plan: %w", err)
	}
	var p Plan
	if err := json.Unmarshal(text, &p); err != nil {
		return Plan{}, fmt.Errorf("read plan %s: %w", r.planFile(), err)
	}
	return p, nil
}

// Reset puts the first plan back. Hosts see it after Publish, as with every edit.
func (r *Repo) Reset(ctx context.Context) error {
	return r.edit(ctx, func(Plan) (Plan, error) { return FirstPlan(), nil })
}

// Add plans versions that were kept for later.
func (r *Repo) Add(ctx context.Context, ids ...ID) error {
	return r.edit(ctx, func(p Plan) (Plan, error) { return p.Add(ids...) })
}

// Drop plans that versions disappear.
func (r *Repo) Drop(ctx context.Context, ids ...ID) error {
	return r.edit(ctx, func(p Plan) (Plan, error) { return p.Drop(ids...) })
}

// Supersede puts a newer version in the place of one that disappears and
// publishes: the old file is gone from the pool when it returns.
func (r *Repo) Supersede(ctx context.Context, name, before, after string) error {
	err := r.edit(ctx, func(p Plan) (Plan, error) { return p.Supersede(name, before, after) })
	if err != nil {
		return err
	}
	return r.Publish(ctx)
}

// edit replaces the plan file by a rename: the next start sees the old plan or the
// new one.
func (r *Repo) edit(ctx context.Context, change func(Plan) (Plan, error)) (err error) {
	held, err := lock.Acquire(ctx, r.planFile()+".lock", nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, held.Release()) }()
	p, err := r.Plan()
	if err != nil {
		return err
	}
	if p, err = change(p); err != nil {
		return err
	}
	text, err := json.MarshalIndent(p, "", " ")
	if err != nil {
		return fmt.Errorf("encode plan: %w", err)
	}
	if err := os.WriteFile(r.planFile()+".new", text, 0o644); err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	if err := os.Rename(r.planFile()+".new", r.planFile()); err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	return nil
}

// Publish makes the plan visible: it builds a whole new tree beside the old one and
// moves the link. Index files of the tree before stay reachable by their hash, so
// that an apt which has just read the old Release can finish.
func (r *Repo) Publish(ctx context.Context) (err error) {
	held, err := lock.Acquire(ctx, r.planFile()+".lock", nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, held.Release()) }()
	plan, err := r.Plan()
	if err != nil {
		return err
	}
	tree, err := os.MkdirTemp(r.dir, "tree-")
	if err != nil {
		return fmt.Errorf("make tree: %w", err)
	}
	for _, suite := range []string{SuiteBase, SuiteSecurity} {
		if err := r.publishSuite(ctx, tree, suite, plan); err != nil {
			return fmt.Errorf("publish suite %s: %w", suite, err)
		}
	}
	if err := r.swap(filepath.Base(tree)); err != nil {
		return fmt.Errorf("publish tree: %w", err)
	}
	return nil
}

// swap moves the link to the new tree and removes all others: the one before, and
// those that a publication which died left.
func (r *Repo) swap(tree string) error {
	next := r.Root() + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(tree, next); err != nil {
		return err
	}
	if err := os.Rename(next, r.Root()); err != nil {
		return err
	}
	trees, err := filepath.Glob(filepath.Join(r.dir, "tree-*"))
	if err != nil {
		return err
	}
	for _, old := range trees {
		if filepath.Base(old) == tree {
			continue
		}
		if err := os.RemoveAll(old); err != nil {
			return err
		}
	}
	return nil
}

func (r *Repo) publishSuite(ctx context.Context, tree, suite string, plan Plan) error {
	pool := filepath.Join("pool", suite)
	if err := os.MkdirAll(filepath.Join(tree, pool), 0o755); err != nil {
		return err
	}
	ids, err := plan.InSuite(suite)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := os.Link(filepath.Join(r.debs, id.file()), filepath.Join(tree, pool, id.file())); err != nil {
			return err
		}
	}
	index, err := tool.Cmd{Args: []string{"apt-ftparchive", "packages", pool}, Dir: tree}.Output(ctx)
	if err != nil {
		return err
	}
	binary := filepath.Join("dists", suite, "main", "binary-"+Architecture())
	if err := writeIndex(filepath.Join(tree, binary), filepath.Join(r.Root(), binary), index); err != nil {
		return err
	}
	return r.key.release(ctx, filepath.Join(tree, "dists", suite), []string{
		"Label=" + label(suite), "Suite=" + suite, "Codename=" + suite,
		"Components=main", "Architectures=" + Architecture(), "Acquire-By-Hash=yes",
	})
}

func label(suite string) string {
	if suite == SuiteSecurity {
		return "Patchring-Lab-Security"
	}
	return "Patchring-Lab"
}

// writeIndex writes a Packages file under its name and its hash, beside the hashes
// of the tree before.
func writeIndex(folder, before string, index []byte) error {
	sum := sha256.Sum256(index)
	name := hex.EncodeToString(sum[:])
	byHash := filepath.Join(folder, "by-hash", "SHA256")
	if err := os.MkdirAll(byHash, 0o755); err != nil {
		return err
	}
	older, err := filepath.Glob(filepath.Join(before, "by-hash", "SHA256", "*"))
	if err != nil {
		return err
	}
	for _, file := range older {
		if filepath.Base(file) == name {
			continue // the suite did not change
		}
		if err := os.Link(file, filepath.Join(byHash, filepath.Base(file))); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "Packages"), index, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(byHash, name), index, 0o644)
}

// release writes and signs the Release file of a folder with those fields.
func (k Key) release(ctx context.Context, folder string, fields []string) error {
	// apt asks for an index by the strongest hash that Release lists: only the one
	// under which writeIndex files them.
	args := []string{"apt-ftparchive", "-o", "APT::FTPArchive::MD5=false", "-o", "APT::FTPArchive::SHA1=false",
		"-o", "APT::FTPArchive::SHA512=false", "-o", "APT::FTPArchive::Release::Origin=Patchring Lab"}
	for _, f := range fields {
		args = append(args, "-o", "APT::FTPArchive::Release::"+f)
	}
	// Written only after it was made: it would list itself otherwise.
	text, err := tool.Output(ctx, append(args, "release", folder)...)
	if err != nil {
		return err
	}
	file := filepath.Join(folder, "Release")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return err
	}
	return k.sign(ctx, file, filepath.Join(folder, "InRelease"))
}

// PublishFlat indexes and signs a folder of .deb files as a flat repository.
func PublishFlat(ctx context.Context, folder, label string, key Key) error {
	index, err := tool.Cmd{Args: []string{"apt-ftparchive", "packages", "."}, Dir: folder}.Output(ctx)
	if err != nil {
		return fmt.Errorf("index %s: %w", folder, err)
	}
	if err := os.WriteFile(filepath.Join(folder, "Packages"), index, 0o644); err != nil {
		return fmt.Errorf("write index: %w", err)
	}
	if err := key.release(ctx, folder, []string{"Label=" + label, "Suite=previous"}); err != nil {
		return fmt.Errorf("publish %s: %w", folder, err)
	}
	return nil
}

// Architecture is Debian's name for the processor this runs on.
func Architecture() string {
	switch runtime.GOARCH {
	case "386":
		return "i386"
	case "arm":
		return "armhf"
	case "ppc64le":
		return "ppc64el"
	default: // amd64, arm64, riscv64, s390x are the same in both
		return runtime.GOARCH
	}
}
