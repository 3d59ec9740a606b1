package console

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"patchring/internal/core/alert"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/procedure"
	"patchring/internal/core/register"
	"patchring/internal/face/console/page"
	"patchring/internal/face/console/ui"
	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
	"patchring/internal/service/access"
	"patchring/internal/service/herald"
	"patchring/internal/service/watch"
)

// Alerts reads alerts; view.Reader does.
type Alerts interface {
	Alerts(ctx context.Context, tenant fleet.TenantID, q view.AlertQuery) (view.AlertPage, error)
	Alert(ctx context.Context, tenant fleet.TenantID, id string) (view.AlertRow, error)
	AlertCount(ctx context.Context, tenant fleet.TenantID) (view.AlertCount, error)
	Silences(ctx context.Context, tenant fleet.TenantID) ([]view.SilenceRow, error)
	Deliveries(ctx context.Context, tenant fleet.TenantID, q view.DeliveryQuery) (view.Page[view.DeliveryRow], error)
}

// Watch is what people do about alerts and their rules; watch.Watch does it.
type Watch interface {
	Acknowledge(ctx context.Context, tenant fleet.TenantID, by register.Actor, id, why string) error
	Silence(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask watch.Silence) (string, error)
	EndSilence(ctx context.Context, tenant fleet.TenantID, by register.Actor, id string) error
	Act(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask watch.Act) error
	Check(file string, text []byte) (watch.CheckedBook, error)
	Diff(ctx context.Context, tenant fleet.TenantID, file string, text []byte) (watch.BookDiff, error)
	Apply(ctx context.Context, tenant fleet.TenantID, by register.Actor, file string, text []byte) (watch.AppliedBook, error)
	Show(ctx context.Context, tenant fleet.TenantID, version int64) (watch.BookVersion, error)
	Versions(ctx context.Context, tenant fleet.TenantID) ([]watch.BookVersion, error)
}

// Herald is what people do about outputs and feeds; herald.Herald does it.
type Herald interface {
	Test(ctx context.Context, tenant fleet.TenantID, output string) (herald.Tested, error)
	Revive(ctx context.Context, tenant fleet.TenantID, id string) error
	Dismiss(ctx context.Context, tenant fleet.TenantID, id string) error
	Links(ctx context.Context, tenant fleet.TenantID) ([]herald.FeedLink, error)
	MakeLink(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask herald.MakeLink) (herald.FeedLink, error)
	RevokeLink(ctx context.Context, tenant fleet.TenantID, by register.Actor, id string) error
}

// countAlerts tells the navigation what nobody has acknowledged. A database that
// does not answer is told by the page itself.
func (c *Console) countAlerts(v visit, f *ui.Frame) {
	n, err := c.Alerts.AlertCount(v.Context(), v.who.Tenant)
	if err != nil {
		c.Log.Error("count alerts", "err", err)
		return
	}
	f.Firing, f.Grave = n.Firing, n.Critical > 0
}

// shownDead is how many messages that were given up a page shows.
const shownDead = 5

func (c *Console) alerts(v visit) (page.Alerts, error) {
	out := page.Alerts{Query: page.AlertQuery{
		Which: v.FormValue("which"), Severity: v.FormValue("severity"), Device: v.FormValue("device"), Campaign: v.FormValue("campaign"), Rule: v.FormValue("rule"), After: v.FormValue("after"),
	}}
	list, err := c.Alerts.Alerts(v.Context(), v.who.Tenant, view.AlertQuery{
		Paging: view.Paging{Cursor: out.Query.After}, Which: out.Query.Which, Severity: out.Query.Severity, Device: fleet.DeviceID(out.Query.Device),
		Campaign: out.Query.Campaign, Rule: out.Query.Rule,
	})
	if err != nil {
		return out, err
	}
	out.Rows, out.Next = list.Rows, list.Next
	if out.Silences, err = c.Alerts.Silences(v.Context(), v.who.Tenant); err != nil {
		return out, err
	}
	dead, err := c.Alerts.Deliveries(v.Context(), v.who.Tenant, view.DeliveryQuery{State: "dead", Paging: view.Paging{Limit: shownDead}})
	out.Dead = dead.Rows
	return out, err
}

func (c *Console) alert(v visit) (page.AlertOne, error) {
	row, err := c.Alerts.Alert(v.Context(), v.who.Tenant, v.PathValue("id"))
	return page.AlertOne{AlertRow: row}, err
}

// alertParts are what the stream of alerts pushes.
func alertParts() []string { return []string{"alerts-list", "alerts-dead", "nav-alerts"} }

