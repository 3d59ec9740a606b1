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
	"strings"

	"patchring/lab/lock"
	"patchring/lab/tool"
)

// Build makes every version of every case under cache, once for all repositories
// of the same cases, and returns the folder of the .deb files.
//
// The folder is named after what is in it and appears by one rename: a build that
// died leaves another name behind, which the next build removes.
func Build(ctx context.Context, cache string) (folder string, err error) {
	cases := Cases()
	folder = filepath.Join(cache, "debs-"+fingerprint(cases))
	held, err := lock.Acquire(ctx, folder+".lock", nil)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, held.Release()) }()
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("look for packages: %w", err)
	}
	work := folder + ".building"
	if err := os.RemoveAll(work); err != nil {
		return "", fmt.Errorf("remove unfinished packages: %w", err)
	}
	for _, c := range cases {
		for _, v := range c.Versions {
			if err := buildDeb(ctx, work, c, v); err != nil {
				return "", fmt.Errorf("build %s %s: %w", c.Package, v.Number, err)
			}
		}
	}
	if err := os.RemoveAll(filepath.Join(work, "tree")); err != nil {
		return "", fmt.Errorf("remove package trees: %w", err)
	}
	if err := os.Rename(work, folder); err != nil {
		return "", fmt.Errorf("finish packages: %w", err)
	}
	return folder, nil
}

// fingerprint changes whenever a package would.
func fingerprint(cases []Case) string {
	text, err := json.Marshal(cases)
	if err != nil {
		panic(fmt.Sprintf("aptrepo: cases are not plain data: %v", err))
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}

func buildDeb(ctx context.Context, folder string, c Case, v Version) error {
	id := ID{c.Package, v.Number}
	tree := filepath.Join(folder, "tree", id.String())
	for _, f := range debFiles(c, v) {
		path := filepath.Join(tree, f.Path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(f.Content), fs.FileMode(f.Mode)); err != nil {
			return err
		}
	}
	// gzip: built three times as fast as xz, and nobody downloads these from afar.
	_, err := tool.Cmd{
		Args: []string{"dpkg-deb", "-Zgzip", "--root-owner-group", "--build", tree, filepath.Join(folder, id.file())},
		Env:  append(tool.Environment(), "SOURCE_DATE_EPOCH=1700000000"),
	}.Output(ctx)
	return err
}

// debFiles is the whole tree of a package, its control files included.
func debFiles(c Case, v Version) []File {
	files := []File{
		{"DEBIAN/control", 0o644, control(c, v)},
		{"usr/share/" + c.Package + "/VERSION", 0o644, c.Package + " " + v.Number + "\n"},
	}
	for name, body := range v.Scripts {
		files = append(files, File{"DEBIAN/" + name, 0o755, "#!/bin/sh\nset -e\n" + body + "\n"})
	}
	if len(v.Conffiles) > 0 {
		files = append(files, File{"DEBIAN/conffiles", 0o644, strings.Join(v.Conffiles, "\n") + "\n"})
	}
	return append(files, v.Files...)
}

func control(c Case, v Version) string {
	var b strings.Builder
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	field("Package", c.Package)
	field("Version", v.Number)
	field("Architecture", "all")
	field("Maintainer", "Patchring lab <"+keyAddress+">")
	field("Section", "misc")
	field("Priority", "optional")
	field("Depends", v.Depends)
	field("Conflicts", v.Conflicts)
	field("Description", "Patchring lab: "+c.About)
	return b.String()
}
