// Package osrelease reads /etc/os-release as os-release(5) says it is written:
// assignments as a shell would read them, of which only quoting and the
// backslash count. It is a leaf of the agent.
package osrelease

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Release is the assignments by name.
type Release map[string]string

// places in the order of os-release(5): the first that exists wins whole.
var places = []string{"etc/os-release", "usr/lib/os-release"}

// Read reads the release of the system under root.
func Read(root fs.FS) (Release, error) {
	for _, place := range places {
		file, err := root.Open(place)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read os-release: %w", err)
		}
		defer func() { _ = file.Close() }() // it was only read
		release := Release{}
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			if name, value, ok := assignment(lines.Text()); ok {
				release[name] = value
			}
		}
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("read os-release: %w", err)
		}
		return release, nil
	}
	return nil, fmt.Errorf("read os-release: %w", fs.ErrNotExist)
}

// Families is ID and ID_LIKE: what the system is and what it descends from.
func (r Release) Families() []string {
	return append([]string{r["ID"]}, strings.Fields(r["ID_LIKE"])...)
}

func assignment(line string) (name, value string, ok bool) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return "", "", false
	}
	name, value, ok = strings.Cut(line, "=")
	if !ok || name == "" || strings.ContainsAny(name, " \t\"'") {
		return "", "", false
	}
	return name, unquote(value), true
}

// unquote follows the shell: nothing is special between single quotes; between
// double quotes a backslash takes the meaning off $ " \ ` only; outside it
// takes it off anything. The value ends at the first unquoted blank.
func unquote(s string) string {
	var b strings.Builder
	var quote byte
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && quote != '\'' && i+1 < len(s) && (quote == 0 || strings.IndexByte("$\"\\`", s[i+1]) >= 0):
			i++
			b.WriteByte(s[i])
		case quote == 0 && (c == ' ' || c == '\t'):
			return b.String()
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
