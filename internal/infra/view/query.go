package view

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"patchring/internal/core/fault"
)

// query is a text with its arguments, and what it reads, for errors.
type query struct {
	what string
	text string
	args []any
}

func ask(what, text string, args ...any) query { return query{what: what, text: text, args: args} }

// builder puts the WHERE of a list together: constants of this package with
// numbered arguments. Nothing a caller sends ever becomes text.
type builder struct {
	where []string
	args  []any
}

// and adds a condition. Each ? in it stands for the next of args.
func (b *builder) and(condition string, args ...any) {
	for _, arg := range args {
		b.args = append(b.args, arg)
		condition = strings.Replace(condition, "?", "$"+strconv.Itoa(len(b.args)), 1)
	}
	b.where = append(b.where, condition)
}

// list makes the query of a page: one row more than the limit is read, to know
// whether there is another page.
func (b *builder) list(what, head, order string, limit int) query {
	b.args = append(b.args, limit+1)
	text := fmt.Sprintf("%s WHERE %s ORDER BY %s LIMIT $%d", head, strings.Join(b.where, " AND "), order, len(b.args))
	return query{what: what, text: text, args: b.args}
}

// contains is the pattern of "has this text in it" for
// lower(column) LIKE ? ESCAPE '!'.
func contains(text string) string {
	return "%" + strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(strings.ToLower(text)) + "%"
}

// in writes one placeholder for each id, continuing after what b has.
func (b *builder) in(column string, ids []string) {
	marks := make([]string, len(ids))
	args := make([]any, len(ids))
	for i, id := range ids {
		marks[i], args[i] = "?", id
	}
	b.and(column+" IN ("+strings.Join(marks, ", ")+")", args...)
}

// oneOf refuses a word that is not among the choices; empty is the first.
func oneOf(field, word string, choices []string) (string, error) {
	if word == "" {
		return choices[0], nil
	}
	if !slices.Contains(choices, word) {
		return "", fault.New(fault.InvalidField, "field", field, "problem", "not_a_choice", "fix", strings.Join(choices, ", "))
	}
	return word, nil
}

// every makes the query of a list that its WHERE already bounds.
func (b *builder) every(what, head, order string) query {
	text := fmt.Sprintf("%s WHERE %s ORDER BY %s", head, strings.Join(b.where, " AND "), order)
	return query{what: what, text: text, args: b.args}
}
