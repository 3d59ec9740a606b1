package survey

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/lifecycle"
	"patchring/internal/core/policy"
	"patchring/internal/core/procedure"
	"patchring/internal/core/readiness"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// DefaultDays is how far ahead is looked where nothing is said: readiness is
// for the week before.
const (
	DefaultDays = 7
	MaxDays     = 90
)

// ReadinessAsk is what a list of findings is asked for.
type ReadinessAsk struct {
	Page
	Campaign string // id or name; empty: the whole fleet, and every procedure's windows
	Days     int    // how far ahead, without a campaign; 0 is DefaultDays
	Kind     readiness.Kind
	Severity readiness.Severity
}

// Found is a finding with its device.
type Found struct {
	Device fleet.DeviceID `json:"device"`
	Name   string         `json:"name"`
	readiness.Finding
}

// KindCount counts the findings of a kind; it is the length of their list.
type KindCount struct {
	Kind     readiness.Kind `json:"kind"`
	Blocking int            `json:"blocking"`
	Warning  int            `json:"warning"`
}

// Readiness is one look over a fleet, with a page of what was found.
type Readiness struct {
	At       time.Time   `json:"at"`    // when it was looked
	Until    time.Time   `json:"until"` // up to when
	Campaign string      `json:"campaign,omitempty"`
	Devices  int         `json:"devices"`  // looked at
	Ready    int         `json:"ready"`    // nothing was found
	Blocked  int         `json:"blocked"`  // will not make it as they are
	Counts   []KindCount `json:"counts"`   // of every kind, in the order of the list
	Findings int         `json:"findings"` // in this list, all pages
	Rows     []Found     `json:"rows"`
	Next     string      `json:"next,omitempty"`
}

// look is everything of one look, in the order of its lists.
type look struct {
	Readiness
	all []Found
}

// Readiness finds what is to be put right before a campaign, or in the days to
// come.
func (s *Survey) Readiness(ctx context.Context, tenant fleet.TenantID, ask ReadinessAsk) (Readiness, error) {
	if err := ask.check(); err != nil {
		return Readiness{}, err
	}
	if ask.Days == 0 {
		ask.Days = DefaultDays
	}
	key := fmt.Sprintf("readiness\x00%s\x00%s\x00%d", tenant, ask.Campaign, ask.Days)
	l, err := kept(s, key, ask.Cursor, func() (look, error) { return s.look(ctx, tenant, ask) })
	if err != nil {
		return Readiness{}, err
	}
	return l.page(ask)
}

// All finds everything at once, and looks for it now.
func (s *Survey) All(ctx context.Context, tenant fleet.TenantID, ask ReadinessAsk) ([]Found, error) {
	if err := ask.check(); err != nil {
		return nil, err
	}
	if ask.Days == 0 {
		ask.Days = DefaultDays
	}
	l, err := s.look(ctx, tenant, ask)
	return l.all, err
}

func (a ReadinessAsk) check() error {
	switch {
	case a.Kind != "" && !slices.Contains(readiness.Kinds(), a.Kind):
		return invalid("kind", "not_a_choice", choices(readiness.Kinds()))
	case a.Severity != "" && a.Severity != readiness.Blocking && a.Severity != readiness.Warning:
		return invalid("severity", "not_a_choice", "blocking, warning")
	case a.Days < 0 || a.Days > MaxDays:
		return invalid("days", "not_a_number", "1-"+number(MaxDays))
	}
	return nil
}

func choices[T ~string](list []T) string {
	text := ""
	for i, v := range list {
		if i > 0 {
			text += ", "
		}
		text += string(v)
	}
	return text
}

// place is where a row stands in the list: findings that block first, then by
// kind, then by device.
type place struct {
	Severity int    `json:"s"`
	Kind     int    `json:"k"`
	Name     string `json:"n"`
	ID       string `json:"i"`
	Detail   string `json:"d"` // a device may have two exceptions
}

func placeOf(f Found) place {
	return place{
		slices.Index([]readiness.Severity{readiness.Blocking, readiness.Warning}, f.Severity), slices.Index(readiness.Kinds(), f.Kind),
		f.Name, string(f.Device), f.Reason.Args["exception"],
	}
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.Severity, q.Severity), cmp.Compare(p.Kind, q.Kind), cmp.Compare(p.Name, q.Name), cmp.Compare(p.ID, q.ID), cmp.Compare(p.Detail, q.Detail))
}

