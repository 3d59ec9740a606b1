package series

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"patchring/wire"
)

// measures gives each measure its number in packed blocks. Numbers are for
// ever: a measure that is no longer taken keeps its place.
var measures = []wire.Measure{
	wire.MeasureCPU, wire.MeasureLoad, wire.MeasureMemory, wire.MeasureDisk, wire.MeasureFree, wire.MeasureBoot, wire.MeasureLogin,
	wire.MeasureUnits, wire.MeasureDown, wire.MeasureCrashes, wire.MeasureErrors, wire.MeasurePorts, wire.MeasureClock,
	wire.MeasureUnsynced, wire.MeasureUnguarded, wire.MeasureUse, wire.MeasureProbesDown,
}

func number(m wire.Measure) int { return slices.Index(measures, m) }

// version of the packed form:
//
//	version, number of columns, the samples of each step as a column of
//	numbers; then for each column the measure's number, the steps in which it
//	is known, their means, and by how much the worst differs from each.
//
// A column of numbers is the difference of each from the one before, as a
// zigzag varint; zeros come as a 0 and how many there are. What hardly ever
// changes, and most of it does not, costs a few bytes a block.
const version = 1

// Pack makes the stored form.
func (b *Block) Pack() []byte {
	out := []byte{version}
	numbers := make([]int, 0, len(b.cells))
	for number, column := range b.cells {
		if slices.ContainsFunc(column, func(c cell) bool { return c.known }) {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	out = binary.AppendUvarint(out, uint64(len(numbers)))
	out = appendColumn(out, b.n)
	for _, number := range numbers {
		out = binary.AppendUvarint(out, uint64(number))
		known, means, worse := split(b.cells[number])
		out = appendColumn(out, known)
		out = appendColumn(out, means)
		out = appendColumn(out, worse)
	}
	return out
}

func split(column []cell) (known, means, worse []int64) {
	known = make([]int64, len(column))
	for i, c := range column {
		if c.known {
			known[i] = 1
			means, worse = append(means, c.mean), append(worse, c.worst-c.mean)
		}
	}
	return known, means, worse
}

func appendColumn(out []byte, values []int64) []byte {
	var before int64
	for i := 0; i < len(values); {
		if values[i] != before {
			out = binary.AppendVarint(out, values[i]-before)
			before, i = values[i], i+1
			continue
		}
		run := i
		for run < len(values) && values[run] == before {
			run++
		}
		out = binary.AppendUvarint(append(out, 0), uint64(run-i))
		i = run
	}
	return out
}

// Bounds of what a body can hold: samples of a step, and a value.
const (
	mostSamples = math.MaxInt32
	mostValue   = Most * hundredths
)

// errBody: what is stored is not a packed block.
var errBody = errors.New("not a packed block")

// Unpack reads what Pack made of b's kind of block into b, which is empty.
func (b *Block) Unpack(body []byte) error { return b.UnpackOf(body, nil) }

// UnpackOf reads some measures of it, or all where none is named. A block without
// the others is for reading: packed again, it would have lost them.
func (b *Block) UnpackOf(body []byte, wanted []wire.Measure) error {
	if len(body) == 0 || body[0] != version {
		return fmt.Errorf("%w of version %d", errBody, version)
	}
	r := reader{rest: body[1:]}
	columns := r.uvarint()
	if columns > uint64(len(measures)) {
		return fmt.Errorf("%w: %d columns", errBody, columns)
	}
	b.n = r.column(b.n[:0], len(b.n), limits{0, mostSamples})
	for range columns {
		if err := b.readColumn(&r, wanted); err != nil {
			return err
		}
	}
	if r.err == nil && len(r.rest) > 0 {
		r.err = fmt.Errorf("%w: %d bytes too many", errBody, len(r.rest))
	}
	return r.err
}

func (b *Block) readColumn(r *reader, wanted []wire.Measure) error {
	number := r.uvarint()
	if number >= uint64(len(measures)) || b.cells[int(number)] != nil {
		return fmt.Errorf("%w: measure %d", errBody, number)
	}
	if len(wanted) > 0 && !slices.Contains(wanted, measures[number]) {
		count := r.skip(len(b.n))
		if count < 0 || count > len(b.n) {
			return fmt.Errorf("%w: %d values", errBody, count)
		}
		r.skip(count)
		r.skip(count)
		return r.err
	}
	r.known = r.column(r.known, len(b.n), limits{0, 1})
	var count int
	for i, k := range r.known {
		if k == 1 && b.n[i] == 0 {
			return fmt.Errorf("%w: a value of no sample", errBody)
		}
		count += int(k)
	}
	r.means, r.worse = r.column(r.means, count, limits{0, mostValue}), r.column(r.worse, count, limits{-mostValue, mostValue})
	if r.err != nil {
		return r.err
	}
	column, next := b.column(int(number)), 0
	for i, k := range r.known {
		if k == 0 {
			continue
		}
		column[i] = cell{mean: r.means[next], worst: r.means[next] + r.worse[next], known: true}
		if column[i].worst < 0 || column[i].worst > mostValue {
			return fmt.Errorf("%w: worst value %d", errBody, column[i].worst)
		}
		next++
	}
	return nil
}

// reader takes numbers from a body; the first one that is not there is its error.
type reader struct {
	rest                []byte
	err                 error
	known, means, worse []int64 // of the column that is read: one after the other uses them
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	return v * uint64(r.took(n))
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	return v * int64(r.took(n))
}

// took moves on by n bytes; it is 0 when there were none to take.
func (r *reader) took(n int) int {
	if n <= 0 || r.err != nil {
		r.rest = nil
		if r.err == nil {
			r.err = fmt.Errorf("%w: it ends early", errBody)
		}
		return 0
	}
	r.rest = r.rest[n:]
	return 1
}

// limits of the numbers of a column.
type limits struct{ least, most int64 }

// column reads count numbers between two bounds into out, whatever was there.
func (r *reader) column(out []int64, count int, l limits) []int64 {
	out = slices.Grow(out[:0], count)
	var value int64
	for len(out) < count && r.err == nil {
		step, run := r.step(count - len(out))
		if value += step; value < l.least || value > l.most {
			r.err = errors.Join(r.err, fmt.Errorf("%w: value %d", errBody, value))
			break
		}
		for range run {
			out = append(out, value)
		}
	}
	for len(out) < count {
		out = append(out, 0)
	}
	return out
}

// skip passes over count numbers, and gives their sum: of a column of zeros and
// ones, how many ones. What they are is not looked at.
func (r *reader) skip(count int) (sum int) {
	var value int64
	for left := count; left > 0 && r.err == nil; {
		step, run := r.step(left)
		value += step
		sum, left = sum+int(value)*run, left-run
	}
	return sum
}

// step is by how much the next number differs from the one before, and how often
// it comes: as often as there is room at most.
func (r *reader) step(room int) (by int64, run int) {
	by, times := r.varint(), uint64(1)
	if by == 0 {
		times = r.uvarint()
	}
	// A step beyond what two values can differ by would overflow their sum.
	if by > 2*mostValue || by < -2*mostValue || times == 0 || times > uint64(room) {
		r.err = errors.Join(r.err, fmt.Errorf("%w: a step of %d, %d times", errBody, by, times))
		return 0, 0
	}
	return by, int(times)
}
