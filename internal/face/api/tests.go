package api

import (
	"context"
	"net/http"

	"patchring/internal/core/procedure"
	"patchring/internal/infra/view"
	"patchring/internal/service/access"
	"patchring/internal/service/checklist"
)

// TickTest is what a tester says of one item.
type TickTest struct {
	Amendment int    `json:"amendment,omitempty" minimum:"0"`
	Ring      string `json:"ring" minLength:"1" maxLength:"63"`
	Test      string `json:"test" minLength:"1" maxLength:"63"`
	Item      int    `json:"item,omitempty" minimum:"0" doc:"its number, from 1; 1 when not given"`
	OK        bool   `json:"ok"`
	Remark    string `json:"remark,omitempty" maxLength:"4000" doc:"a failure needs one"`
	Severity  string `json:"severity,omitempty" enum:"minor,major,critical" doc:"of the incident that a failure makes, when the procedure says none"`
}

// MyTests are the parameters of the list of tests that can be ticked now.
type MyTests struct {
	Mine bool `query:"mine" doc:"only those assigned to who asks, by name or by role"`
}

// RingTestList is a list of gates with their tests.
type RingTestList struct {
	Rows []view.RingTests `json:"rows"`
}

func (a *API) registerTests() {
	const tag = "tests"
	handle(a, operation{method: http.MethodGet, path: "/tests", id: "list-tests", summary: "Tests that can be ticked now, of every open campaign", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *MyTests) (RingTestList, error) {
			q := view.TestsQuery{}
			if in.Mine {
				q.Mine = p.Names()
			}
			rows, err := a.View.Tests(ctx, p.Tenant, q)
			return RingTestList{rows}, err
		})
	handle(a, operation{method: http.MethodGet, path: "/campaigns/{campaign}/tests", id: "campaign-tests", summary: "The tests of a campaign's gates, and how far they have come", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *OneCampaign) (RingTestList, error) {
			c, err := a.View.FindCampaign(ctx, p.Tenant, in.Campaign)
			if err != nil {
				return RingTestList{}, err
			}
			rows, err := a.View.Tests(ctx, p.Tenant, view.TestsQuery{Campaign: c.ID})
			return RingTestList{rows}, err
		})
	handle(a, operation{method: http.MethodPost, path: "/campaigns/{campaign}/tests", id: "tick-test", summary: "Say of one item that it is ok or failed; whoever it is assigned to may", tag: tag, act: access.See}, a.tickTest)
}

func (a *API) tickTest(ctx context.Context, p access.Principal, in *actOn[TickTest]) (checklist.Ticked, error) {
	b := in.Body
	rule, err := a.Tests.Rule(ctx, p.Tenant, in.Campaign, b.Ring, b.Test)
	if err != nil {
		return checklist.Ticked{}, err
	}
	if err := p.NeedTask(rule.Assigned); err != nil {
		return checklist.Ticked{}, err
	}
	return a.Tests.Tick(ctx, p.Tenant, p.Actor(), checklist.Tick{
		Campaign: in.Campaign, Amendment: b.Amendment, Ring: b.Ring, Test: b.Test, Item: max(1, b.Item) - 1, OK: b.OK, Remark: b.Remark,
		Severity: procedure.Severity(b.Severity), Lang: p.Lang,
	})
}
