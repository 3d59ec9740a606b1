package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"patchring/wire"
)

// ErrNoOrder tells that no order with that serial is kept.
var ErrNoOrder = errors.New("no such order in the journal")

// Order is an order the agent keeps and everything that is needed to go on
// with it after a crash. It stays, done, until it can no longer be replayed.
type Order struct {
	Envelope wire.Envelope `json:"envelope"` // the exact bytes that were signed
	// Order is the envelope's payload, decoded again at each read.
	Order wire.Order `json:"-"`

	Step     wire.Step      `json:"step"`
	Items    []wire.Item    `json:"items,omitempty"`    // still to be done, with their rollback as it is known
	Outcomes []wire.Outcome `json:"outcomes,omitempty"` // of the items that have ended

	Attempts    int         `json:"attempts,omitempty"`      // of the present step that failed
	NotBeforeUS int64       `json:"not_before_us,omitempty"` // no new attempt sooner
	Waiting     *wire.Cause `json:"waiting,omitempty"`       // the wait that was last told
	NextUS      int64       `json:"next_us,omitempty"`       // and its next attempt

	Cancelled    bool  `json:"cancelled,omitempty"`     // the server said it no longer stands
	SupersededBy int64 `json:"superseded_by,omitempty"` // serial of a newer order of the same campaign

	Installs   int    `json:"installs,omitempty"`   // transactions begun
	StartedUS  int64  `json:"started_us,omitempty"` // of the first one
	Recovering bool   `json:"recovering,omitempty"` // its interruption was told
	LogTail    string `json:"log_tail,omitempty"`
	LogSHA256  string `json:"log_sha256,omitempty"`

	DownloadMS int64 `json:"download_ms,omitempty"`
	InstallMS  int64 `json:"install_ms,omitempty"`
	RebootMS   int64 `json:"reboot_ms,omitempty"`
	Untimed    bool  `json:"untimed,omitempty"` // an install was interrupted: how long it took is not known

	AskedBoot   string      `json:"asked_boot,omitempty"` // boot id under which a reboot was asked for
	AskedUS     int64       `json:"asked_us,omitempty"`
	Boots       int         `json:"boots,omitempty"` // reboots asked for by this order
	Rebooted    bool        `json:"rebooted,omitempty"`
	BootPending bool        `json:"boot_pending,omitempty"` // a live signal remains that the order does not act on
	BootCause   *wire.Cause `json:"boot_cause,omitempty"`   // why not
	ClaimBoot   string      `json:"claim_boot,omitempty"`   // done as claimed under this boot id: another one verifies it

	Probes []wire.ProbeState `json:"probes,omitempty"` // as they were after it

	CleanUp  []wire.CleanUp `json:"clean_up,omitempty"` // still to be done
	Freed    wire.Freed     `json:"freed,omitzero"`     // by the first of them, so far
	Sweeping bool           `json:"sweeping,omitempty"` // it is at work, or was when the agent ended

	Asked Asked `json:"asked,omitzero"` // between the present act and the people at the device

	// Heard are the last answers from the device's page, by id: each counts once.
	Heard []string `json:"heard,omitempty"`

	DoneUS int64 `json:"done_us,omitempty"`
}

// Done tells that the order's result has been spooled.
func (o Order) Done() bool { return o.Step == wire.StepDone }

// Tx is one durable change of an order, and sees the journal as of that
// change: what another goroutine stored before it (a hold, a cancel) is seen,
// what it stores after comes after.
type Tx struct {
	tx     *bbolt.Tx
	events []wire.Event
}

// Emit spools an event together with the change.
func (t *Tx) Emit(e wire.Event) { t.events = append(t.events, e) }

// Holds are the holds in force.
func (t *Tx) Holds() (wire.Holds, error) {
	holds, _, err := get[wire.Holds](t.tx, bucketMeta, []byte(keyHolds))
	return holds, err
}

// Keep stores a new order with the changes it makes to those already kept.
// supersede is called for each of them and tells whether it changed it.
//
// Crash story: before the commit the order was never heard of and the server
// sends it again at the next check-in; after it the order is kept, and the one
// it replaces is replaced.
func (j *Journal) Keep(order Order, supersede func(*Order) bool, events ...wire.Event) error {
	return j.write(func(tx *bbolt.Tx) error {
		kept, err := orders(tx)
		if err != nil {
			return err
		}
		for _, old := range kept {
			if supersede(&old) {
				if err := putOrder(tx, old); err != nil {
					return err
				}
			}
		}
		if err := putOrder(tx, order); err != nil {
			return err
		}
		return j.limits.append(tx, events)
	})
}

// Update changes one order, and spools what change emits, in one commit.
// change may run twice and must take everything it decides on from its
// arguments. When it returns an error nothing is stored and the error is
// returned as it is.
//
// Crash story: the next start finds the order either as it was, and does the
// step again, or as change left it, and goes on from there; the events that
// tell of it are spooled exactly when it is.
func (j *Journal) Update(serial int64, change func(*Tx, *Order) error) error {
	return j.write(func(tx *bbolt.Tx) error {
		order, found, err := get[Order](tx, bucketOrders, intKey(serial))
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("update order %d: %w", serial, ErrNoOrder)
		}
		if err := order.decode(); err != nil {
			return err
		}
		t := &Tx{tx: tx}
		if err := change(t, &order); err != nil {
			return err
		}
		if err := putOrder(tx, order); err != nil {
			return err
		}
		return j.limits.append(tx, t.events)
	})
}

// Drop forgets orders that can no longer be replayed.
//
// Crash story: an order that is still there at the next start is dropped then.
func (j *Journal) Drop(serials ...int64) error {
	return j.write(func(tx *bbolt.Tx) error {
		for _, serial := range serials {
			if err := tx.Bucket(bucketOrders).Delete(intKey(serial)); err != nil {
				return fmt.Errorf("drop order %d: %w", serial, err)
			}
		}
		return nil
	})
}

// Orders lists the kept orders by rising serial.
func (j *Journal) Orders() (list []Order, err error) {
	err = j.db.View(func(tx *bbolt.Tx) error {
		list, err = orders(tx)
		return err
	})
	return list, err
}

// Order is the kept order of that serial.
func (j *Journal) Order(serial int64) (Order, error) {
	var order Order
	err := j.db.View(func(tx *bbolt.Tx) error {
		kept, err := orders(tx)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(kept, func(o Order) bool { return o.Order.Serial == serial })
		if at < 0 {
			return fmt.Errorf("read order %d: %w", serial, ErrNoOrder)
		}
		order = kept[at]
		return nil
	})
	return order, err
}

func orders(tx *bbolt.Tx) ([]Order, error) {
	b := tx.Bucket(bucketOrders)
	if b == nil {
		return nil, nil
	}
	var list []Order
	err := b.ForEach(func(key, raw []byte) error {
		var order Order
		if err := json.Unmarshal(raw, &order); err != nil {
			return fmt.Errorf("decode order %x of journal: %w", key, err)
		}
		if err := order.decode(); err != nil {
			return err
		}
		list = append(list, order)
		return nil
	})
	return list, err
}

// decode trusts the payload: its signature was checked before it was kept, and
// whoever can write this file is the device's administrator.
func (o *Order) decode() error {
	if err := json.Unmarshal(o.Envelope.Payload, &o.Order); err != nil {
		return fmt.Errorf("decode kept order: %w", err)
	}
	return nil
}

func putOrder(tx *bbolt.Tx, o Order) error {
	if err := o.decode(); err != nil {
		return err
	}
	return put(tx, bucketOrders, intKey(o.Order.Serial), o)
}
