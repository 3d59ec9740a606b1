package register

import (
	"fmt"
	"strings"

	"patchring/internal/core/fault"
)

// Kind says what happened. Kinds are stored and signed for ever: add new ones,
// never rename or reuse one.
type Kind string

const (
	EnrolmentCreated   Kind = "enrolment_created"
	EnrolmentRevoked   Kind = "enrolment_revoked"
	DeviceEnrolled     Kind = "device_enrolled"
	DeviceRenewed      Kind = "device_renewed" // a new certificate for a known device
	DeviceRevoked      Kind = "device_revoked"
	DeviceChanged      Kind = "device_changed" // its name, kind or tags, before and after
	DeviceRetired      Kind = "device_retired"
	GroupChanged       Kind = "group_changed"
	ProcedureApplied   Kind = "procedure_applied"
	PolicyApplied      Kind = "policy_applied"
	PolicyForAll       Kind = "policy_for_all" // the policy for all tenants, in the register of each
	FreezePlaced       Kind = "freeze_placed"  // by hand, beside the policy
	FreezeEnded        Kind = "freeze_ended"   // before its time
	CampaignCreated    Kind = "campaign_created"
	EmergencyApproved  Kind = "emergency_approved"
	CampaignClosed     Kind = "campaign_closed"
	ContentSealed      Kind = "content_sealed"
	AmendmentAdded     Kind = "amendment_added"
	ItemWithdrawn      Kind = "item_withdrawn"
	VerdictGiven       Kind = "verdict_given" // a person approved, delayed or declined a patch
	PatchQuarantined   Kind = "patch_quarantined"
	ExceptionGranted   Kind = "exception_granted"
	ExceptionEnded     Kind = "exception_ended"
	RingOpened         Kind = "ring_opened"
	RingSoaking        Kind = "ring_soaking"
	RingExpedited      Kind = "ring_expedited"
	RingDone           Kind = "ring_done"
	GateDecided        Kind = "gate_decided"
	SignOff            Kind = "sign_off"
	HoldPlaced         Kind = "hold_placed"
	HoldLifted         Kind = "hold_lifted"
	OrderIssued        Kind = "order_issued"
	OrderResult        Kind = "order_result"
	DeviceEvent        Kind = "device_event"   // what a device told beside its orders: a reboot, another actor
	RebootAllowed      Kind = "reboot_allowed" // a person let a device reboot again whose reboots had not helped
	WakeAsked          Kind = "wake_asked"     // a neighbour is asked to wake the device
	WakeSent           Kind = "wake_sent"      // what the neighbour says came of it
	DeviceWoken        Kind = "device_woken"   // it was heard of again after that
	PatchDecided       Kind = "patch_decided"  // where a device × patch ended, with its reason
	PatchVerified      Kind = "patch_verified"
	RollbackRequested  Kind = "rollback_requested"
	RollbackEnded      Kind = "rollback_ended"     // in the campaign that went back
	RollbackRehearsed  Kind = "rollback_rehearsed" // on a device, with how long it took
	IncidentOpened     Kind = "incident_opened"
	IncidentClosed     Kind = "incident_closed"
	IncidentNoted      Kind = "incident_noted" // or more of the same, or another severity
	IncidentCorrected  Kind = "incident_corrected"
	IncidentReopened   Kind = "incident_reopened"
	TestTicked         Kind = "test_ticked"   // an item of a gate's tests, by hand; with how many are left of its test
	TestReminded       Kind = "test_reminded" // whom it still waits for
	TicketOpened       Kind = "ticket_opened" // of an incident, in somebody else's tool
	VerificationDone   Kind = "verification_done"
	EmergencyWindow    Kind = "emergency_window"
	RegisterExported   Kind = "register_exported"
	RegisterRestored   Kind = "register_restored"  // a backup was restored; what came after it is lost
	LifecycleImported  Kind = "lifecycle_imported" // a table of how long systems are supported, with its hash
	FeedImported       Kind = "feed_imported"      // facts of vulnerabilities, with the file's hash
	AdministratorAdded Kind = "administrator_added"
	AccountAdded       Kind = "account_added"
	AccountChanged     Kind = "account_changed" // its roles or its password
	AccountClosed      Kind = "account_closed"
	TaskOpened         Kind = "task_opened"
	TaskReminded       Kind = "task_reminded" // who was told that it waits
	TaskClosed         Kind = "task_closed"   // with its proof
	TaskReopened       Kind = "task_reopened"
	CleanUpApproved    Kind = "clean_up_approved" // a person let a clean-up go, after its dry run
	CleanUpRevoked     Kind = "clean_up_revoked"
	DeviceLinksRevoked Kind = "device_links_revoked" // links to its page
	LaterSaid          Kind = "later_said"           // on a device's page; what came of it is the device's event
	FeedbackGiven      Kind = "feedback_given"       // on a device's page
	FeedbackClosed     Kind = "feedback_closed"      // somebody has dealt with it
	LogoChanged        Kind = "logo_changed"
	DossierIssued      Kind = "dossier_issued" // with the hash of each file
	TokenCreated       Kind = "token_created"  // of the API
	TokenRevoked       Kind = "token_revoked"
	AlertRulesApplied  Kind = "alert_rules_applied"
	AlertFired         Kind = "alert_fired"
	AlertAcknowledged  Kind = "alert_acknowledged"
	AlertSilenced      Kind = "alert_silenced"
	SilenceEnded       Kind = "silence_ended" // before its time
	AlertActed         Kind = "alert_acted"   // what was done from it
	AlertResolved      Kind = "alert_resolved"
	FeedLinkCreated    Kind = "feed_link_created"
	FeedLinkRevoked    Kind = "feed_link_revoked"
)

