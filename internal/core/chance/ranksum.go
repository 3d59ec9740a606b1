package chance

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// ExactUpTo is how many members of both groups together the rank-sum test and
// its interval are worked out exactly for, ties included. Beyond, the normal
// approximation with the correction for ties is used: at 50 it is off by less
// than a tenth of a probability of one in a hundred.
const ExactUpTo = 50

// RankSum is the one-sided Wilcoxon rank-sum (Mann–Whitney) test: how likely x
// ranks so high among x and y together, or higher, if both are alike. 1 when one
// is empty.
func RankSum(x, y []float64) float64 {
	n, m := len(x), len(y)
	if n == 0 || m == 0 {
		return 1
	}
	ranks, sum, ties := doubledRanks(x, y)
	if n+m <= ExactUpTo {
		return rankTail(ranks, n, sum)
	}
	return normalTail(n, m, sum, ties)
}

// normalTail is how likely so high a sum of doubled ranks is, by the normal
// approximation.
func normalTail(n, m, sum int, ties float64) float64 {
	all := float64(n + m)
	mean := float64(n) * (all + 1) / 2
	variance := float64(n) * float64(m) / 12 * (all + 1 - ties/(all*(all-1)))
	if variance <= 0 {
		return 1 // all are the same
	}
	return distuv.UnitNormal.Survival((float64(sum)/2 - mean - 0.5) / math.Sqrt(variance))
}

// doubledRanks are twice the mid-ranks, which are whole numbers; their sum over
// x; and the sum of t³ − t over groups of t equal values.
func doubledRanks(x, y []float64) (ranks []int, sum int, ties float64) {
	type one struct {
		v     float64
		first bool
	}
	all := make([]one, 0, len(x)+len(y))
	for _, v := range x {
		all = append(all, one{v, true})
	}
	for _, v := range y {
		all = append(all, one{v, false})
	}
	slices.SortFunc(all, func(a, b one) int {
		switch {
		case a.v < b.v:
			return -1
		case a.v > b.v:
			return 1
		}
		return 0
	})
	ranks = make([]int, len(all))
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].v == all[i].v {
			j++
		}
		for k := i; k < j; k++ {
			ranks[k] = i + 1 + j
			if all[k].first {
				sum += ranks[k]
			}
		}
		t := float64(j - i)
		ties += t*t*t - t
		i = j
	}
	return ranks, sum, ties
}

// rankTail is the share of all choices of n ranks whose sum is at least sum. The
// counts stay below 2⁵³, so they are exact.
func rankTail(ranks []int, n, sum int) float64 {
	counts := rankSums(ranks, n)
	tail, all := 0.0, 0.0
	for s, c := range counts {
		all += c
		if s >= sum {
			tail += c
		}
	}
	return tail / all
}

// rankSums counts the choices of n ranks by their sum.
func rankSums(ranks []int, n int) []float64 {
	most := 0
	for _, r := range ranks {
		most += r
	}
	ways := make([][]float64, n+1)
	for k := range ways {
		ways[k] = make([]float64, most+1)
	}
	ways[0][0] = 1
	upTo := 0
	for i, r := range ranks {
		for k := min(n, i+1); k > 0; k-- {
			for s := upTo; s >= 0; s-- {
				if w := ways[k-1][s]; w > 0 {
					ways[k][s+r] += w
				}
			}
		}
		upTo += r
	}
	return ways[n]
}

// Shift is the Hodges–Lehmann estimate of how much higher x lies than y, the
// median of all differences, with the interval that belongs to the rank-sum
// test. Of groups so small that no interval has the level, it has no ends.
func Shift(x, y []float64, level float64) Interval {
	n, m := len(x), len(y)
	if n == 0 || m == 0 {
		return Interval{math.NaN(), math.Inf(-1), math.Inf(1)}
	}
	x, y = slices.Clone(x), slices.Clone(y)
	slices.Sort(x)
	slices.Sort(y)
	pairs := n * m
	out := Interval{Low: math.Inf(-1), High: math.Inf(1)}
	out.Estimate = (difference(x, y, (pairs+1)/2) + difference(x, y, pairs/2+1)) / 2
	if k := intervalRank(n, m, (1-level)/2); k > 0 {
		out.Low, out.High = difference(x, y, k), difference(x, y, pairs-k+1)
	}
	return out
}

// intervalRank is the largest k such that U is below k with no more than the
// tail's probability; 0: there is none.
func intervalRank(n, m int, tail float64) int {
	if n+m > ExactUpTo {
		nm := float64(n) * float64(m)
		k := nm/2 - distuv.UnitNormal.Quantile(1-tail)*math.Sqrt(nm*float64(n+m+1)/12)
		return max(0, int(math.Floor(k)))
	}
	ranks := make([]int, n+m)
	for i := range ranks {
		ranks[i] = i + 1
	}
	counts := rankSums(ranks, n)
	all := 0.0
	for _, c := range counts {
		all += c
	}
	below, least := 0.0, n*(n+1)/2
	for k := 0; least+k < len(counts); k++ {
		below += counts[least+k]
		if below/all > tail {
			return k
		}
	}
	return 0
}

// sortedPairs is up to how many differences they are simply sorted.
const sortedPairs = 10_000

// difference is the k-th smallest of all x − y, of two sorted lists. Of many it
// is found by halving the range: each step counts in one walk over both, so that
// no list of all pairs is ever made. It is then good to a billionth of the range.
func difference(x, y []float64, k int) float64 {
	if len(x)*len(y) <= sortedPairs {
		all := make([]float64, 0, len(x)*len(y))
		for _, a := range x {
			for _, b := range y {
				all = append(all, a-b)
			}
		}
		slices.Sort(all)
		return all[k-1]
	}
	low, high := x[0]-y[len(y)-1], x[len(x)-1]-y[0]
	for fine := (high - low) * 1e-9; high-low > fine; {
		middle := low + (high-low)/2
		if countUpTo(x, y, middle) >= k {
			high = middle
		} else {
			low = middle
		}
	}
	return high
}

// countUpTo counts the pairs with x − y ≤ d.
func countUpTo(x, y []float64, d float64) int {
	count, j := 0, 0
	for _, a := range x {
		for j < len(y) && a-y[j] > d {
			j++
		}
		count += len(y) - j
	}
	return count
}
