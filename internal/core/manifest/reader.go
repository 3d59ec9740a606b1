// Package manifest reads the YAML files that people sign (a procedure, a
// policy) into values, and says everything that is wrong with them at once: each
// problem with its line, its field and the way to put it right.
//
// It refuses what it does not understand: an unknown or repeated key, an alias,
// an empty value, a duration without unit. What a file may say belongs to its
// readers, procedure and policy; only how values are written is here.
//
// Bytes in, values out. A Reader belongs to one goroutine.
package manifest

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

// Reader turns YAML nodes into values, and collects what is wrong on the way
// instead of stopping: people repair a file in one go.
type Reader struct {
	What     string // what the file is, in messages: procedure, policy
	Examples string // where one starts from
	problems []Problem
	warnings []Problem
}

// Err is an *Error with every problem there is, or nil; file is its name in
// messages.
func (r *Reader) Err(file string) error {
	if len(r.problems) == 0 {
		return nil
	}
	return &Error{File: file, Problems: inFileOrder(r.problems)}
}

// Warnings are what is allowed and probably not meant, in the file's order.
func (r *Reader) Warnings() []Problem { return inFileOrder(r.warnings) }

// Place is a node and the name of its field.
type Place struct {
	node *yaml.Node
	path string
}

// Line of the file.
func (p Place) Line() int { return p.node.Line }

// Value as it is written.
func (p Place) Value() string { return p.node.Value }

// IsZero tells a place that nobody looked for.
func (p Place) IsZero() bool { return p.node == nil }

// Mapping tells that the place has fields of its own.
func (p Place) Mapping() bool { return p.node.Kind == yaml.MappingNode }

// Empty tells a list without elements.
func (p Place) Empty() bool { return p.node.Kind == yaml.SequenceNode && len(p.node.Content) == 0 }

// Refuse adds a problem, with the way to put it right.
func (r *Reader) Refuse(at Place, problem, fix string) {
	r.problems = append(r.problems, problemAt(at, problem, fix))
}

// Warn adds what is allowed and probably not meant.
func (r *Reader) Warn(at Place, problem, fix string) {
	r.warnings = append(r.warnings, problemAt(at, problem, fix))
}

func problemAt(at Place, problem, fix string) Problem {
	return Problem{Line: at.node.Line, Column: at.node.Column, Field: at.path, Problem: problem, Fix: fix}
}

// The library puts the line into its message, and nowhere else.
var syntaxError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// Document reads the one document of a file. It answers false when there is
// nothing to read on.
func (r *Reader) Document(text []byte) (Place, bool) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var root, second yaml.Node
	if err := decoder.Decode(&root); err != nil {
		r.refuseSyntax(err)
		return Place{}, false
	}
	if err := decoder.Decode(&second); err == nil {
		r.Refuse(Place{node: &second}, "a second document begins here", "keep one "+r.What+" in a file")
	} else if !errors.Is(err, io.EOF) {
		r.refuseSyntax(err)
	}
	return Place{node: root.Content[0]}, true
}

