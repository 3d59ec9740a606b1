package executor

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/fault"
	"patchring/internal/core/register"
	"patchring/internal/endpoint/journal"
	"patchring/wire"
)

const restoredAt = 1_800_000_000_000_000

// restore is the log put back to a backup of its first size entries.
func (l *log) restore(size int64, atUS int64, entries ...string) *log {
	back := &log{t: l.t, signer: l.signer, key: l.key, restored: register.Restored{AtUS: atUS, Size: size}}
	back.hashes = append(back.hashes, l.hashes[:storedCount(size)]...)
	back.size = size
	back.add(append([]string{"restored"}, entries...)...)
	return back
}

func TestARestoredRegisterIsFollowedAndTestified(t *testing.T) {
	for name, c := range map[string]struct {
		from, seen int64
		code       fault.Code
	}{
		"what the backup held is proven": {3, 6, fault.RegisterRestored},
		"no proof from what is known":    {4, 6, fault.RegisterRestoredUnproven},
		"no proof at all":                {0, 6, fault.RegisterRestoredUnproven},
		"nothing seen after the backup":  {3, 3, fault.RegisterRestored},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			l := newLog(t)
			w.exec.RegisterKey = l.key
			l.add("a", "b", "c", "d", "e", "f")
			accept := func(serial, from, size int64, l *log) error {
				o := w.order(serial, "a")
				l.sign(&o, from, size)
				return w.exec.Accept(w.seal(o))
			}
			if err := accept(1, 0, 3, l); err != nil {
				t.Fatal(err)
			}
			if c.seen == 6 {
				if err := accept(2, 3, 6, l); err != nil {
					t.Fatal(err)
				}
			}
			before, err := w.journal.Checkpoints()
			if err != nil {
				t.Fatal(err)
			}
			back := l.restore(4, restoredAt, "x", "y")
			if err := accept(10, c.from, 6, back); err != nil {
				t.Fatalf("the restored register: %v", err)
			}
			want := []journal.Abandoned{{
				RestoredUS: restoredAt, Backup: 4, Seen: c.seen, Proven: c.code == fault.RegisterRestored, Checkpoint: before[len(before)-1],
			}}
			got, err := w.journal.Abandoned()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("kept in the journal (-want +got):\n%s", diff)
			}
			if list, err := w.journal.Checkpoints(); err != nil || len(list) != 1 {
				t.Errorf("remembers %d checkpoints, %v; want the restored one alone", len(list), err)
			}
			told := w.testimony()
			if len(told) != 1 || told[0].Cause.Code != string(c.code) || told[0].Cause.Args["seen"] != itoa(c.seen) ||
				told[0].Cause.Args["backup"] != "4" || told[0].Cause.Args["at"] != "2027-01-15T08:00:00Z" {
				t.Errorf("testimony %+v, want one %s", told, c.code)
			}
			// From here on the restored register is the one to extend.
			if err := accept(11, 6, 7, back); err != nil {
				t.Errorf("the restored register, longer: %v", err)
			}
			if err := accept(12, 3, 6, l); fault.CodeOf(err) != fault.RegisterForked {
				t.Errorf("the lost register again: %v, want register_forked", err)
			}
			if len(w.testimony()) != 1 {
				t.Errorf("testified %d times, want once", len(w.testimony()))
			}
		})
	}
}

func (w *world) testimony() (list []wire.Event) {
	for _, e := range w.events() {
		if e.Kind == wire.EventRestored {
			list = append(list, e)
		}
	}
	return list
}

// A register with another past under the name of a restore, and one that is
// shorter and says nothing, are refused as ever.
func TestARewrittenRegisterIsNoRestoredOne(t *testing.T) {
	w := newWorld(t)
	l := newLog(t)
	w.exec.RegisterKey = l.key
	l.add("a", "b", "c", "d", "e", "f")
	first := w.order(1, "a")
	l.sign(&first, 0, 3)
	if err := w.exec.Accept(w.seal(first)); err != nil {
		t.Fatal(err)
	}
	other := &log{t: t, signer: l.signer, key: l.key}
	other.add("a", "X", "c", "d")
	silent := l.restore(2, restoredAt, "x", "y")
	silent.restored = register.Restored{}
	for name, c := range map[string]struct {
		l    *log
		from int64
	}{
		"another past":            {other.restore(4, restoredAt, "x"), 3},
		"shorter without a word":  {silent, 0},
		"shorter, proof from two": {silent, 2},
	} {
		o := w.order(5, "a")
		c.l.sign(&o, c.from, c.l.size)
		if err := w.exec.Accept(w.seal(o)); fault.CodeOf(err) != fault.RegisterForked {
			t.Errorf("%s: %v, want register_forked", name, err)
		}
	}
	if kept, err := w.journal.Abandoned(); err != nil || len(kept) != 0 || len(w.testimony()) != 0 {
		t.Errorf("kept %v, %v, testified %v; want nothing given up", kept, err, w.testimony())
	}
}

// The commit that follows a restored register fails, not stored or stored all
// the same: the order comes again and the device testifies once.
func TestFollowingARestoredRegisterFails(t *testing.T) {
	for _, mode := range []string{"not stored", "stored"} {
		w := newWorld(t)
		l := newLog(t)
		w.exec.RegisterKey = l.key
		l.add("a", "b", "c", "d")
		first := w.order(1, "a")
		l.sign(&first, 0, 4)
		if err := w.exec.Accept(w.seal(first)); err != nil {
			t.Fatal(err)
		}
		o := w.order(9, "a")
		l.restore(2, restoredAt, "x").sign(&o, 0, 4)
		w.failAt, w.failMode = w.writes+1, mode
		if err := w.exec.Accept(w.seal(o)); !errors.Is(err, errInjected) {
			t.Fatalf("%s: error %v", mode, err)
		}
		if err := w.exec.Accept(w.seal(o)); err != nil {
			t.Fatalf("%s: the order again: %v", mode, err)
		}
		if n := len(w.testimony()); n != 1 {
			t.Errorf("%s: testified %d times, want once", mode, n)
		}
		if kept, err := w.journal.Abandoned(); err != nil || len(kept) != 1 {
			t.Errorf("%s: kept %v, %v; want one", mode, kept, err)
		}
	}
}
