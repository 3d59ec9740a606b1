package view

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/series"
	"patchring/wire"
)

// Measured is what was kept of a device: its last sample, and its measures in
// the time that was asked for.
type Measured struct {
	Device   DeviceRef       `json:"device"`
	From     time.Time       `json:"from"`
	To       time.Time       `json:"to"`
	Sample   *LastSample     `json:"sample,omitempty"` // nil: it has sent none
	TooOld   bool            `json:"too_old"`          // its agent does not measure
	Measures []MeasureSeries `json:"measures"`
	Installs []Install       `json:"installs"` // in that time
	Probes   []ProbeRow      `json:"probes"`
}

// LastSample is the last one that a device took.
type LastSample struct {
	At     time.Time                `json:"at"`
	Values map[wire.Measure]float64 `json:"values"`
	Down   []string                 `json:"down,omitempty"` // services that failed or do not run
}

// MeasureSeries is one measure over time. Where nothing was measured there is
// no point: a gap is a gap.
type MeasureSeries struct {
	Measure wire.Measure   `json:"measure"`
	Points  []MeasurePoint `json:"points"`
}

// MeasurePoint is one step of a series.
type MeasurePoint struct {
	At      time.Time `json:"at"`
	Seconds int64     `json:"seconds"` // that it covers
	Samples int64     `json:"samples"`
	Mean    float64   `json:"mean"` // of crashes: their number
	Worst   float64   `json:"worst"`
}

// Install is an order that a device carried out.
type Install struct {
	Kind     wire.OrderKind `json:"kind"`
	Campaign string         `json:"campaign,omitempty"`
	Name     string         `json:"campaign_name,omitempty"`
	Ended    time.Time      `json:"ended"`
}

// MeasureQuery chooses measures and time.
type MeasureQuery struct {
	From, To time.Time      // zero: the last day, until now
	Measures []wire.Measure // none: all
	Hourly   bool
}

// longestSeries bounds what one page reads.
const longestSeries = 62 * 24 * time.Hour

// complete fills in what was left out, and refuses what cannot be.
func (q MeasureQuery) complete(now time.Time) (MeasureQuery, error) {
	if q.To.IsZero() {
		q.To = now
	}
	if q.From.IsZero() {
		q.From = q.To.Add(-24 * time.Hour)
	}
	if !q.From.Before(q.To) {
		return q, fault.New(fault.InvalidField, "field", "since", "problem", "not_before_the_end", "fix", "an_earlier_one")
	}
	if q.To.Sub(q.From) > longestSeries {
		return q, fault.New(fault.InvalidField, "field", "since", "problem", "more_than_62_days", "fix", "less_time")
	}
	for _, m := range q.Measures {
		if !series.Known(m) {
			return q, fault.New(fault.InvalidField, "field", "measure", "problem", "not_a_choice", "fix", choices())
		}
	}
	return q, nil
}

func choices() string {
	var names []string
	for _, m := range wire.Measures() {
		names = append(names, string(m))
	}
	return strings.Join(names, ", ")
}

func (q MeasureQuery) ask() series.Ask {
	return series.Ask{FromUS: q.From.UnixMicro(), ToUS: q.To.UnixMicro(), Measures: q.Measures, Hourly: q.Hourly}
}

// Measured reads one device.
func (r *Reader) Measured(ctx context.Context, tenant fleet.TenantID, device fleet.DeviceID, q MeasureQuery) (Measured, error) {
	q, err := q.complete(r.now())
	if err != nil {
		return Measured{}, err
	}
	out := Measured{From: q.From, To: q.To}
	of, err := one(ctx, r, ask("device", `SELECT id, name, capability FROM device WHERE tenant = $1 AND id = $2`, tenant, device), string(device), func(rows *sql.Rows) (measuringDevice, error) {
		var d measuringDevice
		err := rows.Scan(&d.ref.ID, &d.ref.Name, &d.capability)
		return d, err
	})
	if err != nil {
		return Measured{}, err
	}
	out.Device, out.TooOld = of.ref, of.capability < wire.CapabilityMeasures
	if out.Sample, err = r.sample(ctx, tenant, device); err != nil {
		return Measured{}, err
	}
	all, err := r.series(ctx, tenant, []string{string(device)}, q.ask())
	if err != nil {
		return Measured{}, err
	}
	out.Measures = inOrder(all[device])
	if out.Installs, err = r.installs(ctx, tenant, device, q); err != nil {
		return Measured{}, err
	}
	out.Probes, err = r.DeviceProbes(ctx, tenant, device)
	return out, err
}

