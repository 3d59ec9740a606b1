package executor

import (
	"context"
	"errors"
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/wire"
)

// litter is what lies about on the world's device, by kind.
type litter struct {
	files map[wire.CleanUpKind]int64
	gone  map[wire.CleanUpKind]int64
	toil  time.Duration // that one file takes
	sick  error         // the sweep cannot begin
}

func newLitter() litter {
	return litter{
		files: map[wire.CleanUpKind]int64{wire.CleanTemporaryFiles: 6, wire.CleanJournal: 4, wire.CleanPackageCache: 2},
		gone:  map[wire.CleanUpKind]int64{}, toil: time.Second,
	}
}

// cleanUp removes file by file, each a point at which the agent may die.
func (w *world) cleanUp(_ context.Context, item wire.CleanUp, step func(wire.Freed) error) (wire.Freed, error) {
	var freed wire.Freed
	if w.sick != nil {
		return freed, w.sick
	}
	for left := w.files[item.Kind]; left > 0; left-- {
		w.die()
		w.mustBeOpen("clean-up")
		w.pass(w.toil)
		if !item.DryRun {
			w.files[item.Kind]--
			w.gone[item.Kind]++
		}
		freed.Files, freed.Bytes = freed.Files+1, freed.Bytes+100
		freed.Places = []wire.FreedPlace{{Path: "/tmp", Files: freed.Files, Bytes: freed.Bytes}}
		if err := step(freed); err != nil {
			return freed, err
		}
	}
	return freed, nil
}

// cleaning removes temporary files and counts the journal's, in the windows that
// an install has.
func (w *world) cleaning(serial int64) wire.Order {
	o := w.order(serial)
	o.Kind, o.Campaign, o.Ring, o.Reboot, o.MarginS, o.LockWaitS = wire.OrderCleanUp, "", "", wire.RebootNever, 0, 0
	o.CleanUp = []wire.CleanUp{
		{ID: "p/temporary_files", Kind: wire.CleanTemporaryFiles, OlderThanS: 864000},
		{ID: "p/journal", Kind: wire.CleanJournal, OlderThanS: 864000, DryRun: true},
	}
	return o
}

// mustBeClean: all went once, and is counted, or the result says that it is not
// all of it.
func mustBeClean(t *testing.T, w *world) {
	r := w.result("o1")
	cleaned, counted := outcomeOf(r.Outcomes, "p/temporary_files").Freed, outcomeOf(r.Outcomes, "p/journal").Freed
	if w.files[wire.CleanTemporaryFiles] != 0 || w.gone[wire.CleanTemporaryFiles] != 6 || cleaned.Files > 6 || cleaned.Files < 6 && !cleaned.AtLeast {
		t.Errorf("%d files are left, %d went, %+v were told; want 0, 6, and 6 or at least some", w.files[wire.CleanTemporaryFiles], w.gone[wire.CleanTemporaryFiles], cleaned)
	}
	if w.files[wire.CleanJournal] != 4 || counted.Files != 4 || counted.Bytes != 400 || counted.AtLeast || counted.Places[0].Files != 4 {
		t.Errorf("a dry run left %d files and told %+v, want 4 and 4", w.files[wire.CleanJournal], counted)
	}
}

func (w *world) outcome(id, item string) wire.Outcome {
	r := w.result(id)
	if o := outcomeOf(r.Outcomes, item); o != nil {
		return *o
	}
	w.fail("no outcome of %s: %+v", item, r)
	return wire.Outcome{}
}

func TestACleanUpIsToldInFull(t *testing.T) {
	w := newWorld(t)
	w.send(w.cleaning(1))
	w.finish(5 * time.Hour)
	mustBeClean(t, w)
	if o := w.outcome("o1", "p/temporary_files"); o.Freed.AtLeast || o.Freed.Files != 6 {
		t.Errorf("undisturbed, it told %+v", o.Freed)
	}
}

func TestACleanUpEndsWithItsWindow(t *testing.T) {
	w := newWorld(t)
	o := w.cleaning(1)
	o.Windows = o.Windows[:1]
	o.ExpiresUS = o.Windows[0].EndUS
	w.toil = 50 * time.Minute
	w.send(o)
	w.finish(5 * time.Hour)
	got := w.outcome("o1", "p/temporary_files")
	if got.State != wire.ItemCleaned || got.Cause.Code != string(fault.OrderExpired) || got.Freed.Files != w.gone[wire.CleanTemporaryFiles] || got.Freed.Files == 6 || got.Freed.Files == 0 {
		t.Errorf("told %+v with %d gone, want the part that went in the window, and why it is a part", got, w.gone[wire.CleanTemporaryFiles])
	}
	if o := w.outcome("o1", "p/journal"); o.State != wire.ItemSkipped || o.Freed != nil {
		t.Errorf("the item after it is told as %+v, want skipped", o)
	}
}

func TestPatchesComeFirst(t *testing.T) {
	w := newWorld(t)
	w.send(w.cleaning(1))
	w.send(w.order(2, "a"))
	for len(w.results("o2")) == 0 {
		if w.gone[wire.CleanTemporaryFiles] > 0 {
			t.Fatal("cleaned up beside an install in the same window")
		}
		w.tick()
	}
	w.finish(30 * time.Hour)
	mustBeClean(t, w)
}

// An install that waits for another night keeps only the packages it has.
func TestAnInstallOfAnotherNightKeepsItsPackages(t *testing.T) {
	for kind, want := range map[wire.CleanUpKind]int64{wire.CleanTemporaryFiles: 6, wire.CleanPackageCache: 0} {
		w := newWorld(t)
		install := w.order(1, "a")
		install.Windows = install.Windows[2:]
		w.send(install)
		clean := w.cleaning(2)
		clean.Windows = clean.Windows[:1]
		clean.CleanUp = []wire.CleanUp{{ID: "p/x", Kind: kind, OlderThanS: 864000}}
		w.send(clean)
		for w.wall.Before(time.UnixMicro(clean.Windows[0].EndUS)) {
			w.tick()
		}
		if w.gone[kind] != want {
			t.Errorf("%s: %d files went beside a waiting install, want %d", kind, w.gone[kind], want)
		}
	}
}

