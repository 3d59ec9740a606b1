package api

import (
	"context"
	"net/http"
	"time"

	"patchring/internal/core/alert"
	"patchring/internal/core/fault"
	"patchring/internal/core/procedure"
	"patchring/internal/infra/view"
	"patchring/internal/service/access"
	"patchring/internal/service/herald"
	"patchring/internal/service/watch"
)

// AlertList are the parameters of the list of alerts.
type AlertList struct {
	Paged
	Which    string `query:"which" enum:"open,firing,acknowledged,resolved,all" doc:"open when not given"`
	Severity string `query:"severity" enum:"info,warning,critical"`
	Rule     string `query:"rule" maxLength:"63"`
	Device   string `query:"device" maxLength:"260" doc:"id, or a name that only one device has"`
	Campaign string `query:"campaign" maxLength:"100" doc:"name or id"`
}

// OneAlert names an alert.
type OneAlert struct {
	Alert string `path:"alert" maxLength:"100"`
}

// onAlert is a request about one alert.
type onAlert[T any] struct {
	OneAlert
	Body T
}

// AckAlert says that somebody is on it.
type AckAlert struct {
	Reason string `json:"reason,omitempty" maxLength:"8000" doc:"what is being done"`
}

// ActOnAlert does something from an alert.
type ActOnAlert struct {
	Do       alert.Do           `json:"do" enum:"hold,hold_patch,hold_device,roll_back,incident" doc:"as \"can\" of the alert says"`
	Reason   string             `json:"reason,omitempty" maxLength:"8000" doc:"needed"`
	Severity procedure.Severity `json:"severity,omitempty" enum:"minor,major,critical" doc:"of an incident"`
	NowS     int64              `json:"now_s,omitempty" minimum:"0" maximum:"86400" doc:"of a rollback: an emergency window of so many seconds; in the next windows when not given"`
}

// PlaceSilence asks that nothing be told for a while.
type PlaceSilence struct {
	Alert  string    `json:"alert,omitempty" maxLength:"100" doc:"this alert, or"`
	Rule   string    `json:"rule,omitempty" maxLength:"63" doc:"every alert of a rule"`
	Device string    `json:"device,omitempty" maxLength:"260" doc:"of a device: id, or a name that only one device has"`
	Until  time.Time `json:"until" doc:"1 minute to 30 days ahead"`
	Reason string    `json:"reason,omitempty" maxLength:"8000" doc:"needed"`
}

// OneSilence names a silence.
type OneSilence struct {
	Silence string `path:"silence" maxLength:"100"`
}

// AlertBookFile is the text of a document of alerts.
type AlertBookFile struct {
	File string `json:"file" maxLength:"255" doc:"the file's name, for messages"`
	Text string `json:"text" maxLength:"524288"`
}

// OneBook names a version of the alert rules.
type OneBook struct {
	Version int64 `path:"version" minimum:"0" doc:"0: the one in force"`
}

// AlertOutput is where alerts go.
type AlertOutput struct {
	Name  string    `json:"name"`
	Way   alert.Way `json:"way"`
	Where string    `json:"where"`
	Rules []string  `json:"rules"` // that tell it
}

// OneOutput names an output.
type OneOutput struct {
	Output string `path:"output" maxLength:"63"`
}

// DeliveryList are the parameters of the list of deliveries.
type DeliveryList struct {
	Paged
	State string `query:"state" enum:"waiting,sent,dead"`
}

// OneDelivery names a delivery.
type OneDelivery struct {
	Delivery string `path:"delivery" maxLength:"100"`
}

// MakeFeedLink makes a link to a feed.
type MakeFeedLink struct {
	Kind herald.FeedKind `json:"kind" enum:"calendar,alerts"`
	Name string          `json:"name" maxLength:"400" doc:"who or what reads it"`
	Lang string          `json:"lang,omitempty" enum:"fr,en" doc:"fr when not given"`
}

// OneFeedLink names a link.
type OneFeedLink struct {
	Link string `path:"link" maxLength:"100"`
}

