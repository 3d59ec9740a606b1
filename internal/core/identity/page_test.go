package identity

import (
	"errors"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/fault"
)

func aPage(t *testing.T) (Page, PageKey, string) {
	t.Helper()
	p := Page{
		Device: Device{Tenant: "acme", ID: "0190a5b4-1234-7abc-8def-0123456789ab"}, Epoch: 3,
		Expires: time.Date(2026, 12, 31, 23, 0, 0, 0, time.UTC),
	}
	key := PageKey{1, 2, 3}
	token, err := p.Token(key)
	if err != nil {
		t.Fatal(err)
	}
	return p, key, token
}

func TestAPagesTokenSaysWhosePageItIs(t *testing.T) {
	p, key, token := aPage(t)
	got, err := ParsePage(key, token, p.Expires.Add(-time.Second))
	if err != nil || got != p {
		t.Fatalf("%+v %v, want %+v", got, err, p)
	}
	if len(token) > 70 {
		t.Errorf("%d characters: too many for a QR code on a screen", len(token))
	}
	if _, err := (Page{Device: Device{Tenant: "acme", ID: "x"}}).Token(key); err == nil {
		t.Error("a device without an id has a page")
	}
}

func TestATokenThatIsNotOursOpensNothing(t *testing.T) {
	p, key, token := aPage(t)
	now := p.Expires.Add(-time.Hour)
	other := key
	other[0]++
	if _, err := ParsePage(other, token, now); !errors.Is(err, fault.New(fault.LinkInvalid)) {
		t.Errorf("another key: %v", err)
	}
	for i := range token {
		for _, c := range []byte("A_9z") {
			if token[i] == c {
				continue
			}
			if got, err := ParsePage(key, token[:i]+string(c)+token[i+1:], now); err == nil && got == p {
				t.Fatalf("with %c at %d it opens", c, i)
			}
		}
	}
	for _, bad := range []string{"", "x", token[:len(token)-2], token + "AA", strings.Repeat("A", 400), "é"} {
		if _, err := ParsePage(key, bad, now); !errors.Is(err, fault.New(fault.LinkInvalid)) {
			t.Errorf("%q: %v, want invalid", bad, err)
		}
	}
	if _, err := ParsePage(key, token, p.Expires); !errors.Is(err, fault.New(fault.LinkExpired)) {
		t.Errorf("at its end: %v, want expired", err)
	}
}

func FuzzParsePage(f *testing.F) {
	f.Add("AWmR2k8AAAADAZClthI0erw")
	f.Fuzz(func(t *testing.T, token string) {
		if p, err := ParsePage(PageKey{9}, token, time.Unix(0, 0)); err == nil {
			t.Fatalf("%q opens %+v without its key", token, p)
		}
	})
}
