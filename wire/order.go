package wire

// OrderKind is the typed action an order names. There is no other way to make
// an agent act, and none of them carries a command line.
type OrderKind string

// Order kinds.
const (
	OrderInstall  OrderKind = "install"
	OrderRollback OrderKind = "rollback"
	OrderCleanUp  OrderKind = "clean_up" // CleanUp, and no items; of no campaign
	// OrderReboot restarts the device if a live signal asks for it. It has no
	// items and no campaign, and acts in its Windows; with the mode window
	// RebootWindows are the same.
	OrderReboot OrderKind = "reboot"
)

// RebootMode says whether the order may reboot the device.
type RebootMode string

// Reboot modes.
const (
	RebootNever    RebootMode = "never"
	RebootIfNeeded RebootMode = "if_needed" // only on a live signal, only inside a window
	RebootWindow   RebootMode = "window"    // as if_needed, but only inside RebootWindows
	RebootUser     RebootMode = "user"      // until the deadline of People only by a person; after it as if_needed
)

// Order is the signed instruction of one device: what exactly, when, with
// which limits. Windows are concrete UTC intervals; the agent starts nothing
// outside them.
type Order struct {
	ID         string     `json:"id"`
	Serial     int64      `json:"serial"` // grows by device; an older serial never replaces a newer one
	Tenant     string     `json:"tenant"`
	Device     string     `json:"device"`
	Campaign   string     `json:"campaign"`
	Ring       string     `json:"ring"`
	Kind       OrderKind  `json:"kind"`
	Items      []Item     `json:"items"`
	Windows    []Interval `json:"windows"`
	IssuedUS   int64      `json:"issued_us"`
	ExpiresUS  int64      `json:"expires_us"`
	Reboot     RebootMode `json:"reboot"`
	LockWaitS  int64      `json:"lock_wait_s"`
	MarginS    int64      `json:"margin_s"` // no install starts less than this before its window ends
	AllowNew   bool       `json:"allow_new,omitempty"`
	Checkpoint string     `json:"checkpoint,omitempty"` // the register's latest signed checkpoint
	// CheckpointProof proves that Checkpoint extends the one of size ProofFrom.
	ProofFrom       int64    `json:"proof_from,omitempty"`
	CheckpointProof [][]byte `json:"checkpoint_proof,omitempty"`
	// RebootWindows are those of RebootWindow, and of no other mode.
	RebootWindows []Interval `json:"reboot_windows,omitempty"`
	People        *People    `json:"people,omitempty"` // nil: nobody is asked
	// DownloadBytesPerS is how fast the device may download; 0: as fast as it can.
	DownloadBytesPerS int64     `json:"download_bytes_per_s,omitempty"`
	CleanUp           []CleanUp `json:"clean_up,omitempty"`
	// RebootMarginS is how long before its window ends a reboot may be asked for
	// at the latest; 0: MarginS.
	RebootMarginS int64 `json:"reboot_margin_s,omitempty"`
}

// Item is one content item of a campaign as this device must apply it: exact
// versions. For a rollback To is the version to go back to.
type Item struct {
	ID       string   `json:"id"` // the campaign's content item
	Provider string   `json:"provider"`
	Name     string   `json:"name"`
	Version  string   `json:"version"`
	Packages []Change `json:"packages"`
}

// Interval is [StartUS, EndUS).
type Interval struct {
	StartUS int64 `json:"start_us"`
	EndUS   int64 `json:"end_us"`
}

// Holds is the whole set of holds in force for a tenant: a newer serial
// replaces an older set, so receiving it twice or out of order changes nothing.
type Holds struct {
	Tenant   string `json:"tenant"`
	Serial   int64  `json:"serial"`
	IssuedUS int64  `json:"issued_us"`
	Holds    []Hold `json:"holds,omitempty"`
}

// Hold stops what matches every field that is not empty.
type Hold struct {
	ID       string `json:"id"`
	Campaign string `json:"campaign,omitempty"`
	Ring     string `json:"ring,omitempty"`
	Item     string `json:"item,omitempty"`
	Device   string `json:"device,omitempty"`
	// By and Reason are what the device says of its wait, offline too.
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Step is where the order executor stands.
type Step string

// The steps of an order, in their order. Each is written to the journal before
// it is entered.
const (
	StepAccepted    Step = "accepted"
	StepPreflight   Step = "preflight"
	StepPreserve    Step = "preserve" // keep the old packages: rollback becomes ready or impossible
	StepDownload    Step = "download"
	StepWait        Step = "wait"
	StepQuiesce     Step = "quiesce"
	StepInstall     Step = "install"
	StepSettle      Step = "settle"
	StepReboot      Step = "reboot"
	StepCleanUp     Step = "clean_up" // of a clean-up order: between wait and report
	StepVerify      Step = "verify"
	StepProbe       Step = "probe"
	StepReport      Step = "report"
	StepDone        Step = "done"
	StepInterrupted Step = "interrupted"
)
