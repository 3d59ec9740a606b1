package procedure

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// reader turns YAML nodes into values, and collects what is wrong on the way
// instead of stopping: people repair a file in one go.
type reader struct {
	problems []Problem
	warnings []Problem
}

// place is a node and the name of its field.
type place struct {
	node *yaml.Node
	path string
}

func (r *reader) refuse(at place, problem, fix string) {
	r.problems = append(r.problems, problemAt(at, problem, fix))
}

func (r *reader) warn(at place, problem, fix string) {
	r.warnings = append(r.warnings, problemAt(at, problem, fix))
}

func problemAt(at place, problem, fix string) Problem {
	return Problem{Line: at.node.Line, Column: at.node.Column, Field: at.path, Problem: problem, Fix: fix}
}

// The library puts the line into its message, and nowhere else.
var syntaxError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// document reads the one document of a file. It answers false when there is
// nothing to read on.
func (r *reader) document(text []byte) (place, bool) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var root, second yaml.Node
	if err := decoder.Decode(&root); err != nil {
		r.refuseSyntax(err)
		return place{}, false
	}
	if err := decoder.Decode(&second); err == nil {
		r.refuse(place{node: &second}, "a second document begins here", "keep one procedure in a file")
	} else if !errors.Is(err, io.EOF) {
		r.refuseSyntax(err)
	}
	return place{node: root.Content[0]}, true
}

func (r *reader) refuseSyntax(err error) {
	if errors.Is(err, io.EOF) {
		r.problems = append(r.problems, Problem{Line: 1, Column: 1, Problem: "the file is empty", Fix: "start from examples/procedures"})
		return
	}
	line, said := 1, err.Error()
	if m := syntaxError.FindStringSubmatch(said); m != nil {
		said = m[2]
		if n, err := strconv.Atoi(m[1]); err == nil {
			line = n
		}
	}
	r.problems = append(r.problems, Problem{Line: line, Column: 1, Problem: "this is not YAML: " + said, Fix: "check indentation, colons and quotes near this line"})
}

// object is a mapping with its known keys.
type object struct {
	r      *reader
	at     place
	fields map[string]*yaml.Node // nil: written, and already refused
}

