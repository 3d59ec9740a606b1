package executor

import (
	"errors"
	"fmt"

	"patchring/internal/core/fault"
	"patchring/internal/core/register"
	"patchring/wire"
)

// checkRegister makes this device a witness: the register that an order comes
// with must be one that this device has seen, with entries added at its end.
// The first one seen is believed.
//
// The proof starts from a checkpoint that the device remembers. When it does
// not (an order in between was missed) nothing is proven either way, and the
// refusal names the size that the device can check a proof from.
func (e *Executor) checkRegister(order wire.Order) error {
	if e.RegisterKey == "" {
		return nil
	}
	remembered, err := e.remembered()
	if err != nil {
		return err
	}
	if order.Checkpoint == "" {
		if len(remembered) == 0 {
			return nil
		}
		return forked(0, remembered, nil)
	}
	next, err := register.OpenCheckpoint(order.Checkpoint, e.RegisterKey)
	if err != nil {
		return forked(0, remembered, err)
	}
	if len(remembered) == 0 {
		return e.remember(order.Checkpoint)
	}
	for _, old := range remembered {
		switch {
		case old == next:
			return nil
		case old.Size == next.Size:
			return forked(next.Size, remembered, register.ErrForked)
		}
	}
	for _, old := range remembered {
		if old.Size != order.ProofFrom {
			continue
		}
		if err := register.Extends(old, next, hashes(order.CheckpointProof)); err != nil {
			return forked(next.Size, remembered, err)
		}
		if next.Size < remembered[len(remembered)-1].Size {
			return nil // an older order, late; the longest register seen stays the one to extend
		}
		return e.remember(order.Checkpoint)
	}
	return forked(next.Size, remembered, errUnproven)
}

// errUnproven: not a fork, as far as can be told.
var errUnproven = errors.New("the proof starts at a size that this device has not seen")

// remembered are the checkpoints seen, the longest register last.
func (e *Executor) remembered() ([]register.Checkpoint, error) {
	signed, err := e.Journal.Checkpoints()
	if err != nil {
		return nil, fmt.Errorf("read remembered checkpoints: %w", err)
	}
	list := make([]register.Checkpoint, 0, len(signed))
	for _, s := range signed {
		c, err := register.OpenCheckpoint(s, e.RegisterKey)
		if err != nil {
			return nil, fmt.Errorf("read remembered checkpoint: %w", err)
		}
		list = append(list, c)
	}
	return list, nil
}

func (e *Executor) remember(signed string) error {
	if err := e.Journal.AddCheckpoint(signed); err != nil {
		return fmt.Errorf("remember checkpoint: %w", err)
	}
	return nil
}

func forked(size int64, remembered []register.Checkpoint, cause error) error {
	have := int64(0)
	if len(remembered) > 0 {
		have = remembered[len(remembered)-1].Size
	}
	return fault.New(fault.RegisterForked, "size", itoa(size), "have", itoa(have)).Wrap(cause)
}

// hashes of a proof. One of another length becomes one that proves nothing.
func hashes(proof [][]byte) []register.Hash {
	list := make([]register.Hash, len(proof))
	for i, h := range proof {
		if len(h) == len(list[i]) {
			list[i] = register.Hash(h)
		}
	}
	return list
}
