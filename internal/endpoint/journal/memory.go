package journal

import (
	"fmt"

	"go.etcd.io/bbolt"

	"patchring/wire"
)

// Keys of the single values.
const (
	keyHolds       = "holds"
	keyCheckpoints = "checkpoints"
	keyBoots       = "boots"
	keyAnchor      = "anchor"
	keyAbandoned   = "abandoned"
)

// Enough of the past to recognise what an order proves from, and to see a
// reboot loop.
const (
	maxCheckpoints = 8
	maxBoots       = 16
	maxAbandoned   = 4
)

// Holds are the holds in force; the zero value when none were ever received.
func (j *Journal) Holds() (wire.Holds, error) {
	return read[wire.Holds](j, bucketMeta, keyHolds)
}

// SetHolds replaces the holds by a newer set and tells whether it was newer.
//
// Crash story: until the commit the old set stands, and the next check-in says
// so by its serial; after it no order whose install step is not yet written
// can pass a hold of the new set.
func (j *Journal) SetHolds(holds wire.Holds) (newer bool, err error) {
	err = j.write(func(tx *bbolt.Tx) error {
		old, _, err := get[wire.Holds](tx, bucketMeta, []byte(keyHolds))
		if err != nil {
			return err
		}
		if newer = holds.Serial > old.Serial; !newer {
			return nil
		}
		return put(tx, bucketMeta, []byte(keyHolds), holds)
	})
	return newer, err
}

// Checkpoints are the register's signed checkpoints that were verified, oldest
// first.
func (j *Journal) Checkpoints() ([]string, error) {
	return read[[]string](j, bucketMeta, keyCheckpoints)
}

// AddCheckpoint remembers a verified checkpoint, of the last few.
//
// Crash story: a checkpoint that was not stored is learnt again with the order
// that carried it, which is kept after.
func (j *Journal) AddCheckpoint(signed string) error {
	return j.write(func(tx *bbolt.Tx) error {
		list, _, err := get[[]string](tx, bucketMeta, []byte(keyCheckpoints))
		if err != nil {
			return err
		}
		list = append(list, signed)
		return put(tx, bucketMeta, []byte(keyCheckpoints), list[max(0, len(list)-maxCheckpoints):])
	})
}

// Abandoned is the end of a register that this device had seen and that the
// server has replaced by one restored from a backup. It is what a person at the
// device can hold against what the server says today.
type Abandoned struct {
	RestoredUS int64  `json:"restored_us"` // when, as the new register says
	Backup     int64  `json:"backup"`      // entries that the backup held, as it says
	Seen       int64  `json:"seen"`        // entries of the register that was given up
	Proven     bool   `json:"proven"`      // that the new one contains what this device remembered of the backup
	Checkpoint string `json:"checkpoint"`  // signed, of the register that was given up
}

// Abandoned are the last few, oldest first. They stay for as long as the
// enrolment.
func (j *Journal) Abandoned() ([]Abandoned, error) {
	return read[[]Abandoned](j, bucketMeta, keyAbandoned)
}

// Abandon replaces all the remembered checkpoints by the first one of a
// restored register, keeps the newest of them for ever, and tells of it.
//
// Crash story: before the commit the old register is remembered, and the order
// that carried the new one, which is kept after, comes again; after it the
// device follows the new register and its testimony is in the spool.
func (j *Journal) Abandon(signed string, old Abandoned, event wire.Event) error {
	return j.write(func(tx *bbolt.Tx) error {
		list, _, err := get[[]Abandoned](tx, bucketMeta, []byte(keyAbandoned))
		if err != nil {
			return err
		}
		list = append(list, old)
		if err := put(tx, bucketMeta, []byte(keyAbandoned), list[max(0, len(list)-maxAbandoned):]); err != nil {
			return err
		}
		if err := put(tx, bucketMeta, []byte(keyCheckpoints), []string{signed}); err != nil {
			return err
		}
		return j.limits.append(tx, []wire.Event{event})
	})
}

// Boots are the instants at which orders asked for a reboot, oldest first.
func (t *Tx) Boots() ([]int64, error) {
	boots, _, err := get[[]int64](t.tx, bucketMeta, []byte(keyBoots))
	return boots, err
}

// AddBoot counts a reboot in the change that asks for it: it is on disk before
// the device goes down, so that a loop cannot outrun its counter.
func (t *Tx) AddBoot(atUS int64) error {
	boots, err := t.Boots()
	if err != nil {
		return err
	}
	boots = append(boots, atUS)
	return put(t.tx, bucketMeta, []byte(keyBoots), boots[max(0, len(boots)-maxBoots):])
}

// Boots are the instants at which orders asked for a reboot, oldest first.
func (j *Journal) Boots() ([]int64, error) {
	return read[[]int64](j, bucketMeta, keyBoots)
}

// Anchor ties the wall clock, when it was last believed, to the time since
// boot: what a later start compares its own clock with.
type Anchor struct {
	WallUS   int64  `json:"wall_us"`
	UptimeUS int64  `json:"uptime_us"`
	BootID   string `json:"boot_id"`
	// OffUS is by how much the wall clock was off when it ceased to be believed;
	// a reboot must not make it believed again.
	OffUS int64 `json:"off_us,omitempty"`
}

// Anchor is the last one stored.
func (j *Journal) Anchor() (Anchor, error) {
	return read[Anchor](j, bucketMeta, keyAnchor)
}

// SetAnchor stores an anchor.
//
// Crash story: with the older one a start sees less of what the clock did, and
// a check-in tells the rest.
func (j *Journal) SetAnchor(a Anchor) error {
	return j.write(func(tx *bbolt.Tx) error { return put(tx, bucketMeta, []byte(keyAnchor), a) })
}

// PutPart keeps a part as it was last measured and tells whether it differs
// from the one before. An equal one costs no write.
//
// Crash story: without it the next check-in names the older hash, and the next
// scan measures it again.
func (j *Journal) PutPart(part wire.Part) (changed bool, err error) {
	old, err := read[partHead](j, bucketParts, string(part.Name))
	if err != nil {
		return false, err
	}
	if old.Hash == part.Hash {
		return false, nil
	}
	err = j.write(func(tx *bbolt.Tx) error { return put(tx, bucketParts, []byte(part.Name), part) })
	return err == nil, err
}

// Part is a part as it was last measured.
func (j *Journal) Part(name wire.PartName) (part wire.Part, found bool, err error) {
	err = j.db.View(func(tx *bbolt.Tx) error {
		part, found, err = get[wire.Part](tx, bucketParts, []byte(name))
		return err
	})
	return part, found, err
}

// partHead is a part without its content.
type partHead struct {
	Hash string `json:"hash"`
}

// PartHashes are the hashes of the parts as they were last measured.
func (j *Journal) PartHashes() (map[wire.PartName]string, error) {
	hashes := map[wire.PartName]string{}
	err := j.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketParts)
		if b == nil {
			return nil
		}
		return b.ForEach(func(name, _ []byte) error {
			head, _, err := get[partHead](tx, bucketParts, name)
			if err != nil {
				return fmt.Errorf("read part %s: %w", name, err)
			}
			hashes[wire.PartName(name)] = head.Hash
			return nil
		})
	})
	return hashes, err
}
