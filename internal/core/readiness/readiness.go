// Package readiness owns what keeps a device from making it through a campaign
// that is still ahead: found days before, so that somebody can put it right.
//
// It refuses to guess: what was never measured is a finding of its own or none,
// and never "ready". Pure values; safe from any goroutine.
package readiness

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/lifecycle"
	"patchring/internal/core/policy"
)

// Kind of a finding.
type Kind string

// Kinds.
const (
	Silent      Kind = "silent"
	Broken      Kind = "broken"
	Stale       Kind = "stale"
	Disk        Kind = "disk"
	Reboot      Kind = "reboot"
	Window      Kind = "window"
	Certificate Kind = "certificate"
	Exception   Kind = "exception"
	Duplicate   Kind = "duplicate"
	Rollback    Kind = "rollback"
	System      Kind = "system"
)

// Kinds lists them in the order in which they are worth looking at: a silent
// agent makes everything else that is known of a device old.
func Kinds() []Kind {
	return []Kind{Silent, Broken, Stale, Disk, Window, System, Duplicate, Certificate, Reboot, Rollback, Exception}
}

// Severity of a finding.
type Severity string

// Severities.
const (
	Blocking Severity = "blocking" // as it is, the device will not make it
	Warning  Severity = "warning"  // it may not, or it will cost more than it should
)

// Fix says what to do.
type Fix string

// Fixes.
const (
	StartAgent     Fix = "start_agent"
	RepairPackages Fix = "repair_packages"
	RefreshLists   Fix = "refresh_lists"
	FreeDisk       Fix = "free_disk"
	RebootDevice   Fix = "reboot_device"
	GiveWindow     Fix = "give_window"
	RenewCert      Fix = "renew_certificate"
	RenewException Fix = "renew_exception"
	NewIdentity    Fix = "new_identity"
	PlanReturn     Fix = "plan_return" // a backup or a snapshot in place of a rollback
	ReplaceSystem  Fix = "replace_system"
)

// Device is what is known of one device.
type Device struct {
	ID                 fleet.DeviceID
	Groups             []string
	Seen               time.Time
	Scanned            time.Time
	ScanFailed         bool
	ScanStale          bool
	ScanCause          fault.Code
	Lists              time.Time // when its package lists were last brought up to date
	RebootPending      bool
	RebootSince        time.Time // zero: not known
	FreeBytes          int64     // on the system's disk; 0: never measured
	DownloadBytes      int64     // of everything it misses
	Certificate        time.Time // when its certificate ends; zero: not known
	DuplicateOf        string
	RollbackImpossible bool // of a patch in an open campaign
	Windows            []calendar.Interval
	System             lifecycle.Assessment
}

// Question is what the devices are to be ready for.
type Question struct {
	Now         time.Time
	Until       time.Time     // windows, certificates and exceptions are looked at up to here
	SilentAfter time.Duration // without a word for so long, an agent is silent
	Exceptions  []policy.Exception
}

// Limits of what is still good.
const (
	ListsAge = 3 * 24 * time.Hour
	// Reserve is what an agent leaves free beside a download, and unpacking is
	// about twice what was downloaded, which is still there meanwhile.
	Reserve   = 512 << 20
	unpacking = 3
)

// Finding is one thing to put right on one device.
type Finding struct {
	Kind     Kind         `json:"kind"`
	Severity Severity     `json:"severity"`
	Reason   fault.Reason `json:"reason"`
	Fix      Fix          `json:"fix"`
}

// Check finds what is wrong with a device, the most urgent first.
func Check(d Device, q Question) []Finding {
	var out []Finding
	for _, find := range []func(Device, Question) (Finding, bool){
		silent, scan, lists, disk, window, system, duplicate, certificate, reboot, rollback,
	} {
		if f, found := find(d, q); found {
			out = append(out, f)
		}
	}
	out = append(out, exceptions(d, q)...)
	slices.SortStableFunc(out, func(a, b Finding) int {
		return cmp.Or(a.Severity.rank()-b.Severity.rank(), a.Kind.rank()-b.Kind.rank())
	})
	return out
}

func (s Severity) rank() int { return slices.Index([]Severity{Blocking, Warning}, s) }
func (k Kind) rank() int     { return slices.Index(Kinds(), k) }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func silent(d Device, q Question) (Finding, bool) {
	why := fault.Because(fault.DeviceUnreachable, "since", stamp(d.Seen))
	if d.Seen.IsZero() {
		why = fault.Because(fault.NeverSeen)
	}
	return Finding{Silent, Blocking, why, StartAgent}, !fleet.Reachable(d.Seen, q.Now, q.SilentAfter)
}

