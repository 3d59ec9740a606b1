package conductor

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fleet"
	"patchring/internal/core/pace"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/core/procedure"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// scene is one campaign as read in one transaction: what rings and devices are
// decided on, but for themselves.
type scene struct {
	row        gen.Campaign
	procedure  procedure.Procedure
	schedule   procedure.Schedule
	windows    []calendar.Interval // explicit ones; nil: the procedure's rules
	items      []campaign.Item
	rings      []gen.CampaignRing
	holds      []campaign.Hold
	signOffs   []gen.SignOff
	rules      policy.Rules
	tasks      map[string]int // open manual tasks by ring; those of no ring under ""
	seen       map[ringKey]campaign.Seen
	lacks      lacking         // tests and incidents
	amended    map[int64]int64 // amendment → created
	emergency  gen.CampaignEmergency
	pace       pace.Learned // how long past installs of the content took
	cache      map[devicePlace]openings
	rollback   gen.CampaignRollback   // what it undoes, if it does
	goingBack  []gen.CampaignRollback // the open rollbacks of it
	rehearsals []gen.RehearsalsRow
	// settingsOf are what policies say of the devices of a match; counted is how
	// many devices each bandwidth has.
	settingsOf map[policy.Match]policy.Settings
	counted    map[sharing]int64
}

// scenes keeps parsed procedures, policies and freezes: none of them changes.
type scenes struct {
	mu         *sync.Mutex // guards both
	parsed     map[string]procedure.Procedure
	policiesOf map[string]*policy.Policy
}

func newScenes() scenes {
	return scenes{mu: &sync.Mutex{}, parsed: map[string]procedure.Procedure{}, policiesOf: map[string]*policy.Policy{}}
}

func (s scenes) procedure(ctx context.Context, q *gen.Queries, tenant, name string, version int64) (procedure.Procedure, error) {
	key := fmt.Sprintf("%s\x00%s\x00%d", tenant, name, version)
	s.mu.Lock()
	p, ok := s.parsed[key]
	s.mu.Unlock()
	if ok {
		return p, nil
	}
	row, err := q.ProcedureVersion(ctx, gen.ProcedureVersionParams{Tenant: tenant, Name: name, Version: version})
	if err != nil {
		return p, fmt.Errorf("read procedure %s version %d: %w", name, version, err)
	}
	if p, err = procedure.Parse(name, []byte(row.Body)); err != nil {
		return p, fmt.Errorf("parse procedure %s version %d: %w", name, version, err)
	}
	s.mu.Lock()
	s.parsed[key] = p
	s.mu.Unlock()
	return p, nil
}

// scene reads one campaign.
func (c *Conductor) scene(ctx context.Context, q *gen.Queries, row gen.Campaign) (*scene, error) {
	p, err := c.scenes.procedure(ctx, q, row.Tenant, row.ProcedureName, row.ProcedureVersion)
	if err != nil {
		return nil, err
	}
	s := &scene{row: row, procedure: p, amended: map[int64]int64{}, cache: map[devicePlace]openings{}, settingsOf: map[policy.Match]policy.Settings{}, counted: map[sharing]int64{}}
	if err := json.Unmarshal([]byte(row.Schedule), &s.schedule); err != nil {
		return nil, fmt.Errorf("read the schedule of campaign %s: %w", row.Name, err)
	}
	if row.Windows != "" {
		if err := json.Unmarshal([]byte(row.Windows), &s.windows); err != nil {
			return nil, fmt.Errorf("read the windows of campaign %s: %w", row.Name, err)
		}
	}
	if err := s.load(ctx, q); err != nil {
		return nil, fmt.Errorf("read campaign %s: %w", row.Name, err)
	}
	if err := s.loadLacking(ctx, q, c.Clock()); err != nil {
		return nil, fmt.Errorf("read campaign %s: %w", row.Name, err)
	}
	s.rules.Classes = p.Classes
	if err := s.loadEmergency(ctx, q); err != nil {
		return nil, fmt.Errorf("read why campaign %s is an emergency: %w", row.Name, err)
	}
	if err := s.loadRollback(ctx, q); err != nil {
		return nil, fmt.Errorf("read what campaign %s undoes: %w", row.Name, err)
	}
	if err := s.loadRehearsals(ctx, q); err != nil {
		return nil, err
	}
	if s.rules.Policies, err = c.scenes.policies(ctx, q, row.Tenant, c.Clock()); err != nil {
		return nil, err
	}
	s.rules.Exceptions, err = exceptions(ctx, q, row.Tenant, c.Clock())
	return s, err
}

