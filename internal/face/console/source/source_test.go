package source_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/feed"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/core/procedure"
	"patchring/internal/core/register"
	"patchring/internal/face/console/page"
	"patchring/internal/face/console/source"
	"patchring/internal/face/lang"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/view"
	"patchring/internal/service/conductor"
	"patchring/internal/service/foresight"
	"patchring/internal/service/rulebook"
	"patchring/internal/service/survey"
	"patchring/wire"
)

const tenant fleet.TenantID = "main"

// site is a real database with the real conductor on it, in the January of the
// example procedure: R0 has opened for its one device.
type site struct {
	*source.Source
	t         *testing.T
	db        *store.DB
	conductor *conductor.Conductor
	rules     *rulebook.Rulebook
	id        campaign.ID
	now       time.Time
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, now: time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return s.now }
	db, err := store.Open(t.Context(), store.Options{
		URL: filepath.Join(t.TempDir(), "site.db"), Clock: clock,
		Notary: func(string, register.Checkpoint) (string, error) { return "", nil },
	})
	s.must(err)
	s.db = db
	t.Cleanup(func() { s.must(db.Close()) })
	_, key, err := ed25519.GenerateKey(nil)
	s.must(err)
	s.conductor = conductor.New(conductor.Options{
		DB: db, Clock: clock, Log: slog.New(slog.DiscardHandler),
		OrderKey: func(fleet.TenantID) (ed25519.PrivateKey, error) { return key, nil },
		Publish:  func(context.Context, fleet.TenantID, string, []byte) error { return nil },
	})
	s.rules = rulebook.New(rulebook.Options{DB: db, Clock: clock, Changed: func() {}})
	s.Source = &source.Source{View: view.NewReader(db.Pool(), view.Options{Clock: clock}), Why: s.conductor, Rules: s.rules, Survey: survey.New(survey.Options{DB: db, Clock: clock}), Clock: clock}
	s.Foresight = foresight.New(foresight.Options{DB: db, Clock: clock, Rules: s.conductor.Rules})
	s.seed(db)
	return s
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) seed(db *store.DB) {
	s.t.Helper()
	ctx := s.t.Context()
	s.must(db.Write(ctx, func(tx *store.Tx) error {
		if err := tx.AddTenant(ctx, gen.AddTenantParams{ID: string(tenant), Name: "main", CreatedUs: 1}); err != nil {
			return err
		}
		for _, name := range []string{"pilote-01", "compta-02"} {
			err := tx.AddDevice(ctx, gen.AddDeviceParams{
				Tenant: string(tenant), ID: "d-" + name, Name: name, MachineID: name, Kind: "workstation", Tags: `{"site":"paris"}`,
				CertSerial: name, EnrolledUs: s.now.UnixMicro(), SeenUs: s.now.UnixMicro(),
			})
			if err != nil {
				return err
			}
		}
		return nil
	}))
	s.must(db.Write(ctx, func(tx *store.Tx) error {
		if err := tx.AddGroup(ctx, gen.AddGroupParams{Tenant: string(tenant), Name: "it-pilots", CreatedUs: 1}); err != nil {
			return err
		}
		return tx.AddGroupMember(ctx, gen.AddGroupMemberParams{Tenant: string(tenant), GroupName: "it-pilots", Device: "d-pilote-01"})
	}))
	text, err := os.ReadFile("../../../../examples/procedures/postes-france.yaml")
	s.must(err)
	_, err = s.conductor.ApplyProcedure(ctx, tenant, register.User("exploitation"), "postes-france.yaml", text)
	s.must(err)
	s.id, err = s.conductor.CreateCampaign(ctx, tenant, register.User("exploitation"), campaign.Create{Procedure: "postes-france", Month: "2026-01"})
	s.must(err)
	s.settle()
	s.now = time.Date(2026, 1, 13, 19, 0, 0, 0, time.UTC) // an hour after R0 opened
	s.settle()
}

// settle lets the conductor do all that is due.
func (s *site) settle() {
	s.t.Helper()
	for range 100 {
		busy, err := s.conductor.Step(s.t.Context())
		s.must(err)
		if !busy {
			return
		}
	}
	s.t.Fatal("the conductor never rests")
}

func viewer(l lang.Lang, roles ...string) source.Viewer {
	return source.Viewer{Tenant: tenant, Roles: roles, Words: lang.For(string(l))}
}

