package executor

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"patchring/internal/endpoint/executor/local"
	"patchring/internal/endpoint/executor/people"
	"patchring/wire"
)

// Whatever the instant, the windows, the holds, the clock, the administrator
// and the power do: the world's apt refuses an install outside a window, under
// a hold, in blocked hours, without its hooks, or of what is there already;
// and every order that was kept ends with a result.
func TestNever(t *testing.T) {
	base := shm(t)
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(base, "")
		if err != nil {
			rt.Fatal(err)
		}
		p := &play{world: blankWorld(dir, rt.Fatalf), rt: rt}
		p.wall = time.Date(2026, 1, 1, 0, 0, 0, 0, paris).Add(rapid.Custom(instant).Draw(rt, "start"))
		p.restart(false)
		p.arrange()
		rt.Repeat(map[string]func(*rapid.T){
			"order": p.order, "hold": p.holdSome, "lift": p.lift, "cancel": p.cancel,
			"time": p.sleep, "time ": p.sleep, "kill": p.kill, "jump": p.jump, "agree": p.agree, "people": p.comeAndGo, "click": p.clickSome, "": p.check,
		})
		p.end()
		p.close()
		if err := os.RemoveAll(dir); err != nil {
			rt.Fatal(err)
		}
	})
}

// instant is anywhere in ten years.
func instant(rt *rapid.T) time.Duration {
	return time.Duration(rapid.Int64Range(0, int64(10*365*24*time.Hour/time.Second)).Draw(rt, "second")) * time.Second
}

func span(rt *rapid.T, name string, from, to time.Duration) time.Duration {
	return time.Duration(rapid.Int64Range(int64(from/time.Second), int64(to/time.Second)).Draw(rt, name)) * time.Second
}

// play is a world in which anything happens.
type play struct {
	*world
	rt     *rapid.T
	serial int64
	sent   []wire.Order
}

func (p *play) arrange() {
	p.refuse = rapid.IntRange(0, 3).Draw(p.rt, "failing downloads")
	p.lockFor = span(p.rt, "lock", 0, 3*time.Minute)
	p.signal = rapid.SampledFrom([]string{"", "a", "b"}).Draw(p.rt, "signal")
	p.bad["c"] = rapid.Bool().Draw(p.rt, "c fails")
	text := rapid.SampledFrom([]string{
		`{}`, `{"never_packages": ["b"]}`, `{"never_reboot": true}`,
		`{"blocked_hours": [{"from": "08:00", "to": "18:30", "days": ["mon", "tue", "wed", "thu", "fri"]}]}`,
		`{"blocked_hours": [{"from": "22:00", "to": "02:30"}]}`,
	}).Draw(p.rt, "local file")
	file := filepath.Join(p.dir, "local.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		p.fail("write local file: %v", err)
	}
	var err error
	if p.rules, err = local.Read(file); err != nil {
		p.fail("local file: %v", err)
	}
}

func (p *play) order(rt *rapid.T) {
	if len(p.sent) == 6 {
		rt.Skip("enough orders")
	}
	p.serial++
	names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "gone"}), 1, 3, rapid.ID).Draw(rt, "packages")
	o := p.world.order(p.serial, names...)
	o.Campaign = rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "campaign")
	o.MarginS = int64(span(rt, "margin", 0, 30*time.Minute) / time.Second)
	o.LockWaitS = int64(span(rt, "lock wait", 0, 10*time.Minute) / time.Second)
	o.Windows = nil
	now := p.truth()
	for range rapid.IntRange(0, 4).Draw(rt, "windows") {
		start := now.Add(span(rt, "opens", -2*time.Hour, 40*time.Hour))
		end := start.Add(span(rt, "lasts", time.Second, 5*time.Hour))
		o.Windows = append(o.Windows, wire.Interval{StartUS: us2(start), EndUS: us2(end)})
	}
	o.ExpiresUS = us2(now.Add(span(rt, "expires", time.Hour, 48*time.Hour)))
	p.askPeople(&o)
	switch rapid.IntRange(0, 3).Draw(rt, "kind") {
	case 0:
		p.pending = p.pending || rapid.Bool().Draw(rt, "a signal")
		o.Kind, o.Items, o.Campaign, o.Ring = wire.OrderReboot, nil, "", ""
		o.RebootMarginS = int64(span(rt, "reboot margin", 0, 20*time.Minute) / time.Second)
	case 1:
		o.Kind = wire.OrderRollback
		for i := range o.Items {
			o.Items[i].Packages[0] = wire.Change{Name: o.Items[i].Name, From: "2", To: "1"}
		}
	}
	p.windows = append(p.windows, o.Windows...)
	p.windows = append(p.windows, o.RebootWindows...)
	if err := p.deliver(p.seal(o)); err == nil {
		p.sent = append(p.sent, o)
	}
}

