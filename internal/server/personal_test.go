package server_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/png"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/identity"
	"patchring/internal/core/register"
	"patchring/internal/infra/view"
	"patchring/internal/service/personal"
	"patchring/wire"
)

const deskPolicy = `
profiles:
  - name: desks
    devices: device.kind == "workstation"
    people: {postpones: 2, deadline: 60h, notice: 10m, countdown: 20m, title: {fr: DSI, en: IT}}
`

// asked is a world in which somebody at a workstation is asked, half an hour
// before the night's window.
func askedWorld(t *testing.T, start time.Time) (*world, *fakeDevice, wire.Order) {
	t.Helper()
	w := newWorld(t, start)
	d := w.device("pc", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	w.policy(deskPolicy)
	w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 19, 30, 0, 0, paris), 30*time.Minute)
	o := onlyOrder(t, d)
	w.checkin(d, wire.Capability)
	w.event(d, wire.Event{Kind: wire.EventNotice, Order: o.ID, Serial: o.Serial, Notice: &wire.Notice{
		What: wire.NoticeAsked, Act: wire.ActInstall, User: "ann", UntilUS: o.People.DeadlineUS, Left: 2, DeadlineUS: o.People.DeadlineUS,
		Offers: []wire.Offer{{Choice: wire.ChoiceNow}, {Choice: wire.ChoiceHour, AtUS: w.now.Add(time.Hour).UnixMicro()}},
	}})
	return w, d, o
}

func (w *world) checkin(d *fakeDevice, capability int) wire.CheckinReply {
	w.t.Helper()
	m := wire.Checkin{NowUS: w.now.UnixMicro(), Capability: capability}
	for _, o := range d.orders {
		m.Orders = append(m.Orders, wire.OrderStatus{ID: o.ID, Serial: o.Serial})
	}
	return report[wire.CheckinReply](w, d, wire.ReportCheckin, m)
}

// page opens the page by the link that the order brought.
func (w *world) page(url string) identity.Page {
	w.t.Helper()
	_, token, ok := strings.Cut(url, personal.Path)
	if !ok {
		w.t.Fatalf("%q is no link to a page", url)
	}
	p, err := w.srv.Personal.Open(w.t.Context(), token)
	w.must(err)
	return p
}

func (w *world) shown(d *fakeDevice) view.Personal {
	w.t.Helper()
	v, err := w.srv.View.Personal(w.t.Context(), "main", d.id)
	w.must(err)
	return v
}

func TestALaterOnThePageReachesTheAgentAndComesBack(t *testing.T) {
	w, d, o := askedWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	p := w.page(o.People.Link)
	if p.ID != d.id || p.Tenant != "main" {
		t.Fatalf("the order's link opens the page of %+v", p)
	}
	if v := w.shown(d); len(v.Orders) != 1 || len(v.Orders[0].Items) != 2 || len(v.Notices) != 1 || v.Notices[0].Remaining != 2 || len(v.Notices[0].Offers) != 2 {
		t.Fatalf("the page shows %+v", v)
	}
	w.must(w.srv.Personal.Postpone(t.Context(), p, personal.Later{Order: o.ID, Choice: wire.ChoiceHour}))
	if err := w.srv.Personal.Postpone(t.Context(), p, personal.Later{Order: o.ID, Choice: wire.ChoiceHour}); fault.CodeOf(err) != fault.AnswerNotTaken {
		t.Errorf("a second one while the first is on its way: %v", err)
	}
	reply := w.checkin(d, wire.Capability)
	if len(reply.Said) != 1 {
		t.Fatalf("the check-in brings %d answers, want the one", len(reply.Said))
	}
	key, err := w.srv.Keys.OrderKey("main")
	w.must(err)
	public, _ := key.Public().(ed25519.PublicKey)
	var said wire.Said
	w.must(reply.Said[0].Open(wire.EnvelopeSaid, []wire.Key{{ID: wire.KeyID(public), Public: public}}, &said))
	if said.Serial != o.Serial || said.Device != string(d.id) || said.Choice != wire.ChoiceHour || said.ExpiresUS > o.People.DeadlineUS {
		t.Errorf("it says %+v", said)
	}
	until := w.now.Add(time.Hour).UnixMicro()
	w.event(d, wire.Event{Kind: wire.EventNotice, Order: o.ID, Serial: o.Serial, Notice: &wire.Notice{
		What: wire.NoticePostponed, Act: wire.ActInstall, User: "ann", UntilUS: until, Left: 1, Said: said.ID,
	}})
	v := w.shown(d)
	if len(v.Said) != 1 || v.Said[0].State != "taken" || v.Said[0].Until.UnixMicro() != until || v.Notices[0].What != wire.NoticePostponed || v.Notices[0].Remaining != 1 {
		t.Errorf("afterwards the page shows %+v and %+v", v.Said, v.Notices)
	}
	if again := w.checkin(d, wire.Capability); len(again.Said) != 0 {
		t.Error("what was told is sent again")
	}
	if said := w.entries(register.LaterSaid); len(said) != 1 || said[0].Device != string(d.id) {
		t.Errorf("the register has %+v", said)
	}
	w.verifyRegister()
}

