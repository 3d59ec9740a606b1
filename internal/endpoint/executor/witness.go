package executor

import (
	"fmt"

	"patchring/internal/core/fault"
	"patchring/internal/core/register"
	"patchring/internal/endpoint/journal"
	"patchring/wire"
)

// checkRegister makes this device a witness: the register that an order comes
// with must be one that this device has seen, with entries added at its end,
// by the rule of register.Follow. The first one seen is believed.
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
	step, err := register.Follow(remembered, register.Offer{Next: next, From: order.ProofFrom, Proof: hashes(order.CheckpointProof)})
	if err != nil {
		return forked(next.Size, remembered, err)
	}
	switch step {
	case register.StepLonger:
		return e.remember(order.Checkpoint)
	case register.StepProven, register.StepUnproven:
		return e.followRestored(order, next, step)
	}
	return nil
}

// followRestored follows a register that says it was restored from a backup. What
// this device had seen of the one before stays in its journal, and goes into
// the new register as its testimony: no restore is unseen, nor is a register
// that was rewritten under the name of one.
func (e *Executor) followRestored(order wire.Order, next register.Checkpoint, step register.Step) error {
	signed, err := e.Journal.Checkpoints()
	if err != nil {
		return fmt.Errorf("read remembered checkpoints: %w", err)
	}
	newest := signed[len(signed)-1]
	seen, err := register.OpenCheckpoint(newest, e.RegisterKey)
	if err != nil {
		return fmt.Errorf("read remembered checkpoint: %w", err)
	}
	proven := step == register.StepProven
	event := wire.Event{AtUS: us(e.Now()), Kind: wire.EventRestored, Cause: causeOf(register.Testimony(seen, next, step))}
	old := journal.Abandoned{
		RestoredUS: next.Restored.AtUS, Backup: next.Restored.Size, Seen: seen.Size, Proven: proven, Checkpoint: newest,
	}
	if err := e.Journal.Abandon(order.Checkpoint, old, event); err != nil {
		return fmt.Errorf("follow the restored register: %w", err)
	}
	e.Log.Warn("the register was restored from a backup", "at", next.Restored.At(), "backup", next.Restored.Size, "seen", seen.Size, "proven", proven)
	e.Changed()
	return nil
}

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
