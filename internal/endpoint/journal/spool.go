package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"go.etcd.io/bbolt"

	"patchring/internal/core/fault"
	"patchring/wire"
)

// The spool's bounds: months of ordinary work without a server.
var defaultLimits = spoolLimits{events: 10_000, bytes: 64 << 20}

type spoolLimits struct {
	events int
	bytes  int64
}

// spooled is how much is in the spool, kept beside it so that no start has to
// count.
type spooled struct {
	Events int   `json:"events"`
	Bytes  int64 `json:"bytes"`
}

const keySpooled = "spooled"

// maxSeq bounds what a server may claim to have: JSON numbers above it lose
// digits elsewhere.
const maxSeq = 1 << 53

// ErrBadAck refuses an acknowledgement that no honest server sends.
var ErrBadAck = errors.New("acknowledged sequence is out of range")

// Append spools events and gives each the next Seq.
//
// Crash story: an event is either stored with its Seq, which is then never
// given again, or was never said.
func (j *Journal) Append(events ...wire.Event) error {
	return j.write(func(tx *bbolt.Tx) error { return j.limits.append(tx, events) })
}

func (l spoolLimits) append(tx *bbolt.Tx, events []wire.Event) error {
	if len(events) == 0 {
		return nil
	}
	size, _, err := get[spooled](tx, bucketMeta, []byte(keySpooled))
	if err != nil {
		return err
	}
	for _, e := range events {
		if err := appendEvent(tx, &size, e); err != nil {
			return err
		}
	}
	if size.Events > l.events || size.Bytes > l.bytes {
		if err := l.makeRoom(tx, &size, events[len(events)-1].AtUS); err != nil {
			return err
		}
	}
	return put(tx, bucketMeta, []byte(keySpooled), size)
}

func appendEvent(tx *bbolt.Tx, size *spooled, e wire.Event) error {
	b := tx.Bucket(bucketEvents)
	seq, err := b.NextSequence()
	if err != nil {
		return fmt.Errorf("number event: %w", err)
	}
	e.Seq = int64(seq)
	raw, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode event %d: %w", e.Seq, err)
	}
	if err := b.Put(intKey(e.Seq), raw); err != nil {
		return fmt.Errorf("spool event %d: %w", e.Seq, err)
	}
	size.Events++
	size.Bytes += int64(len(raw))
	return nil
}

// kept are the kinds that the spool never gives up.
var kept = []wire.EventKind{wire.EventResult, wire.EventDropped, wire.EventRestored}

// makeRoom gives up the oldest lesser events, a tenth of the spool at once so
// that it does not have to again soon, and says so in an event. Results are
// never given up: there is at most one an order; nor is the testimony of a
// restored register.
func (l spoolLimits) makeRoom(tx *bbolt.Tx, size *spooled, atUS int64) error {
	b := tx.Bucket(bucketEvents)
	var drop [][]byte
	left := *size
	c := b.Cursor()
	for k, raw := c.First(); k != nil && (left.Events > l.events*9/10 || left.Bytes > l.bytes/10*9); k, raw = c.Next() {
		var e wire.Event
		if err := json.Unmarshal(raw, &e); err != nil {
			return fmt.Errorf("decode spooled event %x: %w", k, err)
		}
		if slices.Contains(kept, e.Kind) {
			continue
		}
		drop = append(drop, bytes.Clone(k))
		left.Events--
		left.Bytes -= int64(len(raw))
	}
	if len(drop) == 0 {
		return nil
	}
	for _, k := range drop {
		if err := b.Delete(k); err != nil {
			return fmt.Errorf("drop spooled event %x: %w", k, err)
		}
	}
	*size = left
	cause := wire.Cause{Code: string(fault.SpoolFull), Args: map[string]string{"dropped": strconv.Itoa(len(drop))}}
	return appendEvent(tx, size, wire.Event{AtUS: atUS, Kind: wire.EventDropped, Cause: &cause})
}

// Pending lists the oldest events that are not acknowledged: at most max of
// them and, but for the first one, at most maxBytes.
func (j *Journal) Pending(max int, maxBytes int64) (list []wire.Event, err error) {
	err = j.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketEvents)
		if b == nil {
			return nil
		}
		var total int64
		c := b.Cursor()
		for k, raw := c.First(); k != nil && len(list) < max; k, raw = c.Next() {
			if total += int64(len(raw)); total > maxBytes && len(list) > 0 {
				return nil
			}
			var e wire.Event
			if err := json.Unmarshal(raw, &e); err != nil {
				return fmt.Errorf("decode spooled event %x: %w", k, err)
			}
			list = append(list, e)
		}
		return nil
	})
	return list, err
}

// Ack forgets what the server has committed.
//
// When the server has more than was ever sent, this journal is older than its
// device: restored from a backup, rolled back with its virtual machine, or
// started anew. What is spooled is then renumbered to come after, because the
// server takes every lower number for something it has.
//
// Crash story: an event acknowledged but still here is sent again, and the
// server ignores it by its Seq.
func (j *Journal) Ack(upTo int64) error {
	if upTo < 0 || upTo > maxSeq {
		return fmt.Errorf("acknowledge events up to %d: %w", upTo, ErrBadAck)
	}
	return j.write(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketEvents)
		ahead := uint64(upTo) > b.Sequence()
		var size spooled
		var keys [][]byte
		var moved []wire.Event
		c := b.Cursor()
		for k, raw := c.First(); k != nil; k, raw = c.Next() {
			switch {
			case ahead:
				var e wire.Event
				if err := json.Unmarshal(raw, &e); err != nil {
					return fmt.Errorf("decode spooled event %x: %w", k, err)
				}
				moved = append(moved, e)
				keys = append(keys, bytes.Clone(k))
			case binary.BigEndian.Uint64(k) <= uint64(upTo):
				keys = append(keys, bytes.Clone(k))
			default:
				size.Events++
				size.Bytes += int64(len(raw))
			}
		}
		for _, k := range keys {
			if err := b.Delete(k); err != nil {
				return fmt.Errorf("forget event %x: %w", k, err)
			}
		}
		if ahead {
			if err := b.SetSequence(uint64(upTo)); err != nil {
				return fmt.Errorf("continue the sequence at %d: %w", upTo, err)
			}
		}
		for _, e := range moved {
			if err := appendEvent(tx, &size, e); err != nil {
				return err
			}
		}
		return put(tx, bucketMeta, []byte(keySpooled), size)
	})
}

// Spooled is how many events are not acknowledged.
func (j *Journal) Spooled() (int, error) {
	size, err := read[spooled](j, bucketMeta, keySpooled)
	return size.Events, err
}

// ResultPending tells whether the result of an order is still in the spool.
func (j *Journal) ResultPending(order string) (pending bool, err error) {
	err = j.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketEvents)
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, raw []byte) error {
			var e struct {
				Kind  wire.EventKind `json:"kind"`
				Order string         `json:"order"`
			}
			if err := json.Unmarshal(raw, &e); err != nil {
				return fmt.Errorf("decode spooled event %x: %w", k, err)
			}
			pending = pending || e.Kind == wire.EventResult && e.Order == order
			return nil
		})
	})
	return pending, err
}
