package health

import "patchring/internal/core/chance"

// Stopped is on how many devices of one kind a service stopped: of those that
// are patched, since their install; of those that the patch has not come to, in
// the same time.
type Stopped struct {
	Down       int `json:"down"`
	Patched    int `json:"patched"`
	OthersDown int `json:"others_down"`
	Others     int `json:"others"`
}

const (
	// byItself is on what share of devices a service is taken to stop and stay
	// down by itself while a ring is watched, at least: what nobody has seen among
	// few others may still happen among many.
	byItself = 0.001
	// excused is how likely chance may be before a patch is not blamed. It is no
	// proof: a person has to look at a service that does not run, and one that
	// looked in vain ten times no longer does.
	excused = 0.05
)

// Chance is how likely it is that a service stops on so many patched devices if
// it does by itself, at least as often as on the others.
func (s Stopped) Chance() float64 {
	rate := byItself
	if s.Others > 0 {
		rate = max(rate, float64(s.OthersDown)/float64(s.Others))
	}
	return chance.AtLeast(s.Down, max(s.Down, s.Patched), rate)
}

// TooMany tells whether it stopped on at least so many devices, and on more than
// chance explains; 0 takes it out.
func (s Stopped) TooMany(least int) bool { return least > 0 && s.Down >= least && s.Chance() < excused }

// TooMany tells the same of what goes wrong on a device by itself now and then (a
// probe that says no, a user who complains) and has nothing to be compared with:
// one of 51 is too many, of 355 two, of 5,000 ten.
func TooMany(bad, patched, least int) bool {
	return Stopped{Down: bad, Patched: patched}.TooMany(least)
}
