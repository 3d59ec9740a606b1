package view

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/checklist"
	"patchring/internal/core/fleet"
	"patchring/internal/core/manifest"
	"patchring/internal/core/procedure"
	"patchring/internal/core/task"
)

// TestsQuery chooses tests of rings.
type TestsQuery struct {
	Campaign string   // id; empty: of every open campaign, and only rings whose tests can be ticked
	Mine     []string // only those assigned to one of these: an account's name and its roles
}

// RingTests are the tests of one gate.
type RingTests struct {
	Campaign    CampaignRef      `json:"campaign"`
	Amendment   int64            `json:"amendment"`
	Ring        string           `json:"ring"`
	State       string           `json:"state"`           // of the ring
	Closes      time.Time        `json:"closes,omitzero"` // when the ring does: the gate follows
	Due         time.Time        `json:"due,omitzero"`    // until when its tests are to be ticked: its close, later where it opened late
	Overdue     int              `json:"overdue"`         // how many tests are late
	Tally       checklist.Tally  `json:"tally"`
	Departments []TestDepartment `json:"departments"` // the same, by department; those of everybody under an empty name
	Tests       []TestProgress   `json:"tests"`
}

// TestDepartment is how far a department has come.
type TestDepartment struct {
	Department string          `json:"department"`
	Tally      checklist.Tally `json:"tally"`
}

// TestProgress is one test and how far it has come.
type TestProgress struct {
	Name       string             `json:"name"`
	Title      manifest.Text      `json:"title"`
	Department string             `json:"department,omitempty"`
	Group      string             `json:"group,omitempty"`
	Assigned   string             `json:"assigned,omitempty"` // an account's name or a role
	Severity   procedure.Severity `json:"severity,omitempty"` // of the incident that a failure makes
	Probe      string             `json:"probe,omitempty"`    // of an automatic one
	Green      int                `json:"green,omitempty"`    // devices on which the probe is green
	Red        int                `json:"red,omitempty"`
	Unknown    int                `json:"unknown,omitempty"` // on which it has said nothing lately
	Tally      checklist.Tally    `json:"tally"`
	// Waits is where a test stands that somebody still has to tick, in a ring that
	// has opened and whose gate has not passed; not there in any other.
	Waits *TestWaits `json:"waits,omitempty"`
	Items []TestItem `json:"items"`
}

// TestWaits is whom a test waits for.
type TestWaits struct {
	State    task.State `json:"state"`              // open, due_soon, overdue, escalated
	Whom     string     `json:"whom"`               // an account's name or a role
	Reminded int64      `json:"reminded,omitempty"` // how many reminders were told
	Next     time.Time  `json:"next,omitzero"`      // of the next one
}

// TestItem is one line to tick.
type TestItem struct {
	Number   int             `json:"number"` // from 1
	Text     manifest.Text   `json:"text"`
	State    checklist.State `json:"state"`
	Remark   string          `json:"remark,omitempty"`
	Incident string          `json:"incident,omitempty"`
	Actor    string          `json:"actor,omitempty"`
	At       time.Time       `json:"at,omitzero"`
}

const (
	testsOfCampaign = ringHead + " WHERE g.tenant = $1 AND g.campaign = $2 ORDER BY g.amendment, g.position"
	testsToTick     = ringHead + ` JOIN campaign c ON c.tenant = g.tenant AND c.id = g.campaign
WHERE g.tenant = $1 AND c.state <> 'closed' AND c.origin <> 'rollback' AND g.state IN ('open', 'soaking', 'gate') ORDER BY g.campaign DESC, g.amendment, g.position LIMIT 100`
)

// Tests lists the tests of gates, ring by ring.
func (r *Reader) Tests(ctx context.Context, tenant fleet.TenantID, q TestsQuery) ([]RingTests, error) {
	rings := ask("tests", testsToTick, tenant)
	if q.Campaign != "" {
		rings = ask("tests", testsOfCampaign, tenant, q.Campaign)
	}
	at := contexts{by: map[string]gateContext{}}
	said, told := map[string][]resultOf{}, map[string][]reminderOf{}
	list, err := all(ctx, r, rings, scanRing)
	if err != nil {
		return nil, err
	}
	out := []RingTests{}
	for _, g := range list {
		c, err := at.of(ctx, r, tenant, g.campaign)
		if err != nil {
			return nil, err
		}
		if campaign.Origin(c.row.Origin) == campaign.ByRollback {
			continue // its gates are evidence alone
		}
		rules := testRules(c.procedure, g.ring.Ring, q.Mine)
		if len(rules) == 0 {
			continue
		}
		results, known := said[g.campaign]
		if !known {
			if results, err = r.testResults(ctx, tenant, g.campaign); err != nil {
				return nil, err
			}
			said[g.campaign] = results
			if told[g.campaign], err = r.testReminders(ctx, tenant, g.campaign); err != nil {
				return nil, err
			}
		}
		one, err := r.ringTests(ctx, tenant, g, rules, results)
		if err != nil {
			return nil, err
		}
		r.waiting(&one, g, c.procedure.Owner, told[g.campaign])
		one.Campaign = CampaignRef{ID: c.row.ID, Name: c.row.Name}
		out = append(out, one)
	}
	return out, nil
}

