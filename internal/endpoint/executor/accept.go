package executor

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/register"
	"patchring/internal/endpoint/executor/people"
	"patchring/internal/endpoint/journal"
	"patchring/wire"
)

// Accept judges the envelope of an order and keeps it. An order that is kept
// already is accepted again without effect, except that a result which the
// server seems to have lost is sent again.
//
// A refusal is spooled as an event, once, and returned; whoever holds the link
// should then check in, because the server may have what the order lacks.
func (e *Executor) Accept(envelope wire.Envelope) error {
	var order wire.Order
	if err := envelope.Open(wire.EnvelopeOrder, e.Keys, &order); err != nil {
		// Nothing in it can be believed, not even its id.
		return e.refuse(wire.Order{}, fault.New(fault.OrderForged, "problem", err.Error()))
	}
	if order.Tenant != e.Tenant || order.Device != e.Device {
		return e.refuse(wire.Order{}, fault.New(fault.OrderForged, "problem", "it is for device "+order.Device+" of "+order.Tenant))
	}
	kept, err := e.Journal.Orders()
	if err != nil {
		return err
	}
	for _, k := range kept {
		if k.Order.Serial == order.Serial && k.Order.ID == order.ID {
			return e.acceptAgain(k)
		}
	}
	if err := e.judge(order, kept); err != nil {
		return e.refuse(order, err)
	}
	return e.keep(envelope, order, carried(kept, order.Campaign))
}

// judge gives the reason not to take an order, nil to take it.
func (e *Executor) judge(order wire.Order, kept []journal.Order) error {
	if field, problem := malformed(order); field != "" {
		return fault.New(fault.InvalidField, "field", field, "problem", problem)
	}
	for _, k := range kept {
		if k.Order.Serial == order.Serial || sameGoal(k.Order, order) && k.Order.Serial > order.Serial {
			return fault.New(fault.OrderStale, "serial", itoa(order.Serial), "have", itoa(k.Order.Serial))
		}
	}
	if s := (scene{now: e.Now(), clockOff: e.look()}); s.expired(order) {
		return fault.New(fault.OrderExpired, "at", rfc(time.UnixMicro(order.ExpiresUS)))
	}
	if err := e.Disk(); err != nil && order.Kind != wire.OrderCleanUp { // which makes room
		return err
	}
	if err := e.Journal.Room(); err != nil {
		return err
	}
	return e.checkRegister(order)
}

// keep stores the order; it replaces older ones of its campaign that have not
// begun, and waits behind one that has.
func (e *Executor) keep(envelope wire.Envelope, order wire.Order, asked journal.Asked) error {
	accepted := journal.Order{Envelope: envelope, Step: wire.StepAccepted, Items: order.Items, CleanUp: order.CleanUp, Asked: asked}
	supersede := func(old *journal.Order) bool {
		if !sameGoal(old.Order, order) || old.Done() || begun(*old) || old.SupersededBy != 0 {
			return false
		}
		old.SupersededBy = order.Serial
		return true
	}
	event := wire.Event{
		AtUS: us(e.Now()), Kind: wire.EventStep, Order: order.ID, Serial: order.Serial, Step: wire.StepAccepted,
	}
	if err := e.Journal.Keep(accepted, supersede, event); err != nil {
		return fmt.Errorf("keep order %s: %w", order.ID, err)
	}
	e.Log.Info("order accepted", "order", order.ID, "serial", order.Serial, "campaign", order.Campaign, "items", len(order.Items))
	e.Changed()
	e.Wake()
	return nil
}

// acceptAgain: a server that sends an order which is done has not its result:
// it is on its way, or it was lost with a restored database.
func (e *Executor) acceptAgain(k journal.Order) error {
	if !k.Done() {
		return nil
	}
	pending, err := e.Journal.ResultPending(k.Order.ID)
	if err != nil || pending {
		return err
	}
	if !e.firstSaying(k.Order.Serial, "result again "+e.Now().Truncate(time.Hour).String()) {
		return nil
	}
	if err := e.Journal.Append(resultOf(k, e.Now())); err != nil {
		return fmt.Errorf("spool result of order %s again: %w", k.Order.ID, err)
	}
	e.Changed()
	return nil
}

// refuse spools a refusal the first time it is given. The server offers an
// order at each check-in until the agent names it.
//
// A proof that starts too late may only mean that the order in between is still
// on its way: it is a refusal when the order comes a second time.
func (e *Executor) refuse(order wire.Order, err error) error {
	var known *fault.Error
	if !errors.As(err, &known) {
		return err // this program or its disk failed; that refuses nothing
	}
	if errors.Is(err, register.ErrUnproven) && e.firstSaying(-order.Serial, "unproven") {
		return err
	}
	reason := known.Reason
	if !e.firstSaying(order.Serial, string(reason.Code)) {
		return err
	}
	e.Log.Warn("order refused", "order", order.ID, "serial", order.Serial, "reason", string(reason.Code), "err", err)
	event := wire.Event{
		AtUS: us(e.Now()), Kind: wire.EventRefused, Order: order.ID, Serial: order.Serial, Cause: causeOf(reason),
	}
	if spoolErr := e.Journal.Append(event); spoolErr != nil {
		return fmt.Errorf("spool refusal of order %s: %w", order.ID, spoolErr)
	}
	e.Changed()
	return err
}

