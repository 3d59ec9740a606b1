//go:build e2e

package aptrepo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"patchring/lab/tool"
)

func opened(t *testing.T) *Repo {
	t.Helper()
	// Not t.TempDir: its names are longer than gpg's sockets allow.
	dir, err := os.MkdirTemp("", "lab")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	key, err := OpenKey(t.Context(), filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	debs, err := Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "repo"), 0o755); err != nil {
		t.Fatal(err)
	}
	return Open(filepath.Join(dir, "repo"), debs, key)
}

func TestPublishIsSignedAndFollowsThePlan(t *testing.T) {
	r := opened(t)
	if err := r.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	inRelease := filepath.Join(r.Root(), "dists", SuiteSecurity, "InRelease")
	if err := tool.Run(t.Context(), "gpgv", "--keyring", r.key.publicFile(), inRelease); err != nil {
		t.Fatalf("signature: %v", err)
	}
	index := filepath.Join(r.Root(), "dists", SuiteSecurity, "main", "binary-"+Architecture(), "Packages")
	before := read(t, index)
	if !strings.Contains(before, "Filename: pool/lab-security/lab-vanish_1.1_all.deb") {
		t.Fatalf("index lacks lab-vanish 1.1:\n%s", before)
	}

	if err := r.Supersede(t.Context(), "lab-vanish", "1.1", "1.2"); err != nil {
		t.Fatal(err)
	}
	after := read(t, index)
	if strings.Contains(after, "lab-vanish_1.1") || !strings.Contains(after, "lab-vanish_1.2") {
		t.Errorf("index after supersede:\n%s", after)
	}
	if _, err := os.Stat(filepath.Join(r.Root(), "pool", SuiteSecurity, "lab-vanish_1.1_all.deb")); !os.IsNotExist(err) {
		t.Errorf("the superseded file is still there: %v", err)
	}
	// An apt that read the Release before can still fetch the index it names.
	byHash, err := filepath.Glob(filepath.Join(filepath.Dir(index), "by-hash", "SHA256", "*"))
	if err != nil || len(byHash) != 2 {
		t.Errorf("by-hash = %v, %v; want the index before and after", byHash, err)
	}
	trees, err := filepath.Glob(filepath.Join(r.dir, "tree-*"))
	if err != nil || len(trees) != 1 {
		t.Errorf("trees = %v, %v; want only the published one", trees, err)
	}
}

func TestBuildTakesNoHalfForWhole(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "debs-"+fingerprint(Cases()))
	// What a build that was killed leaves behind.
	if err := os.MkdirAll(filepath.Join(folder+".building", "tree", "lab-good=1.0"), 0o755); err != nil {
		t.Fatal(err)
	}
	got, err := Build(t.Context(), dir)
	if err != nil || got != folder {
		t.Fatalf("Build = %s, %v; want %s", got, err, folder)
	}
	debs, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	for _, c := range Cases() {
		want += len(c.Versions)
	}
	if len(debs) != want {
		t.Errorf("%d files in %s, want the %d packages", len(debs), folder, want)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