// alertStream pushes the list of alerts as it changes.
func (c *Console) alertStream(v visit) {
	beats, stop := c.Listen(v.who.Tenant, "")
	defer stop()
	parts, err := c.renderAlerts(v)
	if err != nil {
		c.problem(v, err)
		return
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Accel-Buffering", "no")
	ctx, cancel := context.WithTimeout(v.Context(), streamLife)
	defer cancel()
	seen := make([]string, len(parts))
	for {
		if err := push(v.w, alertParts(), seen, parts); err != nil {
			return // the reader went away
		}
		seen = parts
		if !wait(ctx, beats) {
			return
		}
		next, err := c.renderAlerts(v)
		switch {
		case err == nil:
			parts = next
		case ctx.Err() == nil:
			c.Log.Error("read live alerts", "err", err)
		}
	}
}

func (c *Console) renderAlerts(v visit) ([]string, error) {
	list, err := c.alerts(v)
	if err != nil {
		return nil, err
	}
	f := c.frame(v, ui.Alerts, "")
	f.Path = "/alerts"
	var out []string
	for _, part := range []templ.Component{page.AlertsList(f, list), page.AlertsDead(f, list), ui.NavAlerts(f)} {
		var b strings.Builder
		if err := part.Render(v.Context(), &b); err != nil {
			return nil, fmt.Errorf("render alerts: %w", err)
		}
		out = append(out, b.String())
	}
	return out, nil
}

// alertSubject names an alert in the head of a form.
func (v visit) alertSubject(a view.AlertRow) string {
	title := a.Title.In(string(v.words.Lang()))
	if where := v.words.AlertWhere(a.Message()); where != "" {
		return title + " · " + where
	}
	return title
}

func (c *Console) alertForm(v visit, verb string, fields ...ui.Field) (ui.Form, view.AlertRow, error) {
	row, err := c.Alerts.Alert(v.Context(), v.who.Tenant, v.PathValue("id"))
	if err != nil {
		return ui.Form{}, row, err
	}
	fm := v.blank(verb, v.alertSubject(row), ui.Path("alerts", row.ID))
	fm.Fields = fields
	return fm, row, nil
}

func (c *Console) acknowledgeForm(v visit) (ui.Form, error) {
	why := v.why()
	why.Required = false
	fm, row, err := c.alertForm(v, "acknowledge", why)
	if err != nil {
		return fm, err
	}
	return fm, v.who.NeedAlert(row.Who)
}

func (c *Console) acknowledge(v visit) error {
	row, err := c.Alerts.Alert(v.Context(), v.who.Tenant, v.PathValue("id"))
	if err != nil {
		return err
	}
	if err := v.who.NeedAlert(row.Who); err != nil {
		return err
	}
	return c.Watch.Acknowledge(v.Context(), v.who.Tenant, v.who.Actor(), row.ID, v.PostFormValue("reason"))
}

// silenceLengths are those that a form offers.
func silenceLengths() []time.Duration {
	return []time.Duration{30 * time.Minute, 2 * time.Hour, 8 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}
}

func (c *Console) silenceForm(v visit) (ui.Form, error) {
	length := ui.Field{Name: "for", Kind: ui.Select, Label: v.words.T("act_silence.length"), Required: true}
	for _, d := range silenceLengths() {
		length.Options = append(length.Options, ui.Option{Value: d.String(), Label: v.words.Duration(d)})
	}
	fm, _, err := c.alertForm(v, "silence", length, v.why())
	return fm, err
}

func (c *Console) silence(v visit) error {
	length, err := time.ParseDuration(v.PostFormValue("for"))
	if err != nil {
		return invalid("for", "not_a_choice", "30m – 168h")
	}
	_, err = c.Watch.Silence(v.Context(), v.who.Tenant, v.who.Actor(), watch.Silence{Alert: v.PathValue("id"), Until: c.Clock().Add(length), Reason: v.PostFormValue("reason")})
	return err
}

func (c *Console) alertActForm(v visit) (ui.Form, error) {
	do := ui.Field{Name: "do", Kind: ui.Choice, Label: v.words.T("act_alert.do"), Required: true}
	severity := ui.Field{Name: "severity", Kind: ui.Select, Label: v.words.T("act_alert.severity"), Value: string(procedure.Major)}
	for _, s := range procedure.Severities() {
		severity.Options = append(severity.Options, ui.Option{Value: string(s), Label: v.words.Word(lang.Severity, string(s))})
	}
	fm, row, err := c.alertForm(v, "alert")
	if err != nil {
		return fm, err
	}
	for _, one := range row.Can {
		do.Options = append(do.Options, ui.Option{Value: string(one), Label: v.words.Word(lang.AlertDo, string(one))})
	}
	if len(do.Options) == 0 {
		return fm, invalid("do", "not_a_choice", "no_campaign")
	}
	now := ui.Field{Name: "when", Kind: ui.Select, Label: v.words.T("act_alert.when"), Hint: v.words.T("act_rollback.when_hint"), Options: v.whenBack()}
	if !slices.Contains(row.Can, alert.RollBack) {
		fm.Danger, fm.Fields = true, []ui.Field{do, severity, v.why()}
		return fm, nil
	}
	fm.Danger, fm.Fields = true, []ui.Field{do, now, severity, v.why()}
	return fm, nil
}

func (c *Console) alertAct(v visit) error {
	now, err := v.emergency("when")
	if err != nil {
		return err
	}
	return c.Watch.Act(v.Context(), v.who.Tenant, v.who.Actor(), watch.Act{
		Alert: v.PathValue("id"), Do: alert.Do(v.PostFormValue("do")), Severity: procedure.Severity(v.PostFormValue("severity")), Reason: v.PostFormValue("reason"), Now: now,
	})
}

// simple is the form of an act that asks nothing but a yes.
func simple(verb, back string) func(*Console, visit) (ui.Form, error) {
	return func(_ *Console, v visit) (ui.Form, error) { return v.blank(verb, "", back), nil }
}

func (c *Console) endSilence(v visit) error {
	return c.Watch.EndSilence(v.Context(), v.who.Tenant, v.who.Actor(), v.PathValue("id"))
}

func (c *Console) retryDelivery(v visit) error {
	return c.Herald.Revive(v.Context(), v.who.Tenant, v.PathValue("id"))
}

func (c *Console) dismissDelivery(v visit) error {
	return c.Herald.Dismiss(v.Context(), v.who.Tenant, v.PathValue("id"))
}

// testOutput says in clear what came of a test: where it did not arrive, as a
// refusal.
func (c *Console) testOutput(v visit) error {
	t, err := c.Herald.Test(v.Context(), v.who.Tenant, v.PathValue("id"))
	switch {
	case err != nil:
		return err
	case t.Cause != nil:
		return &fault.Error{Reason: *t.Cause}
	}
	took := (time.Duration(t.TookMS) * time.Millisecond).Round(time.Millisecond)
	c.tell(v, "alert.tested", "output", t.Output, "way", v.words.Word(lang.OutputWay, string(t.Way)), "where", t.Where, "took", v.words.Duration(took))
	return nil
}

func (c *Console) alertFeeds(v visit) (page.AlertFeeds, error) {
	if err := v.who.Need(access.AlertAct); err != nil {
		return page.AlertFeeds{}, err // the address is the secret
	}
	links, err := c.Herald.Links(v.Context(), v.who.Tenant)
	var out page.AlertFeeds
	for _, l := range links {
		out.Links = append(out.Links, page.AlertFeed{ID: l.ID, Kind: string(l.Kind), Name: l.Name, Path: l.Path, By: l.By, Created: l.Created})
	}
	return out, err
}

func (c *Console) makeFeedForm(v visit) (ui.Form, error) {
	fm := v.blank("make_feed", "", "/alerts/feeds")
	kind := ui.Field{Name: "kind", Kind: ui.Choice, Label: v.words.T("col.kind"), Required: true}
	for _, k := range []herald.FeedKind{herald.CalendarFeed, herald.AlertsFeed} {
		kind.Options = append(kind.Options, ui.Option{Value: string(k), Label: v.words.Word(lang.FeedKind, string(k))})
	}
	fm.Fields = []ui.Field{kind, {Name: "name", Kind: ui.Text, Label: v.words.T("col.name"), Hint: v.words.T("act_make_feed.name_hint"), Required: true}}
	return fm, nil
}

func (c *Console) makeFeed(v visit) error {
	_, err := c.Herald.MakeLink(v.Context(), v.who.Tenant, v.who.Actor(), herald.MakeLink{
		Kind: herald.FeedKind(v.PostFormValue("kind")), Name: v.PostFormValue("name"), Lang: string(v.words.Lang()),
	})
	return err
}

func (c *Console) revokeFeed(v visit) error {
	return c.Herald.RevokeLink(v.Context(), v.who.Tenant, v.who.Actor(), v.PathValue("id"))
}
