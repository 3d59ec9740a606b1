package ui

import (
	"patchring/internal/core/campaign"
	"patchring/internal/face/lang"
)

// Spoken is the five numbers as one sentence: what a drawing says to those
// who do not see it.
func Spoken(f Frame, c campaign.Counters) string {
	items := make([]string, 0, len(Buckets))
	for _, b := range Buckets {
		items = append(items, f.T("numbers.one", "what", f.Word(lang.Bucket, string(b)), "n", f.Number(Count(c, b))))
	}
	return f.List(items)
}
