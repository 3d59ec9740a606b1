//go:build unix

package lock

import (
	"context"
	"errors"
	"testing"
)

func TestAcquireExcludesAndPassesOn(t *testing.T) {
	path := t.TempDir() + "/deep/lock"
	first, err := Acquire(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	waits := make(chan struct{})
	got := make(chan error, 1)
	go func() {
		second, err := Acquire(t.Context(), path, func() { close(waits) })
		if err == nil {
			err = second.Release()
		}
		got <- err
	}()
	<-waits
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Fatalf("second Acquire = %v, want the lock once it is free", err)
	}
}

func TestAcquireEndsWithItsContext(t *testing.T) {
	path := t.TempDir() + "/lock"
	held, err := Acquire(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := Acquire(ctx, path, cancel); !errors.Is(err, context.Canceled) {
		t.Fatalf("Acquire = %v, want context.Canceled", err)
	}
}