// Actor is who did it: a person, a device's agent, or a part of the server.
type Actor string

// The three kinds of actors. A name is kept as it was when the act happened.
func User(name string) Actor    { return Actor("user:" + name) }
func Agent(device string) Actor { return Actor("agent:" + device) }
func System(part string) Actor  { return Actor("system:" + part) }

func (a Actor) valid() bool {
	kind, name, _ := strings.Cut(string(a), ":")
	return name != "" && (kind == "user" || kind == "agent" || kind == "system")
}

// Entry is one act in the life of a tenant. It is a record of words, so ids
// stand in it as plain text: the register is a leaf that the agent links too,
// and an entry outlives the types of its day.
//
// Evolution: only add optional fields. A verifier keeps what it does not know
// in Extra, and it always verifies the exact bytes, never an encoding of its own.
type Entry struct {
	Index    int64 // place in the log, given by Append
	AtUS     int64 // microseconds UTC, given by the caller
	Tenant   string
	Actor    Actor
	Kind     Kind
	Device   string
	Campaign string
	Ring     string
	Patch    string
	Reason   fault.Reason   // zero when the act needs none
	Detail   map[string]any // whatever else the kind wants to keep
	Extra    map[string]any // top-level fields of a later version, set by Decode
}

// Columns are the parts of an entry that storage repeats beside its bytes to
// search by them. They are not under the hash, so a verifier compares them.
type Columns struct {
	AtUS     int64
	Actor    Actor
	Kind     Kind
	Device   string
	Campaign string
	Ring     string
	Patch    string
}

// Columns gives them as storage must keep them.
func (e Entry) Columns() Columns {
	return Columns{
		AtUS: e.AtUS, Actor: e.Actor, Kind: e.Kind,
		Device: e.Device, Campaign: e.Campaign, Ring: e.Ring, Patch: e.Patch,
	}
}

// MaxEntry bounds one encoded entry, so that a verifier needs no more memory
// than this, and a hostile field cannot bloat the log.
const MaxEntry = 256 << 10