type measuringDevice struct {
	ref        DeviceRef
	capability int64
}

func (r *Reader) sample(ctx context.Context, tenant fleet.TenantID, device fleet.DeviceID) (*LastSample, error) {
	rows, err := all(ctx, r, ask("last sample", `SELECT body FROM device_sample WHERE tenant = $1 AND device = $2 AND at_us > 0`, tenant, device), scanSample)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return &rows[0], nil
}

func scanSample(rows *sql.Rows) (LastSample, error) {
	var body string
	if err := rows.Scan(&body); err != nil {
		return LastSample{}, err
	}
	var s wire.Sample
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		return LastSample{}, fmt.Errorf("decode a sample: %w", err)
	}
	return LastSample{At: instant(s.AtUS), Values: s.Values, Down: s.Down}, nil
}

// inOrder lists measures as the wire does.
func inOrder(s series.Series) []MeasureSeries {
	out := []MeasureSeries{}
	for _, m := range wire.Measures() {
		if len(s[m]) == 0 {
			continue
		}
		one := MeasureSeries{Measure: m, Points: make([]MeasurePoint, 0, len(s[m]))}
		for _, p := range s[m] {
			one.Points = append(one.Points, MeasurePoint{At: instant(p.AtUS), Seconds: p.StepS, Samples: p.N, Mean: p.Mean, Worst: p.Worst})
		}
		out = append(out, one)
	}
	return out
}

const installsOf = `SELECT o.kind, o.campaign, coalesce(c.name, ''), o.step_us
FROM device_order o LEFT JOIN campaign c ON c.tenant = o.tenant AND c.id = o.campaign
WHERE o.tenant = $1 AND o.device = $2 AND o.state = 'done' AND o.kind IN ('install', 'rollback', 'reboot') AND o.step_us >= $3 AND o.step_us < $4`

func (r *Reader) installs(ctx context.Context, tenant fleet.TenantID, device fleet.DeviceID, q MeasureQuery) ([]Install, error) {
	list, err := all(ctx, r, ask("installs", installsOf, tenant, device, q.From.UnixMicro(), q.To.UnixMicro()), func(rows *sql.Rows) (Install, error) {
		var i Install
		var endedUS int64
		err := rows.Scan(&i.Kind, &i.Campaign, &i.Name, &endedUS)
		i.Ended = instant(endedUS)
		return i, err
	})
	slices.SortFunc(list, func(a, b Install) int { return a.Ended.Compare(b.Ended) }) // a device has a few
	return list, err
}

// seriesBatch is how many devices one statement names.
const seriesBatch = 500

// series reads measures of devices.
func (r *Reader) series(ctx context.Context, tenant fleet.TenantID, devices []string, of series.Ask) (map[fleet.DeviceID]series.Series, error) {
	out := make(map[fleet.DeviceID]series.Series, len(devices))
	for _, d := range devices {
		out[fleet.DeviceID(d)] = series.Series{}
	}
	for batch := range slices.Chunk(devices, seriesBatch) {
		for _, kind := range []struct {
			table string
			span  int64
			empty func(int64) *series.Block
		}{{"measure_past", series.PastUS, series.Past}, {"measure_recent", series.RecentUS, series.Recent}} {
			var b builder
			b.and("tenant = ?", tenant)
			b.in("device", batch)
			b.and("from_us > ?", of.FromUS-kind.span)
			b.and("from_us < ?", of.ToUS)
			rows, err := all(ctx, r, b.list("measures", "SELECT device, from_us, body FROM "+kind.table, "device, from_us", len(batch)*mostBlocks), scanBlock)
			if err != nil {
				return nil, err
			}
			for _, row := range rows {
				block := kind.empty(row.fromUS)
				if err := block.UnpackOf(row.body, of.Measures); err != nil {
					return nil, fmt.Errorf("read block %d of %s: %w", row.fromUS, row.device, err)
				}
				out[row.device].Add(block, of)
			}
		}
	}
	return out, nil
}

// mostBlocks is more than a device has of one kind: two years of weeks, or what
// comes late of two weeks of six hours.
const mostBlocks = 128

type blockRow struct {
	device fleet.DeviceID
	fromUS int64
	body   []byte
}

func scanBlock(rows *sql.Rows) (blockRow, error) {
	var b blockRow
	err := rows.Scan(&b.device, &b.fromUS, &b.body)
	return b, err
}

