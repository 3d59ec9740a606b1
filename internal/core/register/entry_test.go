package register

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"patchring/internal/core/fault"
)

type ringName string

func TestEncodeIsCanonical(t *testing.T) {
	got, err := Entry{
		Index: 7, AtUS: 1_796_000_000_000_000, Tenant: "acme", Actor: User("exploit"), Kind: SignOff,
		Campaign: "2026-12", Ring: "R1", Device: "d\x00\"\\\n\x1f", Reason: fault.Because("tests_ok", "z", "1", "a", "x"),
		Detail: map[string]any{
			"list": []ringName{"R0"}, "none": nil, "at": int64(1),
			"\U0001F600": true, "\uFF5E": false, // UTF-16 puts the emoji first
			"n": map[string]int{"b": -2, "a": 1}, "dirty": "a\xffb",
		},
	}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"actor":"user:exploit","args":{"a":"x","z":"1"},"at":1796000000000000,` +
		`"campaign":"2026-12","detail":{"at":1,"dirty":"a` + "\uFFFD" + `b","list":["R0"],"n":{"a":1,"b":-2},"none":null,` +
		`"` + "\U0001F600" + `":true,"` + "\uFF5E" + `":false},"device":"d\u0000\"\\\n\u001f",` +
		`"index":7,"kind":"sign_off","reason":"tests_ok","ring":"R1","tenant":"acme"}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Fatal(diff)
	}
	if !json.Valid(got) {
		t.Fatal("not JSON")
	}
}

// An entry that a later version wrote must survive this one byte for byte.
func TestDecodeKeepsUnknownFields(t *testing.T) {
	raw := `{"actor":"agent:d1","at":5,"device":"d1","index":0,"kind":"device_sang",` +
		`"later":{"b":[1,null],"c":"x"},"tenant":"acme","zoo":true}`
	entry, err := Decode([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"later": map[string]any{"b": []any{json.Number("1"), nil}, "c": "x"}, "zoo": true,
	}
	if diff := cmp.Diff(want, entry.Extra); diff != "" {
		t.Fatal(diff)
	}
	again, err := entry.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if string(again) != raw {
		t.Fatalf("got %s, want %s", again, raw)
	}
	entry.Extra["kind"] = "x"
	if _, err := entry.Encode(); err == nil {
		t.Fatal("encoded an extra field over a known one, want an error")
	}
}

func TestDecodeRefusesASecondSpelling(t *testing.T) {
	const good = `{"actor":"system:x","at":5,"index":0,"kind":"k","tenant":"t"}`
	if _, err := Decode([]byte(good)); err != nil {
		t.Fatal(err)
	}
	bad := []string{
		``, `null`, `[]`, `{}`, good + " ", good + good, " " + good,
		strings.Replace(good, `"at":5,"index":0`, `"index":0,"at":5`, 1),
		strings.Replace(good, `"kind":"k"`, `"kind":"j","kind":"k"`, 1),
		strings.Replace(good, `"kind":"k"`, `"Kind":"k"`, 1),
		strings.Replace(good, `"kind":"k"`, `"kind":"\u006b"`, 1),
		strings.Replace(good, `"at":5`, `"at":5.0`, 1),
		strings.Replace(good, `"at":5`, `"at":5e0`, 1),
		strings.Replace(good, `"at":5`, `"at":"5"`, 1),
		strings.Replace(good, `"index":0`, `"index":-0`, 1),
		strings.Replace(good, `"index":0`, `"index":-1`, 1),
		strings.Replace(good, `"at":5,`, `"args":{},"at":5,`, 1),
		strings.Replace(good, `"at":5,`, `"at":5,"detail":[],`, 1),
		`{"actor":"system:x","args":{"n":1},"at":5,"index":0,"kind":"k","reason":"r","tenant":"t"}`,
		strings.Replace(good, `"kind":"k"`, `"kind":"k","patch":1`, 1),
		strings.Replace(good, `"kind":"k"`, "\"kind\":\"\xff\"", 1),
		good[:len(good)-1] + `,"x":` + strings.Repeat("[", 50) + strings.Repeat("]", 50) + `}`,
		strings.Repeat(" ", MaxEntry+1),
	}
	for _, raw := range bad {
		if entry, err := Decode([]byte(raw)); err == nil {
			t.Errorf("Decode(%.200s) = %+v, want an error", raw, entry)
		}
	}
}

func TestEncodeAndDecodeAgree(t *testing.T) {
	value := rapid.OneOf(
		rapid.String().AsAny(), rapid.Bool().AsAny(), rapid.Just[any](nil),
		rapid.Int64Range(-maxInteger, maxInteger).AsAny(),
		rapid.SliceOf(rapid.String()).AsAny(), rapid.MapOf(rapid.String(), rapid.Int32()).AsAny(),
	)
	rapid.Check(t, func(t *rapid.T) {
		entry := Entry{
			Index:  rapid.Int64Range(0, maxInteger).Draw(t, "index"),
			AtUS:   rapid.Int64Range(1, maxInteger).Draw(t, "at"),
			Tenant: "t" + rapid.String().Draw(t, "tenant"),
			Actor:  User("u" + rapid.String().Draw(t, "actor")),
			Kind:   Kind("k" + rapid.String().Draw(t, "kind")),
			Reason: fault.Because(fault.Code("r"+rapid.String().Draw(t, "reason")), "k", rapid.String().Draw(t, "arg")),
			Patch:  rapid.String().Draw(t, "patch"),
			Detail: rapid.MapOf(rapid.String(), value).Draw(t, "detail"),
		}
		raw, err := entry.Encode()
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := Decode(raw) // refuses what it would not write itself
		if err != nil {
			t.Fatalf("decode %s: %v", raw, err)
		}
		if decoded.Index != entry.Index || decoded.AtUS != entry.AtUS || decoded.Kind != entry.Kind {
			t.Fatalf("got %+v, want %+v", decoded, entry)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"actor":"system:x","at":5,"index":0,"kind":"k","tenant":"t"}`))
	f.Add([]byte(`{"actor":"system:x","at":5,"index":0,"kind":"k","tenant":"t","x":[1,{"a":"\n"}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		entry, err := Decode(raw)
		if err != nil {
			return
		}
		again, err := entry.Encode()
		if err != nil || string(again) != string(raw) {
			t.Fatalf("decoded %q, encoded %q, %v", raw, again, err)
		}
	})
}
