// Package aptrepo makes the lab's own signed apt repository: small packages, each
// of which behaves in one way that patching has to cope with.
//
// It owns the packages, which of their versions are published now, and the signing
// key. It refuses a package or version it does not know. What it publishes is a
// directory for a file server. The fleet, the lab's command line and tests call
// it; edits of one repository exclude each other across processes.
package aptrepo

import (
	"fmt"
	"slices"
	"strings"
)

// The suites of the repository: what an installation starts with, and what
// updates it, as a distribution and its security archive do.
const (
	SuiteBase     = "lab"
	SuiteSecurity = "lab-security"
)

// Case is one package and how its versions behave.
type Case struct {
	Package  string
	About    string   // one line, for people
	With     []string // other packages a host needs for the case to show
	Versions []Version
	// Prepare are commands run in a host after 1.0 was installed there: what an
	// administrator of that host had done before.
	Prepare [][]string
}

// Version is one build of a case's package.
type Version struct {
	Number     string
	Suite      string
	Unreleased bool // exists, but a new repository does not publish it
	Depends    string
	Conflicts  string
	Scripts    map[string]string // maintainer scripts by name: postinst, preinst, ...
	Files      []File
	Conffiles  []string
}

// File is a file of a package.
type File struct {
	Path    string
	Mode    uint32
	Content string
}

// ID names one version of one package.
type ID struct {
	Package string `json:"package"`
	Version string `json:"version"`
}

func (id ID) String() string { return id.Package + "=" + id.Version }

// file is the package's name in the pool.
func (id ID) file() string { return id.Package + "_" + id.Version + "_all.deb" }

// SlowFile, in a host, holds the seconds that lab-slow's maintainer script takes
// (DefaultSlowSeconds without it).
const SlowFile = "/etc/lab/slow-seconds"

// DefaultSlowSeconds is long enough to kill or cut off what installs lab-slow.
const DefaultSlowSeconds = 15

// ServicePort is where lab-svc answers HTTP.
const ServicePort = 8088

// ConfFile is lab-conf's configuration file, edited in every host that has it.
const ConfFile = "/etc/lab-conf.conf"

// Cases returns every case, sorted by package.
func Cases() []Case {
	cases := []Case{
		{Package: "lab-good", About: "upgrades without incident", Versions: []Version{base(), update("1.1"), later("1.2")}},
		{Package: "lab-broken", About: "1.1's postinst fails and leaves it half-configured; 1.2 mends it",
			Versions: []Version{base(), update("1.1").script("postinst", "echo 'lab-broken: migrating'\necho 'lab-broken: no such table: settings' >&2\nexit 1"), later("1.2")}},
		{Package: "lab-prebroken", About: "1.1's preinst refuses the upgrade and stops the whole transaction",
			Versions: []Version{base(), update("1.1").script("preinst", `if [ "$1" = upgrade ]; then echo 'lab-prebroken: refused' >&2; exit 1; fi`)}},
		{Package: "lab-slow", About: "1.1's postinst takes its time, to be killed or cut off in the middle",
			Versions: []Version{base(), update("1.1").script("postinst", slowScript)}},
		{Package: "lab-svc", About: "a service: 1.1 upgrades with status 0 but answers 500; 1.2 mends it",
			Versions: []Version{answering("1.0", "200 OK"), answering("1.1", "500 Internal Server Error"), answering("1.2", "200 OK").unreleased()}},
		{Package: "lab-dead", About: "a service: 1.1 upgrades with status 0 and the service dies",
			Versions: []Version{serving("lab-dead", "1.0", idleProgram), serving("lab-dead", "1.1", deadProgram)}},
		{Package: "lab-burn", About: "a service: 1.1 upgrades with status 0 and never rests",
			Versions: []Version{serving("lab-burn", "1.0", idleProgram), serving("lab-burn", "1.1", burnProgram)}},
		{Package: "lab-conf", About: "1.1 changes a configuration file that the host's administrator edited: dpkg asks",
			Versions: []Version{conf("1.0"), conf("1.1")},
			Prepare:  [][]string{{"sed", "-i", "s/^owner=.*/owner=host administrator/", ConfFile}}},
		{Package: "lab-conflict", About: "1.1 conflicts with lab-victim: installing it would remove that package",
			With: []string{"lab-victim"}, Versions: []Version{base(), update("1.1").conflicting("lab-victim")}},
		{Package: "lab-victim", About: "what lab-conflict 1.1 would remove", Versions: []Version{base()}},
		{Package: "lab-vanish", About: "1.1 can be superseded: its file goes and 1.2 stands in its place",
			Versions: []Version{base(), update("1.1"), later("1.2")}},
		{Package: "lab-reboot", About: "1.1 asks for a reboot by the marker file",
			Versions: []Version{base(), update("1.1").script("postinst", "touch /run/reboot-required\necho lab-reboot >> /run/reboot-required.pkgs")}},
		{Package: "lab-held", About: "1.1 exists, and the host holds 1.0",
			Versions: []Version{base(), update("1.1")}, Prepare: [][]string{{"apt-mark", "hold", "lab-held"}}},
		{Package: "lab-kept", About: "1.1 needs a package that is not installed: a plain upgrade keeps it back",
			Versions: []Version{base(), update("1.1").depending("lab-newdep")}},
		{Package: "lab-newdep", About: "what lab-kept 1.1 needs", Versions: []Version{{Number: "1.0", Suite: SuiteSecurity}}},
	}
	slices.SortFunc(cases, func(a, b Case) int { return strings.Compare(a.Package, b.Package) })
	return cases
}

