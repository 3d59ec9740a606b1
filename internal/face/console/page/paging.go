package page

import "patchring/internal/face/console/ui"

// firstPage is the address of a list's beginning, when after says that the
// reader has left it.
func firstPage(after, path string, pairs ...string) string {
	if after == "" {
		return ""
	}
	return ui.With(path, pairs...)
}

func nextPage(next, path string, pairs ...string) string {
	if next == "" {
		return ""
	}
	return ui.With(path, append(pairs, "after", next)...)
}

// is marks the tab a reader is on.
func is(here bool) string {
	if here {
		return "page"
	}
	return "false"
}

// list is the list that a count of the first page is of.
func (c Count) list() string {
	if c.Filter == "undecided" {
		return ui.With("/patches", "missing", "1", "sort", "devices")
	}
	return ui.With("/devices", "filter", c.Filter)
}

func (c Count) tone() ui.Tone {
	switch c.Filter {
	case "failing", "duplicate":
		return ui.Bad
	case "undecided":
		return ui.Busy
	default:
		return ui.Warn
	}
}
