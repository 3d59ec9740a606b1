package debian

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"patchring/lab/tool"
)

// origin is where this machine gets Debian from.
type origin struct{ main, security string }

// defaultOrigin is used for what the machine's own apt does not name, for example
// when it runs another suite of another distribution.
func defaultOrigin() origin {
	return origin{main: "http://deb.debian.org/debian/", security: "http://deb.debian.org/debian-security/"}
}

// machineOrigin asks the machine's apt, so that a mirror or cache configured there
// is used.
func machineOrigin(ctx context.Context) (origin, error) {
	text, err := tool.Output(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages")
	if err != nil {
		return origin{}, fmt.Errorf("read apt sources of this machine: %w", err)
	}
	return parseTargets(string(text)), nil
}

// parseTargets reads lines such as
//
//	http://deb.debian.org/debian/ bookworm
//	http://deb.debian.org/debian-security/ bookworm-security
//
// and takes only addresses that end as Debian archives do: another vendor's
// repository may well name its suite "bookworm".
func parseTargets(text string) origin {
	o := defaultOrigin()
	for line := range strings.Lines(text) {
		address, _, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || !strings.HasPrefix(address, "http") {
			continue
		}
		switch trimmed := strings.TrimRight(address, "/"); {
		case strings.HasSuffix(trimmed, "/debian"):
			o.main = address
		case strings.HasSuffix(trimmed, "/debian-security"):
			o.security = address
		}
	}
	return o
}

// poolFile is one package that apt would download.
type poolFile struct {
	path string // inside the archive, such as pool/updates/main/n/nginx/nginx_1.22.1-9+deb12u11_all.deb
	name string // as apt keeps it
}

// parseURIs reads the output of apt-get --print-uris:
//
//	'http://deb.debian.org/debian-security/pool/updates/main/n/nginx/nginx_1.22.1-9%2bdeb12u11_all.deb' nginx_1.22.1-9+deb12u11_all.deb 12345 SHA256:…
//
// Addresses are percent-encoded, names on disk are not.
func parseURIs(text, archive string) ([]poolFile, error) {
	var files []poolFile
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || !strings.HasPrefix(fields[0], "'") {
			continue
		}
		if len(fields) < 2 {
			return nil, fmt.Errorf("read address of package: no name in %q", line)
		}
		address := strings.Trim(fields[0], "'")
		rest, ok := strings.CutPrefix(address, strings.TrimRight(archive, "/")+"/")
		if !ok {
			return nil, fmt.Errorf("read address of package: %s is not in %s", address, archive)
		}
		path, err := url.PathUnescape(rest)
		if err != nil {
			return nil, fmt.Errorf("read address of package: %w", err)
		}
		files = append(files, poolFile{path: path, name: fields[1]})
	}
	return files, nil
}

// Update is one package with a newer version pending.
type Update struct {
	Package string `json:"package"`
	From    string `json:"from"` // empty for a package that comes new
	To      string `json:"to"`
	Origin  string `json:"origin"`
}

// ParseSimulation reads what apt-get -s upgrade or dist-upgrade would do:
//
//	Inst nginx [1.22.1-9+deb12u9] (1.22.1-9+deb12u11 Debian-Security:12/oldstable-security [all])
//	Inst lab-newdep (1.0 Patchring Lab:lab-security [all])
//
// and the order lines in brackets that apt appends, which are ignored.
func ParseSimulation(text string) []Update {
	var updates []Update
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, "Inst ")
		if !ok {
			continue
		}
		var u Update
		head, tail, ok := strings.Cut(rest, "(")
		if !ok {
			continue
		}
		names := strings.Fields(head)
		u.Package = names[0]
		if len(names) > 1 {
			u.From = strings.Trim(names[1], "[]")
		}
		inside, _, _ := strings.Cut(tail, ")")
		u.To, u.Origin, _ = strings.Cut(inside, " ")
		if i := strings.LastIndex(u.Origin, " ["); i >= 0 {
			u.Origin = u.Origin[:i]
		}
		updates = append(updates, u)
	}
	return updates
}
