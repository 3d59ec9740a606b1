package wire

// CleanUpKind is what a clean-up removes. The places it looks at are the
// agent's own, built in: an order can narrow them, and name no other.
type CleanUpKind string

// Clean-up kinds.
const (
	CleanPackageCache   CleanUpKind = "package_cache"   // packages kept after they were installed
	CleanTemporaryFiles CleanUpKind = "temporary_files" // what programs left in /tmp and /var/tmp
	CleanUserCaches     CleanUpKind = "user_caches"     // below ~/.cache
	CleanJournal        CleanUpKind = "journal"         // archived files of the system's journal
	// CleanBrowserHistory is the history of browser profiles that nobody used
	// for OlderThanS.
	CleanBrowserHistory CleanUpKind = "browser_history"
)

// CleanUp is one item of a clean-up order.
type CleanUp struct {
	ID         string      `json:"id"` // the policy's item: PROFILE/KIND
	Kind       CleanUpKind `json:"kind"`
	OlderThanS int64       `json:"older_than_s"`    // nothing that was touched since
	Paths      []string    `json:"paths,omitempty"` // only below these; each below a built-in root of the kind
	// DryRun counts what would go, and removes nothing.
	DryRun bool `json:"dry_run,omitempty"`
}

// Freed is what a clean-up item removed; of a dry run, what it would have.
type Freed struct {
	Files  int64        `json:"files"`
	Bytes  int64        `json:"bytes"` // of the disk
	Places []FreedPlace `json:"places,omitempty"`
	// AtLeast: the agent was ended in the middle, so some of what went was not
	// counted.
	AtLeast bool `json:"at_least,omitempty"`
}

// FreedPlace is the part of one place.
type FreedPlace struct {
	Path  string `json:"path"`
	Files int64  `json:"files"`
	Bytes int64  `json:"bytes"`
}

// MaxFreedPlaces bounds Freed.Places: the largest are told.
const MaxFreedPlaces = 50

// CleanUpCapability is from which one on an agent understands clean-up orders.
const CleanUpCapability = 3