func (s *scene) load(ctx context.Context, q *gen.Queries) error {
	tenant, id := s.row.Tenant, s.row.ID
	items, err := q.Items(ctx, tenant, id)
	if err != nil {
		return err
	}
	for _, i := range items {
		s.items = append(s.items, itemOf(i))
	}
	if s.rings, err = q.Rings(ctx, tenant, id); err != nil {
		return err
	}
	if s.signOffs, err = q.SignOffs(ctx, tenant, id); err != nil {
		return err
	}
	amendments, err := q.Amendments(ctx, tenant, id)
	if err != nil {
		return err
	}
	for _, a := range amendments {
		s.amended[a.Number] = a.CreatedUs
	}
	if s.holds, err = holds(ctx, q, tenant); err != nil {
		return err
	}
	if s.tasks, err = openTasks(ctx, q, tenant, id); err != nil {
		return err
	}
	if err := s.loadSeen(ctx, q); err != nil {
		return err
	}
	s.rules.Decisions, err = decisions(ctx, q, tenant)
	return err
}

func itemOf(r gen.ItemsRow) campaign.Item {
	i := r.CampaignItem
	return campaign.Item{
		ID: patch.ID(i.ID),
		Patch: store.PatchSubject(gen.Patch{
			Provider: i.Provider, Name: i.Name, Version: i.Version, Suite: i.Suite,
			Class: r.Class, Origin: r.Origin, Summary: r.Summary, DownloadBytes: r.DownloadBytes, FirstSeenUs: r.FirstSeenUs,
			Severity: r.Severity, Cves: r.Cves, Exploited: r.Exploited,
		}),
		Amendment: int(i.Amendment), Promoted: int(i.Promoted),
		Withdrawn: i.WithdrawnUs > 0, By: i.WithdrawnBy, Why: i.WithdrawnReason,
	}
}

func holds(ctx context.Context, q *gen.Queries, tenant string) ([]campaign.Hold, error) {
	rows, err := q.HoldsInForce(ctx, tenant)
	if err != nil {
		return nil, fmt.Errorf("read holds: %w", err)
	}
	out := make([]campaign.Hold, 0, len(rows))
	for _, h := range rows {
		out = append(out, campaign.Hold{
			ID: h.ID, Campaign: campaign.ID(h.Campaign), Ring: h.Ring, Item: h.Item, Device: h.Device, Reason: h.Reason, Actor: h.Actor,
		})
	}
	return out, nil
}

func decisions(ctx context.Context, q *gen.Queries, tenant string) (map[policy.Scope]policy.Decision, error) {
	rows, err := q.Decisions(ctx, tenant)
	if err != nil {
		return nil, fmt.Errorf("read decisions on patches: %w", err)
	}
	return store.Decisions(rows), nil
}

// exceptions are those in force, and to come.
func exceptions(ctx context.Context, q *gen.Queries, tenant string, now time.Time) ([]policy.Exception, error) {
	rows, err := q.ExceptionsInForce(ctx, tenant, now.UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("read exceptions: %w", err)
	}
	return store.Exceptions(rows), nil
}

func openTasks(ctx context.Context, q *gen.Queries, tenant, campaign string) (map[string]int, error) {
	rows, err := q.OpenTasksOfCampaign(ctx, tenant, campaign)
	if err != nil {
		return nil, fmt.Errorf("read open tasks: %w", err)
	}
	out := map[string]int{}
	for _, r := range rows {
		out[r.Ring] = int(r.Tasks)
	}
	return out, nil
}

// devices is the device side of the scene for one amendment.
func (s *scene) devices(amendment int64) campaign.Scene {
	out := campaign.Scene{
		Campaign: campaign.ID(s.row.ID), State: campaign.State(s.row.State), Sealed: s.sealed(amendment),
		Content: campaign.NewContent(s.items), Amendment: int(amendment), Rules: s.rules,
		Terms: s.terms(), Holds: s.holds, Pace: s.pace, Rehearse: s.rehearse(),
	}
	for _, r := range s.rings {
		if r.Amendment == amendment {
			out.Rings = append(out.Rings, s.ringView(r))
		}
	}
	return out
}

