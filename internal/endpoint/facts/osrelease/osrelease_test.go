package osrelease_test

import (
	"errors"
	"io/fs"
	"slices"
	"testing"
	"testing/fstest"

	"patchring/internal/endpoint/facts/osrelease"
)

func TestQuoting(t *testing.T) {
	text := `# a comment
ID=debian
  NAME="Debian \"GNU\"/Linux \$x \\ \n"
SINGLE='it is "so" \n'
PLAIN=a\ b rest
MIXED="a"'b'c
EMPTY=
not an assignment
=nothing
BAD NAME=x
UNTERMINATED="open
ID_LIKE="ubuntu debian"
`
	r, err := osrelease.Read(fstest.MapFS{"usr/lib/os-release": {Data: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	want := osrelease.Release{
		"ID": "debian", "NAME": `Debian "GNU"/Linux $x \ \n`, "SINGLE": `it is "so" \n`, "PLAIN": "a b", "MIXED": "abc",
		"EMPTY": "", "UNTERMINATED": "open", "ID_LIKE": "ubuntu debian",
	}
	for name, value := range want {
		if r[name] != value {
			t.Errorf("%s is %q, want %q", name, r[name], value)
		}
	}
	if len(r) != len(want) {
		t.Errorf("%d assignments, want %d: %v", len(r), len(want), r)
	}
	if got := r.Families(); !slices.Equal(got, []string{"debian", "ubuntu", "debian"}) {
		t.Errorf("families are %v", got)
	}
}

func TestPlaces(t *testing.T) {
	both := fstest.MapFS{"etc/os-release": {Data: []byte("ID=etc")}, "usr/lib/os-release": {Data: []byte("ID=usr")}}
	if r, err := osrelease.Read(both); err != nil || r["ID"] != "etc" {
		t.Errorf("read %v, %v; want the one in etc", r, err)
	}
	if _, err := osrelease.Read(fstest.MapFS{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
}
