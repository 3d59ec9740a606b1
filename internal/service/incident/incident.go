// Package incident keeps what went wrong: who must act, which devices, the
// cause and the correction, and all that was said on the way. What the campaign
// does about it at once happens in the same transaction, by the conductor.
//
// It refuses an act that core/incident does not allow, and words that are too
// many. Of one subject (a patch that several people say is broken, a test that
// failed) only one incident is not closed: what is said again joins it.
//
// Safe from any goroutine; it has no loop.
package incident

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/incident"
	"patchring/internal/core/patch"
	"patchring/internal/core/procedure"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Options of a keeper.
type Options struct {
	DB    *store.DB
	Clock func() time.Time
	// Answer lets the campaign do what its procedure says, in the transaction.
	Answer func(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, by register.Actor, ask campaign.Incident) (campaign.Answered, error)
	// Tell hands on what happened, in the transaction: to tickets.
	Tell func(ctx context.Context, tx *store.Tx, t Told) error
	// Wake makes the conductor look now.
	Wake func()
	// Changed tells the faces that a campaign has something new to show.
	Changed func(fleet.TenantID, campaign.ID)
}

// Keeper of all tenants' incidents.
type Keeper struct{ Options }

// New makes a keeper.
func New(o Options) *Keeper {
	if o.Wake == nil {
		o.Wake = func() {}
	}
	if o.Changed == nil {
		o.Changed = func(fleet.TenantID, campaign.ID) {}
	}
	if o.Tell == nil {
		o.Tell = func(context.Context, *store.Tx, Told) error { return nil }
	}
	return &Keeper{o}
}

// Told is what happened to an incident, for whoever follows it elsewhere.
type Told struct {
	Incident gen.Incident
	Act      incident.Act // empty: it was opened
	Text     string
	By       register.Actor
}

// Open says that something went wrong.
type Open struct {
	Severity procedure.Severity
	Title    string // empty: the beginning of What
	What     string
	Campaign string // id or name; empty: no campaign's
	Ring     string // of the campaign; empty: that of the first device
	Patch    patch.ID
	Devices  []fleet.DeviceID
	Owner    string // who must act: an account's name or a role
	Origin   incident.Origin
	OriginID string
	Subject  string // what it is made of by itself; empty: a person's, always a new one
}

// Opened is what came of it.
type Opened struct {
	ID       string            `json:"id"`
	Response campaign.Response `json:"response,omitempty" enum:"recorded,hold,rollback" doc:"what the campaign did, as its procedure says"`
	Joined   bool              `json:"joined,omitempty" doc:"it was added to one that is not closed"`
	campaign campaign.ID
}

const mostDevices = 200

// Open keeps an incident and lets its campaign answer.
//
// Crash story: before the commit there is neither incident nor hold nor
// rollback; after it all are there, and what is to be sent is in the outbox.
func (k *Keeper) Open(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask Open) (out Opened, err error) {
	err = k.DB.Write(ctx, func(tx *store.Tx) (err error) {
		out, err = k.OpenIn(ctx, tx, tenant, by, ask)
		return err
	})
	if err == nil {
		k.Told(tenant, out)
	}
	return out, err
}

// Told wakes and tells whoever waits, after the commit of OpenIn.
func (k *Keeper) Told(tenant fleet.TenantID, o Opened) { k.after(tenant, o.campaign) }

func (k *Keeper) after(tenant fleet.TenantID, c campaign.ID) {
	k.Wake()
	if c != "" {
		k.Changed(tenant, c)
	}
}

// OpenIn is Open inside a transaction of somebody else, who calls Told after
// its commit.
func (k *Keeper) OpenIn(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, by register.Actor, ask Open) (Opened, error) {
	if err := check(&ask); err != nil {
		return Opened{}, err
	}
	if err := known(ctx, tx, tenant, ask); err != nil {
		return Opened{}, err
	}
	if ask.Subject != "" {
		row, err := tx.IncidentOfSubject(ctx, string(tenant), ask.Subject)
		if err == nil {
			return k.join(ctx, tx, row, by, ask)
		}
		if !store.IsNone(err) {
			return Opened{}, fmt.Errorf("read the incident of %s: %w", ask.Subject, err)
		}
	}
	return k.add(ctx, tx, tenant, by, ask)
}

