package debian

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func recipe(t *testing.T, suite string) Recipe {
	t.Helper()
	r, err := NewRecipe(suite, []byte("key"), "http://10.99.0.1:8000")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestNameFollowsEverythingTheImageDependsOn(t *testing.T) {
	base := recipe(t, "bookworm").Name()
	if base != recipe(t, "bookworm").Name() {
		t.Fatal("the same recipe has two names")
	}
	if !strings.HasPrefix(base, "bookworm-") {
		t.Errorf("name %s does not say its suite", base)
	}
	changed := map[string]func(*Recipe){
		"suite":   func(r *Recipe) { r.Suite = "bullseye" },
		"package": func(r *Recipe) { r.Include = append(r.Include, "sudo") },
		"key":     func(r *Recipe) { r.Keyring = []byte("other") },
		"server":  func(r *Recipe) { r.Server = "http://10.99.0.1:8001" },
	}
	for what, change := range changed {
		r := recipe(t, "bookworm")
		change(&r)
		if r.Name() == base {
			t.Errorf("another %s leaves the name unchanged: a stale image would be used", what)
		}
	}
}

func TestNewRecipeRefusesUnknownSuites(t *testing.T) {
	for _, suite := range []string{"", "sid", "../bookworm"} {
		if _, err := NewRecipe(suite, nil, ""); err == nil {
			t.Errorf("suite %q was accepted", suite)
		}
	}
}

func TestSourcesTrustEachRepositoryToItsOwnKey(t *testing.T) {
	for line := range strings.Lines(recipe(t, "bullseye").Sources()) {
		wantDebian := strings.Contains(line, "/debian-security ")
		if gotDebian := strings.Contains(line, "debian-archive-keyring"); gotDebian != wantDebian {
			t.Errorf("wrong key: %s", line)
		}
		if !strings.Contains(line, "signed-by=") || strings.Contains(line, "trusted") {
			t.Errorf("no key: %s", line)
		}
	}
}

func TestParseTargets(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want origin
	}{
		"the machine's mirrors": {
			"http://mirror.example/debian/ bookworm\nhttp://mirror.example/debian-security/ bookworm-security\n",
			origin{"http://mirror.example/debian/", "http://mirror.example/debian-security/"},
		},
		"other vendors are not Debian": {
			"https://packages.example/apt/ bookworm\nhttps://deb.nodesource.com/node_20.x/ nodistro\n", defaultOrigin(),
		},
		"local media are not for hosts": {"file:/srv/debian/ bookworm\ncdrom://x/debian/ bookworm\n", defaultOrigin()},
		"nothing":                       {"", defaultOrigin()},
	} {
		if got := parseTargets(c.text); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

func TestParseURIs(t *testing.T) {
	const archive = "http://deb.debian.org/debian-security/"
	text := `NOTE: not for use
'http://deb.debian.org/debian-security/pool/updates/main/n/nginx/nginx_1.22.1-9%2bdeb12u11_all.deb' nginx_1.22.1-9+deb12u11_all.deb 109320 SHA256:7bd1
'http://deb.debian.org/debian-security/pool/updates/main/p/python3.11/python3.11_3.11.2-6%7edeb12u9_amd64.deb' python3.11_3.11.2-6~deb12u9_amd64.deb 573000 SHA256:aa
`
	got, err := parseURIs(text, archive)
	if err != nil {
		t.Fatal(err)
	}
	want := []poolFile{
		{"pool/updates/main/n/nginx/nginx_1.22.1-9+deb12u11_all.deb", "nginx_1.22.1-9+deb12u11_all.deb"},
		{"pool/updates/main/p/python3.11/python3.11_3.11.2-6~deb12u9_amd64.deb", "python3.11_3.11.2-6~deb12u9_amd64.deb"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(poolFile{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := parseURIs("'http://elsewhere.example/pool/x.deb' x.deb 1 SHA256:0\n", archive); err == nil {
		t.Error("a file of another archive was accepted: the mirror would lack it")
	}
}

func TestParseSimulation(t *testing.T) {
	text := `NOTE: This is only a simulation!
Remv lab-victim [1.0]
Inst libperl5.36 [5.36.0-7+deb12u3] (5.36.0-7+deb12u4 Debian-Security:12/oldstable-security [amd64]) [perl:amd64 ]
Inst nginx [1.22.1-9+deb12u9] (1.22.1-9+deb12u11 Debian-Security:12/oldstable-security [all])
Inst lab-newdep (1.0 Patchring-Lab-Security:lab-security [all])
Conf nginx (1.22.1-9+deb12u11 Debian-Security:12/oldstable-security [all])
`
	want := []Update{
		{"libperl5.36", "5.36.0-7+deb12u3", "5.36.0-7+deb12u4", "Debian-Security:12/oldstable-security"},
		{"nginx", "1.22.1-9+deb12u9", "1.22.1-9+deb12u11", "Debian-Security:12/oldstable-security"},
		{"lab-newdep", "", "1.0", "Patchring-Lab-Security:lab-security"},
	}
	if diff := cmp.Diff(want, ParseSimulation(text)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFindTakesNoUnfinishedImage(t *testing.T) {
	r := recipe(t, "bookworm")
	c := Cache{Dir: t.TempDir(), Say: func(string) {}}
	for _, half := range []string{r.Name() + ".building/root", r.Name() + "/root"} {
		if err := os.MkdirAll(filepath.Join(c.Dir, half), 0o755); err != nil {
			t.Fatal(err)
		}
		if _, ready, err := c.Find(r); ready || err != nil {
			t.Errorf("with %s: ready %v, %v; want not ready", half, ready, err)
		}
	}
	marker := `{"suite":"bookworm","pending":[{"package":"nginx","from":"1","to":"2","origin":"x"}]}`
	if err := os.WriteFile(filepath.Join(c.Dir, r.Name(), readyFile), []byte(marker), 0o644); err != nil {
		t.Fatal(err)
	}
	image, ready, err := c.Find(r)
	if err != nil || !ready || len(image.Pending) != 1 || image.Root() != filepath.Join(c.Dir, r.Name(), "root") {
		t.Errorf("Find = %+v, %v, %v; want the image", image, ready, err)
	}
}

func TestPlaceIndexesRefusesWhatWasNotSigned(t *testing.T) {
	b := &builder{recipe: recipe(t, "bookworm"), dir: t.TempDir()}
	lists := filepath.Join(b.root(), "var/lib/apt/lists")
	if err := os.MkdirAll(lists, 0o755); err != nil {
		t.Fatal(err)
	}
	const sumOfX = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881" // sha256 of "x"
	for name, text := range map[string]string{"a_InRelease": "SHA256:\n " + sumOfX + " 1 main\n", "a_main_Packages.xz": "x"} {
		if err := os.WriteFile(filepath.Join(lists, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	dists := filepath.Join(t.TempDir(), "dists")
	if err := b.placeIndexes(dists); err != nil {
		t.Fatalf("signed index: %v", err)
	}
	hashes, err := filepath.Glob(filepath.Join(dists, "main/binary-*/by-hash/SHA256", sumOfX))
	if err != nil || len(hashes) != 1 {
		t.Errorf("by-hash = %v, %v", hashes, err)
	}
	if err := os.WriteFile(filepath.Join(lists, "a_main_Packages.xz"), []byte("y"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := b.placeIndexes(filepath.Join(t.TempDir(), "dists")); err == nil {
		t.Error("an index that InRelease does not sign was accepted")
	}
}