func TestABoardIsToldInTheReadersLanguage(t *testing.T) {
	s := newSite(t)
	for l, want := range map[lang.Lang][3]string{
		lang.French:  {"Pilotes informatiques", "Tests fonctionnels", "Impression"},
		lang.English: {"IT pilots", "Functional tests", "Printing"},
	} {
		b, err := s.Board(t.Context(), viewer(l), string(s.id))
		s.must(err)
		if len(b.Rings) != 3 || len(b.Rings[0].Visas) != 1 {
			t.Fatalf("%d rings, want 3 with a visa on the first: %+v", len(b.Rings), b.Rings)
		}
		r := b.Rings[0]
		if got := [3]string{r.Title, r.Visas[0].Title, r.Visas[0].Checklist[2]}; got != want {
			t.Errorf("%s: got %q, want %q", l, got, want)
		}
		if b.Zone != "Europe/Paris" || b.Name != "2026-01" || b.Procedure != "postes-france" {
			t.Errorf("board of %q by %q in %q", b.Name, b.Procedure, b.Zone)
		}
	}
}

func TestEveryDeviceIsCountedOnABoard(t *testing.T) {
	s := newSite(t)
	b, err := s.Board(t.Context(), viewer(lang.French), string(s.id))
	s.must(err)
	total := b.Total()
	if total.Total() != 2 || b.Rings[0].Counters.Total() != 1 || b.Rings[2].Counters.Total() != 1 {
		t.Errorf("rings count %+v, want a device in R0 and one in GLOBAL", b.Rings)
	}
	list, err := s.Ring(t.Context(), viewer(lang.French), string(s.id), page.RingQuery{Ring: "R0"})
	s.must(err)
	if len(list.Devices) != 1 || list.Devices[0].Name != "pilote-01" || list.Ring.Title != "Pilotes informatiques" {
		t.Errorf("R0 lists %+v", list.Devices)
	}
	_, err = s.Ring(t.Context(), viewer(lang.French), string(s.id), page.RingQuery{Ring: "R9"})
	if !errors.Is(err, fault.New(fault.NotFound)) {
		t.Errorf("R9: %v, want not_found", err)
	}
}

func TestAHoldShowsWhereItStops(t *testing.T) {
	s := newSite(t)
	_, err := s.conductor.Hold(t.Context(), tenant, register.User("exploitation"), campaign.PlaceHold{Campaign: string(s.id), Ring: "R0", Reason: "imprimantes muettes"})
	s.must(err)
	b, err := s.Board(t.Context(), viewer(lang.French), string(s.id))
	s.must(err)
	if !b.Rings[0].Held || b.Rings[1].Held || b.Held || len(b.Holds) != 1 {
		t.Fatalf("held: ring %v, next %v, campaign %v, %d holds", b.Rings[0].Held, b.Rings[1].Held, b.Held, len(b.Holds))
	}
	h := b.Holds[0]
	if h.Ring != "R0" || h.By != "user:exploitation" || h.Reason != "imprimantes muettes" || h.Campaign != string(s.id) {
		t.Errorf("hold %+v", h)
	}
	today, err := s.Today(t.Context(), viewer(lang.French))
	s.must(err)
	if len(today.Holds) != 1 || len(today.Campaigns) != 1 {
		t.Errorf("today has %d holds and %d campaigns, want 1 and 1", len(today.Holds), len(today.Campaigns))
	}
}

func TestTodayListsTheNextDatesInTheirOrder(t *testing.T) {
	s := newSite(t)
	today, err := s.Today(t.Context(), viewer(lang.French))
	s.must(err)
	var kinds []page.DateKind
	for _, d := range today.Dates {
		kinds = append(kinds, d.Kind)
	}
	want := []page.DateKind{page.RingOpens, page.RingOpens, page.Verification, page.PatchTuesday}
	if !slices.Equal(kinds, want) {
		t.Errorf("got %q, want %q", kinds, want)
	}
	if !slices.IsSortedFunc(today.Dates, func(a, b page.Date) int { return a.At.Compare(b.At) }) {
		t.Error("the dates are not in their order")
	}
	if today.Devices != 2 {
		t.Errorf("%d devices, want 2", today.Devices)
	}
}

