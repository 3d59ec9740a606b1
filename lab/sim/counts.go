package sim

import (
	"maps"
	"sync"
	"time"
)

// Counts say how the fleet is doing.
type Counts struct {
	AtUS      int64 `json:"at_us"`
	Devices   int   `json:"devices"`
	Enrolled  int   `json:"enrolled"` // in this run
	Reused    int   `json:"reused"`   // came with a saved identity
	Connected int   `json:"connected"`
	Settled   int   `json:"settled"` // have checked in and have delivered everything the server wanted
	Gone      int   `json:"gone"`    // cut off for good, as their traits say

	Checkins  int64 `json:"checkins"`
	Parts     int64 `json:"parts"`
	Events    int64 `json:"events"`  // acknowledged
	Samples   int64 `json:"samples"` // reports of measures that were taken
	Points    int64 `json:"points"`  // acknowledged
	Answers   int64 `json:"answers"`
	Connects  int64 `json:"connects"`
	Timeouts  int64 `json:"timeouts"`  // requests nobody answered in time
	Refusals  int64 `json:"refusals"`  // requests the server could not take now, sent again
	Envelopes int64 `json:"envelopes"` // orders and holds whose signature was verified

	Orders  Orders         `json:"orders"`
	Items   map[string]int `json:"items"`          // by state, as reported
	Failed  map[string]int `json:"failed"`         // items by cause
	Waiting map[string]int `json:"waiting"`        // orders that had to wait, by cause
	Refused map[string]int `json:"orders_refused"` // orders not taken, by cause
	LeftOut map[string]int `json:"left_out"`       // devices that can do nothing more, by cause

	Holds Holds `json:"holds"`
}

// Orders of the whole fleet.
type Orders struct {
	Accepted  int `json:"accepted"`
	Done      int `json:"done"`
	Cancelled int `json:"cancelled"`
	Open      int `json:"open"`
}

// Holds tells how far the newest set of holds has come.
type Holds struct {
	Serial  int64 `json:"serial"`
	Devices int   `json:"devices"` // that have it
	FirstUS int64 `json:"first_us"`
	LastUS  int64 `json:"last_us"`
}

// counter is what the devices share.
type counter struct {
	mu sync.Mutex // guards all
	c  Counts
}

func (n *counter) start(devices int) {
	n.change(func(c *Counts) {
		c.Devices = devices
		c.Items, c.Failed, c.Waiting, c.Refused, c.LeftOut = map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
	})
}

func (n *counter) change(f func(*Counts)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f(&n.c)
}

func (n *counter) enrolled()        { n.change(func(c *Counts) { c.Enrolled++ }) }
func (n *counter) reused(count int) { n.change(func(c *Counts) { c.Reused = count }) }

// holds notes that a device took a set it had not.
func (n *counter) holds(serial int64) {
	now := time.Now().UnixMicro()
	n.change(func(c *Counts) {
		switch h := &c.Holds; {
		case serial > h.Serial:
			*h = Holds{Serial: serial, Devices: 1, FirstUS: now, LastUS: now}
		case serial == h.Serial:
			h.Devices++
			h.LastUS = now
		}
	})
}

// counts is a copy as of now.
func (n *counter) counts() Counts {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.c
	c.AtUS = time.Now().UnixMicro()
	c.Items, c.Failed, c.Waiting = maps.Clone(c.Items), maps.Clone(c.Failed), maps.Clone(c.Waiting)
	c.Refused, c.LeftOut = maps.Clone(c.Refused), maps.Clone(c.LeftOut)
	return c
}