// object reads a mapping and refuses keys that are not known, are repeated or
// have no value.
func (r *reader) object(at place, known ...string) object {
	o := object{r: r, at: at, fields: map[string]*yaml.Node{}}
	if at.node.Kind != yaml.MappingNode {
		r.refuse(at, "wants fields, not "+describe(at.node), "write one of: "+strings.Join(known, ", "))
		for _, k := range known {
			o.fields[k] = nil // one complaint is enough
		}
		return o
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(at.node.Content); i += 2 {
		key, value := at.node.Content[i], at.node.Content[i+1]
		field := place{node: key, path: join(at.path, key.Value)}
		switch {
		case lines[key.Value] != 0:
			r.refuse(field, fmt.Sprintf("is already given on line %d", lines[key.Value]), "keep one of the two")
			continue
		case key.Kind != yaml.ScalarNode || !slices.Contains(known, key.Value):
			r.refuse(field, "is not a field of a procedure here", suggest(key.Value, known))
		case value.Kind == yaml.AliasNode:
			r.refuse(field, "uses a YAML alias", "write the value out: people sign what they read")
			o.fields[key.Value] = nil
		case value.Kind == yaml.ScalarNode && value.ShortTag() == "!!null":
			r.refuse(field, "has no value", "give it one, or take the line out")
			o.fields[key.Value] = nil
		default:
			o.fields[key.Value] = value
		}
		lines[key.Value] = key.Line
	}
	return o
}

// has tells whether the field is there with a value that can be read.
func (o object) has(name string) bool { return o.fields[name] != nil }

// need refuses an object that lacks a field.
func (o object) need(name, fix string) {
	if _, written := o.fields[name]; !written {
		o.r.refuse(place{o.at.node, join(o.at.path, name)}, "is missing", fix)
	}
}

func (o object) field(name string) place {
	return place{node: o.fields[name], path: join(o.at.path, name)}
}

// text reads words, trimmed; "" when the field is not there.
func (o object) text(name string) string {
	if !o.has(name) {
		return ""
	}
	return o.r.text(o.field(name))
}

func (r *reader) text(at place) string {
	if at.node.Kind != yaml.ScalarNode {
		r.refuse(at, "wants one value, not "+describe(at.node), "write it on one line")
		return ""
	}
	text := strings.TrimSpace(at.node.Value)
	if text == "" {
		r.refuse(at, "is empty", "give it a value")
	}
	return text
}

// list calls each for every element.
func (o object) list(name string, each func(place)) {
	if !o.has(name) {
		return
	}
	at := o.field(name)
	if at.node.Kind != yaml.SequenceNode {
		o.r.refuse(at, "wants a list, not "+describe(at.node), "write ["+at.node.Value+"], or one line beginning with - for each")
		return
	}
	for i, n := range at.node.Content {
		element := place{n, fmt.Sprintf("%s[%d]", at.path, i)}
		if n.Kind == yaml.AliasNode {
			o.r.refuse(element, "uses a YAML alias", "write the value out: people sign what they read")
			continue
		}
		each(element)
	}
}

func (o object) texts(name string) []string {
	var out []string
	o.list(name, func(at place) {
		text := o.r.text(at)
		if slices.Contains(out, text) {
			o.r.refuse(at, fmt.Sprintf("names %q twice", text), "keep it once")
		}
		out = append(out, text)
	})
	return out
}

// limits are inclusive.
type limits struct{ low, high float64 }

// number reads a number inside limits; otherwise when the field is not there.
func (o object) number(name string, otherwise float64, l limits) float64 {
	if !o.has(name) {
		return otherwise
	}
	at := o.field(name)
	n, err := strconv.ParseFloat(o.r.text(at), 64)
	fix := fmt.Sprintf("write a number from %g to %g", l.low, l.high)
	if err != nil {
		o.r.refuse(at, fmt.Sprintf("%q is not a number", at.node.Value), fix)
		return otherwise
	}
	if !(n >= l.low && n <= l.high) { // also refuses NaN
		o.r.refuse(at, fmt.Sprintf("%s is out of range", at.node.Value), fix)
		return otherwise
	}
	return n
}

func (o object) integer(name string, otherwise int, l limits) int {
	n := o.number(name, float64(otherwise), l)
	if n != float64(int(n)) {
		o.r.refuse(o.field(name), fmt.Sprintf("%g is not a whole number", n), "write it without a fraction")
		return otherwise
	}
	return int(n)
}

var days = regexp.MustCompile(`^(\d{1,4})d$`)

const maxDuration = 366 * 24 * time.Hour

// duration reads 90m, 24h or 3d. What does not parse is refused: an unreadable
// wait must never become no wait.
func (o object) duration(name string, otherwise time.Duration) time.Duration {
	if !o.has(name) {
		return otherwise
	}
	at := o.field(name)
	text := o.r.text(at)
	d, err := time.ParseDuration(text)
	if m := days.FindStringSubmatch(text); m != nil {
		n, atoiErr := strconv.Atoi(m[1])
		d, err = time.Duration(n)*24*time.Hour, atoiErr
	}
	switch {
	case text == "": // refused already
		return otherwise
	case err != nil:
		o.r.refuse(at, fmt.Sprintf("%q is not a duration", text), "write a number with its unit: 90m, 24h or 3d")
		return otherwise
	case d < 0 || d > maxDuration:
		o.r.refuse(at, fmt.Sprintf("%s is out of range", text), "write a duration from 0h to 366d")
		return otherwise
	}
	return d
}

// choice reads one of the known words.
func choice[T ~string](o object, name string, otherwise T, known []T) T {
	if !o.has(name) {
		return otherwise
	}
	return oneOf(o.r, o.field(name), otherwise, known)
}

func oneOf[T ~string](r *reader, at place, otherwise T, known []T) T {
	word := r.text(at)
	if slices.Contains(known, T(word)) || word == "" {
		return T(word)
	}
	words := make([]string, len(known))
	for i, k := range known {
		words[i] = string(k)
	}
	r.refuse(at, fmt.Sprintf("%q is not known here", word), suggest(word, words))
	return otherwise
}

func (o object) boolean(name string) bool {
	if !o.has(name) {
		return false
	}
	at := o.field(name)
	if at.node.ShortTag() != "!!bool" {
		o.r.refuse(at, fmt.Sprintf("%q is neither true nor false", at.node.Value), "write true, or take the line out")
		return false
	}
	return strings.EqualFold(at.node.Value, "true")
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "fields"
	case yaml.AliasNode:
		return "a YAML alias"
	}
	return strconv.Quote(n.Value)
}

// suggest proposes the known word that looks most like the one written.
func suggest(word string, known []string) string {
	best, distance := "", len(word)/2+1
	for _, k := range known {
		if d := editDistance(strings.ToLower(word), k); d < distance {
			best, distance = k, d
		}
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	return "write one of: " + strings.Join(known, ", ")
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