func TestTheCalendarSaysWhereTheVerificationIsNotTheThirdThursday(t *testing.T) {
	s := newSite(t)
	v, err := s.Calendar(t.Context(), viewer(lang.French), page.CalendarQuery{})
	s.must(err)
	if len(v.Months) != page.MonthsShown || v.Query.Procedure != "postes-france" || v.Zone != "Europe/Paris" {
		t.Fatalf("%d months of %q in %q", len(v.Months), v.Query.Procedure, v.Zone)
	}
	january := v.Months[0]
	if january.CampaignID != string(s.id) || january.State != campaign.Running {
		t.Errorf("January is campaign %q, %s", january.CampaignID, january.State)
	}
	if v.Months[1].CampaignID != "" {
		t.Errorf("February has a campaign: %q", v.Months[1].CampaignID)
	}
	for i, want := range []bool{true, false, false, true, false, false} { // January and April 2026
		has := slices.ContainsFunc(v.Months[i].Notes, func(n procedure.Note) bool {
			return n.Code == procedure.NoteVerificationNotThirdThursday
		})
		if has != want {
			t.Errorf("%s: noted %v, want %v", v.Months[i].Campaign, has, want)
		}
	}
}

func TestAProcedureIsReadFromItsOwnText(t *testing.T) {
	s := newSite(t)
	p, err := s.Procedure(t.Context(), viewer(lang.English), "postes-france", 0)
	s.must(err)
	if len(p.Rings) != 3 || p.Rings[0].Name != "R0" || p.Rings[0].Soak != 24*time.Hour || p.Rings[0].MinDone != 100 || !slices.Equal(p.Rings[0].Roles, []string{"it"}) {
		t.Errorf("rings %+v", p.Rings)
	}
	if len(p.Visas) != 3 || p.Visas[0].Kind != procedure.Drafted || p.Version != 1 || len(p.Versions) != 1 || len(p.Campaigns) != 1 || p.Text == "" {
		t.Errorf("%d visas, version %d of %d, %d campaigns", len(p.Visas), p.Version, len(p.Versions), len(p.Campaigns))
	}
	list, err := s.Procedures(t.Context(), viewer(lang.French))
	s.must(err)
	if len(list.Procedures) != 1 || list.Procedures[0].By != "user:exploitation" {
		t.Errorf("list %+v", list.Procedures)
	}
}

func TestTheRegisterIsToldInWords(t *testing.T) {
	s := newSite(t)
	r, err := s.Register(t.Context(), viewer(lang.French), page.RegisterQuery{Campaign: string(s.id)})
	s.must(err)
	if r.Subject != "2026-01" || r.Path != "/campaigns/"+string(s.id)+"/register" {
		t.Errorf("register of %q at %q", r.Subject, r.Path)
	}
	at := slices.IndexFunc(r.Events, func(e page.Event) bool { return e.Kind == string(register.CampaignCreated) })
	if at < 0 {
		t.Fatalf("the register lacks the campaign's creation: %+v", r.Events)
	}
	if got, want := r.Events[at].Detail, "postes-france, version 1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestADeviceTellsItsCampaignsAndItsChain(t *testing.T) {
	s := newSite(t)
	d, err := s.Device(t.Context(), viewer(lang.French), "d-compta-02")
	s.must(err)
	if d.Name != "compta-02" || d.Kind != fleet.Workstation || d.Tags["site"] != "paris" {
		t.Errorf("device %+v", d.DeviceLine)
	}
	if len(d.Campaigns) != 1 || d.Campaigns[0].Ring != "GLOBAL" || d.Campaigns[0].Bucket != campaign.Unreachable || d.Campaigns[0].Reason.IsZero() {
		t.Errorf("campaigns %+v, want GLOBAL with the reason", d.Campaigns)
	}
	why, err := s.Explain(t.Context(), viewer(lang.French), "compta-02", "")
	s.must(err)
	if why.Device != "d-compta-02" || why.Name != "compta-02" {
		t.Errorf("explains %+v", why)
	}
	list, err := s.Fleet(t.Context(), viewer(lang.French), page.FleetQuery{Group: "it-pilots"})
	s.must(err)
	if len(list.Devices) != 1 || list.Devices[0].Name != "pilote-01" || !slices.Equal(list.Groups, []string{"it-pilots"}) {
		t.Errorf("it-pilots lists %+v of %q", list.Devices, list.Groups)
	}
}

