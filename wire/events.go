package wire

// Event is one thing that happened on a device. Seq grows by one per device
// for ever; the server keeps the highest it committed and ignores what it
// has, which makes delivery exactly once in effect.
type Event struct {
	Seq    int64     `json:"seq"`
	AtUS   int64     `json:"at_us"`
	Kind   EventKind `json:"kind"`
	Order  string    `json:"order,omitempty"`
	Serial int64     `json:"serial,omitempty"`
	Step   Step      `json:"step,omitempty"`
	Cause  *Cause    `json:"cause,omitempty"`
	Result *Result   `json:"result,omitempty"`
	BootID string    `json:"boot_id,omitempty"`
	// NextUS is when the agent will try again by itself; 0 is not known.
	NextUS int64   `json:"next_us,omitempty"`
	Actor  *Actor  `json:"actor,omitempty"`
	Notice *Notice `json:"notice,omitempty"`
	Woke   *Woke   `json:"woke,omitempty"`
}

// EventKind is what an event tells.
type EventKind string

// Event kinds.
const (
	EventStep      EventKind = "step"      // the executor entered Step
	EventWaiting   EventKind = "waiting"   // it waits, for Cause, until NextUS
	EventResult    EventKind = "result"    // Result holds the outcome of each item; the order is over
	EventRefused   EventKind = "refused"   // the order was not accepted, for Cause
	EventRebooted  EventKind = "rebooted"  // a boot the order asked for was seen, by its boot id
	EventActor     EventKind = "actor"     // another program changed packages
	EventRecovered EventKind = "recovered" // the agent found an interrupted step and went on from it
	// EventRestored: the register of an order was restored from a backup, and
	// this device had seen the one before; Cause says what it had seen.
	EventRestored EventKind = "restored"
	EventDropped  EventKind = "dropped" // the spool was full: Cause says how many lesser events it gave up; never a result
	EventWoke     EventKind = "woke"    // Woke: what came of waking a neighbour
	EventNotice   EventKind = "notice"  // Notice: what people at the device were told, or said
)

// Events is a batch from the spool.
type Events struct {
	NowUS  int64   `json:"now_us,omitempty"` // the device's clock as it sends: instants count by their age
	Events []Event `json:"events"`
}

// EventsReply says up to which Seq everything is committed.
type EventsReply struct {
	UpTo  int64  `json:"up_to"`
	Error *Error `json:"error,omitempty"`
}

// Result is the outcome of an order.
type Result struct {
	Outcomes      []Outcome `json:"outcomes"`
	Rebooted      bool      `json:"rebooted,omitempty"`
	RebootPending bool      `json:"reboot_pending,omitempty"`
	LogTail       string    `json:"log_tail,omitempty"`
	LogSHA256     string    `json:"log_sha256,omitempty"` // of the whole raw output, kept on the device
	DurationS     int64     `json:"duration_s,omitempty"`
	// How long its parts took, in milliseconds; 0: not known, or it was not done.
	// Of several tries the last one counts.
	DownloadMS int64 `json:"download_ms,omitempty"`
	InstallMS  int64 `json:"install_ms,omitempty"` // all transactions together
	RebootMS   int64 `json:"reboot_ms,omitempty"`  // until the agent was up again
	// Probes are what the device's probes found after the install, the rollback
	// or the reboot; none when there are none, or nothing was done.
	Probes []ProbeState `json:"probes,omitempty"`
}

// ItemState is how one item ended on one device.
type ItemState string

// Item states an agent reports.
const (
	ItemVerified      ItemState = "verified"       // a scan after the install, and after the reboot if there was one, agrees
	ItemClaimed       ItemState = "claimed"        // installed, but the re-scan waits for a reboot
	ItemFailed        ItemState = "failed"         // with Cause
	ItemNoEffect      ItemState = "no_effect"      // the package manager claimed success, the version did not change
	ItemNotApplicable ItemState = "not_applicable" // nothing to change on this device any more
	ItemRolledBack    ItemState = "rolled_back"
	ItemSkipped       ItemState = "skipped" // stopped by a hold or a local veto, with Cause
	ItemCleaned       ItemState = "cleaned" // of a clean-up: Freed went; with Cause it was stopped before its end
	ItemCounted       ItemState = "counted" // of a clean-up's dry run: Freed would go
)

// Outcome is one item's end.
type Outcome struct {
	Item  string    `json:"item"`
	State ItemState `json:"state"`
	Cause *Cause    `json:"cause,omitempty"`
	// Packages have From as it was before and To as the package database says
	// now, with what is known of their rollback.
	Packages []Change `json:"packages,omitempty"`
	Freed    *Freed   `json:"freed,omitempty"` // of a clean-up
}

// Question is something asked to one device or to all.
type Question struct {
	ID   string `json:"id"`
	Kind string `json:"kind"` // ping, package
	Arg  string `json:"arg,omitempty"`
}

// Answer to a question, on ans.<device>.<question>.
type Answer struct {
	AtUS  int64  `json:"at_us"`
	Value string `json:"value,omitempty"`
	Error *Error `json:"error,omitempty"`
}
