package chance

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if math.Abs(got-want) > within || math.IsNaN(got) {
		t.Errorf("%s: got %.7g, want %.7g", what, got, want)
	}
}

// Fisher's tea-tasting lady (The Design of Experiments, 1935) and his table of
// criminal twins (1962): the published probabilities.
func TestFisherGivesThePublishedProbabilities(t *testing.T) {
	near(t, "tea, three of four", Fisher(3, 1, 1, 3), 17.0/70, 1e-12)
	near(t, "tea, all four", Fisher(4, 0, 0, 4), 1.0/70, 1e-12)
	near(t, "twins", Fisher(10, 3, 2, 15), 0.0004652, 5e-8)
	near(t, "nobody bad", Fisher(0, 5, 0, 5), 1, 1e-12)
	near(t, "thousands", Fisher(50, 4950, 0, 5000), 7.1e-16, 1e-15)
}

// The textbook intervals of Clopper and Pearson.
func TestShareGivesThePublishedIntervals(t *testing.T) {
	none := Share(0, 20, 0.95)
	near(t, "0 of 20, low", none.Low, 0, 0)
	near(t, "0 of 20, high", none.High, 1-math.Pow(0.025, 1.0/20), 1e-9)
	some := Share(5, 20, 0.95)
	near(t, "5 of 20, low", some.Low, 0.08657, 1e-5)
	near(t, "5 of 20, high", some.High, 0.49105, 1e-5)
	if i := Share(0, 0, 0.95); i.Low != 0 || i.High != 1 {
		t.Errorf("a share of nobody is %+v, want anything", i)
	}
}

// The permeability data of Hollander and Wolfe (1973), page 69: one-sided
// p = 0.1272, shift 0.305.
func TestRankSumGivesTheTextbooksExample(t *testing.T) {
	x := []float64{0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46}
	y := []float64{1.15, 0.88, 0.90, 0.74, 1.21}
	near(t, "p", RankSum(x, y), 0.1272, 5e-5)
	near(t, "shift", Shift(x, y, 0.95).Estimate, 0.305, 1e-9)
}

// The table of critical values of U, two-sided 0.05 (Mann and Whitney; in every
// textbook). U below or at it is significant: the interval starts at the next
// difference.
func TestIntervalRanksAreThoseOfTheTableOfU(t *testing.T) {
	for _, c := range []struct{ n, m, critical int }{
		{4, 4, 0}, {5, 5, 2}, {5, 8, 6}, {7, 7, 8}, {8, 8, 13}, {10, 10, 23}, {10, 20, 55}, {15, 15, 64}, {20, 20, 127},
	} {
		if got := intervalRank(c.n, c.m, 0.025); got != c.critical+1 {
			t.Errorf("n=%d m=%d: rank %d, want %d", c.n, c.m, got, c.critical+1)
		}
	}
	if got := intervalRank(3, 3, 0.025); got != 0 {
		t.Errorf("three against three have an interval at rank %d, want none", got)
	}
}

func TestTheApproximationMeetsTheExactTest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		x, y := make([]float64, 24), make([]float64, 26)
		for i := range x {
			x[i] = math.Round(r.NormFloat64()*4) + 1.5 // with ties
		}
		for i := range y {
			y[i] = math.Round(r.NormFloat64() * 4)
		}
		exact := RankSum(x, y)
		_, sum, ties := doubledRanks(x, y)
		approximate := normalTail(len(x), len(y), sum, ties)
		if exact > 0.001 && math.Abs(exact-approximate) > 0.1*exact+0.002 {
			t.Errorf("exact %.5f, approximate %.5f", exact, approximate)
		}
	}
}

func TestManyDifferencesAreFoundAsSortingFindsThem(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	x, y := make([]float64, 150), make([]float64, 130)
	for i := range x {
		x[i] = r.NormFloat64() + 2
	}
	for i := range y {
		y[i] = r.NormFloat64()
	}
	var all []float64
	for _, a := range x {
		for _, b := range y {
			all = append(all, a-b)
		}
	}
	slices.Sort(all)
	got := Shift(x, y, 0.95)
	near(t, "median", got.Estimate, (all[len(all)/2-1]+all[len(all)/2])/2, 1e-6)
	k := intervalRank(150, 130, 0.025)
	near(t, "low", got.Low, all[k-1], 1e-6)
	near(t, "high", got.High, all[len(all)-k], 1e-6)
}