const sourcePolicy = `policy: parc
title: {fr: Parc, en: Fleet}
owner: Exploitation
timezone: Europe/Paris
rules:
  - {name: securite, patches: 'patch.class == "security"', verdict: approve}
profiles:
  - name: postes
    title: {fr: Postes de travail, en: Workstations}
    devices: device.kind == "workstation"
    rules: [{name: lent, patches: 'patch.name == "openssl"', verdict: delay 7d}]
    windows: [{name: soir, days: [mon, tue, wed, thu, fri], start: "19:00", end: "23:00"}]
freezes:
  - {name: cloture, devices: 'device.name == "compta-02"', from: 2026-01-10, to: 2026-01-31, reason: {fr: Clôture, en: Closing}}
safeguards:
  - {name: vieux, devices: 'device.name == "compta-02"', patches: 'patch.name == "openssl"', reason: {fr: écran noir, en: black screen}}
`

func TestPolicyIsToldOfItselfOfDevicesAndOfPatches(t *testing.T) {
	s := newSite(t)
	if p, err := s.Policy(t.Context(), viewer(lang.French), 0); err != nil || p.Text != "" || len(p.Versions) != 0 {
		t.Errorf("no policy: %+v, %v", p, err)
	}
	_, err := s.rules.Apply(t.Context(), tenant, register.User("exploitation"), "parc.yaml", []byte(sourcePolicy))
	s.must(err)
	p, err := s.Policy(t.Context(), viewer(lang.French), 0)
	s.must(err)
	if p.File == nil || len(p.File.Profiles) != 1 || p.Number != 1 || p.Text != sourcePolicy || len(p.Versions) != 1 || p.TimeZone() != "Europe/Paris" {
		t.Errorf("the policy is %+v", p)
	}
	key := patch.Key{Provider: "apt", Name: "openssl", Version: "3", Suite: "bookworm"}
	since := s.now.AddDate(0, 0, -2)
	s.must(s.db.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.PutPatch(t.Context(), gen.PutPatchParams{Tenant: string(tenant), ID: string(key.ID()), Provider: key.Provider, Name: key.Name,
			Version: key.Version, Suite: key.Suite, Class: string(patch.Security), FirstSeenUs: since.UnixMicro()})
		return errors.Join(err, tx.PutMissing(t.Context(), gen.PutMissingParams{Tenant: string(tenant), Device: "d-compta-02", Patch: string(key.ID()),
			State: wire.PatchOffered, Packages: "[]", SinceUs: since.UnixMicro(), ExposedUs: since.UnixMicro()}))
	}))
	d, err := s.Device(t.Context(), viewer(lang.French), "d-compta-02")
	s.must(err)
	if got := d.Policy; len(got.Profiles) != 1 || got.Profiles[0].Title != "Postes de travail" || len(got.Windows) != 1 || got.Frozen == nil || got.Frozen.Reason != "Clôture" {
		t.Errorf("the device's policy is %+v", got)
	}
	if got := d.Policy.Windows[0].Start; !got.Equal(time.Date(2026, 2, 2, 18, 0, 0, 0, time.UTC)) {
		t.Errorf("the window opens %s, want the first evening after the freeze", got)
	}
	at := slices.IndexFunc(d.Patches, func(p page.DevicePatch) bool { return p.ID == string(key.ID()) })
	if at < 0 || d.Patches[at].Policy.Rule != "profile:postes/lent" || d.Patches[at].Policy.Safeguard != "vieux" || !d.Patches[at].Policy.Until.Equal(since.AddDate(0, 0, 7)) {
		t.Errorf("patches %+v", d.Patches)
	}
	of, err := s.Patch(t.Context(), viewer(lang.English), string(key.ID()), page.PatchDeviceQuery{Which: "missing"})
	s.must(err)
	if len(of.Rules) != 2 || of.Rules[0].Profile != "Workstations" || of.Rules[0].Delay != 7*24*time.Hour || of.Rules[1].Rule != "tenant/securite" || len(of.Guards) != 1 {
		t.Errorf("rules %+v, guards %+v", of.Rules, of.Guards)
	}
	r, err := s.Register(t.Context(), viewer(lang.French), page.RegisterQuery{})
	s.must(err)
	if at := slices.IndexFunc(r.Events, func(e page.Event) bool { return e.Kind == string(register.PolicyApplied) }); at < 0 || r.Events[at].Detail != "parc, version 1" {
		t.Errorf("the register tells %+v", r.Events)
	}
}

