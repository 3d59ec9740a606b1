package executor

import (
	"context"
	"slices"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/journal"
	"patchring/internal/endpoint/provider"
	"patchring/wire"
)

// groups are the items by provider, in the order's own order.
func groups(items []wire.Item) []transaction {
	var list []transaction
	for _, item := range items {
		at := slices.IndexFunc(list, func(t transaction) bool { return t.provider == item.Provider })
		if at < 0 {
			list = append(list, transaction{provider: item.Provider})
			at = len(list) - 1
		}
		list[at].items = append(list[at].items, item)
	}
	return list
}

func (e *Executor) provider(name string) (provider.Provider, error) {
	p, ok := e.Providers[name]
	if !ok || !p.Present() {
		return nil, fault.New(fault.NotFound, "what", "provider", "name", name)
	}
	return p, nil
}

func limits(o wire.Order, room time.Duration) provider.Limits {
	return provider.Limits{LockWait: min(time.Duration(o.LockWaitS)*time.Second, room), AllowNew: o.AllowNew, BytesPerS: o.DownloadBytesPerS}
}

// inPlace tells that an item already is as the order wants it.
func inPlace(kind wire.OrderKind, s wire.ItemState) bool {
	if kind == wire.OrderRollback {
		return s == wire.ItemRolledBack
	}
	return s == wire.ItemVerified
}

// preflight leaves out what needs nothing, what the local file forbids and
// what the package manager would refuse: each with its own end, the rest goes
// on.
func (e *Executor) preflight(ctx context.Context, o journal.Order, s scene) (*wait, error) {
	if w := s.mayPrepare(o); w != nil {
		return w, nil
	}
	var left []wire.Item
	var ends []wire.Outcome
	for _, g := range groups(o.Items) {
		rest, out, err := e.weigh(ctx, o.Order, g, s)
		if err != nil {
			return e.again(ctx, o, err)
		}
		left, ends = append(left, rest...), append(ends, out...)
	}
	next := wire.StepPreserve
	switch {
	case len(left) == 0:
		next = afterItems(o)
	case o.Order.Kind == wire.OrderRollback:
		next = wire.StepWait // Rollback finds by itself what Preserve kept
	}
	return nil, e.enter(o, next, func(k *journal.Order) { k.Items, k.Outcomes = left, append(k.Outcomes, ends...) })
}

func (e *Executor) weigh(ctx context.Context, o wire.Order, g transaction, s scene) (left []wire.Item, ends []wire.Outcome, err error) {
	end := func(item wire.Item, state wire.ItemState, why fault.Reason) {
		ends = append(ends, wire.Outcome{Item: item.ID, State: state, Cause: causeOf(why), Packages: item.Packages})
	}
	p, err := e.provider(g.provider)
	if err != nil {
		for _, item := range g.items {
			end(item, wire.ItemFailed, reasonOf(err))
		}
		return nil, ends, nil
	}
	ends, err = alreadyThere(ctx, p, o.Kind, g.items)
	if err != nil {
		return nil, nil, err
	}
	for _, item := range g.items {
		if outcomeOf(ends, item.ID) != nil {
			continue
		}
		if pattern, yes := s.local.Forbids(item); yes {
			end(item, wire.ItemSkipped, fault.Because(fault.LocalVeto, "rule", "never_packages "+pattern))
		} else {
			left = append(left, item)
		}
	}
	if o.Kind == wire.OrderRollback || len(left) == 0 {
		return left, ends, nil
	}
	plan, err := p.Plan(ctx, left, limits(o, time.Duration(o.LockWaitS)*time.Second))
	if err != nil {
		return nil, nil, err
	}
	left = slices.DeleteFunc(left, func(item wire.Item) bool {
		problem, refused := plan.Problems[item.ID]
		if refused {
			end(item, wire.ItemFailed, problem)
		}
		return refused
	})
	return left, ends, nil
}

