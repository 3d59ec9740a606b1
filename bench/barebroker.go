//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// bareBroker is the broker alone in a process of its own.
type bareBroker struct {
	*process
	address string
	input   io.WriteCloser
}

func (b *bench) bareBroker(ctx context.Context, s *site, more ...string) (*bareBroker, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	bare := &bareBroker{address: address}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start the bare broker: %w", err)
	}
	bare.input = w
	args := append([]string{bareVerb, "--keys", s.data + "/keys", "--listen", address}, more...)
	bare.process, err = b.startWith(r, "bare", nil, self, args...)
	if err != nil {
		return nil, err
	}
	if err := r.Close(); err != nil {
		return nil, fmt.Errorf("start the bare broker: %w", err)
	}
	return bare, until(ctx, "the bare broker", 15*time.Second, func() (bool, error) {
		return strings.Contains(bare.lastWords(), "ready"), nil
	})
}

// publish makes it send a set of holds to all.
func (b *bareBroker) publish() error {
	if _, err := io.WriteString(b.input, "\n"); err != nil {
		return fmt.Errorf("ask the bare broker to publish: %w", err)
	}
	return nil
}
