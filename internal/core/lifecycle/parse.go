package lifecycle

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	"patchring/internal/core/fault"
)

// MaxTable bounds a file that is imported; the longest of endoflife.date has
// about 100 kB.
const MaxTable = 512 << 10

const maxCycles = 2000

// row is one cycle as https://endoflife.date/api/PRODUCT.json writes it:
//
//	{"cycle":"12","codename":"Bookworm","releaseDate":"2023-06-10",
//	 "eol":"2026-06-10","extendedSupport":"2028-06-30","latest":"12.9","lts":false}
//
// cycle is at times a number; eol is a day, true (over) or false (no end in
// sight).
type row struct {
	Cycle    json.RawMessage `json:"cycle"`
	Codename string          `json:"codename"`
	Latest   string          `json:"latest"`
	Released string          `json:"releaseDate"`
	EOL      json.RawMessage `json:"eol"`
	Extended json.RawMessage `json:"extendedSupport"`
}

var productName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// ParseCycles reads a product's cycles. extended says that the organisation has
// the long-term or paid support that the table tells of, so that it counts.
func ParseCycles(product string, text []byte, extended bool) ([]Cycle, error) {
	if !productName.MatchString(product) {
		return nil, invalid("product", "not_a_word", "debian, ubuntu, rhel, windows, macos")
	}
	var rows []row
	if err := decode(text, &rows); err != nil {
		return nil, err
	}
	out := make([]Cycle, 0, len(rows))
	seen := map[string]bool{}
	for i, r := range rows {
		c, err := r.cycle(product, extended, fmt.Sprintf("[%d]", i))
		if err != nil {
			return nil, err
		}
		if seen[c.Cycle] {
			return nil, invalid(fmt.Sprintf("[%d].cycle", i), "repeated", c.Cycle)
		}
		seen[c.Cycle] = true
		out = append(out, c)
	}
	return out, nil
}

func decode[T any](text []byte, rows *[]T) error {
	if len(text) > MaxTable {
		return invalid("file", "too_long", fmt.Sprintf("%d kB", MaxTable>>10))
	}
	if err := json.Unmarshal(text, rows); err != nil {
		return invalid("file", "not_a_table", "https://endoflife.date/api/debian.json").Wrap(err)
	}
	if len(*rows) == 0 || len(*rows) > maxCycles {
		return invalid("file", "not_a_table", "https://endoflife.date/api/debian.json")
	}
	return nil
}

func (r row) cycle(product string, extended bool, at string) (Cycle, error) {
	c := Cycle{Product: product, Cycle: strings.Trim(string(r.Cycle), `"`), Codename: r.Codename, Latest: r.Latest}
	if c.Cycle == "" || c.Cycle == "null" || len(c.Cycle) > 64 {
		return c, invalid(at+".cycle", "empty", `"12"`)
	}
	var err error
	if r.Released != "" {
		if c.Released, err = day(r.Released); err != nil {
			return c, invalid(at+".releaseDate", "not_a_date", "2026-01-31")
		}
	}
	if len(r.EOL) == 0 {
		return c, invalid(at+".eol", "empty", "2026-01-31, true, false")
	}
	if c.End, err = end(r.EOL); err != nil {
		return c, invalid(at+".eol", "not_a_date", "2026-01-31, true, false")
	}
	longer, err := end(r.Extended)
	if err != nil {
		return c, invalid(at+".extendedSupport", "not_a_date", "2026-01-31, true, false")
	}
	if extended {
		c.Extended = End{Day: longer.Day}
	}
	return c, nil
}

// end reads a day or a boolean. For eol, true is "over".
func end(raw json.RawMessage) (End, error) {
	switch text := string(raw); text {
	case "", "null", "false":
		return End{}, nil
	case "true":
		return End{Over: true}, nil
	default:
		d, err := day(strings.Trim(text, `"`))
		return End{Day: d}, err
	}
}

func day(text string) (time.Time, error) { return time.Parse(time.DateOnly, text) }

// needRow is one line of the table of hardware:
//
//	{"product":"windows","cycle":"11-24h2-w","ram_gb":4,"disk_gb":64,"cpus":2,"cpu_level":2}
type needRow struct {
	Product string  `json:"product"`
	Cycle   string  `json:"cycle"`
	RAMGB   float64 `json:"ram_gb"`
	DiskGB  float64 `json:"disk_gb"`
	CPUs    int64   `json:"cpus"`
	Level   int64   `json:"cpu_level"`
}

// ParseNeeds reads the least hardware of versions.
func ParseNeeds(text []byte) ([]Need, error) {
	var rows []needRow
	if err := decode(text, &rows); err != nil {
		return nil, err
	}
	out := make([]Need, 0, len(rows))
	seen := map[string]bool{}
	for i, r := range rows {
		at := fmt.Sprintf("[%d]", i)
		switch {
		case !productName.MatchString(r.Product):
			return nil, invalid(at+".product", "not_a_word", "debian, ubuntu, rhel, windows, macos")
		case r.Cycle == "" || len(r.Cycle) > 64:
			return nil, invalid(at+".cycle", "empty", `"12"`)
		case r.Level < 0 || r.Level > 4:
			return nil, invalid(at+".cpu_level", "out_of_range", "1, 2, 3, 4")
		case bad(r.RAMGB) || bad(r.DiskGB) || r.CPUs < 0 || r.RAMGB == 0 && r.DiskGB == 0 && r.CPUs == 0 && r.Level == 0:
			return nil, invalid(at, "not_a_number", "ram_gb, disk_gb, cpus, cpu_level")
		case seen[r.Product+" "+r.Cycle]:
			return nil, invalid(at+".cycle", "repeated", r.Cycle)
		}
		seen[r.Product+" "+r.Cycle] = true
		out = append(out, Need{Product: r.Product, Cycle: r.Cycle, CPUs: r.CPUs, CPULevel: r.Level, RAMBytes: bytesOf(r.RAMGB), DiskBytes: bytesOf(r.DiskGB)})
	}
	return out, nil
}

// bad is a size that no machine has.
func bad(gb float64) bool { return gb < 0 || gb > 1<<20 || math.IsNaN(gb) }

func bytesOf(gb float64) int64 { return int64(gb * (1 << 30)) }

func invalid(field, problem, fix string) *fault.Error {
	return fault.New(fault.InvalidField, "field", field, "problem", problem, "fix", fix)
}