// Find returns the case of that package.
func Find(name string) (Case, error) {
	for _, c := range Cases() {
		if c.Package == name {
			return c, nil
		}
	}
	return Case{}, fmt.Errorf("find case: the lab has no package %q", name)
}

// Starting returns what a host that shows these cases has installed from the
// start, sorted and without repetition: each package's first version and the
// companions it needs.
func Starting(packages []string) ([]ID, error) {
	var ids []ID
	for _, name := range packages {
		c, err := Find(name)
		if err != nil {
			return nil, err
		}
		ids = append(ids, ID{c.Package, c.Versions[0].Number})
		with, err := Starting(c.With)
		if err != nil {
			return nil, err
		}
		ids = append(ids, with...)
	}
	slices.SortFunc(ids, func(a, b ID) int { return strings.Compare(a.Package, b.Package) })
	return slices.Compact(ids), nil
}

// version returns one build of the case.
func (c Case) version(number string) (Version, error) {
	for _, v := range c.Versions {
		if v.Number == number {
			return v, nil
		}
	}
	return Version{}, fmt.Errorf("find version: %s has no version %q", c.Package, number)
}

func base() Version                { return Version{Number: "1.0", Suite: SuiteBase} }
func update(number string) Version { return Version{Number: number, Suite: SuiteSecurity} }
func later(number string) Version  { return update(number).unreleased() }

func (v Version) unreleased() Version {
	v.Unreleased = true
	return v
}

func (v Version) depending(on string) Version {
	v.Depends = on
	return v
}

func (v Version) conflicting(with string) Version {
	v.Conflicts = with
	return v
}

func (v Version) script(name, body string) Version {
	v.Scripts = map[string]string{name: body}
	return v
}

// conf's setting differs in every version, so that an edited copy always makes
// dpkg ask.
func conf(number string) Version {
	v := Version{Number: number, Suite: suiteOf(number)}
	v.Files = []File{{ConfFile, 0o644, "setting=" + number + "\nowner=package\n"}}
	v.Conffiles = []string{ConfFile}
	return v
}

func suiteOf(number string) string {
	if number == "1.0" {
		return SuiteBase
	}
	return SuiteSecurity
}
