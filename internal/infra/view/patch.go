package view

import (
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
)

// PatchQuery chooses patches.
type PatchQuery struct {
	Paging
	Sort    string // recent (default: first seen last), name, devices (most devices first)
	Text    string // part of the name
	Class   patch.Class
	Missing bool           // only those that a device misses now
	Verdict policy.Verdict // only those with this decision given by hand, on the patch or its name
	// Exploited are those that mend a vulnerability which is being exploited.
	Exploited bool
	Severity  policy.Severity // only those of this severity
}

// PatchRef names a patch where something else is shown.
type PatchRef struct {
	ID      patch.ID `json:"id"`
	Name    string   `json:"name"`
	Version string   `json:"version"`
}

// PatchRow is a patch in a list.
type PatchRow struct {
	ID            patch.ID    `json:"id"`
	Provider      string      `json:"provider"`
	Name          string      `json:"name"`
	Version       string      `json:"version"`
	Suite         string      `json:"suite"`
	Origin        string      `json:"origin"`
	Class         patch.Class `json:"class"`
	Summary       string      `json:"summary,omitempty"`
	FirstSeen     time.Time   `json:"first_seen"`
	DownloadBytes int64       `json:"download_bytes"`
	Devices       int64       `json:"devices"`            // that miss it now
	Decision      *Decision   `json:"decision,omitempty"` // given by hand, in force
	// Severity is that of the worst vulnerability it mends, CVEs are their ids.
	Severity  policy.Severity `json:"severity"`
	CVEs      []string        `json:"cves"`
	Exploited bool            `json:"exploited"`
}

// PatchPage is a page of patches.
type PatchPage = Page[PatchRow]

// Decision is a verdict given by hand.
type Decision struct {
	Scope   policy.Scope   `json:"scope"`
	Verdict policy.Verdict `json:"verdict"`
	Until   time.Time      `json:"until,omitzero"`
	Reason  string         `json:"reason,omitempty"`
	Actor   string         `json:"actor"`
	At      time.Time      `json:"at"`
}

// PatchDetail is everything about one patch; its devices are PatchDevices.
type PatchDetail struct {
	PatchRow
	Decisions  []Decision      `json:"decisions"`  // on it and on its name, also past ones
	Exceptions []ExceptionRow  `json:"exceptions"` // in force on it or on its name
	Campaigns  []PatchCampaign `json:"campaigns"`
	Versions   []PatchRow      `json:"versions"` // the other versions and suites of the name, at most 20
	Mends      []Mended        `json:"mends"`    // what it mends, the worst first
	Pace       []PatchPace     `json:"pace"`     // how long its installs took, of all models first; at most 50
}

// PatchPace is the time within which 19 of 20 installs of a patch stayed, on a
// model of device; 0 where too few are known.
type PatchPace struct {
	Model      string `json:"model"` // empty: all of them
	Samples    int64  `json:"samples"`
	DownloadMS int64  `json:"download_ms"`
	InstallMS  int64  `json:"install_ms"`
	RebootMS   int64  `json:"reboot_ms"`
}

// PatchCampaign is a campaign that carries the patch.
type PatchCampaign struct {
	Campaign   CampaignRef `json:"campaign"`
	State      string      `json:"state"`
	Item       BoardItem   `json:"item"`
	Done       int64       `json:"done"`    // verified devices
	Failed     int64       `json:"failed"`  // failed devices
	Pending    int64       `json:"pending"` // devices between the two
	RolledBack int64       `json:"rolled_back"`
}

// PatchDevicesQuery chooses devices of a patch.
type PatchDevicesQuery struct {
	Paging
	Patch    patch.ID
	Campaign string // id, for failed and pending; empty: the newest open one that carries it
	// Which is missing (default: what scans say), failed or pending (what open
	// campaigns say).
	Which string
}

// PatchDevice is a device of a patch.
type PatchDevice struct {
	Device   DeviceRef     `json:"device"`
	Campaign *CampaignRef  `json:"campaign,omitempty"`
	State    patch.State   `json:"state"`
	Reason   *fault.Reason `json:"reason,omitempty"`
	Since    time.Time     `json:"since,omitzero"`
	Next     time.Time     `json:"next,omitzero"`
}

// PatchDevicePage is a page of devices of a patch.
type PatchDevicePage = Page[PatchDevice]