// askPeople gives the order terms for people, or another mode of reboot.
func (p *play) askPeople(o *wire.Order) {
	rt := p.rt
	o.Reboot = rapid.SampledFrom([]wire.RebootMode{wire.RebootNever, wire.RebootIfNeeded, wire.RebootIfNeeded, wire.RebootWindow, wire.RebootUser}).Draw(rt, "reboot")
	if o.Reboot == wire.RebootWindow {
		o.RebootWindows = o.Windows
	}
	if rapid.IntRange(0, 2).Draw(rt, "asks") == 0 && o.Reboot != wire.RebootUser {
		return
	}
	o.People = &wire.People{
		Postpones: rapid.IntRange(0, 2).Draw(rt, "postpones"), NoticeS: int64(span(rt, "notice", 0, 20*time.Minute) / time.Second),
		CountdownS: int64(span(rt, "countdown", time.Minute, 20*time.Minute) / time.Second),
		DeadlineUS: us2(p.truth().Add(span(rt, "deadline", 0, 48*time.Hour))),
	}
	for _, w := range o.Windows {
		o.People.DeadlineUS = max(o.People.DeadlineUS, w.StartUS)
	}
}

func (p *play) comeAndGo(rt *rapid.T) {
	p.there = rapid.SliceOfDistinct(rapid.SampledFrom([]string{"ann", "bob"}), rapid.ID).Draw(rt, "there")
	p.busy = map[string]bool{"ann": rapid.IntRange(0, 3).Draw(rt, "busy") == 0}
}

func (p *play) clickSome(rt *rapid.T) {
	user := rapid.SampledFrom([]string{"ann", "bob"}).Draw(rt, "user")
	err := p.click(user, rapid.SampledFrom([]people.Choice{people.Now, people.Now, people.Hour, people.Evening, people.Tomorrow}).Draw(rt, "choice"))
	var refused *people.Refusal
	if err != nil && !errors.As(err, &refused) && len(p.screens) == 0 {
		rt.Skip("nothing to answer")
	}
}

func (p *play) holdSome(rt *rapid.T) {
	h := rapid.SampledFrom([]wire.Hold{{ID: "all"}, {ID: "item", Item: "item-a"}}).Draw(rt, "hold")
	p.serial++
	p.hold(p.serial, h)
}

func (p *play) lift(*rapid.T) {
	p.serial++
	p.hold(p.serial)
}

func (p *play) cancel(rt *rapid.T) {
	if len(p.sent) == 0 {
		rt.Skip("nothing to cancel")
	}
	id := rapid.SampledFrom(p.sent).Draw(rt, "order").ID
	p.insist(func() error { return p.exec.Cancel(id) })
}

// sleep lets time pass as the agent asks for it, or a stretch of it at once,
// as on a device that was suspended.
func (p *play) sleep(rt *rapid.T) {
	for range rapid.IntRange(1, 40).Draw(rt, "ticks") {
		p.tick()
	}
	if rapid.Bool().Draw(rt, "suspended") {
		p.pass(span(rt, "for", 0, 12*time.Hour))
	}
	p.tick()
}

func (p *play) kill(rt *rapid.T) {
	p.killAt = p.points + rapid.IntRange(1, 6).Draw(rt, "point")
	p.powerCut = rapid.Bool().Draw(rt, "power cut")
	if rapid.Bool().Draw(rt, "and a write fails") {
		p.failAt = p.writes + rapid.IntRange(1, 6).Draw(rt, "write")
		p.failMode = rapid.SampledFrom(failModes).Draw(rt, "mode")
	}
}

// jump sets the device's clock wrong, or right again. The agent sees it
// before the power goes: one that sees only the clock after a boot cannot know.
func (p *play) jump(rt *rapid.T) {
	by := rapid.SampledFrom([]time.Duration{0, 15 * time.Minute, -15 * time.Minute, 3 * time.Hour, -3 * time.Hour, 1000 * time.Hour}).Draw(rt, "by")
	p.wall, p.skew = p.truth().Add(by), by
	for !p.tick() {
	}
}

func (p *play) agree(*rapid.T) {
	p.insist(func() error { return p.exec.ServerTime(p.truth()) })
}

// insist repeats what the link repeats at each check-in.
func (p *play) insist(act func() error) {
	var err error
	for range 3 {
		if err = p.guard(act); err == nil {
			return
		}
	}
	p.fail("never done: %v", err)
}

func (p *play) check(rt *rapid.T) {
	if p.boots > 60 {
		rt.Fatalf("%d boots", p.boots)
	}
}

// end sets everything right and lets all orders come to their end.
func (p *play) end() {
	p.killAt, p.failAt = 0, 0
	p.wall, p.skew = p.truth(), 0
	p.lift(p.rt)
	p.agree(p.rt)
	p.stride = 7 * time.Minute
	p.there = nil
	p.finish(80 * time.Hour)
	for _, o := range p.sent {
		results := p.results(o.ID)
		if len(results) == 0 {
			p.fail("order %s ended without a result: %v", o.ID, describe(p.events()))
		}
		for i, r := range results {
			if len(r.Outcomes) != len(o.Items) {
				p.fail("result of %s has %d outcomes for %d items", o.ID, len(r.Outcomes), len(o.Items))
			}
			if i+1 < len(results) && !r.RebootPending {
				p.fail("order %s has %d results, and the first did not wait for a reboot", o.ID, len(results))
			}
		}
	}
	if len(p.half) != 0 || p.quiet != 0 {
		p.fail("left in the middle: half configured %v, quiet %d", p.half, p.quiet)
	}
}
