package query

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"patchring/internal/endpoint/provider/apt/dpkg"
	"patchring/internal/endpoint/provider/tool"
)

// askAtOnce bounds the arguments of one question.
const askAtOnce = 400

// Version is one version of one package.
type Version struct {
	Key     dpkg.Key
	Version string
}

// Arg is how a command line names it.
func (v Version) Arg() string { return string(v.Key) + "=" + v.Version }

// Detail is what a repository says of a version.
type Detail struct {
	Source, SourceVersion string
	Bytes                 int64
	Summary               string
	Offered               bool // a repository has the file; false: only the database knows it
}

var detailFields = []string{"Package", "Version", "Architecture", "Source", "Size", "Filename", "Description", "Description-en"}

// LookUp asks apt-cache for versions. It opens apt's cache once and solves
// nothing, so it is much cheaper than a simulation. A version nobody knows is
// left out of the answer.
func (d *Device) LookUp(ctx context.Context, versions []Version) (map[Version]Detail, error) {
	native, err := d.Architecture(ctx)
	if err != nil {
		return nil, err
	}
	found := make(map[Version]Detail, len(versions))
	for len(versions) > 0 {
		n := min(len(versions), askAtOnce)
		args := []string{"show", "--no-all-versions"}
		for _, v := range versions[:n] {
			args = append(args, v.Arg())
		}
		versions = versions[n:]
		// A version nobody knows is passed over; with none at all the exit code
		// is 100, which is an answer too.
		if err := d.show(ctx, args, native, found); err != nil {
			return nil, fmt.Errorf("look up versions: %w", err)
		}
	}
	return found, nil
}

func (d *Device) show(ctx context.Context, args []string, native string, found map[Version]Detail) error {
	stanza := map[string]string{}
	end := func() {
		if stanza["Package"] == "" {
			return
		}
		v := Version{dpkg.KeyOf(stanza["Package"], stanza["Architecture"], native), stanza["Version"]}
		one := Detail{Summary: stanza["Description-en"], Offered: stanza["Filename"] != ""}
		if s := stanza["Description"]; s != "" {
			one.Summary = s
		}
		one.Source, one.SourceVersion = dpkg.SplitSource(stanza["Source"], stanza["Package"], stanza["Version"])
		if size, err := strconv.ParseInt(stanza["Size"], 10, 64); err == nil {
			one.Bytes = size
		}
		if known, ok := found[v]; !ok || !known.Offered {
			found[v] = one
		}
		clear(stanza)
	}
	_, err := tool.Lines(ctx, d.Command("apt-cache", args...), func(line []byte) error {
		if len(line) == 0 {
			end()
			return nil
		}
		dpkg.Field(line, detailFields, stanza)
		return nil
	})
	end()
	return err
}

// Choice is what apt would choose from for one package.
type Choice struct {
	Installed, Candidate string
	Versions             []Offer
}

// Offer is one line of a version table.
type Offer struct {
	Version string
	Phased  bool // offered to a part of the devices only
	Offered bool // by a repository
	Places  []string
}

// Available is the newest version a repository offers.
func (c Choice) Available() string {
	newest := ""
	for _, o := range c.Versions {
		if o.Offered && (newest == "" || dpkg.Compare(o.Version, newest) > 0) {
			newest = o.Version
		}
	}
	return newest
}

// Offers tells whether a repository has the version.
func (c Choice) Offers(version string) bool {
	for _, o := range c.Versions {
		if o.Version == version {
			return o.Offered
		}
	}
	return false
}

// Target is the version a package would go to. Newer apt makes a phased
// version no candidate at all: it is then found in the version table.
func (c Choice) Target(installed string) (Offer, bool) {
	for _, o := range c.Versions {
		if o.Version == c.Candidate && dpkg.Compare(o.Version, installed) > 0 {
			return o, true
		}
	}
	for _, o := range c.Versions {
		if o.Phased && dpkg.Compare(o.Version, installed) > 0 {
			return o, true
		}
	}
	return Offer{}, false
}