func TestAnotherTenantSeesNothingOfIt(t *testing.T) {
	s := newSite(t)
	other := source.Viewer{Tenant: "other", Words: lang.For("fr")}
	if _, err := s.Board(t.Context(), other, string(s.id)); !errors.Is(err, fault.New(fault.NotFound)) {
		t.Errorf("board: %v, want not_found", err)
	}
	if _, err := s.Device(t.Context(), other, "d-compta-02"); err == nil {
		t.Error("the device is shown to another tenant")
	}
	today, err := s.Today(t.Context(), other)
	s.must(err)
	if today.Devices != 0 || len(today.Campaigns) != 0 {
		t.Errorf("today of another tenant: %+v", today)
	}
}

func TestVulnerabilitiesComeFromTheReadModels(t *testing.T) {
	s := newSite(t)
	key := patch.Key{Provider: "apt", Name: "sudo", Version: "1.9.16-1", Suite: "bookworm-security"}
	s.must(s.db.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.PutPatch(t.Context(), gen.PutPatchParams{Tenant: string(tenant), ID: string(key.ID()), Provider: key.Provider, Name: key.Name, Version: key.Version,
			Suite: key.Suite, Class: string(patch.Security), FirstSeenUs: s.now.UnixMicro()})
		return errors.Join(err,
			tx.PutFeed(t.Context(), gen.PutFeedParams{Name: "debian", Generation: 1, Actor: "user:x", Importer: "other", AtUs: s.now.UnixMicro()}),
			tx.AddDebian(t.Context(), 1, []feed.DebianSource{{Name: "sudo", Rows: []feed.DebianRow{
				{CVE: "CVE-2026-0001", Codename: "bookworm", Status: feed.Resolved, Fixed: "1.9.15-1", Urgency: "high"},
				{CVE: "CVE-2026-0002", Codename: "bookworm", Status: feed.Resolved, Fixed: "1.9.16-1"}}}}),
			tx.ReplaceKEV(t.Context(), []feed.Exploited{{CVE: "CVE-2026-0002", Name: "Two", Added: "2026-01-02", Due: "2026-01-20"}}),
			tx.JoinInstalled(t.Context(), gen.Missing{Tenant: string(tenant), Patch: string(key.ID()), Installed: "1.9.13-1"}))
	}))
	all, err := s.Vulnerabilities(t.Context(), viewer(lang.English), page.VulnerabilityQuery{})
	s.must(err)
	if len(all.Rows) != 2 || all.Rows[0].CVE != "CVE-2026-0002" || all.Heading() == "" || len(all.Feeds) != 1 {
		t.Errorf("list %+v", all)
	}
	for what, q := range map[string]page.VulnerabilityQuery{"exploited": {Exploited: true}, "by id": {Text: "0002"}, "unknown": {Severity: policy.SeverityUnknown, Open: true}} {
		if got, err := s.Vulnerabilities(t.Context(), viewer(lang.English), q); err != nil || len(got.Rows) != 1 || got.Rows[0].CVE != "CVE-2026-0002" {
			t.Errorf("%s: %+v, %v", what, got.Rows, err)
		}
	}
	one, err := s.Vulnerability(t.Context(), viewer(lang.English), "CVE-2026-0002")
	s.must(err)
	if one.Exploited.Due != "2026-01-20" || len(one.MendedBy) != 1 || one.MendedBy[0].Exposed != 1 || one.Heading() != "CVE-2026-0002" {
		t.Errorf("one %+v", one)
	}
	patches, err := s.Patches(t.Context(), viewer(lang.English), page.PatchQuery{Exploited: true, Severity: policy.SeverityHigh})
	s.must(err)
	if len(patches.Patches) != 1 || patches.Patches[0].Severity != policy.SeverityHigh || !patches.Patches[0].Exploited || patches.Patches[0].Vulnerabilities != 2 {
		t.Errorf("patches %+v", patches.Patches)
	}
	if none, err := s.Patches(t.Context(), viewer(lang.English), page.PatchQuery{Severity: policy.SeverityLow}); err != nil || len(none.Patches) > 0 {
		t.Errorf("low patches %+v, %v", none.Patches, err)
	}
	p, err := s.Patch(t.Context(), viewer(lang.English), string(key.ID()), page.PatchDeviceQuery{})
	s.must(err)
	if len(p.Mends) != 2 || p.Mends[0].CVE != "CVE-2026-0002" || p.Mends[0].Due != "2026-01-20" {
		t.Errorf("mends %+v", p.Mends)
	}
}
