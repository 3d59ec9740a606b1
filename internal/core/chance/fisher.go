package chance

import (
	"math"

	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/stat/distuv"
)

// Fisher is the one-sided exact test: how likely the first group has so many bad
// ones or more, if being bad falls on members of both groups at random.
func Fisher(bad, good, badOther, goodOther int) float64 {
	with, without, all := bad+good, badOther+goodOther, bad+badOther
	whole := logChoose(with+without, all)
	p := 0.0
	for k := bad; k <= min(with, all); k++ {
		if all-k <= without {
			p += math.Exp(logChoose(with, k) + logChoose(without, all-k) - whole)
		}
	}
	return min(1, p)
}

// AtLeast is how likely at least k of n are bad where each one is with
// probability p.
func AtLeast(k, n int, p float64) float64 {
	switch {
	case k <= 0:
		return 1
	case k > n || p <= 0:
		return 0
	case p >= 1:
		return 1
	}
	return mathext.RegIncBeta(float64(k), float64(n-k+1), p)
}

// Choose is the natural logarithm of how many ways there are to choose k of n.
func Choose(n, k int) float64 { return logChoose(n, k) }

func logChoose(n, k int) float64 {
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return a - b - c
}

// Interval is an estimate with what it may as well be.
type Interval struct{ Estimate, Low, High float64 }

// Share is Clopper and Pearson's interval of a share: it covers the truth at
// least as often as level says, whatever the numbers.
func Share(k, n int, level float64) Interval {
	if n == 0 {
		return Interval{Estimate: math.NaN(), Low: 0, High: 1}
	}
	tail := (1 - level) / 2
	out := Interval{Estimate: float64(k) / float64(n), Low: 0, High: 1}
	if k > 0 {
		out.Low = distuv.Beta{Alpha: float64(k), Beta: float64(n - k + 1)}.Quantile(tail)
	}
	if k < n {
		out.High = distuv.Beta{Alpha: float64(k + 1), Beta: float64(n - k)}.Quantile(1 - tail)
	}
	return out
}

// ShareDifference is an interval of the first share less the second. Each is
// given half of what may go wrong, so it too covers at least as often as it says.
func ShareDifference(k, n, kOther, nOther int, level float64) Interval {
	half := 1 - (1-level)/2
	a, b := Share(k, n, half), Share(kOther, nOther, half)
	return Interval{Estimate: a.Estimate - b.Estimate, Low: a.Low - b.High, High: a.High - b.Low}
}