// Choices asks apt-cache policy for packages:
//
//	kept:
//	  Installed: 1.0
//	  Candidate: 1.1
//	  Version table:
//	     1.1 500 (phased 10%)
//	        500 file:/srv/repo ./ Packages
//	 *** 1.0 100
//	        100 /var/lib/dpkg/status
func (d *Device) Choices(ctx context.Context, keys []dpkg.Key) (map[dpkg.Key]Choice, error) {
	native, err := d.Architecture(ctx)
	if err != nil {
		return nil, err
	}
	table := policyTable{native: native, status: d.Path(dpkg.AdminDir, "status"), found: map[dpkg.Key]Choice{}}
	for len(keys) > 0 {
		n := min(len(keys), askAtOnce)
		args := []string{"policy"}
		for _, k := range keys[:n] {
			args = append(args, string(k))
		}
		keys = keys[n:]
		exit, err := tool.Lines(ctx, d.Command("apt-cache", args...), table.line)
		if err == nil && exit.Code != 0 {
			err = Failed("apt-cache", exit.Code, exit.Stderr)
		}
		if err != nil {
			return nil, fmt.Errorf("read version tables: %w", err)
		}
		table.end()
	}
	return table.found, nil
}

// policyTable reads apt-cache policy line by line.
type policyTable struct {
	native, status string
	found          map[dpkg.Key]Choice
	key            dpkg.Key
	now            Choice
}

func (t *policyTable) end() {
	if t.key != "" {
		t.found[t.key] = t.now
	}
	t.key, t.now = "", Choice{}
}

func (t *policyTable) line(raw []byte) error {
	line := string(raw)
	words := strings.Fields(line)
	switch {
	case len(words) == 0:
	case line[0] != ' ':
		t.end()
		name, arch, _ := strings.Cut(strings.TrimSuffix(line, ":"), ":")
		t.key = dpkg.KeyOf(name, arch, t.native)
	case words[0] == "Installed:":
		t.now.Installed = versionWord(words)
	case words[0] == "Candidate:":
		t.now.Candidate = versionWord(words)
	case strings.HasPrefix(line, "      "): // where the version above comes from
		if last := len(t.now.Versions) - 1; last >= 0 && len(words) > 1 && words[1] != t.status {
			t.now.Versions[last].Offered = true
			t.now.Versions[last].Places = append(t.now.Versions[last].Places, strings.Join(words[1:], " "))
		}
	case strings.HasPrefix(line, " *** "):
		t.version(words[1:])
	case strings.HasPrefix(line, "     "):
		t.version(words)
	}
	return nil
}

func (t *policyTable) version(words []string) {
	if len(words) > 0 {
		t.now.Versions = append(t.now.Versions, Offer{Version: words[0], Phased: len(words) > 2 && words[2] == "(phased"})
	}
}

// Places asks apt-cache policy, without a package, what each place is called:
//
//	500 http://deb.debian.org/debian-security bookworm-security/main amd64 Packages
//	    release v=12,o=Debian,a=oldstable-security,n=bookworm-security,l=Debian-Security,c=main,b=amd64
func (d *Device) Places(ctx context.Context) (map[string]Origin, error) {
	found := map[string]Origin{}
	place := ""
	exit, err := tool.Lines(ctx, d.Command("apt-cache", "policy"), func(line []byte) error {
		place = placeLine(line, place, found)
		return nil
	})
	if err == nil && exit.Code != 0 {
		err = Failed("apt-cache", exit.Code, exit.Stderr)
	}
	if err != nil {
		return nil, fmt.Errorf("read repositories: %w", err)
	}
	return found, nil
}

// placeLine takes one line in and says which place the next one speaks of.
func placeLine(line []byte, place string, found map[string]Origin) string {
	words := strings.Fields(string(line))
	switch {
	case len(words) < 2 || words[0] == "Origin":
	case words[0] == "release":
		found[place] = releaseLine(strings.TrimSpace(string(line))[len("release "):])
	default:
		place = strings.Join(words[1:], " ")
	}
	return place
}

// releaseLine reads k=value pairs of which the values may hold commas.
func releaseLine(text string) Origin {
	var o Origin
	var into *string
	for part := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(part, "=")
		switch {
		case ok && len(key) == 1:
			into = map[string]*string{"l": &o.Label, "a": &o.Suite}[key]
			if into != nil {
				*into = value
			}
		case into != nil:
			*into += "," + part
		}
	}
	return o
}

// versionWord is the version after a label, "" for (none).
func versionWord(words []string) string {
	if len(words) < 2 || words[1] == "(none)" {
		return ""
	}
	return words[1]
}