// page cuts a page out of a look.
func (l look) page(ask ReadinessAsk) (Readiness, error) {
	out := l.Readiness
	out.Rows = []Found{}
	var after *place
	if ask.Cursor != "" {
		raw, err := base64.RawURLEncoding.DecodeString(ask.Cursor)
		if err != nil || json.Unmarshal(raw, &after) != nil || after == nil {
			return Readiness{}, invalid("cursor", "bad_cursor", "start_over")
		}
	}
	for _, f := range l.all {
		if ask.Kind != "" && f.Kind != ask.Kind || ask.Severity != "" && f.Severity != ask.Severity {
			continue
		}
		out.Findings++
		if after != nil && placeOf(f).compare(*after) <= 0 {
			continue
		}
		switch {
		case len(out.Rows) < ask.limit():
			out.Rows = append(out.Rows, f)
		case out.Next == "":
			raw, err := json.Marshal(placeOf(out.Rows[len(out.Rows)-1]))
			if err != nil {
				return Readiness{}, fmt.Errorf("encode a cursor: %w", err)
			}
			out.Next = base64.RawURLEncoding.EncodeToString(raw)
		}
	}
	return out, nil
}

// looking is one look in the making.
type looking struct {
	*Survey
	question readiness.Question
	plans    []plan
	rules    policy.Policies
	tables   lifecycle.Table
	cache    map[sort][]calendar.Interval
	out      look
	counts   map[readiness.Kind]*KindCount
}

// plan is when a procedure lets its devices act.
type plan struct {
	procedure procedure.Procedure
	schedule  *procedure.Schedule // of a campaign
	windows   []calendar.Interval // given with the campaign, in place of the rules
}

// sort is what decides on when a device may act.
type sort struct {
	plan  int
	ring  int
	rules procedure.RuleSet
	match policy.Match
}

func (s *Survey) look(ctx context.Context, tenant fleet.TenantID, ask ReadinessAsk) (look, error) {
	now := s.Clock().UTC()
	l := &looking{
		Survey: s, cache: map[sort][]calendar.Interval{}, counts: map[readiness.Kind]*KindCount{},
		question: readiness.Question{Now: now, Until: now.AddDate(0, 0, ask.Days), SilentAfter: s.SilentAfter},
	}
	err := s.DB.Snapshot(ctx, func(r store.Reads) error {
		if err := l.load(ctx, r, tenant, ask); err != nil {
			return err
		}
		return eachPage(ctx, r, tenant, func(devices []device) error { return l.page(ctx, r, tenant, devices) })
	})
	if err != nil {
		return look{}, err
	}
	l.out.At, l.out.Until = now, l.question.Until
	for _, k := range readiness.Kinds() {
		n := KindCount{Kind: k}
		if c := l.counts[k]; c != nil {
			n = *c
		}
		l.out.Counts = append(l.out.Counts, n)
	}
	slices.SortFunc(l.out.all, func(a, b Found) int { return placeOf(a).compare(placeOf(b)) })
	return l.out, nil
}

func (l *looking) load(ctx context.Context, r store.Reads, tenant fleet.TenantID, ask ReadinessAsk) (err error) {
	if l.rules, err = policies(ctx, r, tenant, l.question.Now); err != nil {
		return err
	}
	tables, err := r.LifecycleTables(ctx, string(tenant))
	if err != nil {
		return fmt.Errorf("read lifecycle tables: %w", err)
	}
	if l.tables, err = store.LifecycleTable(tables); err != nil {
		return err
	}
	exceptions, err := r.ExceptionsInForce(ctx, string(tenant), l.question.Now.UnixMicro())
	if err != nil {
		return fmt.Errorf("read exceptions: %w", err)
	}
	l.question.Exceptions = store.Exceptions(exceptions)
	if ask.Campaign != "" {
		return l.loadCampaign(ctx, r, tenant, ask.Campaign)
	}
	rows, err := r.LatestProcedures(ctx, string(tenant))
	if err != nil {
		return fmt.Errorf("read procedures: %w", err)
	}
	for _, row := range rows {
		p, err := procedure.Parse(row.Name, []byte(row.Body))
		if err != nil {
			return fmt.Errorf("parse procedure %s version %d: %w", row.Name, row.Version, err)
		}
		l.plans = append(l.plans, plan{procedure: p})
	}
	return nil
}

