package evidence

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/health"
	"patchring/internal/core/series"
	"patchring/internal/core/suspect"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// What one look costs at most: some 1 ms a device to read and sum up four weeks
// of its measures, so two seconds, and 10 MB. More devices would say hardly more:
// a thousand tell half a point of CPU.
const (
	MostPatched = 1000
	MostOthers  = 1000
	lookBatch   = 50
)

// settle is how long after its install a device is not judged: it indexes, it
// starts everything again, its user reads what happened.
const settle = time.Hour

// judgedFrom is the first whole hour in which a device of the ring is judged.
func (w *watched) judgedFrom() time.Time {
	return time.UnixMicro(w.row.FirstUs).Add(settle + time.Hour - 1).Truncate(time.Hour)
}

// due tells whether it is time for another look: at twice the time, or at twice
// the devices, of the one before.
func (w *watched) due(patched int) bool {
	elapsed := w.now.Sub(w.judgedFrom())
	if w.row.Look == 0 {
		return patched > 0 && elapsed >= time.Hour
	}
	last := time.UnixMicro(w.row.LookUs).Sub(w.judgedFrom())
	return elapsed >= 2*last.Truncate(time.Hour) || elapsed >= last+time.Hour && int64(patched) >= 2*w.row.LookPatched
}

// look judges the ring's measures, if it is time.
func (w *watched) look(ctx context.Context, r store.Reads) error {
	if w.row.FirstUs == 0 || w.now.Sub(w.judgedFrom()) < time.Hour {
		return nil
	}
	patched, err := r.PatchedDevices(ctx, gen.PatchedDevicesParams{Tenant: w.Tenant, Campaign: w.Campaign, Amendment: w.Amendment, Position: w.Position})
	if err != nil {
		return fmt.Errorf("read patched devices: %w", err)
	}
	if !w.due(len(patched)) {
		return nil
	}
	others, err := w.others(ctx, r, patched)
	if err != nil {
		return err
	}
	w.row.Look, w.row.LookUs, w.row.LookPatched = w.row.Look+1, w.now.UnixMicro(), int64(len(patched))
	s := w.study(patched)
	if err := s.read(ctx, r, others); err != nil {
		return err
	}
	w.health = health.Judge(health.Ask{Look: int(w.row.Look), Patched: len(s.patched), Measures: s.measures})
	w.seen.Health, w.seen.Worse, w.seen.Unsure = w.health.Verdict, nil, nil
	for _, f := range w.health.Findings {
		switch f.Verdict {
		case health.Worse:
			w.seen.Worse = append(w.seen.Worse, string(f.Measure))
		case health.Insufficient:
			w.seen.Unsure = append(w.seen.Unsure, string(f.Measure))
		}
	}
	w.shared, err = s.share(ctx, r, w.health)
	return err
}

// others are devices of later rings that the content has not come to, of kinds
// that the ring has.
func (w *watched) others(ctx context.Context, r store.Reads, patched []gen.PatchedDevicesRow) ([]string, error) {
	rows, err := r.UntouchedDevices(ctx, gen.UntouchedDevicesParams{Tenant: w.Tenant, Campaign: w.Campaign, Amendment: w.Amendment, Position: w.Position})
	if err != nil {
		return nil, fmt.Errorf("read devices not yet patched: %w", err)
	}
	kinds := map[string]bool{}
	for _, p := range patched {
		kinds[p.Kind] = true
	}
	var out []string
	for _, d := range rows {
		if kinds[d.Kind] {
			out = append(out, d.Device)
		}
	}
	return spread(out, MostOthers), nil
}

// spread takes at most so many, evenly over the list: ids are in the order of
// enrolment, and a site is enrolled in a day.
func spread[T any](list []T, most int) []T {
	if len(list) <= most {
		return list
	}
	out := make([]T, 0, most)
	for i := range most {
		out = append(out, list[i*len(list)/most])
	}
	return out
}

// study is one look while its devices are read.
type study struct {
	w        *watched
	hours    health.Hours
	past     int // hours before the ring's first install
	patched  []gen.PatchedDevicesRow
	shared   []float64 // how many patched devices are judged in each hour
	measures map[wire.Measure]*health.Compared
	out      map[wire.Measure][]moved // patched devices, for what they share
}

// moved is the change of one device.
type moved struct {
	device string
	health.Movement
}

func (w *watched) study(patched []gen.PatchedDevicesRow) *study {
	first := time.UnixMicro(w.row.FirstUs)
	from := first.Add(-health.PastDays * 24 * time.Hour)
	s := &study{
		w: w, hours: health.NewHours(from, first, w.now, w.zone), patched: spread(patched, MostPatched),
		measures: map[wire.Measure]*health.Compared{}, out: map[wire.Measure][]moved{},
	}
	s.past = s.hours.At(first)
	s.shared = make([]float64, s.hours.N)
	for _, p := range s.patched {
		for i := s.begins(p); i < s.hours.N; i++ {
			s.shared[i]++
		}
	}
	for _, rule := range health.Rules() {
		s.measures[rule.Measure] = &health.Compared{Gaps: map[health.Gap]int{}}
	}
	return s
}

