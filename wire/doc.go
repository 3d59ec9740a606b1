// Package wire is what an agent and a server say to each other: the messages,
// the subjects they travel on with the permissions that go with them, the
// capability history and the signed envelope.
//
// It is a leaf: it imports nothing of the project, decides nothing, and is
// read by both sides, by the lab and by tests. Messages are plain structs in
// JSON. The rules of their evolution:
//
//   - fields are only added, always optional; a name is never given a second
//     meaning and never reused;
//   - adding something that the other side must know about raises Capability
//     and adds a dated line to its history;
//   - a frozen golden exists for each capability and is never edited.
//
// Instants are microseconds since 1970 UTC (suffix US), durations seconds
// (suffix S) and sizes bytes (suffix Bytes), all int64.
package wire

// Capability is the integer an agent and a server compare to know what the
// other one understands.
//
//	1  2026-11-21  enrolment, check-in, parts, events, orders (install,
//	               rollback, scan), holds, questions
//	2  2026-11-21  people: their terms in an order, the reboot modes window
//	               and user, notice events
//	3  2026-11-22  clean-up orders and what they freed; answers from a device's
//	               page (said), its link and the logo in the terms of people,
//	               offers and deadline in notices
//	4  2026-11-22  reboot: orders of that kind, a margin of their own for
//	               reboots, and how long each part of an order took; how fast an
//	               order may download; neighbours that are to be woken, and the
//	               cards that can be
//	5  2026-11-22  measures: samples and points (report measures), probes and
//	               what a device is to watch (watch); what its probes found after an
//	               order; the device's clock with events
const Capability = 5

// CapabilityReboot is from when on an agent understands orders to reboot.
const CapabilityReboot = 4

// Limits of a message. A longer one is cut by its sender with Clean, or refused
// by its receiver: no device can make the server keep what it does not want.
const (
	MaxPayloadBytes  = 1 << 20 // one broker message
	MaxPartBytes     = 8 << 20 // one part after decompression
	MaxLogTailBytes  = 8 << 10 // the end of a tool's output kept with a result
	MaxTextBytes     = 1 << 10 // any single text field
	MaxEventsPerSend = 64
)