func (r *Reader) refuseSyntax(err error) {
	if errors.Is(err, io.EOF) {
		r.problems = append(r.problems, Problem{Line: 1, Column: 1, Problem: "the file is empty", Fix: "start from " + r.Examples})
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

// Object is a mapping with its known keys.
type Object struct {
	Reader *Reader
	At     Place
	fields map[string]*yaml.Node // nil: written, and already refused
}

// Object reads a mapping and refuses keys that are not known, are repeated or
// have no value.
func (r *Reader) Object(at Place, known ...string) Object {
	o := Object{Reader: r, At: at, fields: map[string]*yaml.Node{}}
	if at.node.Kind != yaml.MappingNode {
		r.Refuse(at, "wants fields, not "+describe(at.node), "write one of: "+strings.Join(known, ", "))
		for _, k := range known {
			o.fields[k] = nil // one complaint is enough
		}
		return o
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(at.node.Content); i += 2 {
		key, value := at.node.Content[i], at.node.Content[i+1]
		field := Place{node: key, path: join(at.path, key.Value)}
		switch {
		case lines[key.Value] != 0:
			r.Refuse(field, fmt.Sprintf("is already given on line %d", lines[key.Value]), "keep one of the two")
			continue
		case key.Kind != yaml.ScalarNode || !slices.Contains(known, key.Value):
			r.Refuse(field, "is not a field of a "+r.What+" here", Suggest(key.Value, known))
		case value.Kind == yaml.AliasNode:
			r.Refuse(field, "uses a YAML alias", "write the value out: people sign what they read")
			o.fields[key.Value] = nil
		case value.Kind == yaml.ScalarNode && value.ShortTag() == "!!null":
			r.Refuse(field, "has no value", "give it one, or take the line out")
			o.fields[key.Value] = nil
		default:
			o.fields[key.Value] = value
		}
		lines[key.Value] = key.Line
	}
	return o
}

// Written tells whether the field is there, even with a value that was refused.
func (o Object) Written(name string) bool { _, there := o.fields[name]; return there }

// Has tells whether the field is there with a value that can be read.
func (o Object) Has(name string) bool { return o.fields[name] != nil }

// Need refuses an Object that lacks a field.
func (o Object) Need(name, fix string) {
	if _, written := o.fields[name]; !written {
		o.Reader.Refuse(Place{o.At.node, join(o.At.path, name)}, "is missing", fix)
	}
}

// Field is where a field's value stands.
func (o Object) Field(name string) Place {
	return Place{node: o.fields[name], path: join(o.At.path, name)}
}

// Text reads words, trimmed; "" when the field is not there.
func (o Object) Text(name string) string {
	if !o.Has(name) {
		return ""
	}
	return o.Reader.Text(o.Field(name))
}

// Text reads one value.
func (r *Reader) Text(at Place) string {
	if at.node.Kind != yaml.ScalarNode {
		r.Refuse(at, "wants one value, not "+describe(at.node), "write it on one line")
		return ""
	}
	text := strings.TrimSpace(at.node.Value)
	if text == "" {
		r.Refuse(at, "is empty", "give it a value")
	}
	return text
}

// List calls each for every element.
func (o Object) List(name string, each func(Place)) {
	if !o.Has(name) {
		return
	}
	at := o.Field(name)
	if at.node.Kind != yaml.SequenceNode {
		o.Reader.Refuse(at, "wants a list, not "+describe(at.node), "write ["+at.node.Value+"], or one line beginning with - for each")
		return
	}
	for i, n := range at.node.Content {
		element := Place{n, fmt.Sprintf("%s[%d]", at.path, i)}
		if n.Kind == yaml.AliasNode {
			o.Reader.Refuse(element, "uses a YAML alias", "write the value out: people sign what they read")
			continue
		}
		each(element)
	}
}

// Texts reads a list of different texts.
func (o Object) Texts(name string) []string {
	var out []string
	o.List(name, func(at Place) {
		text := o.Reader.Text(at)
		if slices.Contains(out, text) {
			o.Reader.Refuse(at, fmt.Sprintf("names %q twice", text), "keep it once")
		}
		out = append(out, text)
	})
	return out
}

// Limits are inclusive.
type Limits struct{ Low, High float64 }

// Number reads a number inside Limits; otherwise when the field is not there.
func (o Object) Number(name string, otherwise float64, l Limits) float64 {
	if !o.Has(name) {
		return otherwise
	}
	at := o.Field(name)
	n, err := strconv.ParseFloat(o.Reader.Text(at), 64)
	fix := fmt.Sprintf("write a number from %g to %g", l.Low, l.High)
	if err != nil {
		o.Reader.Refuse(at, fmt.Sprintf("%q is not a number", at.node.Value), fix)
		return otherwise
	}
	if !(n >= l.Low && n <= l.High) { // also refuses NaN
		o.Reader.Refuse(at, fmt.Sprintf("%s is out of range", at.node.Value), fix)
		return otherwise
	}
	return n
}

// Integer reads a whole number inside limits.
func (o Object) Integer(name string, otherwise int, l Limits) int {
	n := o.Number(name, float64(otherwise), l)
	if n != float64(int(n)) {
		o.Reader.Refuse(o.Field(name), fmt.Sprintf("%g is not a whole number", n), "write it without a fraction")
		return otherwise
	}
	return int(n)
}

var days = regexp.MustCompile(`^(\d{1,4})d$`)

const maxDuration = 366 * 24 * time.Hour

// Duration reads 90m, 24h or 3d. What does not parse is refused: an unreadable
// wait must never become no wait.
func (o Object) Duration(name string, otherwise time.Duration) time.Duration {
	if !o.Has(name) {
		return otherwise
	}
	at := o.Field(name)
	text := o.Reader.Text(at)
	d, err := time.ParseDuration(text)
	if m := days.FindStringSubmatch(text); m != nil {
		n, atoiErr := strconv.Atoi(m[1])
		d, err = time.Duration(n)*24*time.Hour, atoiErr
	}
	switch {
	case text == "": // refused already
		return otherwise
	case err != nil:
		o.Reader.Refuse(at, fmt.Sprintf("%q is not a duration", text), "write a number with its unit: 90m, 24h or 3d")
		return otherwise
	case d < 0 || d > maxDuration:
		o.Reader.Refuse(at, fmt.Sprintf("%s is out of range", text), "write a duration from 0h to 366d")
		return otherwise
	}
	return d
}

// Choice reads one of the known words.
func Choice[T ~string](o Object, name string, otherwise T, known []T) T {
	if !o.Has(name) {
		return otherwise
	}
	return OneOf(o.Reader, o.Field(name), otherwise, known)
}

// OneOf reads one of the known words at a place.
func OneOf[T ~string](r *Reader, at Place, otherwise T, known []T) T {
	word := r.Text(at)
	if slices.Contains(known, T(word)) || word == "" {
		return T(word)
	}
	words := make([]string, len(known))
	for i, k := range known {
		words[i] = string(k)
	}
	r.Refuse(at, fmt.Sprintf("%q is not known here", word), Suggest(word, words))
	return otherwise
}

// Boolean reads true or false; false when the field is not there.
func (o Object) Boolean(name string) bool {
	if !o.Has(name) {
		return false
	}
	at := o.Field(name)
	if at.node.ShortTag() != "!!bool" {
		o.Reader.Refuse(at, fmt.Sprintf("%q is neither true nor false", at.node.Value), "write true, or take the line out")
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

// Suggest proposes the known word that looks most like the one written.
func Suggest(word string, known []string) string {
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

// Or is the field, or the Object when the field is not there: where a
// complaint about it belongs.
func (o Object) Or(name string) Place {
	if o.Has(name) {
		return o.Field(name)
	}
	return Place{o.At.node, join(o.At.path, name)}
}
