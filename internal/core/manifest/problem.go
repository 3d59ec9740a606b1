package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing to put right in a file.
type Problem struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Field   string `json:"field"` // rings[1].opens.day; empty for the file as a whole
	Problem string `json:"problem"`
	Fix     string `json:"fix"`
}

// String is how people read it.
func (p Problem) String() string {
	where := fmt.Sprintf("%d:%d", p.Line, p.Column)
	if p.Field != "" {
		where += ": " + p.Field
	}
	return where + ": " + p.Problem + "; " + p.Fix
}

// Error is everything that is wrong with a file, in the file's order.
type Error struct {
	File     string
	Problems []Problem
}

// Error implements error, one problem a line.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = e.File + ":" + p.String()
	}
	return strings.Join(lines, "\n")
}

func inFileOrder(problems []Problem) []Problem {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return problems
}
