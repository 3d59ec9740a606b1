package register

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func verify(file []byte, trust Trust) (Result, error) {
	return Verify(bytes.NewReader(file), trust)
}

func TestExportVerifies(t *testing.T) {
	for _, n := range []int{0, 1, 2, 7, 8, 9} {
		k := newKept(t)
		if n > 0 {
			k.append(aStory(n)...)
		}
		got, err := Verify(iotest.OneByteReader(bytes.NewReader(k.export())), Trust{Key: k.key, Seen: k.seen})
		if err != nil {
			t.Fatalf("%d entries: %v", n, err)
		}
		want := Result{
			Form: FormExport, Tenant: testTenant, Key: k.key, Entries: int64(n),
			Checkpoint: k.tree.Checkpoint(testTenant), SeenChecked: min(n, 1) + 1,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%d entries: %s", n, diff)
		}
	}
}

func TestPassportVerifies(t *testing.T) {
	k := newKept(t)
	k.append(aStory(20)...)
	got, err := verify(k.passport("d1"), Trust{Key: k.key, Seen: k.seen})
	if err != nil {
		t.Fatal(err)
	}
	want := Result{
		Form: FormPassport, Tenant: testTenant, Device: "d1", Key: k.key, Entries: 7,
		Checkpoint: k.tree.Checkpoint(testTenant), SeenChecked: 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

func TestResultSaysThatNobodyVouchedForTheKey(t *testing.T) {
	k := newKept(t)
	k.append(aStory(3)...)
	got, err := verify(k.export(), Trust{})
	if err != nil {
		t.Fatal(err)
	}
	if !got.KeyFromFile || got.Key != k.key {
		t.Fatalf("got key %q, from file %v; want the file's key, and to be told", got.Key, got.KeyFromFile)
	}
}

// Every byte of a file is under a hash or a signature: no change passes, even
// for a verifier that was not given the key.
func TestEveryByteMatters(t *testing.T) {
	k := newKept(t)
	k.append(aStory(5)...)
	for name, file := range map[string][]byte{"export": k.export(), "passport": k.passport("d1")} {
		for _, trust := range []Trust{{Key: k.key}, {}} {
			if _, err := verify(file, trust); err != nil {
				t.Fatal(err)
			}
		}
		for at := range file {
			for what, changed := range changes(file, at) {
				for _, trust := range []Trust{{Key: k.key}, {}} {
					_, err := verify(changed, trust)
					var broken *Broken
					if !errors.As(err, &broken) {
						t.Fatalf("%s, byte %d (%q) %s, key given %v: got %v, want it found",
							name, at, file[at], what, trust.Key != "", err)
					}
				}
			}
		}
	}
}

func changes(file []byte, at int) map[string][]byte {
	with := func(b ...byte) []byte {
		return bytes.Join([][]byte{file[:at], b, file[at+1:]}, nil)
	}
	out := map[string][]byte{
		"left out":         with(),
		"twice":            with(file[at], file[at]),
		"after a space":    with(' ', file[at]),
		"after a return":   with('\r', file[at]),
		"and the rest cut": file[:at],
	}
	for bit := range 8 {
		out[fmt.Sprintf("bit %d", bit)] = with(file[at] ^ 1<<bit)
	}
	for _, b := range []byte(" \t\n\x00") {
		if b != file[at] {
			out[fmt.Sprintf("now %q", b)] = with(b)
		}
	}
	return out
}

func lines(file []byte) []string { return strings.SplitAfter(string(file), "\n") }

func TestVerifyNamesTheFirstEntryThatDoesNotFit(t *testing.T) {
	k := newKept(t)
	k.append(aStory(4)...)
	k.append(aStory(6)...)
	other := newKept(t) // another story under the same key
	second := aStory(10)
	second[6].Ring = "R1"
	other.append(second...)
	good, forged := lines(k.export()), lines(other.export())
	swap := func(file []string, a, b int) []string {
		out := append([]string(nil), file...)
		out[a], out[b] = out[b], out[a]
		return out
	}
	replace := func(file []string, at int, with ...string) []string {
		return append(append(append([]string(nil), file[:at]...), with...), file[at+1:]...)
	}
	edited := func(at int, old, new string) []string {
		return replace(good, at, strings.Replace(good[at], old, new, 1))
	}
	renumbered := swap(good, 3, 6) // entries 2 and 5
	renumbered[3] = strings.Replace(renumbered[3], `{"i":5`, `{"i":2`, 1)
	renumbered[6] = strings.Replace(renumbered[6], `{"i":2`, `{"i":5`, 1)

	cases := []struct {
		name string
		file []string
		want Broken
	}{
		{"entry edited", edited(4, "d0", "d9"), Broken{Flaw: FlawEntryChanged, First: 3, Last: 3, Kind: OrderResult}},
		{"hash edited", edited(4, `"h":"`, `"h":"A`), Broken{Flaw: FlawEntryChanged, First: 3, Last: 3, Kind: OrderResult}},
		{"two edited", replace(edited(8, "d0", "d9"), 4, strings.Replace(good[4], "d0", "d9", 1)),
			Broken{Flaw: FlawEntryChanged, First: 3, Last: 3, Kind: OrderResult}},
		{"entry and hash replaced", replace(good, 7, forged[7]), Broken{Flaw: FlawRoot, First: 0, Last: 9}},
		{"entry left out", replace(good, 5), Broken{Flaw: FlawOutOfPlace, First: 4, Last: 4}},
		{"entry twice", replace(good, 5, good[5], good[5]), Broken{Flaw: FlawOutOfPlace, First: 5, Last: 5}},
		{"reordered", swap(good, 3, 6), Broken{Flaw: FlawOutOfPlace, First: 2, Last: 2}},
		{"reordered and renumbered", renumbered, Broken{Flaw: FlawOutOfPlace, First: 2, Last: 2, Kind: RingOpened}},
		{"end cut", good[:8], Broken{Flaw: FlawMissing, First: 7, Last: 9}},
		{"cut in a line", append(good[:8:8], good[8][:50]), Broken{Flaw: FlawLine, First: 7, Last: 7}},
		{"something added", append(good[:11:11], "\n"), Broken{Flaw: FlawExtra, First: 10, Last: 10}},
		{"entry added", append(good[:11:11], strings.Replace(good[10], `{"i":9`, `{"i":10`, 1)),
			Broken{Flaw: FlawExtra, First: 10, Last: 10}},
		{"header of another log", replace(good, 0, forged[0]), Broken{Flaw: FlawRoot, First: 0, Last: 9}},
		{"nothing", nil, Broken{Flaw: FlawHeader, First: -1, Last: -1}},
		{"no header", good[1:], Broken{Flaw: FlawHeader, First: -1, Last: -1}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := verify([]byte(strings.Join(c.file, "")), Trust{Key: k.key})
			wantBroken(t, err, c.want)
		})
	}
}

func TestVerifyRefusesAnotherKey(t *testing.T) {
	k := newKept(t)
	k.append(aStory(2)...)
	_, stranger := testKey(t, testTenant, 2)
	_, err := verify(k.export(), Trust{Key: stranger})
	wantBroken(t, err, Broken{Flaw: FlawKey, First: -1, Last: -1})
}

func TestVerifyRefusesACheckpointOfAnotherTenant(t *testing.T) {
	signer, key := testKey(t, "globex", 1)
	signed, err := (Tree{}).Checkpoint("globex").Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	line, err := header{Head: Head{Tenant: testTenant, Key: key, Checkpoint: signed}, form: FormExport}.line()
	if err != nil {
		t.Fatal(err)
	}
	_, err = verify(line, Trust{Key: key})
	wantBroken(t, err, Broken{Flaw: FlawCheckpoint, First: -1, Last: -1})
}

// The holder of the signing key can rewrite the past and sign it anew. Whoever
// remembers an older checkpoint finds it, and where.
func TestRememberedCheckpointFindsARewrittenPast(t *testing.T) {
	k := newKept(t)
	k.append(aStory(4)...)
	k.append(aStory(3)...)
	k.append(aStory(3)...)
	rewritten := newKept(t)
	entries := append(aStory(4), append(aStory(3), aStory(3)...)...)
	entries[5].Actor = User("nobody")
	rewritten.append(entries...)
	file := rewritten.export()
	if _, err := verify(file, Trust{Key: k.key}); err != nil {
		t.Fatalf("the forger's own signature does not hold: %v", err)
	}
	got, err := verify(file, Trust{Key: k.key, Seen: k.seen})
	wantBroken(t, err, Broken{Flaw: FlawForked, First: 4, Last: 6})
	if got.SeenChecked != 2 {
		t.Fatalf("%d remembered checkpoints agreed, want 2", got.SeenChecked)
	}
	_, err = verify(rewritten.passport("d1"), Trust{Key: k.key, Seen: k.seen})
	wantBroken(t, err, Broken{Flaw: FlawForked, First: 0, Last: 9})
	_, err = verify(file, Trust{Key: k.key, Seen: []Checkpoint{{Origin: Origin("globex")}}})
	wantBroken(t, err, Broken{Flaw: FlawForked, First: -1, Last: -1})
	_, err = verify(file, Trust{Key: k.key, Seen: []Checkpoint{k.seen[3], rewritten.seen[1]}})
	wantBroken(t, err, Broken{Flaw: FlawForked, First: -1, Last: -1})
}

func TestPassportTampering(t *testing.T) {
	k := newKept(t)
	k.append(aStory(20)...) // d1 has 1, 4, 7, 10, 13, 16, 19
	good, other := lines(k.passport("d1")), lines(k.passport("d2"))
	without := func(at int) []string { return append(good[:at:at], good[at+1:]...) }
	cases := []struct {
		name string
		file []string
		want Broken
	}{
		{"entry left out", without(3), Broken{Flaw: FlawEnd, First: 20, Last: 20}},
		{"last entry left out", without(7), Broken{Flaw: FlawEnd, First: 17, Last: 17}},
		{"end left out", good[:8], Broken{Flaw: FlawEnd, First: 20, Last: 20}},
		{"end of another device", append(good[:8:8], other[len(other)-2]), Broken{Flaw: FlawEnd, First: 20, Last: 20}},
		{"entry of another device", append(good[:2:2], append([]string{other[1]}, good[2:]...)...),
			Broken{Flaw: FlawEntryForeign, First: 2, Last: 2, Kind: OrderIssued}},
		{"reordered", append(good[:2:2], append([]string{good[3], good[2]}, good[4:]...)...),
			Broken{Flaw: FlawOutOfPlace, First: 8, Last: 8}},
		{"proof of another entry", append(good[:1:1], withProof(t, good[1], good[2])),
			Broken{Flaw: FlawProof, First: 1, Last: 1, Kind: RingOpened}},
		{"added after the end", append(good[:9:9], good[1]), Broken{Flaw: FlawExtra, First: 20, Last: 20}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := verify([]byte(strings.Join(c.file, "")), Trust{Key: k.key})
			wantBroken(t, err, c.want)
		})
	}
}

