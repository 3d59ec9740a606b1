// Package fleet owns what a device is to the server: its identity, kind, tags,
// state, and which devices a group or a ring means. It refuses to know how
// anything is stored or sent. Pure values, safe from any goroutine.
package fleet

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// TenantID names an organisation; the first one is DefaultTenant.
type TenantID string

// DefaultTenant is the tenant made by the first run.
const DefaultTenant TenantID = "main"

// DeviceID is the UUIDv7 given at enrolment. Hardware ids and host names
// change and repeat; this one does neither.
type DeviceID string

// Kind of a device decides its windows and how its people are treated.
type Kind string

// Kinds.
const (
	Workstation Kind = "workstation"
	Server      Kind = "server"
	Critical    Kind = "critical"
)

// Kinds lists every kind.
func Kinds() []Kind { return []Kind{Workstation, Server, Critical} }

// ParseKind reads a kind, and names the choices when it cannot.
func ParseKind(s string) (Kind, error) {
	if k := Kind(s); slices.Contains(Kinds(), k) {
		return k, nil
	}
	return "", fmt.Errorf("kind %q is not one of workstation, server, critical", s)
}

// State of a device on the whole, as lists show it.
type State string

// States.
const (
	Compliant     State = "compliant"
	Overdue       State = "overdue"
	PendingReboot State = "pending_reboot"
	Exempt        State = "exempt"
	NotReady      State = "not_ready"
	Unreachable   State = "unreachable"
	Retired       State = "retired"
)

// Tags are what the organisation says of a device: department=finance,
// owner=…, site=…. Keys and values are lower case ASCII words.
type Tags map[string]string

// ParseTag reads key=value.
func ParseTag(s string) (key, value string, err error) {
	key, value, ok := strings.Cut(s, "=")
	if !ok || key == "" || value == "" {
		return "", "", fmt.Errorf("tag %q: write key=value, for example department=finance", s)
	}
	return key, value, nil
}

// Member is what membership is decided on.
type Member struct {
	Device DeviceID
	Name   string
	Kind   Kind
	Tags   Tags
	Groups []string // names of the explicit groups the device is in
}

// Selector chooses devices. A device is chosen when it fits any of Groups,
// Tags or Names; the zero Selector chooses none; All chooses everything.
// Within one Tags entry every key must fit.
type Selector struct {
	All    bool
	Groups []string
	Tags   []Tags
	Names  []string
	Kinds  []Kind // when not empty, also required
}

// Selects tells whether m is chosen.
func (s Selector) Selects(m Member) bool {
	if len(s.Kinds) > 0 && !slices.Contains(s.Kinds, m.Kind) {
		return false
	}
	return s.All || slices.Contains(s.Names, m.Name) || s.inGroup(m) || s.tagged(m)
}

func (s Selector) inGroup(m Member) bool {
	return slices.ContainsFunc(m.Groups, func(g string) bool { return slices.Contains(s.Groups, g) })
}

func (s Selector) tagged(m Member) bool {
	return slices.ContainsFunc(s.Tags, func(want Tags) bool {
		for k, v := range want {
			if m.Tags[k] != v {
				return false
			}
		}
		return len(want) > 0
	})
}

// Reachable tells whether a device last heard of at seen still counts as
// reachable at now.
func Reachable(seen, now time.Time, after time.Duration) bool {
	return !seen.IsZero() && now.Sub(seen) < after
}