var values = rapid.SliceOfN(rapid.Map(rapid.IntRange(-20, 20), func(i int) float64 { return float64(i) / 2 }), 1, 20)

func TestRanksAndShiftsAreSymmetricAndShiftWithTheData(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := values.Draw(t, "x"), values.Draw(t, "y")
		by := float64(rapid.IntRange(-8, 8).Draw(t, "by"))
		moved := make([]float64, len(x))
		turned := func(v []float64) []float64 {
			out := make([]float64, len(v))
			for i := range v {
				out[i] = -v[i]
			}
			return out
		}
		for i := range x {
			moved[i] = x[i] + by
		}
		a, b, s := Shift(x, y, 0.9), Shift(y, x, 0.9), Shift(moved, y, 0.9)
		if a.Estimate != -b.Estimate || a.Low != -b.High || a.High != -b.Low {
			t.Fatalf("not symmetric: %+v and %+v", a, b)
		}
		if s.Estimate != a.Estimate+by || s.Low != a.Low+by || s.High != a.High+by {
			t.Fatalf("moved by %v: %+v from %+v", by, s, a)
		}
		if p, q := RankSum(x, y), RankSum(turned(y), turned(x)); math.Abs(p-q) > 1e-12 {
			t.Fatalf("turned round: %v and %v", p, q)
		}
		if up := RankSum(moved, y); by >= 0 && up > RankSum(x, y)+1e-12 {
			t.Fatalf("higher by %v is likelier by chance", by)
		}
	})
}

func TestHolmAndTheLooksSpendNoMoreThanAlpha(t *testing.T) {
	got := Holm([]float64{0.01, 0.04, 0.03, 0.005})
	for i, want := range []float64{0.03, 0.06, 0.06, 0.02} {
		near(t, "Holm", got[i], want, 1e-12)
	}
	spent := 0.0
	for k := 1; k < 10_000; k++ {
		spent += Spend(0.01, k)
	}
	if spent >= 0.01 || spent < 0.0099 {
		t.Errorf("all looks spend %v, want just below 0.01", spent)
	}
	for elapsed, want := range map[float64]int{0.5: 0, 1: 1, 1.9: 1, 2: 2, 5: 3, 8: 4, 100: 7} {
		if got := Looks(elapsed); got != want {
			t.Errorf("after %v: %d looks, want %d", elapsed, got, want)
		}
	}
}

// Student's table: 2.045 at 29 degrees of freedom, 0.025.
func TestPastIsStudentsT(t *testing.T) {
	before := make([]float64, 30)
	for i := range before {
		before[i] = float64(1 - 2*(i%2))
	}
	unit := math.Sqrt(1 + 1.0/30)
	p, i := Past(2.045*unit, before, 0, 0.95)
	near(t, "p", p, 0.025, 5e-5)
	near(t, "low", i.Low, 0, 1e-3)
	if p, _ := Past(9, nil, 1, 0.95); p != 1 {
		t.Errorf("without a past: p = %v, want 1", p)
	}
	if p, _ := Past(1, make([]float64, 30), 1, 0.95); p < 0.1 {
		t.Errorf("a past that never moved makes p = %v of a usual spread", p)
	}
}

func TestAtLeastIsTheSumOfWhatMayHappen(t *testing.T) {
	for _, c := range []struct {
		k, n int
		p    float64
	}{{0, 5, 0.2}, {1, 5, 0.2}, {3, 5, 0.2}, {5, 5, 0.2}, {2, 300, 0.001}, {1, 3, 0}, {1, 3, 1}, {4, 3, 0.5}} {
		want := 0.0
		for i := c.k; i <= c.n; i++ {
			want += math.Exp(Choose(c.n, i)) * math.Pow(c.p, float64(i)) * math.Pow(1-c.p, float64(c.n-i))
		}
		if got := AtLeast(c.k, c.n, c.p); math.Abs(got-want) > 1e-9 {
			t.Errorf("at least %d of %d by %g: got %g, want %g", c.k, c.n, c.p, got, want)
		}
	}
}
