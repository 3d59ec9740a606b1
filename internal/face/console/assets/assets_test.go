package assets

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestVendoredFilesAreWhatTheyAreSaidToBe: a file changed by hand, or one that
// VENDOR.md does not name, fails here.
func TestVendoredFilesAreWhatTheyAreSaidToBe(t *testing.T) {
	text, err := os.ReadFile("VENDOR.md")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\| (\S+) \|.*\| ([0-9a-f]{64}) \|$`).FindAllStringSubmatch(string(text), -1) {
		said[m[1]] = m[2]
	}
	var files []string
	for _, pattern := range []string{"vendor/*", "icons/*.svg"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	for _, name := range files {
		if name == "icons/mark.svg" {
			continue
		}
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(raw)
		if got := hex.EncodeToString(sum[:]); got != said[name] {
			t.Errorf("%s has the hash %s, VENDOR.md says %q", name, got, said[name])
		}
		delete(said, name)
	}
	for name := range said {
		t.Errorf("VENDOR.md speaks of %s, which is not there", name)
	}
}

func TestEveryIconCanBeDrawn(t *testing.T) {
	if len(icons()) < 30 {
		t.Fatalf("%d icons, want all", len(icons()))
	}
	for name, inner := range icons() {
		if inner == "" || regexp.MustCompile(`<script|on\w+=|style=`).MatchString(inner) {
			t.Errorf("icon %s: %.60q", name, inner)
		}
	}
	if _, ok := Icon("no-such-icon"); ok {
		t.Error("an icon that is not there is drawn")
	}
}

// TestEveryIconUsedIsThere: one that is missing is not drawn, and nobody would
// notice.
func TestEveryIconUsedIsThere(t *testing.T) {
	used := regexp.MustCompile(`(?:Icon|Look|Empty)\("([a-z0-9-]+)"|Open\("[^"]*", "([a-z0-9-]+)"`)
	n := 0
	for _, pattern := range []string{"../page/*.templ", "../ui/*.templ"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range used.FindAllStringSubmatch(string(text), -1) {
				n++
				if _, ok := Icon(m[1] + m[2]); !ok {
					t.Errorf("%s draws %q, which is not there", name, m[1]+m[2])
				}
			}
		}
	}
	if n < 50 {
		t.Errorf("found %d icons in use, want all", n)
	}
}

func TestTheAddressChangesWithTheContent(t *testing.T) {
	a, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	b, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if a.URL("console.css") != b.URL("console.css") {
		t.Error("the same content has two addresses")
	}
	f := b.files["console.css"]
	f.raw = append([]byte("/* */"), f.raw...)
	b.files["console.css"] = f
	if a.fingerprint() == b.fingerprint() {
		t.Error("a changed style sheet keeps its address")
	}
}