// sealed is from when a scan counts for the content: a scan from before says
// nothing about what became content afterwards.
func (s *scene) sealed(amendment int64) time.Time {
	if amendment == 0 {
		return store.Instant(s.row.StartedUs)
	}
	return store.Instant(s.amended[amendment])
}

func (s *scene) terms() campaign.Terms { return campaign.TermsOf(s.procedure, s.schedule.Compress) }

func (s *scene) ringView(r gen.CampaignRing) campaign.RingView {
	view := campaign.RingView{Name: r.Ring, State: campaign.RingState(r.State), Opens: store.Instant(r.OpensUs)}
	ring := s.ring(r)
	if !view.State.Passed() {
		view.Stopped = ring.Breaker()
	}
	return view
}

// ring is the decision's view of one ring row.
func (s *scene) ring(r gen.CampaignRing) campaign.Ring {
	rule := s.procedure.Rings[r.Position]
	out := campaign.Ring{
		Campaign: campaign.ID(s.row.ID), State: campaign.State(s.row.State), Name: r.Ring, Ring: campaign.RingState(r.State),
		Verdict: campaign.Verdict(r.Verdict), Opens: store.Instant(r.OpensUs), Closes: store.Instant(r.ClosesUs), Opened: store.Instant(r.OpenedUs), SoakUntil: store.Instant(r.SoakUntilUs),
		Soak: rule.Soak, Expedited: r.ExpeditedBy != "", Gate: rule.Gate, Holds: s.holds, OpenTasks: s.tasks[r.Ring], Seen: s.seen[ringKey{r.Amendment, r.Position}], Tests: s.tests(r), Incidents: s.incidentsOf(r.Ring), First: r.Position == 0,
		Counters: campaign.Counters{
			Done: int(r.Done), Failed: int(r.Failed), NotReached: int(r.NotReached), Unreachable: int(r.Unreachable), Exempt: int(r.Exempt),
		},
	}
	if c := s.schedule.Compress; !c.IsZero() {
		out.Soak = c.Duration(rule.Soak)
	}
	for _, p := range s.rings {
		if p.Amendment == r.Amendment && p.Position == r.Position-1 {
			out.Previous = campaign.Before{Name: p.Ring, State: campaign.RingState(p.State)}
		}
	}
	out.SignOffs = s.signOffsOn(r.Amendment, r.Position)
	if out.First {
		out.Rehearsals = s.rehearsed(r.Amendment)
	}
	s.undoRing(&out, r.Position)
	return out
}

// signOffsOn are those on one gate, or on the start.
func (s *scene) signOffsOn(amendment, position int64) []campaign.SignOff {
	var out []campaign.SignOff
	for _, o := range s.signOffs {
		if o.Amendment == amendment && o.Position == position {
			out = append(out, campaign.SignOff{
				Role: o.Role, Yes: o.Decision == "yes", Actor: o.Actor, Comment: o.Comment, At: store.Instant(o.AtUs),
			})
		}
	}
	return out
}

// compressedHorizon: a compressed campaign is a rehearsal of minutes.
const compressedHorizon = time.Hour

func memberOf(d gen.Device, groups []string) (fleet.Member, error) {
	m := fleet.Member{Device: fleet.DeviceID(d.ID), Name: d.Name, Kind: fleet.Kind(d.Kind), Groups: groups}
	if d.Tags != "" {
		if err := json.Unmarshal([]byte(d.Tags), &m.Tags); err != nil {
			return m, fmt.Errorf("read tags of device %s: %w", d.ID, err)
		}
	}
	return m, nil
}

// Terms are the procedure's terms of one campaign, for whoever moves progress.
func (c *Conductor) Terms(ctx context.Context, q *gen.Queries, tenant, id string) (campaign.Terms, error) {
	row, err := q.Campaign(ctx, tenant, id)
	if err != nil {
		return campaign.Terms{}, fmt.Errorf("read campaign %s: %w", id, err)
	}
	p, err := c.scenes.procedure(ctx, q, tenant, row.ProcedureName, row.ProcedureVersion)
	if err != nil {
		return campaign.Terms{}, err
	}
	var schedule procedure.Schedule
	if err := json.Unmarshal([]byte(row.Schedule), &schedule); err != nil {
		return campaign.Terms{}, fmt.Errorf("read the schedule of campaign %s: %w", row.Name, err)
	}
	return campaign.TermsOf(p, schedule.Compress), nil
}
