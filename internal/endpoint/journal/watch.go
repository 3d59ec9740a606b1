package journal

import (
	"go.etcd.io/bbolt"

	"patchring/wire"
)

const (
	keyWatch  = "watch"
	keyProbed = "probed"
)

// Watch is what the device is to measure; the zero value when it was never told.
func (j *Journal) Watch() (wire.Watch, error) {
	return read[wire.Watch](j, bucketMeta, keyWatch)
}

// SetWatch replaces it by a newer one, or by one of another enrolment, and
// tells whether it did.
//
// Crash story: until the commit the old one stands, and the next check-in says
// so by its serial.
func (j *Journal) SetWatch(w wire.Watch) (newer bool, err error) {
	err = j.write(func(tx *bbolt.Tx) error {
		old, _, err := get[wire.Watch](tx, bucketMeta, []byte(keyWatch))
		if err != nil {
			return err
		}
		if newer = w.Serial > old.Serial || w.Device != old.Device || w.Tenant != old.Tenant; !newer {
			return nil
		}
		return put(tx, bucketMeta, []byte(keyWatch), w)
	})
	return newer, err
}

// Probed is a probe and what it last found that was news.
type Probed struct {
	Probe wire.Probe      `json:"probe"`
	State wire.ProbeState `json:"state"`
}

// Probed lists what SetProbed kept.
func (j *Journal) Probed() ([]Probed, error) {
	return read[[]Probed](j, bucketMeta, keyProbed)
}

// SetProbed keeps what the probes found, so that after a restart it is still
// known since when. It is called when one of them changes.
//
// Crash story: without it a probe that has changed is found to have at the next
// start.
func (j *Journal) SetProbed(list []Probed) error {
	return j.write(func(tx *bbolt.Tx) error { return put(tx, bucketMeta, []byte(keyProbed), list) })
}
