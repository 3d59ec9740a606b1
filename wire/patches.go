package wire

// Patches is the result of one scan by one provider. Status tells whether the
// list may be believed: a scan that could not run is not an empty list.
type Patches struct {
	Provider string     `json:"provider"`
	Status   ScanStatus `json:"status"`
	Cause    *Cause     `json:"cause,omitempty"` // when Status is not ok
	// ListsUS is when the package lists were last brought up to date; 0 is never.
	ListsUS int64   `json:"lists_us,omitempty"`
	Patches []Patch `json:"patches,omitempty"`
}

// ScanStatus grades a scan.
type ScanStatus string

// Scan states.
const (
	ScanOK     ScanStatus = "ok"
	ScanStale  ScanStatus = "stale"  // lists could not be refreshed: what is listed is a lower bound
	ScanFailed ScanStatus = "failed" // nothing was learnt
)

// Patch is one applicable update: for apt a source package at a version in a
// suite, with the binary packages of this device that it would change.
type Patch struct {
	Provider string   `json:"provider"`
	Name     string   `json:"name"`    // source package
	Version  string   `json:"version"` // source version it leads to
	Suite    string   `json:"suite"`   // archive suite or codename
	Origin   string   `json:"origin"`  // Debian-Security, FleetLab, …
	Class    string   `json:"class"`   // security, quality, third-party, unknown
	Packages []Change `json:"packages"`
	// State is offered when an install would be tried; held, phased and
	// kept_back are told apart because each asks for another person.
	State         string `json:"state"`
	StateDetail   string `json:"state_detail,omitempty"`
	DownloadBytes int64  `json:"download_bytes,omitempty"`
	Summary       string `json:"summary,omitempty"`
}

// Applicable patch states.
const (
	PatchOffered  = "offered"
	PatchHeld     = "held"      // held by this device's administrator
	PatchPhased   = "phased"    // the distributor has not offered it to this device yet
	PatchKeptBack = "kept_back" // needs new or removed packages
)

// Change is one package going from one version to another. From is empty for
// a new package, To for a removal.
type Change struct {
	Name     string `json:"name"`
	Arch     string `json:"arch,omitempty"`
	From     string `json:"from,omitempty"`
	To       string `json:"to,omitempty"`
	Rollback string `json:"rollback,omitempty"` // ready, or impossible; empty before it is known
	Why      string `json:"why,omitempty"`      // why impossible
}

// Cause is a stable reason code with arguments; faces turn it into words.
type Cause struct {
	Code string            `json:"code"`
	Args map[string]string `json:"args,omitempty"`
}

// What is known of the rollback of a change.
const (
	RollbackReady      = "ready"
	RollbackImpossible = "impossible"
)