func withProof(t *testing.T, line, from string) string {
	t.Helper()
	a, err := parseEntryLine([]byte(strings.TrimSuffix(line, "\n")), FormPassport)
	if err != nil {
		t.Fatal(err)
	}
	b, err := parseEntryLine([]byte(strings.TrimSuffix(from, "\n")), FormPassport)
	if err != nil {
		t.Fatal(err)
	}
	a.proof = b.proof
	return string(a.append(nil, FormPassport)) + "\n"
}

// A server may sign an entry that breaks its own rules; the verifier says so.
func TestVerifyRefusesSignedNonsense(t *testing.T) {
	foreign := aStory(1)[0]
	foreign.Tenant = "globex"
	misplaced := aStory(1)[0]
	misplaced.Index = 3
	for flaw, raw := range map[Flaw][]byte{
		FlawUnreadable:   []byte(`{"index":0}`),
		FlawEntryForeign: mustEncode(t, foreign),
		FlawOutOfPlace:   mustEncode(t, misplaced),
	} {
		k := newKept(t)
		batch := appendRaw(Tree{}, [][]byte{raw})
		k.tree, k.rows = batch.Tree, []Row{{Index: 0, Raw: raw}}
		k.hashes[0] = batch.Stored[0].Hash
		k.sign()
		var broken *Broken
		if _, err := verify(k.export(), Trust{Key: k.key}); !errors.As(err, &broken) || broken.Flaw != flaw {
			t.Errorf("export: got %v, want %s", err, flaw)
		}
		if _, err := VerifyStored(k.stored(), Trust{Key: k.key}); !errors.As(err, &broken) || broken.Flaw != flaw {
			t.Errorf("stored: got %v, want %s", err, flaw)
		}
	}
}