// testRules are those of a ring's gate, for everybody or for some names.
func testRules(p procedure.Procedure, ring string, mine []string) []procedure.TestRule {
	i := slices.IndexFunc(p.Rings, func(r procedure.Ring) bool { return r.Name == ring })
	if i < 0 {
		return nil
	}
	var out []procedure.TestRule
	for _, rule := range p.Rings[i].Gate.Tests {
		if mine == nil || slices.Contains(mine, rule.Assigned) {
			out = append(out, rule)
		}
	}
	return out
}

type resultOf struct {
	amendment, position int64
	checklist.Result
}

func (r *Reader) testResults(ctx context.Context, tenant fleet.TenantID, id string) ([]resultOf, error) {
	return all(ctx, r, ask("results of tests", `SELECT t.amendment, t.position, t.test, t.item, t.outcome, t.remark, t.incident, t.actor, t.at_us FROM test_result t
WHERE t.tenant = $1 AND t.campaign = $2`, tenant, id), func(rows *sql.Rows) (resultOf, error) {
		var o resultOf
		var atUS int64
		err := rows.Scan(&o.amendment, &o.position, &o.Test, &o.Item, &o.State, &o.Remark, &o.Incident, &o.Actor, &atUS)
		o.At = instant(atUS)
		return o, err
	})
}

func (r *Reader) ringTests(ctx context.Context, tenant fleet.TenantID, g ringOf, rules []procedure.TestRule, results []resultOf) (RingTests, error) {
	var said []checklist.Result
	for _, o := range results {
		if o.amendment == g.amendment && o.position == g.ring.Position {
			said = append(said, o.Result)
		}
	}
	readings := map[string]checklist.Reading{}
	for _, rule := range rules {
		if rule.Probe == "" {
			continue
		}
		var err error
		if readings[rule.Name], err = r.reading(ctx, tenant, g, rule); err != nil {
			return RingTests{}, err
		}
	}
	progress := checklist.Weigh(rules, said, func(rule procedure.TestRule) checklist.Reading { return readings[rule.Name] })
	out := RingTests{Amendment: g.amendment, Ring: g.ring.Ring, State: g.ring.State, Closes: g.ring.Closes, Tally: checklist.Sum(progress), Departments: []TestDepartment{}, Tests: []TestProgress{}}
	for _, p := range progress {
		out.Tests = append(out.Tests, testProgress(p))
		out.add(p)
	}
	return out, nil
}

// reminderOf is how often somebody was reminded of one test.
type reminderOf struct {
	amendment, position int64
	test                string
	reminded            int64
}

func (r *Reader) testReminders(ctx context.Context, tenant fleet.TenantID, id string) ([]reminderOf, error) {
	return all(ctx, r, ask("reminders of tests", `SELECT t.amendment, t.position, t.test, t.reminded FROM test_reminder t
WHERE t.tenant = $1 AND t.campaign = $2`, tenant, id), func(rows *sql.Rows) (reminderOf, error) {
		var o reminderOf
		err := rows.Scan(&o.amendment, &o.position, &o.test, &o.reminded)
		return o, err
	})
}

// waiting completes the tests of a ring with whom they wait for.
func (r *Reader) waiting(t *RingTests, g ringOf, above string, told []reminderOf) {
	if state := campaign.RingState(t.State); !state.Opened() || state.Passed() {
		return
	}
	span := checklist.Span{Opens: g.ring.Opens, Closes: g.ring.Closes, Opened: g.ring.Opened}
	t.Due = span.Due()
	for i := range t.Tests {
		p := &t.Tests[i]
		now := checklist.Progress{Rule: procedure.TestRule{Assigned: p.Assigned, Probe: p.Probe}, Tally: p.Tally}.Waits(span, above, r.now())
		if now.State == task.Closed {
			continue
		}
		p.Waits = &TestWaits{State: now.State, Whom: now.Whom, Next: now.Next}
		for _, o := range told {
			if o.amendment == t.Amendment && o.position == g.ring.Position && o.test == p.Name {
				p.Waits.Reminded = o.reminded
			}
		}
		if p.Late() {
			t.Overdue++
		}
	}
}

// Late tells that a test should have been ticked.
func (p TestProgress) Late() bool {
	return p.Waits != nil && (p.Waits.State == task.Overdue || p.Waits.State == task.Escalated)
}

func (t *RingTests) add(p checklist.Progress) {
	for i := range t.Departments {
		if t.Departments[i].Department == p.Rule.Department {
			t.Departments[i].Tally = t.Departments[i].Tally.Plus(p.Tally)
			return
		}
	}
	t.Departments = append(t.Departments, TestDepartment{p.Rule.Department, p.Tally})
}

func testProgress(p checklist.Progress) TestProgress {
	out := TestProgress{
		Name: p.Rule.Name, Title: p.Rule.Title, Department: p.Rule.Department, Group: p.Rule.Group, Assigned: p.Rule.Assigned, Severity: p.Rule.Severity, Probe: p.Rule.Probe,
		Green: p.Reading.Green, Red: p.Reading.Red, Unknown: p.Reading.Unknown, Tally: p.Tally, Items: []TestItem{},
	}
	for n, i := range p.Items {
		text := i.Text
		if text.IsZero() {
			text = p.Rule.Title
		}
		out.Items = append(out.Items, TestItem{Number: n + 1, Text: text, State: i.State, Remark: i.Remark, Incident: i.Incident, Actor: i.Actor, At: i.At})
	}
	return out
}
