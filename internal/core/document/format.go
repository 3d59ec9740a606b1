package document

import (
	"slices"

	"patchring/internal/core/fault"
)

// Format of a file.
type Format string

// Formats.
const (
	HTML Format = "html"
	PDF  Format = "pdf"
	XLSX Format = "xlsx"
)

// Formats lists them.
func Formats() []Format { return []Format{PDF, HTML, XLSX} }

// Check refuses what is no format.
func (f Format) Check() error {
	if slices.Contains(Formats(), f) {
		return nil
	}
	return fault.New(fault.InvalidField, "field", "format", "problem", "not_a_choice", "fix", "pdf, html, xlsx")
}

// MediaType of a format.
func (f Format) MediaType() string {
	switch f {
	case HTML:
		return "text/html; charset=utf-8"
	case PDF:
		return "application/pdf"
	}
	return "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
}
