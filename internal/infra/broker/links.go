package broker

import (
	"slices"
	"sync"

	"patchring/internal/core/identity"
)

// links knows which connections belong to which device, so that one can be
// kicked and none can have too many.
//
// NATS does not say when a connection ends, so ended ones are swept when their
// device connects again; the map never holds more than maxLinks numbers for
// each device that ever connected.
type links struct {
	alive func(id uint64) bool

	mu       sync.Mutex // guards all below
	kicks    uint64
	byDevice map[identity.Device][]uint64
}

// round is the number of kicks so far.
func (l *links) round() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kicks
}

// add notes a connection that was authorised in the given round. It returns
// the oldest connections above the limit, which are to be ended: the newest is
// the one that works. current is false when somebody was kicked since, and
// then nothing is noted.
func (l *links) add(device identity.Device, id, round uint64) (surplus []uint64, current bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kicks != round {
		return nil, false
	}
	if l.byDevice == nil {
		l.byDevice = make(map[identity.Device][]uint64)
	}
	old := slices.DeleteFunc(l.byDevice[device], func(other uint64) bool {
		return other == id || !l.alive(other) // id itself after a second CONNECT
	})
	all := append(old, id)
	if extra := len(all) - maxLinks; extra > 0 {
		surplus, all = slices.Clone(all[:extra]), all[extra:]
	}
	l.byDevice[device] = all
	return surplus, true
}

// kick starts a new round and forgets a device's connections, which are to be ended.
func (l *links) kick(device identity.Device) []uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kicks++
	ids := l.byDevice[device]
	delete(l.byDevice, device)
	return ids
}