func TestTheAdministratorForbidsACleanUp(t *testing.T) {
	for _, rule := range []string{"temporary_files", "*"} {
		w := newWorld(t)
		w.rules.NeverCleanUp = []string{rule}
		w.send(w.cleaning(1))
		w.finish(5 * time.Hour)
		if o := w.outcome("o1", "p/temporary_files"); o.State != wire.ItemSkipped || o.Cause.Code != string(fault.LocalVeto) || w.gone[wire.CleanTemporaryFiles] != 0 {
			t.Errorf("never_clean_up %s: %+v, %d gone; want a veto", rule, o, w.gone[wire.CleanTemporaryFiles])
		}
	}
}

func TestACleanUpIsCancelledInTheMiddle(t *testing.T) {
	w := newWorld(t)
	w.toil = 90 * time.Second // a slice is two files
	w.send(w.cleaning(1))
	for w.gone[wire.CleanTemporaryFiles] == 0 {
		w.tick()
	}
	if err := w.exec.Cancel("o1"); err != nil {
		t.Fatal(err)
	}
	w.finish(time.Hour)
	o := w.outcome("o1", "p/temporary_files")
	if gone := w.gone[wire.CleanTemporaryFiles]; gone == 6 || o.Freed.Files != gone || o.Cause.Code != string(fault.OrderCancelled) {
		t.Errorf("cancelled with %d gone: told %+v", gone, o)
	}
}

func TestAHoldStopsACleanUp(t *testing.T) {
	w := newWorld(t)
	w.hold(1, wire.Hold{ID: "h", Device: "d1", By: "user:x", Reason: "inquiry"})
	w.send(w.cleaning(1))
	for w.wall.Before(time.UnixMicro(w.windows[0].EndUS)) {
		w.tick()
	}
	if w.gone[wire.CleanTemporaryFiles] != 0 {
		t.Error("cleaned up a device that is on hold")
	}
	w.hold(2)
	w.finish(60 * time.Hour)
	mustBeClean(t, w)
}

// A full disk is what a clean-up is for.
func TestAFullDiskKeepsNoCleanUpFromComing(t *testing.T) {
	w := newWorld(t)
	w.diskErr = fault.Again(fault.DiskFull, "mount", "/")
	w.send(w.cleaning(1))
	w.finish(5 * time.Hour)
	mustBeClean(t, w)
}

func TestASweepThatCannotBegin(t *testing.T) {
	w := newWorld(t)
	w.sick = fault.New(fault.ToolFailed, "tool", "open files")
	w.send(w.cleaning(1))
	w.finish(5 * time.Hour)
	if o := w.outcome("o1", "p/temporary_files"); o.State != wire.ItemFailed || o.Cause.Code != string(fault.ToolFailed) {
		t.Errorf("told %+v, want failed", o)
	}
}

func TestCleanUpOrdersThatNoServerSends(t *testing.T) {
	for why, change := range map[string]func(*wire.Order){
		"a place of its own":  func(o *wire.Order) { o.CleanUp[0].Paths = []string{"/etc"} },
		"one that climbs":     func(o *wire.Order) { o.CleanUp[0].Paths = []string{"/tmp/../etc"} },
		"files of today":      func(o *wire.Order) { o.CleanUp[0].OlderThanS = 60 },
		"an unknown kind":     func(o *wire.Order) { o.CleanUp[0].Kind = "everything" },
		"nothing":             func(o *wire.Order) { o.CleanUp = nil },
		"an item twice":       func(o *wire.Order) { o.CleanUp[1].ID = o.CleanUp[0].ID },
		"with a patch":        func(o *wire.Order) { o.Items = w0().order(1, "a").Items },
		"with a reboot":       func(o *wire.Order) { o.Reboot = wire.RebootIfNeeded },
		"of a campaign":       func(o *wire.Order) { o.Campaign = "2026-12" },
		"an install of files": func(o *wire.Order) { o.Kind, o.Campaign, o.Items = wire.OrderInstall, "c", w0().order(1, "a").Items },
	} {
		w := newWorld(t)
		o := w.cleaning(1)
		change(&o)
		var refused *fault.Error
		if err := w.deliver(w.seal(o)); !errors.As(err, &refused) || refused.Code != fault.InvalidField {
			t.Errorf("%s: accepted with %v, want invalid_field", why, err)
		}
	}
}

func w0() *world { return &world{wall: time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)} }

// A newer clean-up replaces one that has not ended, and no campaign's order.
func TestANewerCleanUpReplacesTheOlder(t *testing.T) {
	w := newWorld(t)
	w.send(w.order(1, "a"))
	w.send(w.cleaning(2))
	newer := w.cleaning(3)
	newer.CleanUp = newer.CleanUp[1:]
	w.send(newer)
	w.finish(60 * time.Hour)
	if o := w.outcome("o2", "p/temporary_files"); o.State != wire.ItemSkipped || o.Cause.Code != string(fault.Superseded) {
		t.Errorf("the older ended as %+v, want superseded", o)
	}
	if w.packages["a"] != "2" || w.gone[wire.CleanTemporaryFiles] != 0 || len(w.results("o3")) != 1 {
		t.Errorf("a is at %s, %d files gone, results %v; want the install and the newer dry run", w.packages["a"], w.gone[wire.CleanTemporaryFiles], w.results("o3"))
	}
}
