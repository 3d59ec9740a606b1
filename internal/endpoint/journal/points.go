package journal

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"patchring/wire"
)

// maxPoints is how many points wait for the server: those of seven days.
const maxPoints = 7 * 24 * 3600 / wire.PointS

const (
	keyClosed = "points closed" // number of the last point that was closed
	openName  = "points.open"
)

// ClosePoint keeps a finished point under its number; one that was closed
// before changes nothing. Where a point with the same beginning waits already
// (the clock went back over it) join makes one of the two. Beyond seven days of
// them the oldest are given up, and how many is told.
//
// Crash story: before the commit the open point is still in its file and is
// closed again; after it the number says that the file is old.
func (j *Journal) ClosePoint(number int64, p wire.Point, join func(old, more wire.Point) wire.Point) (dropped int, err error) {
	err = j.write(func(tx *bbolt.Tx) error {
		dropped = 0
		last, _, err := get[int64](tx, bucketMeta, []byte(keyClosed))
		if err != nil || number <= last {
			return err
		}
		old, found, err := get[wire.Point](tx, bucketPoints, intKey(p.AtUS))
		if err != nil {
			return err
		}
		kept := p
		if found {
			kept = join(old, p)
		}
		if err := put(tx, bucketPoints, intKey(p.AtUS), kept); err != nil {
			return err
		}
		if err := put(tx, bucketMeta, []byte(keyClosed), number); err != nil {
			return err
		}
		if dropped, err = dropOldest(tx.Bucket(bucketPoints)); err != nil {
			return fmt.Errorf("give up old points: %w", err)
		}
		return nil
	})
	return dropped, err
}

// dropOldest keeps the bucket within its bound.
func dropOldest(b *bbolt.Bucket) (dropped int, err error) {
	c := b.Cursor()
	n := 0
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		n++
	}
	for ; n > maxPoints; n-- {
		k, _ := c.First()
		if err := b.Delete(k); err != nil {
			return dropped, err
		}
		dropped++
	}
	return dropped, nil
}

// ClosedPoints is the number of the last point that was closed.
func (j *Journal) ClosedPoints() (int64, error) {
	return read[int64](j, bucketMeta, keyClosed)
}

// Points lists the oldest points that are not acknowledged.
func (j *Journal) Points(most int) (list []wire.Point, err error) {
	err = j.eachPoint(func(k, raw []byte) error {
		if len(list) == most {
			return errEnough
		}
		var p wire.Point
		if err := json.Unmarshal(raw, &p); err != nil {
			return fmt.Errorf("decode point %x of journal: %w", k, err)
		}
		list = append(list, p)
		return nil
	})
	return list, err
}

var errEnough = errors.New("enough points")

func (j *Journal) eachPoint(f func(k, raw []byte) error) error {
	err := j.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketPoints)
		if b == nil { // a journal of an older agent, only looked at
			return nil
		}
		return b.ForEach(f)
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// PointsKept is how many points are not acknowledged.
func (j *Journal) PointsKept() (n int, err error) {
	err = j.eachPoint(func(_, _ []byte) error { n++; return nil })
	return n, err
}

// AckPoints forgets those of the points that were sent which begin at upTo or
// before it. Only what was sent is forgotten: after the clock went back a point
// may be kept that is older than those and was never said.
//
// Crash story: a point that is still here is sent again, which changes nothing.
func (j *Journal) AckPoints(sent []wire.Point, upTo int64) error {
	return j.write(func(tx *bbolt.Tx) error {
		for _, p := range sent {
			if p.AtUS > upTo {
				continue
			}
			kept, found, err := get[wire.Point](tx, bucketPoints, intKey(p.AtUS))
			if err != nil {
				return err
			}
			if !found || kept.N != p.N { // joined with another since: the whole is said too
				continue
			}
			if err := tx.Bucket(bucketPoints).Delete(intKey(p.AtUS)); err != nil {
				return fmt.Errorf("forget point %d: %w", p.AtUS, err)
			}
		}
		return nil
	})
}

// DropPointsAfter forgets points that begin after an instant: a clock that was
// put back has shown that they are of no time.
func (j *Journal) DropPointsAfter(atUS int64) (dropped int, err error) {
	err = j.write(func(tx *bbolt.Tx) error {
		dropped = 0
		c := tx.Bucket(bucketPoints).Cursor()
		for k, _ := c.Last(); k != nil && int64(binary.BigEndian.Uint64(k)) > atUS; k, _ = c.Last() {
			if err := c.Delete(); err != nil {
				return fmt.Errorf("forget point %x: %w", k, err)
			}
			dropped++
		}
		return nil
	})
	return dropped, err
}

// OpenPoint is what SetOpenPoint kept last; nil when there is nothing.
func (j *Journal) OpenPoint() ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(j.dir, openName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read open point: %w", err)
	}
	return text, nil
}

// SetOpenPoint keeps the point that is being made, beside the journal and
// without waiting for the disk: it is written at each sample, and no laptop is
// to wake its disk for that.
//
// Crash story: it survives the agent's end, however that comes; a power cut may
// take it, and with it the samples of less than five minutes.
func (j *Journal) SetOpenPoint(text []byte) error {
	name := filepath.Join(j.dir, openName)
	if err := os.WriteFile(name+".new", text, 0o600); err != nil {
		return fmt.Errorf("keep open point: %w", err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		return fmt.Errorf("keep open point: %w", err)
	}
	return nil
}
