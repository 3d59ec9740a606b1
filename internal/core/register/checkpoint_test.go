package register

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"
)

func TestCheckpointIsC2SP(t *testing.T) {
	k := newKept(t)
	if want := "patchring/acme\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— patchring/acme "; !strings.HasPrefix(k.signed, want) {
		t.Fatalf("got %q, want it to begin with %q", k.signed, want)
	}
	got, err := OpenCheckpoint(k.signed, k.key)
	if err != nil || got != k.seen[0] {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestOpenCheckpointPassesOverLinesOfALaterVersion(t *testing.T) {
	k := newKept(t)
	signed := k.signText("patchring/acme\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\nlater: x\n")
	if got, err := OpenCheckpoint(signed, k.key); err != nil || got != k.seen[0] {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func (k *kept) signText(text string) string {
	k.t.Helper()
	signed, err := note.Sign(&note.Note{Text: text}, k.signer)
	if err != nil {
		k.t.Fatal(err)
	}
	return string(signed)
}

func TestOpenCheckpointRefuses(t *testing.T) {
	k := newKept(t)
	other, otherKey := testKey(t, "globex", 3)
	both, err := note.Sign(&note.Note{Text: k.seen[0].text()}, k.signer, other)
	if err != nil {
		t.Fatal(err)
	}
	const root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	cases := map[string]string{
		"empty":              "",
		"two signatures":     string(both),
		"origin of another":  k.signText("patchring/globex\n0\n" + root + "\n"),
		"two lines":          k.signText("patchring/acme\n0\n"),
		"negative size":      k.signText("patchring/acme\n-1\n" + root + "\n"),
		"size with a zero":   k.signText("patchring/acme\n00\n" + root + "\n"),
		"root spelt twice":   k.signText("patchring/acme\n0\n" + strings.Replace(root, "FU=", "FV=", 1) + "\n"),
		"root too short":     k.signText("patchring/acme\n0\nAAAA\n"),
		"end of a passport":  k.signText(passportEnd(testTenant, "0", k.seen[0], Tree{})),
		"signature spelt so": strings.Replace(k.signed, "=\n", "\n", 2),
	}
	for name, signed := range cases {
		if got, err := OpenCheckpoint(signed, k.key); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
	}
	if _, err := OpenCheckpoint(k.signed, otherKey); err == nil {
		t.Error("opened with another key, want an error")
	}
	if _, err := OpenCheckpoint(k.signed, "x"); err == nil {
		t.Error("opened without a key, want an error")
	}
	if _, err := k.seen[0].Sign(other); err == nil {
		t.Error("signed with the key of another tenant, want an error")
	}
}

func TestExtends(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		k := newKept(t)
		older := rapid.IntRange(0, 40).Draw(rt, "older")
		added := rapid.IntRange(0, 40).Draw(rt, "added")
		if older > 0 {
			k.append(aStory(older)...)
		}
		before := k.tree.Checkpoint(testTenant)
		if added > 0 {
			k.append(aStory(added)...)
		}
		after := k.tree.Checkpoint(testTenant)
		proof, err := ProveExtends(before.Size, after.Size, k)
		if err != nil {
			rt.Fatal(err)
		}
		if err := Extends(before, after, proof); err != nil {
			rt.Fatal(err)
		}
		if older == 0 {
			return
		}
		forked := before
		forked.Root[5] ^= 1
		if err := Extends(forked, after, proof); !errors.Is(err, ErrForked) {
			rt.Fatalf("other past: got %v, want ErrForked", err)
		}
		if added > 0 {
			if err := Extends(after, before, proof); !errors.Is(err, ErrShrunk) {
				rt.Fatalf("backwards: got %v, want ErrShrunk", err)
			}
			if err := Extends(before, after, nil); !errors.Is(err, ErrForked) {
				rt.Fatalf("no proof: got %v, want ErrForked", err)
			}
		}
	})
}

func TestExtendsRefusesAnotherLog(t *testing.T) {
	k := newKept(t)
	other := k.seen[0]
	other.Origin = Origin("globex")
	if err := Extends(k.seen[0], other, nil); !errors.Is(err, ErrOtherLog) {
		t.Fatalf("got %v, want ErrOtherLog", err)
	}
	nothing := k.seen[0]
	nothing.Root[0] ^= 1
	if err := Extends(nothing, k.seen[0], nil); !errors.Is(err, ErrForked) {
		t.Fatalf("got %v, want ErrForked", err)
	}
	if _, err := ProveExtends(3, 2, k); err == nil {
		t.Fatal("proved a log that shrinks, want an error")
	}
}