// scan: a scan that failed says that the package manager is broken, or cannot
// be asked, which comes to the same.
func scan(d Device, _ Question) (Finding, bool) {
	switch {
	case d.ScanFailed:
		return Finding{Broken, Blocking, fault.Because(fault.ScanRefused, "cause", string(d.ScanCause)), RepairPackages}, true
	case d.Scanned.IsZero():
		return Finding{Broken, Blocking, fault.Because(fault.NeverScanned), StartAgent}, true
	}
	return Finding{}, false
}

func lists(d Device, q Question) (Finding, bool) {
	switch {
	case d.Scanned.IsZero() || d.ScanFailed: // told by scan
		return Finding{}, false
	case d.ScanStale:
		return Finding{Stale, Blocking, fault.Because(fault.ScanStale, "at", stamp(d.Scanned)), RefreshLists}, true
	case !d.Lists.IsZero() && q.Now.Sub(d.Lists) > ListsAge:
		return Finding{Stale, Warning, fault.Because(fault.ListsStale, "at", stamp(d.Lists)), RefreshLists}, true
	}
	return Finding{}, false
}

// disk counts the download, its unpacking, and what an agent leaves free.
func disk(d Device, _ Question) (Finding, bool) {
	need := Reserve + unpacking*d.DownloadBytes
	f := Finding{Disk, Blocking, fault.Because(fault.DiskShort, "need", strconv.FormatInt(need, 10), "free", strconv.FormatInt(d.FreeBytes, 10)), FreeDisk}
	if d.FreeBytes >= Reserve+d.DownloadBytes {
		f.Severity = Warning // it can be downloaded, and may be installed piece by piece
	}
	return f, d.FreeBytes > 0 && d.FreeBytes < need
}

func window(d Device, q Question) (Finding, bool) {
	open := calendar.Intersect(d.Windows, []calendar.Interval{{Start: q.Now, End: q.Until}})
	return Finding{Window, Blocking, fault.Because(fault.NoWindowAhead, "until", stamp(q.Until)), GiveWindow}, len(open) == 0
}

func system(d Device, _ Question) (Finding, bool) {
	switch {
	case d.System.State == lifecycle.Ended:
		return Finding{System, Blocking, d.System.Reason, ReplaceSystem}, true
	case !d.System.Short.IsZero():
		return Finding{System, Warning, d.System.Short, ReplaceSystem}, true
	case d.System.State == lifecycle.EndsSoon:
		return Finding{System, Warning, d.System.Reason, ReplaceSystem}, true
	}
	return Finding{}, false
}

// duplicate: two machines with one id take each other's orders.
func duplicate(d Device, _ Question) (Finding, bool) {
	return Finding{Duplicate, Blocking, fault.Because(fault.DuplicateMachine, "device", d.DuplicateOf), NewIdentity}, d.DuplicateOf != ""
}

// certificate: agents renew theirs long before the end, so one that ends soon
// belongs to an agent that does not.
func certificate(d Device, q Question) (Finding, bool) {
	f := Finding{Certificate, Warning, fault.Because(fault.CertificateEnds, "until", stamp(d.Certificate)), RenewCert}
	if !d.Certificate.After(q.Now) {
		f.Severity = Blocking
	}
	return f, !d.Certificate.IsZero() && d.Certificate.Before(q.Until)
}

func reboot(d Device, _ Question) (Finding, bool) {
	why := fault.Because(fault.RebootPendingFor, "since", stamp(d.RebootSince))
	if d.RebootSince.IsZero() {
		why = fault.Because(fault.RebootPendingNow)
	}
	return Finding{Reboot, Warning, why, RebootDevice}, d.RebootPending
}

func rollback(d Device, _ Question) (Finding, bool) {
	return Finding{Rollback, Warning, fault.Because(fault.RollbackCannot), PlanReturn}, d.RollbackImpossible
}

// exceptions that end before the campaign does: what they left out will be
// installed again.
func exceptions(d Device, q Question) []Finding {
	var out []Finding
	for _, e := range q.Exceptions {
		about := e.Device == d.ID || e.Group != "" && slices.Contains(d.Groups, e.Group)
		if about && !q.Now.Before(e.From) && q.Now.Before(e.Until) && e.Until.Before(q.Until) {
			why := fault.Because(fault.ExceptionEnds, "exception", e.ID, "owner", e.Owner, "until", stamp(e.Until))
			out = append(out, Finding{Exception, Warning, why, RenewException})
		}
	}
	return out
}