func (k *Keeper) add(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, by register.Actor, ask Open) (Opened, error) {
	id, err := newID()
	if err != nil {
		return Opened{}, err
	}
	now := k.Clock().UnixMicro()
	row := gen.Incident{
		Tenant: string(tenant), ID: id, Severity: string(ask.Severity), Title: ask.Title, What: ask.What, Patch: string(ask.Patch), Owner: ask.Owner,
		Origin: string(ask.Origin), OriginID: ask.OriginID, Subject: ask.Subject, State: string(incident.Open), OpenedUs: now, OpenedBy: string(by), ChangedUs: now,
	}
	if err := k.answer(ctx, tx, &row, by, ask); err != nil {
		return Opened{}, err
	}
	if err := tx.AddIncident(ctx, gen.AddIncidentParams{
		Tenant: row.Tenant, ID: row.ID, Severity: row.Severity, Title: row.Title, What: row.What, Campaign: row.Campaign, Ring: row.Ring, Patch: row.Patch,
		Owner: row.Owner, Origin: row.Origin, OriginID: row.OriginID, Subject: row.Subject, Response: row.Response, OpenedUs: now, OpenedBy: row.OpenedBy,
	}); err != nil {
		return Opened{}, fmt.Errorf("keep the incident: %w", err)
	}
	for _, device := range ask.Devices {
		if _, err := tx.AddIncidentDevice(ctx, gen.AddIncidentDeviceParams{Tenant: row.Tenant, Incident: id, Device: string(device)}); err != nil {
			return Opened{}, fmt.Errorf("keep a device of the incident: %w", err)
		}
	}
	k.record(tx, row, by, register.IncidentOpened, first(ask.Devices), map[string]any{
		"severity": row.Severity, "what": row.What, "owner": row.Owner, "origin": row.Origin, "response": row.Response, "devices": len(ask.Devices),
	})
	return opened(row, false), k.Tell(ctx, tx, Told{Incident: row, By: by})
}

// answer asks the campaign, and places the incident in it.
func (k *Keeper) answer(ctx context.Context, tx *store.Tx, row *gen.Incident, by register.Actor, ask Open) error {
	if ask.Campaign == "" {
		return nil
	}
	a, err := k.Answer(ctx, tx, fleet.TenantID(row.Tenant), by, campaign.Incident{
		Campaign: ask.Campaign, Ring: ask.Ring, Device: first(ask.Devices), Patch: ask.Patch, Severity: ask.Severity, What: ask.Title,
	})
	if err != nil {
		return err
	}
	row.Campaign, row.Ring, row.Response = string(a.Campaign), a.Ring, string(a.Response)
	return nil
}

// join adds what is said again to the incident that is not closed: its devices,
// its words, and its severity when that is worse, which the campaign then
// answers anew.
func (k *Keeper) join(ctx context.Context, tx *store.Tx, row gen.Incident, by register.Actor, ask Open) (Opened, error) {
	added := 0
	for _, device := range ask.Devices {
		n, err := tx.AddIncidentDevice(ctx, gen.AddIncidentDeviceParams{Tenant: row.Tenant, Incident: row.ID, Device: string(device)})
		if err != nil {
			return Opened{}, fmt.Errorf("keep a device of the incident: %w", err)
		}
		added += int(n)
	}
	was := row.State
	if worse(ask.Severity, row.Severity) {
		row.Severity = string(ask.Severity)
		if err := k.answer(ctx, tx, &row, by, ask); err != nil {
			return Opened{}, err
		}
	}
	if err := k.say(ctx, tx, row, was, incident.Join, ask.What, by); err != nil {
		return Opened{}, err
	}
	k.record(tx, row, by, register.IncidentNoted, first(ask.Devices), map[string]any{"text": ask.What, "severity": row.Severity, "devices": added})
	return opened(row, true), k.Tell(ctx, tx, Told{Incident: row, Act: incident.Join, Text: ask.What, By: by})
}

func worse(a procedure.Severity, than string) bool {
	return a != procedure.Severity(than) && a.AtLeast(procedure.Severity(than))
}

func opened(row gen.Incident, joined bool) Opened {
	return Opened{ID: row.ID, Response: campaign.Response(row.Response), Joined: joined, campaign: campaign.ID(row.Campaign)}
}

