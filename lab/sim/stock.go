package sim

import (
	"bufio"
	"compress/gzip"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"patchring/wire"
)

//go:embed recorded/*.gz
var recorded embed.FS

// Sizes of the recorded package lists.
var sizes = []int{200, 800, 2500}

func checkSize(n int) error {
	if n != 0 && !slices.Contains(sizes, n) {
		return fmt.Errorf("%w: %d packages, recorded are %v", ErrOptions, n, sizes)
	}
	return nil
}

// mixed gives a size as a company has them: mostly small servers and ordinary
// desktops.
func mixed(draw float64) int {
	switch {
	case draw < 0.5:
		return 200
	case draw < 0.9:
		return 800
	}
	return 2500
}

// What the recorded updates come from.
const (
	provider = "apt"
	suite    = "bookworm-security"
	origin   = "Debian-Security"
	class    = "security"
)

// stock is a recorded list of installed packages and what there is to update
// in it. Devices share it and never change it.
type stock struct {
	packages []wire.Package
	updates  []wire.Patch // sorted by name; the versions before are those in packages
}

type stocks map[int]*stock

func readStocks() (stocks, error) {
	updates, err := readUpdates()
	if err != nil {
		return nil, err
	}
	all := stocks{}
	for _, size := range sizes {
		s := &stock{}
		if s.packages, err = readPackages(size); err != nil {
			return nil, err
		}
		s.updates = applicable(updates, s.packages)
		all[size] = s
	}
	return all, nil
}

func readPackages(size int) ([]wire.Package, error) {
	list := make([]wire.Package, 0, size)
	err := eachLine(fmt.Sprintf("stock-%d.tsv.gz", size), func(f []string) error {
		if len(f) < 3 || len(f) > 4 {
			return fmt.Errorf("%d fields", len(f))
		}
		p := wire.Package{Name: f[0], Version: f[1], Arch: f[2]}
		if len(f) == 4 {
			p.Source = f[3]
		}
		list = append(list, p)
		return nil
	})
	return list, err
}

func readUpdates() ([]wire.Patch, error) {
	var list []wire.Patch
	err := eachLine("security.tsv.gz", func(f []string) error {
		if len(f) != 8 {
			return fmt.Errorf("%d fields", len(f))
		}
		bytes, err := strconv.ParseInt(f[6], 10, 64)
		if err != nil {
			return err
		}
		last := len(list) - 1
		if last < 0 || list[last].Name != f[0] || list[last].Version != f[1] {
			list = append(list, wire.Patch{
				Provider: provider, Name: f[0], Version: f[1], Suite: suite, Origin: origin, Class: class,
				State: wire.PatchOffered, Summary: f[7],
			})
			last++
		}
		list[last].DownloadBytes += bytes
		list[last].Packages = append(list[last].Packages, wire.Change{Name: f[2], Arch: f[3], From: f[4], To: f[5]})
		return nil
	})
	return list, err
}

// applicable keeps of each update what is installed.
func applicable(updates []wire.Patch, installed []wire.Package) []wire.Patch {
	have := make(map[string]bool, len(installed))
	for _, p := range installed {
		have[p.Name] = true
	}
	var list []wire.Patch
	for _, u := range updates {
		u.Packages = slices.DeleteFunc(slices.Clone(u.Packages), func(c wire.Change) bool { return !have[c.Name] })
		if len(u.Packages) > 0 {
			list = append(list, u)
		}
	}
	return list
}

func eachLine(name string, f func(fields []string) error) (err error) {
	file, err := recorded.Open("recorded/" + name)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, z.Close()) }()
	lines := bufio.NewScanner(z)
	for n := 1; lines.Scan(); n++ {
		if err := f(strings.Split(lines.Text(), "\t")); err != nil {
			return fmt.Errorf("read %s: line %d: %w", name, n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}