func saidID(t *testing.T, e wire.Envelope) string {
	t.Helper()
	var said wire.Said
	if err := json.Unmarshal(e.Payload, &said); err != nil {
		t.Fatal(err)
	}
	return said.ID
}

func TestARefusedLaterSaysWhy(t *testing.T) {
	w, d, o := askedWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	w.must(w.srv.Personal.Postpone(t.Context(), w.page(o.People.Link), personal.Later{Order: o.ID, Choice: wire.ChoiceEvening}))
	envelope := w.checkin(d, wire.Capability).Said[0]
	w.event(d, wire.Event{
		Kind: wire.EventNotice, Order: o.ID, Serial: o.Serial, Notice: &wire.Notice{What: wire.NoticeRefused, Act: wire.ActInstall, Said: saidID(t, envelope)},
		Cause: &wire.Cause{Code: string(fault.AnswerNotTaken), Args: map[string]string{"why": "no_window_then"}},
	})
	if v := w.shown(d); len(v.Said) != 1 || v.Said[0].State != "refused" || v.Said[0].Reason.Args["why"] != "no_window_then" {
		t.Errorf("the page shows %+v", v.Said)
	}
	// What a device says of another's answer changes nothing.
	w.must(w.srv.Personal.Postpone(t.Context(), w.page(o.People.Link), personal.Later{Order: o.ID, Choice: wire.ChoiceHour}))
	other := w.device("other", fleet.Workstation, "", versions("1"), versions("2"))
	w.event(other, wire.Event{Kind: wire.EventNotice, Order: o.ID, Notice: &wire.Notice{
		What: wire.NoticePostponed, User: "eve", Said: saidID(t, w.checkin(d, wire.Capability).Said[0]), UntilUS: 1,
	}})
	if v := w.shown(d); v.Said[0].State != "sent" {
		t.Errorf("another device answered for it: %+v", v.Said[0])
	}
}