func check(ask *Open) error {
	ask.Title, ask.What, ask.Owner = strings.TrimSpace(ask.Title), strings.TrimSpace(ask.What), strings.TrimSpace(ask.Owner)
	if ask.Origin == "" {
		ask.Origin = incident.Person
	}
	switch {
	case ask.What == "":
		return invalid("what", "empty", "write_it")
	case !slices.Contains(procedure.Severities(), ask.Severity):
		return invalid("severity", "not_a_choice", severities())
	case !slices.Contains(incident.Origins(), ask.Origin):
		return invalid("origin", "not_a_choice", "")
	case ask.Ring != "" && ask.Campaign == "":
		return invalid("campaign", "empty", "ring_needs_campaign")
	case len(ask.Devices) > mostDevices:
		return invalid("devices", "too_long", fmt.Sprintf("≤ %d", mostDevices))
	}
	if ask.Title == "" {
		ask.Title = Headline(ask.What)
	}
	if err := incident.Words("title", ask.Title, incident.MaxTitle); err != nil {
		return err
	}
	return incident.Words("what", ask.What, incident.MaxText)
}

func severities() string {
	var out []string
	for _, s := range procedure.Severities() {
		out = append(out, string(s))
	}
	return strings.Join(out, ", ")
}

const headlineRunes = 80

// Headline is the first line of a text, and not all of a long one.
func Headline(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	if runes := []rune(line); len(runes) > headlineRunes {
		return strings.TrimSpace(string(runes[:headlineRunes])) + "…"
	}
	return line
}

var roleWord = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// IsRole tells whether a name can be a role: what is no role has to be an account.
func IsRole(name string) bool { return roleWord.MatchString(name) }

// known refuses what is not there: devices, the patch, the account.
func known(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, ask Open) error {
	for _, device := range ask.Devices {
		_, err := tx.Device(ctx, string(tenant), string(device))
		if err := missing(err, "device", string(device)); err != nil {
			return err
		}
	}
	if ask.Patch != "" {
		_, err := tx.Patch(ctx, string(tenant), string(ask.Patch))
		if err := missing(err, "patch", string(ask.Patch)); err != nil {
			return err
		}
	}
	return person(ctx, tx, tenant, ask.Owner)
}

// person is an account of the tenant by its name, or a role: any word.
func person(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, name string) error {
	if name == "" || IsRole(name) {
		return nil
	}
	a, err := tx.AccountByName(ctx, name)
	if err != nil && !store.IsNone(err) {
		return fmt.Errorf("read account %s: %w", name, err)
	}
	if err != nil || a.Tenant != string(tenant) {
		return invalid("owner", "unknown", "account_or_role")
	}
	return nil
}

func missing(err error, what, name string) error {
	if store.IsNone(err) {
		return fault.New(fault.NotFound, "what", what, "name", name)
	}
	if err != nil {
		return fmt.Errorf("read %s %s: %w", what, name, err)
	}
	return nil
}

func (k *Keeper) record(tx *store.Tx, row gen.Incident, by register.Actor, kind register.Kind, device fleet.DeviceID, detail map[string]any) {
	detail["incident"], detail["title"] = row.ID, row.Title
	tx.Record(register.Entry{
		Tenant: row.Tenant, AtUS: k.Clock().UnixMicro(), Actor: by, Kind: kind, Device: string(device), Campaign: row.Campaign, Ring: row.Ring, Patch: row.Patch,
		Detail: detail,
	})
}

func first(devices []fleet.DeviceID) fleet.DeviceID {
	if len(devices) == 0 {
		return ""
	}
	return devices[0]
}

func newID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make an id: %w", err)
	}
	return id.String(), nil
}

func invalid(field, problem, fix string) *fault.Error {
	return fault.New(fault.InvalidField, "field", field, "problem", problem, "fix", fix)
}

// SubjectOfFeedback is what all complaints about a campaign's patch are about;
// an empty patch is all that the campaign brought.
func SubjectOfFeedback(campaign string, id patch.ID) string {
	return "feedback/" + campaign + "/" + string(id)
}

// SubjectOfAlert is one alert.
func SubjectOfAlert(id string) string { return "alert/" + id }

// SubjectOfTest is one item of a gate's tests.
func SubjectOfTest(campaign, ring, test string, item int) string {
	return fmt.Sprintf("test/%s/%s/%s/%d", campaign, ring, test, item)
}