func mustEncode(t *testing.T, e Entry) []byte {
	t.Helper()
	raw, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestVerifyTellsAReadErrorFromTampering(t *testing.T) {
	k := newKept(t)
	k.append(aStory(5)...)
	file := k.export()
	for _, at := range []int{0, 100, len(file) - 30, len(file)} {
		r := io.MultiReader(bytes.NewReader(file[:at]), iotest.ErrReader(io.ErrClosedPipe))
		_, err := Verify(r, Trust{Key: k.key})
		var broken *Broken
		if !errors.Is(err, io.ErrClosedPipe) || errors.As(err, &broken) {
			t.Errorf("at %d: got %v, want the read error and no finding", at, err)
		}
	}
}

func TestVerifyBoundsALine(t *testing.T) {
	k := newKept(t)
	k.append(aStory(1)...)
	header := lines(k.export())[0]
	endless := io.MultiReader(strings.NewReader(header), strings.NewReader(strings.Repeat("x", 2*maxLine)))
	_, err := Verify(endless, Trust{Key: k.key})
	wantBroken(t, err, Broken{Flaw: FlawLine, First: 0, Last: 0})
}

func TestVerifyReadsTheLongestEntry(t *testing.T) {
	k := newKept(t)
	long := aStory(1)[0]
	long.Detail = map[string]any{"log": strings.Repeat("x", MaxEntry-300)}
	k.append(aStory(2)...)
	k.append(long)
	k.append(aStory(2)...)
	if got, err := verify(k.export(), Trust{Key: k.key}); err != nil || got.Entries != 5 {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestWritersRefuse(t *testing.T) {
	k := newKept(t)
	k.append(aStory(3)...)
	x, err := NewExporter(io.Discard, k.head())
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Add(1, k.rows[1].Raw); err == nil {
		t.Error("export: added entry 1 first, want an error")
	}
	if err := x.Close(); err == nil {
		t.Error("export: closed without its entries, want an error")
	}
	_, stranger := testKey(t, testTenant, 2)
	if _, err := NewExporter(io.Discard, Head{testTenant, stranger, k.signed}); err == nil {
		t.Error("export: took a checkpoint of another key, want an error")
	}
	p, err := NewPassportWriter(io.Discard, k.head(), "d1", k.signer)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Add(1, k.rows[1].Raw, nil); err == nil {
		t.Error("passport: added an entry without its proof, want an error")
	}
	if _, err := NewPassportWriter(io.Discard, k.head(), "", k.signer); err == nil {
		t.Error("passport: of no device, want an error")
	}
}

func FuzzVerify(f *testing.F) {
	k := newKept(f)
	k.append(aStory(4)...)
	export, passport := k.export(), k.passport("d1")
	f.Add(export)
	f.Add(passport)
	f.Fuzz(func(t *testing.T, file []byte) {
		_, err := verify(file, Trust{Key: k.key})
		if err == nil && !bytes.Equal(file, export) && !bytes.Equal(file, passport) {
			t.Fatalf("verified %q", file)
		}
	})
}
