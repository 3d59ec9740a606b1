package conductor

import (
	"context"
	"fmt"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/checklist"
	"patchring/internal/core/procedure"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// lacking is what people say of a campaign's rings: results of tests, and
// incidents that are not closed.
type lacking struct {
	results   map[ringKey][]checklist.Result
	readings  map[ringKey]map[string]checklist.Reading // by test; of the rings whose gate may be asked
	incidents map[string]map[procedure.Severity]int    // by ring; those of no ring under ""
}

func (s *scene) loadLacking(ctx context.Context, q *gen.Queries, now time.Time) error {
	s.lacks = lacking{results: map[ringKey][]checklist.Result{}, readings: map[ringKey]map[string]checklist.Reading{}, incidents: map[string]map[procedure.Severity]int{}}
	rows, err := q.TestResults(ctx, s.row.Tenant, s.row.ID)
	if err != nil {
		return fmt.Errorf("read results of tests: %w", err)
	}
	for _, r := range rows {
		key := ringKey{r.Amendment, r.Position}
		s.lacks.results[key] = append(s.lacks.results[key], checklist.Result{
			Test: r.Test, Item: int(r.Item), State: checklist.State(r.Outcome), Remark: r.Remark, Incident: r.Incident, Actor: r.Actor, At: store.Instant(r.AtUs),
		})
	}
	open, err := q.IncidentsOfCampaign(ctx, s.row.Tenant, s.row.ID)
	if err != nil {
		return fmt.Errorf("count incidents: %w", err)
	}
	for _, i := range open {
		if s.lacks.incidents[i.Ring] == nil {
			s.lacks.incidents[i.Ring] = map[procedure.Severity]int{}
		}
		s.lacks.incidents[i.Ring][procedure.Severity(i.Severity)] += int(i.Incidents)
	}
	return s.readProbes(ctx, q, now)
}

// readProbes asks for automatic tests of the rings that are open: no other gate
// is judged.
func (s *scene) readProbes(ctx context.Context, q *gen.Queries, now time.Time) error {
	for _, r := range s.rings {
		if state := campaign.RingState(r.State); !state.Opened() || state.Passed() {
			continue
		}
		key := ringKey{r.Amendment, r.Position}
		for _, rule := range s.procedure.Rings[r.Position].Gate.Tests {
			if rule.Probe == "" {
				continue
			}
			n, err := q.TestReading(ctx, gen.TestReadingParams{
				Tenant: s.row.Tenant, Campaign: s.row.ID, Amendment: r.Amendment, Position: r.Position, Department: rule.Department, GroupName: rule.Group,
				Probe: rule.Probe, SinceUs: now.Add(-checklist.Fresh).UnixMicro(),
			})
			if err != nil {
				return fmt.Errorf("read probe %s: %w", rule.Probe, err)
			}
			if s.lacks.readings[key] == nil {
				s.lacks.readings[key] = map[string]checklist.Reading{}
			}
			s.lacks.readings[key][rule.Name] = checklist.Reading{Green: int(n.Up), Red: int(n.Down), Unknown: int(n.Devices - n.Up - n.Down)}
		}
	}
	return nil
}

// tests is how far the tests of a ring's gate have come.
func (s *scene) tests(r gen.CampaignRing) checklist.Tally {
	key := ringKey{r.Amendment, r.Position}
	return checklist.Sum(checklist.Weigh(s.procedure.Rings[r.Position].Gate.Tests, s.lacks.results[key], func(rule procedure.TestRule) checklist.Reading {
		return s.lacks.readings[key][rule.Name]
	}))
}

// incidentsOf are those of a ring and of the whole campaign.
func (s *scene) incidentsOf(ring string) map[procedure.Severity]int {
	out := map[procedure.Severity]int{}
	for severity, n := range s.lacks.incidents[ring] {
		out[severity] += n
	}
	if ring != "" {
		for severity, n := range s.lacks.incidents[""] {
			out[severity] += n
		}
	}
	return out
}