// CampaignMeasures is how devices of a ring that were patched compare with those
// of the campaign that were not yet, at the same time.
type CampaignMeasures struct {
	Campaign string          `json:"campaign"`
	Ring     string          `json:"ring,omitempty"`
	From     time.Time       `json:"from"`
	To       time.Time       `json:"to"`
	Patched  int64           `json:"patched"`        // devices of the ring that are patched
	Waiting  int64           `json:"not_yet"`        // devices of the campaign that no install has come to
	Read     int64           `json:"read"`           // of how many devices measures were read, at most MostCompared of each
	Begun    time.Time       `json:"begun,omitzero"` // first install
	Ended    time.Time       `json:"ended,omitzero"` // last install so far
	Measures []CompareSeries `json:"measures"`
}

// CompareSeries is one measure of both.
type CompareSeries struct {
	Measure wire.Measure `json:"measure"`
	Patched []Quartiles  `json:"patched"`
	Waiting []Quartiles  `json:"not_yet"`
}

// Quartiles of devices in one hour.
type Quartiles struct {
	At      time.Time `json:"at"`
	Devices int64     `json:"devices"`
	Low     float64   `json:"q1"`
	Median  float64   `json:"median"`
	High    float64   `json:"q3"`
}

// MostCompared is how many devices of each side are read, spread evenly over
// those that there are: quartiles of 300 are near enough for a picture, whatever
// the fleet.
const MostCompared = 300

// CompareQuery chooses a ring, measures and time.
type CompareQuery struct {
	MeasureQuery
	Campaign campaign.ID
	Ring     string // empty: every ring
}

const comparedDevices = `SELECT x.device, g.ring, coalesce((SELECT MIN(o.step_us) FROM device_order o
  WHERE o.tenant = x.tenant AND o.device = x.device AND o.state = 'done' AND o.campaign = x.campaign AND o.kind = 'install'), 0),
  coalesce((SELECT MIN(i.updated_us) FROM campaign_device_item i WHERE i.tenant = x.tenant AND i.campaign = x.campaign AND i.device = x.device
    AND i.amendment = x.amendment AND i.state = 'verified'), 0),
  coalesce((SELECT MAX(i.updated_us) FROM campaign_device_item i WHERE i.tenant = x.tenant AND i.campaign = x.campaign AND i.device = x.device
    AND i.amendment = x.amendment AND i.state = 'rolled_back'), 0)
FROM campaign_device x
JOIN campaign_ring g ON g.tenant = x.tenant AND g.campaign = x.campaign AND g.amendment = x.amendment AND g.position = x.position
WHERE x.tenant = $1 AND x.campaign = $2 AND x.amendment = 0 ORDER BY x.device`

// comparedDevice is patched from patchedUS on, until all of it was rolled back.
// One that an order came to and that has nothing is neither patched nor as it
// was: an install that failed may have stopped things.
type comparedDevice struct {
	id        string
	ring      string
	triedUS   int64 // when its first order ended; 0: it had none
	patchedUS int64 // 0: nothing of the campaign is, or was, verified on it
	backUS    int64 // when it was rolled back; 0: it was not
}

func scanCompared(rows *sql.Rows) (comparedDevice, error) {
	var d comparedDevice
	err := rows.Scan(&d.id, &d.ring, &d.triedUS, &d.patchedUS, &d.backUS)
	switch {
	case d.patchedUS > 0:
		d.backUS = 0 // not all of it
	case d.backUS > 0:
		d.patchedUS = d.triedUS
	}
	return d, err
}

// CompareMeasures reads a campaign's patched devices against the others.
func (r *Reader) CompareMeasures(ctx context.Context, tenant fleet.TenantID, q CompareQuery) (CampaignMeasures, error) {
	rows, err := all(ctx, r, ask("devices of a campaign", comparedDevices, tenant, q.Campaign), scanCompared)
	if err != nil {
		return CampaignMeasures{}, err
	}
	out := CampaignMeasures{Campaign: string(q.Campaign), Ring: q.Ring, Measures: []CompareSeries{}}
	patched, waiting := sides(rows, q.Ring)
	out.Waiting = int64(len(waiting))
	for _, d := range patched {
		if d.backUS == 0 {
			out.Patched++
		}
	}
	out.Begun, out.Ended = bandOf(patched)
	if q.MeasureQuery, err = q.around(out, r.now()).complete(r.now()); err != nil {
		return CampaignMeasures{}, err
	}
	out.From, out.To = q.From, q.To
	patched, waiting = spread(patched, MostCompared), spread(waiting, MostCompared)
	all := slices.Concat(patched, waiting)
	ids := make([]string, 0, len(all))
	for _, d := range all {
		ids = append(ids, d.id)
	}
	out.Read = int64(len(ids))
	q.Hourly = true
	kept, err := r.series(ctx, tenant, ids, q.ask())
	if err != nil {
		return CampaignMeasures{}, err
	}
	out.Measures = compare(all, kept)
	return out, nil
}