// Encode gives the entry's canonical bytes, the ones that are hashed, stored
// and exported. Text that is not UTF-8 is cleaned (it may come from a device,
// which must not be able to stop the record of its own acts); anything else
// that has no single spelling, like a float, is refused.
func (e Entry) Encode() ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	fields := e.fields()
	object := make([]member, 0, len(fields)+len(e.Extra))
	for _, m := range fields {
		if m.present {
			object = append(object, member{key: m.key, value: m.value})
		}
	}
	for key, value := range e.Extra {
		for _, m := range fields {
			if m.key == key {
				return nil, fmt.Errorf("encode register entry: extra field %q is a field of this version", key)
			}
		}
		object = append(object, member{key: key, value: value})
	}
	out, err := appendMembers(make([]byte, 0, 320), object, 1)
	if err != nil {
		return nil, fmt.Errorf("encode register entry %q: %w", e.Kind, err)
	}
	if len(out) > MaxEntry {
		return nil, fmt.Errorf("encode register entry %q: %d bytes, at most %d", e.Kind, len(out), MaxEntry)
	}
	return out, nil
}

func (e Entry) check() error {
	switch {
	case e.Index < 0:
		return fmt.Errorf("encode register entry %q: negative index", e.Kind)
	case e.AtUS <= 0:
		return fmt.Errorf("encode register entry %q: no time", e.Kind)
	case e.Tenant == "":
		return fmt.Errorf("encode register entry %q: no tenant", e.Kind)
	case !e.Actor.valid():
		return fmt.Errorf("encode register entry %q: actor %q is no user:, agent: or system: with a name", e.Kind, e.Actor)
	case e.Kind == "":
		return fmt.Errorf("encode register entry: no kind")
	case e.Reason.IsZero() && len(e.Reason.Args) > 0:
		return fmt.Errorf("encode register entry %q: arguments without a reason", e.Kind)
	}
	return nil
}

type entryField struct {
	key     string
	value   any
	present bool
}

// fields is the one table of names in the encoding.
func (e Entry) fields() [12]entryField {
	text := func(key, value string) entryField { return entryField{key, value, value != ""} }
	return [12]entryField{
		text("actor", string(e.Actor)),
		{"args", e.Reason.Args, len(e.Reason.Args) > 0},
		{"at", e.AtUS, true},
		text("campaign", e.Campaign),
		{"detail", e.Detail, len(e.Detail) > 0},
		text("device", e.Device),
		{"index", e.Index, true},
		text("kind", string(e.Kind)),
		text("patch", e.Patch),
		text("reason", string(e.Reason.Code)),
		text("ring", e.Ring),
		text("tenant", e.Tenant),
	}
}

// Decode reads an entry's canonical bytes. It refuses bytes that Encode would
// not have written: an entry with two spellings (a key twice, another order)
// could show different things to different readers.
func Decode(raw []byte) (Entry, error) {
	if len(raw) > MaxEntry {
		return Entry{}, fmt.Errorf("decode register entry: %d bytes, at most %d", len(raw), MaxEntry)
	}
	object, err := parseObject(raw)
	if err != nil {
		return Entry{}, fmt.Errorf("decode register entry: %w", err)
	}
	take := taker{object: object}
	e := Entry{
		Index:    take.integer("index"),
		AtUS:     take.integer("at"),
		Tenant:   take.text("tenant"),
		Actor:    Actor(take.text("actor")),
		Kind:     Kind(take.text("kind")),
		Device:   take.text("device"),
		Campaign: take.text("campaign"),
		Ring:     take.text("ring"),
		Patch:    take.text("patch"),
		Reason:   fault.Reason{Code: fault.Code(take.text("reason")), Args: take.texts("args")},
		Detail:   take.nested("detail"),
	}
	if take.err != nil {
		return Entry{}, fmt.Errorf("decode register entry: %w", take.err)
	}
	if len(object) > 0 {
		e.Extra = object
	}
	again, err := e.Encode()
	if err != nil {
		return Entry{}, fmt.Errorf("decode register entry: %w", err)
	}
	if string(again) != string(raw) {
		return Entry{}, fmt.Errorf("decode register entry: not in canonical form")
	}
	return e, nil
}
