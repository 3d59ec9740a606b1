package apt

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

// pkgVersion is one version of one package.
type pkgVersion struct {
	key     dpkg.Key
	version string
}

func (v pkgVersion) arg() string { return string(v.key) + "=" + v.version }

// detail is what a repository says of a version.
type detail struct {
	source, sourceVersion string
	bytes                 int64
	summary               string
	offered               bool // a repository has the file; false: only the database knows it
}

var detailFields = []string{"Package", "Version", "Architecture", "Source", "Size", "Filename", "Description", "Description-en"}

// lookUp asks apt-cache for versions. It opens apt's cache once and solves
// nothing, so it is much cheaper than a simulation. A version nobody knows is
// left out of the answer.
func (p *Provider) lookUp(ctx context.Context, versions []pkgVersion) (map[pkgVersion]detail, error) {
	native, err := p.architecture(ctx)
	if err != nil {
		return nil, err
	}
	found := make(map[pkgVersion]detail, len(versions))
	for len(versions) > 0 {
		n := min(len(versions), askAtOnce)
		args := []string{"show", "--no-all-versions"}
		for _, v := range versions[:n] {
			args = append(args, v.arg())
		}
		versions = versions[n:]
		// A version nobody knows is passed over; with none at all the exit code
		// is 100, which is an answer too.
		if err := p.show(ctx, args, native, found); err != nil {
			return nil, fmt.Errorf("look up versions: %w", err)
		}
	}
	return found, nil
}

func (p *Provider) show(ctx context.Context, args []string, native string, found map[pkgVersion]detail) error {
	stanza := map[string]string{}
	end := func() {
		if stanza["Package"] == "" {
			return
		}
		v := pkgVersion{dpkg.KeyOf(stanza["Package"], stanza["Architecture"], native), stanza["Version"]}
		d := detail{summary: stanza["Description-en"], offered: stanza["Filename"] != ""}
		if s := stanza["Description"]; s != "" {
			d.summary = s
		}
		d.source, d.sourceVersion = dpkg.SplitSource(stanza["Source"], stanza["Package"], stanza["Version"])
		if size, err := strconv.ParseInt(stanza["Size"], 10, 64); err == nil {
			d.bytes = size
		}
		if known, ok := found[v]; !ok || !known.offered {
			found[v] = d
		}
		clear(stanza)
	}
	_, err := tool.Lines(ctx, p.command("apt-cache", args...), func(line []byte) error {
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

// choice is what apt would choose from for one package.
type choice struct {
	installed, candidate string
	versions             []offer
}

// offer is one line of a version table.
type offer struct {
	version string
	phased  bool // offered to a part of the devices only
	offered bool // by a repository
	places  []string
}

// available is the newest version a repository offers.
func (c choice) available() string {
	newest := ""
	for _, o := range c.versions {
		if o.offered && (newest == "" || dpkg.Compare(o.version, newest) > 0) {
			newest = o.version
		}
	}
	return newest
}

func (c choice) offers(version string) bool {
	for _, o := range c.versions {
		if o.version == version {
			return o.offered
		}
	}
	return false
}

// choices asks apt-cache policy:
//
//	kept:
//	  Installed: 1.0
//	  Candidate: 1.1
//	  Version table:
//	     1.1 500 (phased 10%)
//	        500 file:/srv/repo ./ Packages
//	 *** 1.0 100
//	        100 /var/lib/dpkg/status
func (p *Provider) choices(ctx context.Context, keys []dpkg.Key) (map[dpkg.Key]choice, error) {
	native, err := p.architecture(ctx)
	if err != nil {
		return nil, err
	}
	table := policyTable{native: native, status: p.path(dpkg.AdminDir, "status"), found: map[dpkg.Key]choice{}}
	for len(keys) > 0 {
		n := min(len(keys), askAtOnce)
		args := []string{"policy"}
		for _, k := range keys[:n] {
			args = append(args, string(k))
		}
		keys = keys[n:]
		exit, err := tool.Lines(ctx, p.command("apt-cache", args...), table.line)
		if err == nil && exit.Code != 0 {
			err = toolFailed("apt-cache", exit.Code, exit.Stderr)
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
	found          map[dpkg.Key]choice
	key            dpkg.Key
	now            choice
}

func (t *policyTable) end() {
	if t.key != "" {
		t.found[t.key] = t.now
	}
	t.key, t.now = "", choice{}
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
		t.now.installed = versionWord(words)
	case words[0] == "Candidate:":
		t.now.candidate = versionWord(words)
	case strings.HasPrefix(line, "      "): // where the version above comes from
		if last := len(t.now.versions) - 1; last >= 0 && len(words) > 1 && words[1] != t.status {
			t.now.versions[last].offered = true
			t.now.versions[last].places = append(t.now.versions[last].places, strings.Join(words[1:], " "))
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
		t.now.versions = append(t.now.versions, offer{version: words[0], phased: len(words) > 2 && words[2] == "(phased"})
	}
}

// places asks apt-cache policy, without a package, what each place is called:
//
//	500 http://deb.debian.org/debian-security bookworm-security/main amd64 Packages
//	    release v=12,o=Debian,a=oldstable-security,n=bookworm-security,l=Debian-Security,c=main,b=amd64
func (p *Provider) places(ctx context.Context) (map[string]origin, error) {
	found := map[string]origin{}
	place := ""
	exit, err := tool.Lines(ctx, p.command("apt-cache", "policy"), func(line []byte) error {
		place = placeLine(line, place, found)
		return nil
	})
	if err == nil && exit.Code != 0 {
		err = toolFailed("apt-cache", exit.Code, exit.Stderr)
	}
	if err != nil {
		return nil, fmt.Errorf("read repositories: %w", err)
	}
	return found, nil
}

// placeLine takes one line in and says which place the next one speaks of.
func placeLine(line []byte, place string, found map[string]origin) string {
	words := strings.Fields(string(line))
	switch {
	case len(words) < 2 || words[0] == "origin":
	case words[0] == "release":
		found[place] = releaseLine(strings.TrimSpace(string(line))[len("release "):])
	default:
		place = strings.Join(words[1:], " ")
	}
	return place
}

// releaseLine reads k=value pairs of which the values may hold commas.
func releaseLine(text string) origin {
	var o origin
	var into *string
	for part := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(part, "=")
		switch {
		case ok && len(key) == 1:
			into = map[string]*string{"l": &o.label, "a": &o.suite}[key]
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