// alreadyThere ends the items that need nothing any more.
func alreadyThere(ctx context.Context, p provider.Provider, kind wire.OrderKind, items []wire.Item) ([]wire.Outcome, error) {
	now, err := p.Verify(ctx, kind, items)
	if err != nil {
		return nil, err
	}
	var ends []wire.Outcome
	for _, item := range items {
		at := outcomeOf(now, item.ID)
		if at == nil || !inPlace(kind, at.State) && at.State != wire.ItemNotApplicable {
			continue
		}
		end := wire.Outcome{Item: item.ID, State: wire.ItemNotApplicable, Cause: at.Cause, Packages: item.Packages}
		if end.Cause == nil {
			end.Cause = causeOf(fault.Because(fault.NotApplicable))
		}
		ends = append(ends, end)
	}
	return ends, nil
}

func outcomeOf(list []wire.Outcome, item string) *wire.Outcome {
	at := slices.IndexFunc(list, func(o wire.Outcome) bool { return o.Item == item })
	if at < 0 {
		return nil
	}
	return &list[at]
}

// preserve keeps what a rollback needs. What cannot be kept is known as
// impossible from here on; it stops nothing.
func (e *Executor) preserve(ctx context.Context, o journal.Order, s scene) (*wait, error) {
	if w := s.mayPrepare(o); w != nil {
		return w, nil
	}
	var kept []wire.Item
	for _, g := range groups(o.Items) {
		p, err := e.provider(g.provider)
		var items []wire.Item
		if err == nil {
			items, err = p.Preserve(ctx, g.items)
		}
		switch {
		case err == nil:
			kept = append(kept, items...)
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case fault.CanRetry(err) && o.Attempts < preserveTries:
			return e.again(ctx, o, err)
		default:
			kept = append(kept, unpreserved(g.items, err)...)
		}
	}
	return nil, e.enter(o, wire.StepDownload, func(k *journal.Order) { k.Items = kept })
}

// preserveTries is how often a rollback's readiness is worth a backoff.
const preserveTries = 3

func unpreserved(items []wire.Item, why error) []wire.Item {
	out := slices.Clone(items)
	for i := range out {
		out[i].Packages = slices.Clone(out[i].Packages)
		for j := range out[i].Packages {
			if p := &out[i].Packages[j]; p.Rollback == "" {
				p.Rollback, p.Why = "impossible", wire.Clean(why.Error(), wire.MaxTextBytes)
			}
		}
	}
	return out
}

func (e *Executor) download(ctx context.Context, o journal.Order, s scene) (*wait, error) {
	if w := s.mayPrepare(o); w != nil {
		return w, nil
	}
	began := e.Now()
	for _, g := range groups(o.Items) {
		p, err := e.provider(g.provider)
		if err == nil {
			watch := e.watch(o)
			err = p.Download(ctx, g.items, limits(o.Order, time.Duration(o.Order.LockWaitS)*time.Second), watch.progress)
			watch.stop()
		}
		if err != nil {
			return e.again(ctx, o, err)
		}
	}
	took := e.Now().Sub(began)
	return nil, e.enter(o, wire.StepWait, func(k *journal.Order) { k.DownloadMS = max(0, took.Milliseconds()) })
}

// wait is the gate before anything on the device changes. Since the preflight
// another order, or a person, may have done the work: what is there already is
// left out, and hooks disturb nobody for nothing.
func (e *Executor) wait(ctx context.Context, o journal.Order, s scene) (*wait, error) {
	t, w := s.mayInstall(o)
	if w != nil || len(t.items) > 0 {
		var err error
		if w, err = e.consult(o, s, wire.ActInstall, w); w != nil || err != nil {
			return w, err
		}
	}
	ends := t.skipped
	if len(t.items) > 0 {
		p, err := e.provider(t.provider)
		if err != nil {
			return e.again(ctx, o, err)
		}
		there, err := alreadyThere(ctx, p, o.Order.Kind, t.items)
		if err != nil {
			return e.again(ctx, o, err)
		}
		if ends = there; len(there) < len(t.items) {
			return nil, e.enter(o, wire.StepQuiesce, func(k *journal.Order) { drop(k, ends) })
		}
	}
	next := wire.StepWait
	if len(ends) == len(o.Items) {
		next = afterItems(o)
	}
	return nil, e.enter(o, next, func(k *journal.Order) { drop(k, ends) })
}
