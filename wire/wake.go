package wire

// Wake asks a device to wake a neighbour by a magic packet, signed as orders
// are. It names a prefix and never an address: the agent sends only to the
// broadcast address of a prefix that one of its own interfaces holds.
type Wake struct {
	ID        string `json:"id"`
	Tenant    string `json:"tenant"`
	Device    string `json:"device"` // who is asked, not who is woken
	MAC       string `json:"mac"`
	Prefix    string `json:"prefix"` // IPv4, as 192.0.2.0/24
	ExpiresUS int64  `json:"expires_us"`
}

// Woke is what came of a Wake: sent, or not, for the event's Cause.
type Woke struct {
	ID   string `json:"id"`
	Sent bool   `json:"sent,omitempty"`
}

// CapabilityWake is from when on an agent wakes neighbours.
const CapabilityWake = 4