// loadCampaign looks at the campaign's own devices, rings and windows, up to its
// verification.
func (l *looking) loadCampaign(ctx context.Context, r store.Reads, tenant fleet.TenantID, ref string) error {
	row, err := campaignNamed(ctx, r, tenant, ref)
	if err != nil {
		return err
	}
	if row.ClosedUs > 0 {
		return fault.New(fault.CampaignClosed)
	}
	version, err := r.ProcedureVersion(ctx, gen.ProcedureVersionParams{Tenant: string(tenant), Name: row.ProcedureName, Version: row.ProcedureVersion})
	if err != nil {
		return fmt.Errorf("read procedure %s version %d: %w", row.ProcedureName, row.ProcedureVersion, err)
	}
	one := plan{schedule: &procedure.Schedule{}}
	if one.procedure, err = procedure.Parse(row.ProcedureName, []byte(version.Body)); err != nil {
		return fmt.Errorf("parse procedure %s version %d: %w", row.ProcedureName, row.ProcedureVersion, err)
	}
	if err := json.Unmarshal([]byte(row.Schedule), one.schedule); err != nil {
		return fmt.Errorf("read the schedule of campaign %s: %w", row.Name, err)
	}
	if row.Windows != "" {
		if err := json.Unmarshal([]byte(row.Windows), &one.windows); err != nil {
			return fmt.Errorf("read the windows of campaign %s: %w", row.Name, err)
		}
	}
	l.plans, l.out.Campaign = []plan{one}, row.Name
	l.question.SilentAfter = one.procedure.UnreachableAfter
	if end := store.Instant(row.VerificationUs); end.After(l.question.Now) {
		l.question.Until = end
	}
	return nil
}

func (l *looking) page(ctx context.Context, r store.Reads, tenant fleet.TenantID, devices []device) error {
	software := map[string]map[string]string{}
	if l.rules.AskSoftware() {
		ids := make([]string, len(devices))
		for i, d := range devices {
			ids[i] = d.ID
		}
		var err error
		if software, err = r.Software(ctx, string(tenant), ids); err != nil {
			return err
		}
	}
	for _, d := range devices {
		d.subject.Software = software[d.ID]
		l.device(d)
	}
	return nil
}

func (l *looking) device(d device) {
	var windows []calendar.Interval
	covered := false
	match := l.rules.Match(&d.subject, l.question.Now)
	for i, p := range l.plans {
		if ring, is := p.procedure.RingOf(d.member()); is {
			covered = true
			windows = append(windows, l.windows(sort{i, ring, p.procedure.RulesFor(d.member()), match})...)
		}
	}
	if !covered && l.out.Campaign != "" {
		return // it is not in the campaign
	}
	l.out.Devices++
	findings := readiness.Check(l.ready(d, windows), l.question)
	if len(findings) == 0 {
		l.out.Ready++
		return
	}
	if findings[0].Severity == readiness.Blocking { // they come first
		l.out.Blocked++
	}
	for _, f := range findings {
		if l.counts[f.Kind] == nil {
			l.counts[f.Kind] = &KindCount{Kind: f.Kind}
		}
		if f.Severity == readiness.Blocking {
			l.counts[f.Kind].Blocking++
		} else {
			l.counts[f.Kind].Warning++
		}
		l.out.all = append(l.out.all, Found{d.id(), d.Name, f})
	}
}

// windows are worked out once for all devices of a sort, as the campaign will.
func (l *looking) windows(of sort) []calendar.Interval {
	known, ok := l.cache[of]
	if ok {
		return known
	}
	p, settings := l.plans[of.plan], l.rules.Settings(of.match)
	from, to := l.question.Now, l.question.Until
	if p.schedule != nil && of.ring < len(p.schedule.Rings) {
		from, to = later(from, p.schedule.Rings[of.ring].Opens), p.schedule.Verification
	}
	var open []calendar.Interval
	switch {
	case p.windows != nil:
		open = calendar.Intersect(p.windows, []calendar.Interval{{Start: from, End: to}})
	case p.schedule != nil && !p.schedule.Compress.IsZero():
		open = []calendar.Interval{{Start: from, End: to}}
	case settings.Windows != nil:
		open = calendar.Intervals(settings.Windows, from, to)
	default:
		open = calendar.Intervals(p.procedure.WindowsOf(of.rules), from, to)
	}
	l.cache[of] = settings.WindowsIn(open)
	return l.cache[of]
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (l *looking) ready(d device, windows []calendar.Interval) readiness.Device {
	return readiness.Device{
		ID: d.id(), Groups: d.subject.Groups, Seen: store.Instant(d.SeenUs), Scanned: store.Instant(d.ScanUs),
		ScanFailed: d.ScanStatus == string(wire.ScanFailed), ScanStale: d.ScanStatus == string(wire.ScanStale), ScanCause: codeOf(d.ScanCause),
		Lists: store.Instant(d.ListsUs), RebootPending: d.RebootPending == 1, RebootSince: store.Instant(d.RebootSinceUs),
		FreeBytes: d.subject.DiskBytes, DownloadBytes: d.DownloadBytes, Certificate: store.Instant(d.CertExpiresUs),
		DuplicateOf: d.DuplicateOf, RollbackImpossible: d.CannotGoBack > 0, Windows: windows,
		System: l.tables.Assess(d.subject.Traits, l.question.Now),
	}
}

// codeOf is the code of a scan's cause, as the gateway keeps it: JSON, or a bare
// word.
func codeOf(text string) fault.Code {
	var r fault.Reason
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return fault.Code(text)
	}
	return r.Code
}
