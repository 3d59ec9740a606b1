package wire

// PartName names one part of a device's full report. A part travels only when
// its hash differs from what the server has.
type PartName string

// The parts.
const (
	PartFacts     PartName = "facts"     // Facts
	PartInventory PartName = "inventory" // Inventory: installed software
	PartPatches   PartName = "patches"   // Patches: applicable patches, the result of a scan
)

// Checkin is the steady heartbeat: a few hundred bytes.
type Checkin struct {
	NowUS         int64               `json:"now_us"`
	Version       string              `json:"version"`
	Capability    int                 `json:"capability"`
	BootID        string              `json:"boot_id"`
	BootedUS      int64               `json:"booted_us"`
	MachineID     string              `json:"machine_id,omitempty"`
	RebootPending bool                `json:"reboot_pending,omitempty"`
	Parts         map[PartName]string `json:"parts,omitempty"` // name → hash (hex, first 16 bytes of SHA-256)
	// ScannedUS is when the last scan that looked (ok or stale) ended. With an
	// unchanged hash of the patches it is how the server learns that they were
	// looked for again: an unchanged part does not travel.
	ScannedUS   int64         `json:"scanned_us,omitempty"`
	Orders      []OrderStatus `json:"orders,omitempty"`
	HoldsSerial int64         `json:"holds_serial,omitempty"`
	Spooled     int           `json:"spooled,omitempty"` // events not yet delivered
	WatchSerial int64         `json:"watch_serial,omitempty"`
}

// OrderStatus is where the agent stands with an order it keeps.
type OrderStatus struct {
	ID     string `json:"id"`
	Serial int64  `json:"serial"`
	Step   Step   `json:"step"`
}

// CheckinReply repairs whatever the agent missed: level-triggered, so a lost
// push costs latency only.
type CheckinReply struct {
	NowUS    int64      `json:"now_us"`
	Want     []PartName `json:"want,omitempty"`
	Orders   []Envelope `json:"orders,omitempty"` // those the agent has not named with this serial
	Cancel   []string   `json:"cancel,omitempty"` // order ids that no longer stand
	Holds    *Envelope  `json:"holds,omitempty"`  // when the agent's serial is older
	Said     []Envelope `json:"said,omitempty"`   // answers from the device's page that it has told nothing of
	Wake     []Envelope `json:"wake,omitempty"`   // neighbours to be woken that it has told nothing of
	Watch    *Envelope  `json:"watch,omitempty"`  // when the agent's serial is older
	Scan     bool       `json:"scan,omitempty"`   // scan again now
	CheckinS int64      `json:"checkin_s,omitempty"`
	Error    *Error     `json:"error,omitempty"`
}

// Part is one full part: the gzip of its JSON.
type Part struct {
	Name PartName `json:"name"`
	Hash string   `json:"hash"`
	AtUS int64    `json:"at_us"` // when it was measured
	// NowUS is the device's clock when it sends: the server counts by ages, so
	// that a clock that is wrong makes no scan older or newer than it is.
	NowUS int64  `json:"now_us,omitempty"`
	Gzip  []byte `json:"gzip"`
}

// PartReply acknowledges a part.
type PartReply struct {
	Error *Error `json:"error,omitempty"`
}

// Facts is what is known of a device, but for its software.
type Facts struct {
	Hostname      string         `json:"hostname"`
	Kind          string         `json:"kind,omitempty"` // workstation or server, as the device itself believes (chassis, graphical target)
	OS            OS             `json:"os"`
	Hardware      Hardware       `json:"hardware"`
	Disks         []Disk         `json:"disks,omitempty"`
	Interfaces    []Interface    `json:"interfaces,omitempty"`
	BootID        string         `json:"boot_id"`
	BootedUS      int64          `json:"booted_us"`
	MachineID     string         `json:"machine_id"`
	TimeZone      string         `json:"time_zone,omitempty"`
	RebootSignals []RebootSignal `json:"reboot_signals,omitempty"` // empty: no reboot pending
	Actors        []Actor        `json:"actors,omitempty"`
	Providers     []string       `json:"providers,omitempty"`
}

// OS identifies the operating system, from os-release where there is one.
type OS struct {
	ID       string `json:"id"`                 // debian, ubuntu, windows…
	Like     string `json:"like,omitempty"`     // ID_LIKE
	Name     string `json:"name"`               // PRETTY_NAME
	Version  string `json:"version,omitempty"`  // VERSION_ID, or debian_version where it says more
	Codename string `json:"codename,omitempty"` // VERSION_CODENAME
	Kernel   string `json:"kernel,omitempty"`   // uname -r
	Arch     string `json:"arch"`
}

// Hardware of a device.
type Hardware struct {
	Vendor      string `json:"vendor,omitempty"`
	Model       string `json:"model,omitempty"`
	Serial      string `json:"serial,omitempty"`
	CPU         string `json:"cpu,omitempty"`
	CPUs        int    `json:"cpus,omitempty"`
	CPULevel    int    `json:"cpu_level,omitempty"` // N of x86-64-vN, by the psABI; 0: not known, or another architecture
	MemoryBytes int64  `json:"memory_bytes,omitempty"`
	Virtual     string `json:"virtual,omitempty"` // the container or hypervisor, when there is one
}

// Disk is one mounted file system that holds data.
type Disk struct {
	Mount     string `json:"mount"`
	FS        string `json:"fs"`
	SizeBytes int64  `json:"size_bytes"`
	// FreeBytes is rounded down to 64 MiB so that a steady device keeps a steady hash.
	FreeBytes int64 `json:"free_bytes"`
}

// Interface is one network interface that is up.
type Interface struct {
	Name      string   `json:"name"`
	MAC       string   `json:"mac,omitempty"`
	Addresses []string `json:"addresses,omitempty"` // with their prefixes
	// Wakes: its card is armed to start the device at a magic packet.
	Wakes bool `json:"wakes,omitempty"`
}

// RebootSignal is one live reason to reboot: never inferred from "something
// was installed".
type RebootSignal struct {
	Signal string   `json:"signal"` // reboot_required_file, kernel_newer, needrestart, …
	Detail []string `json:"detail,omitempty"`
}

// Actor is another program that installs updates on this device.
type Actor struct {
	Name   string `json:"name"`   // unattended-upgrades, packagekit, apt-daily-upgrade.timer…
	Active bool   `json:"active"` // it would act by itself
}

// Inventory is the installed software.
type Inventory struct {
	Provider string    `json:"provider"`
	Software []Package `json:"software"`
}

// Package is one installed package.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Arch    string `json:"arch,omitempty"`
	Source  string `json:"source,omitempty"`
	// State is empty for plainly installed, otherwise what the package
	// manager says: half-configured, unpacked, held…
	State string `json:"state,omitempty"`
}
