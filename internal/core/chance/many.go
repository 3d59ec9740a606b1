package chance

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Holm corrects the probabilities of several questions for how many there are:
// each may then be compared with what one alone may be.
func Holm(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case p[a] < p[b]:
			return -1
		case p[a] > p[b]:
			return 1
		}
		return 0
	})
	out, so := make([]float64, len(p)), 0.0
	for i, at := range order {
		so = max(so, min(1, p[at]*float64(len(p)-i)))
		out[at] = so
	}
	return out
}

// Spend is what the k-th look, counted from 1, may use of alpha: all looks
// together, however many there will be, use alpha.
func Spend(alpha float64, k int) float64 { return alpha / float64(k*(k+1)) }

// Looks is how many looks are due after so many units of time: at 1, 2, 4, 8 …
func Looks(elapsed float64) int {
	if elapsed < 1 {
		return 0
	}
	return 1 + int(math.Floor(math.Log2(elapsed)))
}

// Past compares one value with earlier ones that have no reason to differ: how
// likely it is so high by chance, by Student's t around zero, and the interval of
// what is new in it. usual is the least spread that the earlier ones are taken
// to have.
func Past(now float64, before []float64, usual, level float64) (p float64, i Interval) {
	n := float64(len(before))
	if len(before) < 2 {
		return 1, Interval{now, math.Inf(-1), math.Inf(1)}
	}
	squares := make([]float64, len(before))
	for k, b := range before {
		squares[k] = b * b
	}
	spread := max(usual, math.Sqrt(stat.Mean(squares, nil))) * math.Sqrt(1+1/n)
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}
	reach := spread * t.Quantile(1-(1-level)/2)
	return t.Survival(now / spread), Interval{now, now - reach, now + reach}
}
