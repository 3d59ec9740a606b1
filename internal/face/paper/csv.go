package paper

import (
	"bytes"
	"encoding/csv"
	"fmt"

	"patchring/internal/face/paper/xlsx"
	"patchring/internal/infra/view"
)

// byteOrder tells spreadsheets that the text is UTF-8.
const byteOrder = "\ufeff"

// MissingCSV lists missing devices for spreadsheets, semicolons between: what
// French ones read, and others ask about.
func MissingCSV(rows []view.MissingDevice, language, zone string) ([]byte, error) {
	w := writerIn(language, zone)
	t := w.missingTable(rows)
	var out bytes.Buffer
	out.WriteString(byteOrder)
	lines := csv.NewWriter(&out)
	lines.Comma, lines.UseCRLF = ';', true
	head := make([]string, len(t.Head))
	for i, c := range t.Head {
		head[i] = c.Text
	}
	if err := lines.Write(head); err != nil {
		return nil, fmt.Errorf("write the list of missing devices: %w", err)
	}
	for _, row := range t.Rows {
		cells := make([]string, len(row))
		for i, c := range row {
			cells[i] = xlsx.Guard(c.Text)
		}
		if err := lines.Write(cells); err != nil {
			return nil, fmt.Errorf("write the list of missing devices: %w", err)
		}
	}
	lines.Flush()
	return out.Bytes(), lines.Error()
}