func TestALaterThatMakesNoSenseIsNotSent(t *testing.T) {
	w, d, o := askedWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	p := w.page(o.People.Link)
	refused := func(want string, ask personal.Later) {
		t.Helper()
		err := w.srv.Personal.Postpone(t.Context(), p, ask)
		var f *fault.Error
		if !errors.As(err, &f) || f.Args["why"] != want {
			t.Errorf("%+v: %v, want %s", ask, err, want)
		}
	}
	if err := w.srv.Personal.Postpone(t.Context(), p, personal.Later{Order: o.ID, Choice: wire.ChoiceNow}); fault.CodeOf(err) != fault.InvalidField {
		t.Errorf("now, from the page: %v", err)
	}
	refused("nothing_asked", personal.Later{Order: "another", Choice: wire.ChoiceHour})
	w.checkin(d, 2)
	refused("agent_too_old", personal.Later{Order: o.ID, Choice: wire.ChoiceHour})
	w.checkin(d, wire.Capability)
	notice := wire.Notice{What: wire.NoticeAsked, Act: wire.ActInstall, User: "ann", DeadlineUS: o.People.DeadlineUS}
	w.event(d, wire.Event{Kind: wire.EventNotice, Order: o.ID, Serial: o.Serial, Notice: &notice})
	refused("none_left", personal.Later{Order: o.ID, Choice: wire.ChoiceHour})
	notice.Left, notice.DeadlineUS = 1, w.now.UnixMicro()
	w.event(d, wire.Event{Kind: wire.EventNotice, Order: o.ID, Serial: o.Serial, Notice: &notice})
	refused("deadline_over", personal.Later{Order: o.ID, Choice: wire.ChoiceHour})
	w.until(time.Date(2026, 1, 14, 9, 0, 0, 0, paris), 30*time.Minute)
	refused("nothing_asked", personal.Later{Order: o.ID, Choice: wire.ChoiceHour})
	if v := w.shown(d); len(v.Notices) != 0 {
		t.Errorf("the order is done, and the page still names %+v", v.Notices)
	}
}

func TestLinksEndWithTheirDayTheirRevocationAndTheirDevice(t *testing.T) {
	w, d, o := askedWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	_, token, _ := strings.Cut(o.People.Link, personal.Path)
	opens := func() fault.Code {
		t.Helper()
		_, err := w.srv.Personal.Open(t.Context(), token)
		if err == nil {
			return ""
		}
		return fault.CodeOf(err)
	}
	if got := opens(); got != "" {
		t.Fatalf("a good link: %s", got)
	}
	if err := w.srv.Personal.Revoke(t.Context(), "main", w.by, d.id, ""); fault.CodeOf(err) != fault.ReasonRequired {
		t.Errorf("revoked without a reason: %v", err)
	}
	w.must(w.srv.Personal.Revoke(t.Context(), "main", w.by, d.id, "the paper was lost"))
	if got := opens(); got != fault.LinkInvalid {
		t.Errorf("revoked: %q", got)
	}
	l, err := w.srv.Personal.Link(t.Context(), "main", d.id)
	w.must(err)
	_, token, _ = strings.Cut(l.URL, personal.Path)
	if got := opens(); got != "" {
		t.Errorf("a new one: %s", got)
	}
	start := w.now
	w.now = l.Expires
	if got := opens(); got != fault.LinkExpired {
		t.Errorf("at its end: %q", got)
	}
	w.now = start
	admin, err := w.srv.Access.Login(t.Context(), w.srv.First.Name, w.srv.First.Password)
	w.must(err)
	w.must(w.srv.Access.Retire(t.Context(), admin, d.id, "scrapped"))
	if got := opens(); got != fault.LinkInvalid {
		t.Errorf("of a retired device: %q", got)
	}
	if v := w.shown(d); len(v.Notices) != 0 || len(v.Orders) != 0 {
		t.Errorf("a retired device still keeps %+v", v)
	}
}