// around is the time of a comparison that names none: from two days before the
// first install to now, a fortnight at most.
func (q CompareQuery) around(m CampaignMeasures, now time.Time) MeasureQuery {
	out := q.MeasureQuery
	if !out.From.IsZero() || m.Begun.IsZero() {
		return out
	}
	if out.To.IsZero() {
		out.To = m.Begun.Add(12 * 24 * time.Hour)
		if out.To.After(now) {
			out.To = now
		}
	}
	if from := m.Begun.Add(-48 * time.Hour); from.Before(out.To) {
		out.From = from
	}
	return out
}

// sides are the devices of the ring that are patched or were, and those of the
// campaign that no order has come to.
func sides(rows []comparedDevice, ring string) (patched, waiting []comparedDevice) {
	for _, d := range rows {
		switch {
		case d.patchedUS == 0 && d.triedUS == 0:
			waiting = append(waiting, d)
		case d.patchedUS > 0 && (ring == "" || d.ring == ring):
			patched = append(patched, d)
		}
	}
	return patched, waiting
}

func bandOf(patched []comparedDevice) (begun, ended time.Time) {
	for _, d := range patched {
		at := instant(d.patchedUS)
		if begun.IsZero() || at.Before(begun) {
			begun = at
		}
		if at.After(ended) {
			ended = at
		}
	}
	return begun, ended
}

// spread takes n devices at even steps through the list.
func spread(list []comparedDevice, n int) []comparedDevice {
	if len(list) <= n {
		return list
	}
	out := make([]comparedDevice, 0, n)
	for i := range n {
		out = append(out, list[i*len(list)/n])
	}
	return out
}

// compare makes the quartiles of each hour. A device counts with those not yet
// patched in the hours before its own install, with nobody in the hour of it, and
// with nobody once it was rolled back.
func compare(all []comparedDevice, kept map[fleet.DeviceID]series.Series) []CompareSeries {
	out := []CompareSeries{}
	for _, m := range wire.Measures() {
		after, before := map[int64][]float64{}, map[int64][]float64{}
		for _, d := range all {
			for _, p := range kept[fleet.DeviceID(d.id)][m] {
				switch {
				case d.patchedUS == 0 || p.AtUS+series.HourUS <= d.patchedUS:
					before[p.AtUS] = append(before[p.AtUS], p.Mean)
				case p.AtUS >= d.patchedUS && (d.backUS == 0 || p.AtUS+series.HourUS <= d.backUS):
					after[p.AtUS] = append(after[p.AtUS], p.Mean)
				}
			}
		}
		if len(after)+len(before) > 0 {
			out = append(out, CompareSeries{Measure: m, Patched: quartiles(after), Waiting: quartiles(before)})
		}
	}
	return out
}

func quartiles(hours map[int64][]float64) []Quartiles {
	out := make([]Quartiles, 0, len(hours))
	for at, values := range hours {
		slices.Sort(values)
		out = append(out, Quartiles{
			At: instant(at), Devices: int64(len(values)), Low: quantile(values, 0.25), Median: quantile(values, 0.5), High: quantile(values, 0.75),
		})
	}
	slices.SortFunc(out, func(a, b Quartiles) int { return a.At.Compare(b.At) })
	return out
}

// quantile of sorted values, between the two it falls between.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	low := int(at)
	if low+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}

// Sum is the mean and the worst of a series over all of its time. Of what adds
// up, crashes, the mean is their number.
func (s MeasureSeries) Sum() (mean, worst float64) {
	var samples int64
	for i, p := range s.Points {
		if series.Adds(s.Measure) {
			mean += p.Mean
		} else {
			mean += p.Mean * float64(p.Samples)
		}
		samples += p.Samples
		if i == 0 {
			worst = p.Worst
		}
		worst = series.Worse(s.Measure, worst, p.Worst)
	}
	if !series.Adds(s.Measure) && samples > 0 {
		mean /= float64(samples)
	}
	return mean, worst
}
