package server

import (
	"sync"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fleet"
)

// pulse tells live pages that a campaign changed. A beat carries nothing: who
// hears it reads again, and beats that come faster than reading are one.
type pulse struct {
	mu     sync.Mutex // guards all below
	closed bool
	heard  map[pulseKey]map[chan struct{}]bool
}

type pulseKey struct {
	tenant   fleet.TenantID
	campaign campaign.ID
}

func newPulse() *pulse { return &pulse{heard: map[pulseKey]map[chan struct{}]bool{}} }

func (p *pulse) beat(tenant fleet.TenantID, id campaign.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for ch := range p.heard[pulseKey{tenant, id}] {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// listen hears the beats of one campaign until stop is called. The channel is
// closed when the server stops.
func (p *pulse) listen(tenant fleet.TenantID, id campaign.ID) (beats <-chan struct{}, stop func()) {
	key, ch := pulseKey{tenant, id}, make(chan struct{}, 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		close(ch)
		return ch, func() {}
	}
	if p.heard[key] == nil {
		p.heard[key] = map[chan struct{}]bool{}
	}
	p.heard[key][ch] = true
	return ch, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.heard[key], ch)
		if len(p.heard[key]) == 0 {
			delete(p.heard, key)
		}
	}
}

func (p *pulse) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, listeners := range p.heard {
		for ch := range listeners {
			close(ch)
		}
	}
	p.heard = map[pulseKey]map[chan struct{}]bool{}
}