func (a *API) registerAlerts() {
	const tag = "alerts"
	see := func(path, id, summary string) operation {
		return operation{method: http.MethodGet, path: path, id: id, summary: summary, tag: tag, act: access.See}
	}
	post := func(path, id, summary string, act access.Act) operation {
		return operation{method: http.MethodPost, path: path, id: id, summary: summary, tag: tag, act: act}
	}
	handle(a, see("/alerts", "list-alerts", "Alerts: the open ones by severity, the others by when they fired"), a.alerts)
	handle(a, see("/alerts/count", "count-alerts", "How many alerts nobody has acknowledged"),
		func(ctx context.Context, p access.Principal, _ *struct{}) (view.AlertCount, error) {
			return a.View.AlertCount(ctx, p.Tenant)
		})
	handle(a, see("/alerts/{alert}", "show-alert", "One alert, and what can be done from it"),
		func(ctx context.Context, p access.Principal, in *OneAlert) (view.AlertRow, error) {
			return a.View.Alert(ctx, p.Tenant, in.Alert)
		})
	do(a, post("/alerts/{alert}/acknowledge", "acknowledge-alert", "Say that somebody is on it: no more is told until it gets worse or is over. Who must act may, too", access.See),
		func(ctx context.Context, p access.Principal, in *onAlert[AckAlert]) error {
			row, err := a.View.Alert(ctx, p.Tenant, in.Alert)
			if err != nil {
				return err
			}
			if err := p.NeedAlert(row.Who); err != nil {
				return err
			}
			return a.Watch.Acknowledge(ctx, p.Tenant, p.Actor(), in.Alert, in.Body.Reason)
		})
	do(a, post("/alerts/{alert}/act", "act-on-alert", "Hold, stop a device's installs, roll back or open an incident from an alert", access.RunAct),
		func(ctx context.Context, p access.Principal, in *onAlert[ActOnAlert]) error {
			return a.Watch.Act(ctx, p.Tenant, p.Actor(), watch.Act{
				Alert: in.Alert, Do: in.Body.Do, Severity: in.Body.Severity, Reason: in.Body.Reason, Now: time.Duration(in.Body.NowS) * time.Second,
			})
		})
	a.registerSilences(tag)
	a.registerAlertRules(tag)
	a.registerOutputs(tag)
}

func (a *API) alerts(ctx context.Context, p access.Principal, in *AlertList) (view.AlertPage, error) {
	device, _, err := a.named(ctx, p, in.Device, "")
	if err != nil {
		return view.AlertPage{}, err
	}
	campaign := ""
	if in.Campaign != "" {
		ref, err := a.View.FindCampaign(ctx, p.Tenant, in.Campaign)
		if err != nil {
			return view.AlertPage{}, err
		}
		campaign = ref.ID
	}
	return a.View.Alerts(ctx, p.Tenant, view.AlertQuery{Paging: in.paging(), Which: in.Which, Severity: in.Severity, Rule: in.Rule, Device: device, Campaign: campaign})
}

func (a *API) registerSilences(tag string) {
	handle(a, operation{method: http.MethodGet, path: "/alert-silences", id: "list-silences", summary: "Silences in force", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, _ *struct{}) ([]view.SilenceRow, error) {
			return a.View.Silences(ctx, p.Tenant)
		})
	handle(a, operation{method: http.MethodPost, path: "/alert-silences", id: "place-silence", summary: "Let nothing be told of an alert, a rule or a device for a while", tag: tag, act: access.AlertAct},
		func(ctx context.Context, p access.Principal, in *asked[PlaceSilence]) (Made, error) {
			device, _, err := a.named(ctx, p, in.Body.Device, "")
			if err != nil {
				return Made{}, err
			}
			id, err := a.Watch.Silence(ctx, p.Tenant, p.Actor(), watch.Silence{Alert: in.Body.Alert, Rule: in.Body.Rule, Device: device, Until: in.Body.Until, Reason: in.Body.Reason})
			return Made{ID: id}, err
		})
	do(a, operation{method: http.MethodPost, path: "/alert-silences/{silence}/end", id: "end-silence", summary: "End a silence before its time", tag: tag, act: access.AlertAct},
		func(ctx context.Context, p access.Principal, in *OneSilence) error {
			return a.Watch.EndSilence(ctx, p.Tenant, p.Actor(), in.Silence)
		})
}

