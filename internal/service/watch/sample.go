package watch

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"patchring/internal/core/alert"
	"patchring/internal/core/fleet"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// judgeSamples judges every sample that came since the last time.
func (w *Watch) judgeSamples(ctx context.Context) error {
	w.mu.Lock()
	samples := w.samples
	w.samples = make(map[origin]wire.Sample, len(samples))
	w.mu.Unlock()
	var errs []error
	for from, s := range samples {
		if err := w.judge(ctx, from, s); err != nil {
			errs = append(errs, fmt.Errorf("sample of %s: %w", from.device, err))
		}
	}
	return errors.Join(errs...)
}

// seen is what one rule says of a sample.
type seen struct {
	rule   alert.Rule
	answer alert.Answer
	value  float64
	args   map[string]string
}

// judge compares a sample with the rules. One that crosses nothing costs one
// indexed read: whether the device has an open alert. Times are the server's: a
// device's clock may be anything.
func (w *Watch) judge(ctx context.Context, from origin, s wire.Sample) error {
	book, err := w.Book(ctx, from.tenant)
	if err != nil {
		return err
	}
	open, err := w.DB.Read().OpenAlertsOf(ctx, string(from.tenant), alert.DeviceKey(string(from.device)))
	if err != nil {
		return fmt.Errorf("read its alerts: %w", err)
	}
	var list []seen
	for _, r := range book.Rules {
		found, ok := look(r, s)
		if !ok {
			continue
		}
		i := slices.IndexFunc(open, func(a gen.Alert) bool { return a.Rule == r.Name })
		if i < 0 && found.answer != alert.Bad {
			continue
		}
		if i >= 0 {
			idle, err := w.goesOn(ctx, r, open[i], found)
			if err != nil {
				return err
			}
			if idle {
				continue
			}
		}
		list = append(list, found)
	}
	if len(list) == 0 {
		return nil
	}
	return w.write(ctx, from.tenant, func(t *turn) error {
		m, err := t.member(ctx, string(from.device))
		if err != nil || m.gone {
			return err
		}
		for _, found := range list {
			if found.answer == alert.Bad && !found.rule.Covers(m.Member, m.campaign != "") {
				found.answer = alert.Good // it was covered, and is no more
			}
			about := matter{subject: alert.DeviceKey(string(from.device)), device: string(from.device), campaign: m.campaign, args: found.args}
			if err := t.look(ctx, found.rule, about, found.answer, found.value); err != nil {
				return err
			}
		}
		return nil
	})
}

// look is what a rule makes of a sample; not ok: nothing. What the device could
// not measure is unknown, never good.
func look(r alert.Rule, s wire.Sample) (seen, bool) {
	if r.Event == alert.ProbeDown {
		return lookAtProbes(r, s)
	}
	value, ok := s.Values[r.Measure]
	if r.Measure == "" || !ok || math.IsNaN(value) || math.IsInf(value, 0) {
		return seen{}, false
	}
	out := seen{rule: r, answer: r.Judge(value), value: value}
	if (r.Measure == wire.MeasureUnits || r.Measure == wire.MeasureDown) && len(s.Down) > 0 {
		out.args = map[string]string{"down": names(s.Down)}
	}
	return out, true
}

func lookAtProbes(r alert.Rule, s wire.Sample) (seen, bool) {
	out := seen{rule: r, answer: alert.Good}
	var down []string
	known := false
	for _, p := range s.Probes {
		known = known || p.State == wire.ProbeUp || p.State == wire.ProbeDown
		if p.State != wire.ProbeDown {
			continue
		}
		down = append(down, p.Name)
		if out.args == nil && p.Cause != nil {
			out.args = map[string]string{"cause": wire.Clean(p.Cause.Code, 64)}
		}
	}
	if len(down) > 0 {
		if out.args == nil {
			out.args = map[string]string{}
		}
		out.answer, out.value, out.args["probes"] = alert.Bad, float64(len(down)), names(down)
	}
	return out, known
}

const mostNames = 8

// names lists what a device called so, cleaned and bounded.
func names(list []string) string {
	var out []string
	for _, name := range list[:min(mostNames, len(list))] {
		out = append(out, wire.Clean(name, 100))
	}
	if len(list) > mostNames {
		out = append(out, "…")
	}
	return strings.Join(out, ", ")
}

// goesOn tells that a sample changes nothing of an open alert but the time.
func (w *Watch) goesOn(ctx context.Context, r alert.Rule, row gen.Alert, found seen) (bool, error) {
	now := w.Clock()
	if row.DueUs <= now.UnixMicro() {
		return false, nil
	}
	before, look := fromRow(row), alert.Look{Now: now, Answer: found.answer, Value: found.value}
	after, kinds := alert.Decide(r, before, look)
	if len(kinds) > 0 || after.State == "" {
		return false, nil
	}
	next := row
	toRow(&next, after)
	if !steady(row, next) {
		return false, nil
	}
	_, blames, err := blame(ctx, w.DB.Read(), r, next, after, look)
	return !blames, err
}

// member reads a device as rules choose it, once a turn.
func (t *turn) member(ctx context.Context, device string) (member, error) {
	if m, ok := t.members[device]; ok {
		return m, nil
	}
	row, err := t.tx.Device(ctx, string(t.tenant), device)
	if store.IsNone(err) {
		return member{gone: true}, nil
	}
	if err != nil {
		return member{}, fmt.Errorf("read device %s: %w", device, err)
	}
	groups, err := t.tx.GroupsOfDevice(ctx, string(t.tenant), device)
	if err != nil {
		return member{}, fmt.Errorf("read groups of %s: %w", device, err)
	}
	subject, err := store.Subject(row, groups, "", nil)
	if err != nil {
		return member{}, err
	}
	running, err := t.tx.CampaignsOfDevice(ctx, string(t.tenant), device)
	if err != nil {
		return member{}, fmt.Errorf("read campaigns of %s: %w", device, err)
	}
	m := member{
		Member: fleet.Member{Device: fleet.DeviceID(device), Name: row.Name, Kind: fleet.Kind(row.Kind), Tags: subject.Tags, Groups: groups}, gone: row.RetiredUs > 0,
	}
	if len(running) > 0 {
		m.campaign = running[0].ID
	}
	t.members[device] = m
	return m, nil
}
