package ui

import (
	"strconv"

	"patchring/internal/core/campaign"
)

// Buckets is the order in which the five numbers are always shown.
var Buckets = []campaign.Bucket{
	campaign.Done, campaign.Failed, campaign.NotReached, campaign.Unreachable, campaign.Exempt,
}

// Count is one of the five numbers.
func Count(c campaign.Counters, b campaign.Bucket) int64 {
	switch b {
	case campaign.Done:
		return int64(c.Done)
	case campaign.Failed:
		return int64(c.Failed)
	case campaign.NotReached:
		return int64(c.NotReached)
	case campaign.Unreachable:
		return int64(c.Unreachable)
	default:
		return int64(c.Exempt)
	}
}

// Slice is a part of a drawing whose whole is 100.
type Slice struct {
	Tone         Tone
	Start, Width float64
}

// Slices divides 100 by the five numbers. What is there is never invisible: a
// single failed device among thousands still gets a sliver.
func Slices(c campaign.Counters) []Slice {
	parts := make([]Part, len(Buckets))
	for i, b := range Buckets {
		parts[i] = Part{OfBucket(b), Count(c, b)}
	}
	return Divide(parts)
}

// Part is a count with its tone.
type Part struct {
	Tone Tone
	N    int64
}

// sliver is how wide the smallest part still is.
const sliver = 1.4

// Divide shares 100 out by the counts: a sliver to each that is not zero, the
// rest in proportion.
func Divide(parts []Part) []Slice {
	total, present := int64(0), 0
	for _, p := range parts {
		total += p.N
		if p.N > 0 {
			present++
		}
	}
	var slices []Slice
	at := 0.0
	for _, p := range parts {
		if p.N == 0 {
			continue
		}
		w := sliver + (100-sliver*float64(present))*float64(p.N)/float64(total)
		slices = append(slices, Slice{p.Tone, at, w})
		at += w
	}
	return slices
}

func decimal(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) }

// dash draws one slice of a donut whose circumference is 100, with a hair of
// space after it unless it is the whole ring.
func dash(s Slice) string {
	w := s.Width
	if w < 99.9 {
		w -= 0.6
	}
	return decimal(w) + " " + decimal(100-w)
}
