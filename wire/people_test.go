package wire

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
)

// The goldens of capability 2 are frozen: what was sent then is read now, to
// the last field, and written the same.
func TestCapability2IsFrozen(t *testing.T) {
	frozen(t, map[string]any{"order.people.2.json": new(Order), "event.notice.2.json": new(Event)})
}

// So are those of capability 3.
func TestCapability3IsFrozen(t *testing.T) {
	frozen(t, map[string]any{"order.people.3.json": new(Order), "event.notice.3.json": new(Event), "said.3.json": new(Said)})
}

// So are those of capability 4.
func TestCapability4IsFrozen(t *testing.T) {
	frozen(t, map[string]any{
		"order.reboot.4.json": new(Order), "order.download.4.json": new(Order), "event.result.4.json": new(Event),
		"wake.4.json": new(Wake), "event.woke.4.json": new(Event), "facts.4.json": new(Facts),
	})
}

func frozen(t *testing.T, goldens map[string]any) {
	t.Helper()
	for name, into := range goldens {
		want, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		dec := json.NewDecoder(bytes.NewReader(want))
		dec.DisallowUnknownFields()
		if err := dec.Decode(into); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := json.MarshalIndent(into, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if string(got)+"\n" != string(want) {
			t.Errorf("%s is written as\n%s", name, got)
		}
	}
}