func (a *API) registerAlertRules(tag string) {
	handle(a, operation{method: http.MethodGet, path: "/alert-rules", id: "list-alert-rules", summary: "Versions of the alert rules, the one in force first", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, _ *struct{}) ([]watch.BookVersion, error) {
			return a.Watch.Versions(ctx, p.Tenant)
		})
	handle(a, operation{method: http.MethodGet, path: "/alert-rules/{version}", id: "show-alert-rules", summary: "One version of the alert rules with its text; those that hold without any when none was applied", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *OneBook) (watch.BookVersion, error) {
			return a.Watch.Show(ctx, p.Tenant, in.Version)
		})
	handle(a, operation{method: http.MethodPost, path: "/alert-rules/check", id: "check-alert-rules", summary: "Say what is wrong with a document of alert rules", tag: tag, act: access.See},
		func(_ context.Context, _ access.Principal, in *asked[AlertBookFile]) (watch.CheckedBook, error) {
			return a.Watch.Check(in.Body.File, []byte(in.Body.Text))
		})
	handle(a, operation{method: http.MethodPost, path: "/alert-rules/diff", id: "diff-alert-rules", summary: "Say what a document of alert rules would change: rules and outputs, and what acts by itself", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *asked[AlertBookFile]) (watch.BookDiff, error) {
			return a.Watch.Diff(ctx, p.Tenant, in.Body.File, []byte(in.Body.Text))
		})
	handle(a, operation{method: http.MethodPost, path: "/alert-rules", id: "apply-alert-rules", summary: "Put a document of alert rules in force", tag: tag, act: access.AlertAct},
		func(ctx context.Context, p access.Principal, in *asked[AlertBookFile]) (watch.AppliedBook, error) {
			return a.Watch.Apply(ctx, p.Tenant, p.Actor(), in.Body.File, []byte(in.Body.Text))
		})
}

func (a *API) registerOutputs(tag string) {
	act := func(path, id, summary string) operation {
		return operation{method: http.MethodPost, path: path, id: id, summary: summary, tag: tag, act: access.AlertAct}
	}
	handle(a, operation{method: http.MethodGet, path: "/alert-outputs", id: "list-alert-outputs", summary: "Where alerts go", tag: tag, act: access.See}, a.outputs)
	handle(a, act("/alert-outputs/{output}/test", "test-alert-output", "Send a test to an output, and say what came of it"),
		func(ctx context.Context, p access.Principal, in *OneOutput) (herald.Tested, error) {
			return a.Herald.Test(ctx, p.Tenant, in.Output)
		})
	handle(a, operation{method: http.MethodGet, path: "/alert-deliveries", id: "list-deliveries", summary: "What was sent, waits, or was given up; the latest first", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *DeliveryList) (view.Page[view.DeliveryRow], error) {
			return a.View.Deliveries(ctx, p.Tenant, view.DeliveryQuery{Paging: in.paging(), State: in.State})
		})
	do(a, act("/alert-deliveries/{delivery}/retry", "retry-delivery", "Try again what was given up"),
		func(ctx context.Context, p access.Principal, in *OneDelivery) error {
			return a.Herald.Revive(ctx, p.Tenant, in.Delivery)
		})
	do(a, act("/alert-deliveries/{delivery}/dismiss", "dismiss-delivery", "Take what was given up from the list"),
		func(ctx context.Context, p access.Principal, in *OneDelivery) error {
			return a.Herald.Dismiss(ctx, p.Tenant, in.Delivery)
		})
	handle(a, operation{method: http.MethodGet, path: "/feed-links", id: "list-feed-links", summary: "Links to feeds, with their addresses", tag: tag, act: access.AlertAct},
		func(ctx context.Context, p access.Principal, _ *struct{}) ([]herald.FeedLink, error) {
			return a.Herald.Links(ctx, p.Tenant)
		})
	handle(a, act("/feed-links", "make-feed-link", "Make a link to the calendar or to the feed of alerts, for programs that cannot log in"),
		func(ctx context.Context, p access.Principal, in *asked[MakeFeedLink]) (herald.FeedLink, error) {
			if in.Body.Lang == "" {
				in.Body.Lang = "fr"
			}
			return a.Herald.MakeLink(ctx, p.Tenant, p.Actor(), herald.MakeLink{Kind: in.Body.Kind, Name: in.Body.Name, Lang: in.Body.Lang})
		})
	do(a, act("/feed-links/{link}/revoke", "revoke-feed-link", "Let a link to a feed open nothing any more"),
		func(ctx context.Context, p access.Principal, in *OneFeedLink) error {
			return a.Herald.RevokeLink(ctx, p.Tenant, p.Actor(), in.Link)
		})
}

func (a *API) outputs(ctx context.Context, p access.Principal, _ *struct{}) ([]AlertOutput, error) {
	book, err := a.Watch.Book(ctx, p.Tenant)
	if err != nil {
		return nil, fault.New(fault.Internal).Wrap(err)
	}
	out := []AlertOutput{}
	for _, o := range book.Outputs {
		one := AlertOutput{Name: o.Name, Way: o.Way, Where: o.Where(), Rules: []string{}}
		for _, r := range book.Rules {
			if told(r, o.Name) {
				one.Rules = append(one.Rules, r.Name)
			}
		}
		out = append(out, one)
	}
	return out, nil
}

func told(r alert.Rule, output string) bool {
	for _, name := range append(r.Targets(alert.Fired, true), r.Outputs...) {
		if name == output {
			return true
		}
	}
	return false
}