// begins is the first hour in which a device is judged.
func (s *study) begins(p gen.PatchedDevicesRow) int {
	return s.hours.At(time.UnixMicro(p.PatchedUs).Add(settle))
}

// read sums up every device, a few at a time.
func (s *study) read(ctx context.Context, r store.Reads, others []string) error {
	for batch := range slices.Chunk(s.patched, lookBatch) {
		ids := make([]string, len(batch))
		for i, p := range batch {
			ids[i] = p.Device
		}
		all, err := s.series(ctx, r, ids)
		if err != nil {
			return err
		}
		for _, p := range batch {
			weights := make([]float64, s.hours.N)
			for i := s.begins(p); i < s.hours.N; i++ {
				weights[i] = 1
			}
			s.add(p.Device, all[fleet.DeviceID(p.Device)], weights, true)
		}
	}
	for batch := range slices.Chunk(others, lookBatch) {
		all, err := s.series(ctx, r, batch)
		if err != nil {
			return err
		}
		for _, d := range batch {
			s.add(d, all[fleet.DeviceID(d)], s.shared, false)
		}
	}
	return nil
}

func (s *study) series(ctx context.Context, r store.Reads, devices []string) (map[fleet.DeviceID]series.Series, error) {
	ids := make([]fleet.DeviceID, len(devices))
	for i, d := range devices {
		ids[i] = fleet.DeviceID(d)
	}
	end := s.hours.From.Add(time.Duration(s.hours.N) * time.Hour)
	return r.Series(ctx, fleet.TenantID(s.w.Tenant), ids, series.Ask{FromUS: s.hours.From.UnixMicro(), ToUS: end.UnixMicro(), Measures: judged(), Hourly: true})
}

// judged are the measures that have a rule.
func judged() (out []wire.Measure) {
	for _, rule := range health.Rules() {
		out = append(out, rule.Measure)
	}
	return out
}

// add sums up one device. A measure of which nothing was ever heard is one that
// the device does not take; one that is no longer heard is a gap.
func (s *study) add(device string, all series.Series, weights []float64, patched bool) {
	for _, rule := range health.Rules() {
		slots := all[rule.Measure]
		if len(slots) == 0 {
			continue
		}
		values := s.spreadOut(slots)
		m, gap := s.hours.Past(rule, values, s.past).Move(values, weights)
		to := s.measures[rule.Measure]
		switch {
		case gap != health.NoGap && patched:
			to.Gaps[gap]++
		case gap != health.NoGap:
		case patched:
			to.Patched = append(to.Patched, m)
			s.out[rule.Measure] = append(s.out[rule.Measure], moved{device, m})
		default:
			to.Control = append(to.Control, m)
		}
	}
}

// spreadOut puts slots into hours; where there is none it is not a number.
func (s *study) spreadOut(slots []series.Slot) []float64 {
	values := make([]float64, s.hours.N)
	for i := range values {
		values[i] = math.NaN()
	}
	for _, slot := range slots {
		if i := int((slot.AtUS - s.hours.From.UnixMicro()) / series.HourUS); i >= 0 && i < len(values) {
			values[i] = slot.Mean
		}
	}
	return values
}

// How many devices are compared to find what the worse ones share.
const (
	mostWorse = 300
	mostSound = 700
)

// share looks for what devices have in common of which the worst measure is
// worse, and the other patched ones have not.
func (s *study) share(ctx context.Context, r store.Reads, h health.Health) ([]suspect.Suspect, error) {
	if h.Verdict != health.Worse {
		return nil, nil
	}
	worst := s.out[h.Findings[0].Measure]
	var bad, sound []string
	for _, m := range worst {
		if s.measures[h.Findings[0].Measure].Out(h.Findings[0].Measure, m.Movement) {
			bad = append(bad, m.device)
		} else {
			sound = append(sound, m.device)
		}
	}
	return s.w.common(ctx, r, spread(bad, mostWorse), spread(sound, mostSound))
}

// common looks for what bad devices share and sound ones do not.
func (w *watched) common(ctx context.Context, r store.Reads, bad, sound []string) ([]suspect.Suspect, error) {
	devices, err := r.Subjects(ctx, w.Tenant, slices.Concat(bad, sound))
	if err != nil {
		return nil, fmt.Errorf("read devices: %w", err)
	}
	cases := make([]suspect.Case, 0, len(devices))
	for i, id := range slices.Concat(bad, sound) {
		cases = append(cases, suspect.Case{Device: devices[id], Failed: i < len(bad)})
	}
	return suspect.Find(cases), nil
}