func TestFeedbackIsKeptByDeviceCampaignAndPatch(t *testing.T) {
	w, d, o := askedWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	p := w.page(o.People.Link)
	w.until(time.Date(2026, 1, 14, 9, 0, 0, 0, paris), 30*time.Minute)
	nginx := w.patchID("nginx", "2")
	say := func(f personal.Feedback) error {
		f.Campaign = o.Campaign
		return w.srv.Personal.Say(t.Context(), p, f)
	}
	for _, bad := range []personal.Feedback{
		{Says: "maybe"}, {Says: personal.Broken}, {Says: personal.Works, Words: strings.Repeat("é", 1001)}, {Says: personal.Works, Patch: "none"},
	} {
		if err := say(bad); err == nil {
			t.Errorf("%+v is kept", bad)
		}
	}
	w.must(say(personal.Feedback{Says: personal.Works}))
	w.must(say(personal.Feedback{Says: personal.Broken, Patch: nginx, Words: " no proxy "}))
	w.must(say(personal.Feedback{Says: personal.Broken, Patch: nginx, Words: "no proxy"})) // pressed twice
	tally, err := w.srv.View.FeedbackTally(t.Context(), "main", o.Campaign)
	w.must(err)
	if want := (view.FeedbackTally{Broken: 1, Open: 1}); tally != want {
		t.Errorf("tally %+v, want %+v: a device that says both is broken", tally, want)
	}
	today, err := w.srv.View.Today(t.Context(), "main")
	w.must(err)
	if today.OpenFeedback != 1 || len(today.Feedback) != 1 || today.Feedback[0].Words != "no proxy" || today.Feedback[0].Ring != "R0" || today.Feedback[0].Device.Name != "pc" {
		t.Fatalf("today: %d, %+v", today.OpenFeedback, today.Feedback)
	}
	id := today.Feedback[0].ID
	w.must(w.srv.Personal.Close(t.Context(), "main", w.by, id, "proxy put back"))
	if err := w.srv.Personal.Close(t.Context(), "main", w.by, id, "again"); fault.CodeOf(err) != fault.NothingToDo {
		t.Errorf("closed twice: %v", err)
	}
	w.must(say(personal.Feedback{Says: personal.Broken, Patch: nginx, Words: "again"}))
	list, err := w.srv.View.Feedback(t.Context(), "main", view.FeedbackQuery{Which: "all", Device: d.id})
	w.must(err)
	if len(list.Rows) != 2 || list.Rows[0].ID != id || !list.Rows[0].Closed.IsZero() {
		t.Errorf("what is said again is open again, under its id: %+v", list.Rows)
	}
	if n := len(w.entries(register.FeedbackGiven)); n != 3 {
		t.Errorf("the register has %d words, want 3", n)
	}
	w.verifyRegister()
}

func TestALogoIsDrawnAgainAndGoesWithTheOrder(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	for name, file := range map[string][]byte{"empty": nil, "no picture": []byte("<svg onload='x'/>"), "too large": picture(t, 8001, 1)} {
		if err := w.srv.Personal.SetLogo(t.Context(), "main", w.by, file); fault.CodeOf(err) != fault.InvalidField {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.must(w.srv.Personal.SetLogo(t.Context(), "main", w.by, append(picture(t, 1000, 500), "<script>"...)))
	body, err := w.srv.Personal.Logo(t.Context(), "main")
	w.must(err)
	size, format, err := image.DecodeConfig(bytes.NewReader(body))
	if err != nil || format != "png" || size.Width != 192 || size.Height != 96 || bytes.Contains(body, []byte("script")) || len(body) > wire.MaxLogoBytes {
		t.Fatalf("%d × %d %s, %v: want a PNG of 192 × 96 and nothing else", size.Width, size.Height, format, err)
	}
	d := w.device("pc", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	w.policy(deskPolicy)
	w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 19, 30, 0, 0, paris), 30*time.Minute)
	if o := onlyOrder(t, d); len(o.People.Logo) != 64 {
		t.Errorf("the order brings the logo %q", o.People.Logo)
	}
	w.must(w.srv.Personal.RemoveLogo(t.Context(), "main", w.by))
	if body, err := w.srv.Personal.Logo(t.Context(), "main"); err != nil || body != nil {
		t.Errorf("removed: %d bytes, %v", len(body), err)
	}
}

func picture(t *testing.T, x, y int) []byte {
	t.Helper()
	p := image.NewNRGBA(image.Rect(0, 0, x, y))
	p.Set(0, 0, color.NRGBA{R: 255, A: 255})
	var out bytes.Buffer
	if err := png.Encode(&out, p); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