// maxSayings bounds the memory of what was said; forgetting it costs a
// repeated event.
const maxSayings = 256

func (e *Executor) firstSaying(serial int64, saying string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	key := itoa(serial)
	if e.refused[key] == saying {
		return false
	}
	if len(e.refused) >= maxSayings {
		clear(e.refused)
	}
	e.refused[key] = saying
	return true
}

// Cancel drops the orders of these ids that have not begun. The loop ends
// them, with a result that says so.
func (e *Executor) Cancel(ids ...string) error {
	kept, err := e.Journal.Orders()
	if err != nil {
		return err
	}
	for _, k := range kept {
		if !slices.Contains(ids, k.Order.ID) || k.Done() || k.Cancelled {
			continue
		}
		err := e.Journal.Update(k.Order.Serial, func(_ *journal.Tx, o *journal.Order) error {
			o.Cancelled = true
			return nil
		})
		if err != nil {
			return fmt.Errorf("cancel order %s: %w", k.Order.ID, err)
		}
		e.Log.Info("order cancelled", "order", k.Order.ID, "step", k.Step)
	}
	e.Wake()
	return nil
}

// SetHolds takes a newer set of holds. From its return on no install begins
// against them.
func (e *Executor) SetHolds(envelope wire.Envelope) error {
	var holds wire.Holds
	if err := envelope.Open(wire.EnvelopeHolds, e.Keys, &holds); err != nil {
		return e.refuse(wire.Order{}, fault.New(fault.OrderForged, "problem", err.Error()))
	}
	if holds.Tenant != e.Tenant {
		return e.refuse(wire.Order{}, fault.New(fault.OrderForged, "problem", "holds of tenant "+holds.Tenant))
	}
	newer, err := e.Journal.SetHolds(holds)
	if err != nil {
		return fmt.Errorf("store holds %d: %w", holds.Serial, err)
	}
	if newer {
		e.Log.Info("holds replaced", "serial", holds.Serial, "holds", len(holds.Holds))
		e.Wake()
	}
	return nil
}

// malformed names the first field that no honest server sends.
func malformed(o wire.Order) (field, problem string) {
	switch {
	case o.ID == "" || o.Serial <= 0 || o.Campaign == "" && o.Kind != wire.OrderReboot && o.Kind != wire.OrderCleanUp:
		return "id", "order, campaign or serial is missing"
	case !slices.Contains([]wire.OrderKind{wire.OrderInstall, wire.OrderRollback, wire.OrderCleanUp, wire.OrderReboot}, o.Kind):
		return "kind", "unknown kind " + string(o.Kind)
	case o.DownloadBytesPerS < 0:
		return "download_bytes_per_s", "is negative"
	case o.MarginS < 0 || o.LockWaitS < 0 || o.RebootMarginS < 0:
		return "margin_s", "negative duration"
	case len(o.Items) == 0 && o.Kind != wire.OrderReboot && o.Kind != wire.OrderCleanUp:
		return "items", "there are none"
	case len(o.Items) > 0 && o.Kind == wire.OrderReboot:
		return "items", "an order to reboot has none"
	case o.Kind == wire.OrderReboot && o.Reboot == wire.RebootNever:
		return "reboot", "an order to reboot may not say never"
	}
	for i, w := range o.Windows {
		if w.StartUS >= w.EndUS {
			return "windows", "window " + strconv.Itoa(i+1) + " ends before it starts"
		}
	}
	if field, problem := people.Problem(o); field != "" {
		return field, problem
	}
	if field, problem := cleanUpProblem(o); field != "" {
		return field, problem
	}
	seen := map[string]bool{}
	for _, item := range o.Items {
		if seen[item.ID] || item.ID == "" {
			return "items", "item id " + item.ID + " is empty or not alone"
		}
		seen[item.ID] = true
		if problem := badItem(item); problem != "" {
			return "items", problem
		}
	}
	return "", ""
}

// badItem: what reaches a tool as an argument must not look like an option,
// and an order never removes.
func badItem(item wire.Item) string {
	if len(item.Packages) == 0 || item.Provider == "" {
		return "item " + item.ID + " names no package or no provider"
	}
	for _, p := range item.Packages {
		if p.To == "" {
			return "package " + p.Name + " would be removed"
		}
		for _, word := range []string{p.Name, p.Arch, p.To} {
			bad := func(r rune) bool { return r <= ' ' || r == 0x7f || r == '=' || r == '/' }
			if strings.HasPrefix(word, "-") || strings.ContainsFunc(word, bad) {
				return fmt.Sprintf("package %q is no plain word", word)
			}
		}
		if p.Name == "" {
			return "item " + item.ID + " has a package without a name"
		}
	}
	return ""
}

func itoa[T int | int64](n T) string { return strconv.FormatInt(int64(n), 10) }
