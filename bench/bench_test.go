//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

func TestFigureKnowsWhetherItsAimIsMet(t *testing.T) {
	b := &bench{out: t.TempDir(), started: time.Now()}
	b.add(Figure{Name: "value", Value: 3, Base: 2, Aim: 4})
	b.add(Figure{Name: "ratio", Value: 3, Base: 2, Aim: 1.2, OfRatio: true})
	b.add(Figure{Name: "no aim", Value: 3})
	if err := b.write(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(b.out, "bench.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Figures []Figure }
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	yes, no := true, false
	for i, want := range []struct {
		ratio float64
		met   *bool
	}{{1.5, &yes}, {1.5, &no}, {0, nil}} {
		f := got.Figures[i]
		if f.Ratio != want.ratio || (f.Met == nil) != (want.met == nil) || f.Met != nil && *f.Met != *want.met {
			t.Errorf("%s: ratio %v, met %v; want %v, %v", f.Name, f.Ratio, f.Met, want.ratio, want.met)
		}
	}
}

func TestDecisionsAreRead(t *testing.T) {
	got := decisions(`goos: linux
BenchmarkDecideDevices/devices=1000-2         	       3	  12938424 ns/op	     12938 ns/device	 5018685 B/op	    8877 allocs/op
BenchmarkDecideDevices/devices=100000         	       3	1119739216.5 ns/op	     11197 ns/device
BenchmarkSeal/patches=1000-2                  	       3	    938424 ns/op
PASS`)
	if len(got) != 2 || got[1000] != 12938424 || got[100_000] != 1119739216 {
		t.Errorf("read %v", got)
	}
}

func TestRehearsalsAreRead(t *testing.T) {
	got := rehearsals(`goos: linux
BenchmarkRehearse/alike/devices=1000-2         	       1	  34219223 ns/op	       460.0 classes
BenchmarkRehearse/distinct/devices=100000-2   	       1	5304057871 ns/op	    100000 classes
PASS`)
	if got["alike"][1000] != 34219223 || got["distinct"][100_000] != 5304057871 {
		t.Errorf("read %v", got)
	}
}

func TestCrowdDoesEachOnceAndEndsAtAnError(t *testing.T) {
	var done [100]atomic.Int32
	if err := crowd(len(done), 7, func(_, i int) error { done[i].Add(1); return nil }); err != nil {
		t.Fatal(err)
	}
	for i := range done {
		if n := done[i].Load(); n != 1 {
			t.Errorf("%d was done %d times", i, n)
		}
	}
	boom := errors.New("boom")
	var after atomic.Int32
	err := crowd(1_000_000, 3, func(_, i int) error {
		if i == 5 {
			return boom
		}
		after.Add(1)
		return nil
	})
	if !errors.Is(err, boom) || after.Load() > 100_000 {
		t.Errorf("%v after %d more", err, after.Load())
	}
}

func TestOwnProcessIsMeasured(t *testing.T) {
	cpu, err := cpuOf(os.Getpid())
	if err != nil || cpu < 0 || cpu > time.Hour {
		t.Errorf("processor time %s, %v", cpu, err)
	}
	kib, err := rssOf(os.Getpid())
	if err != nil || kib < 1000 {
		t.Errorf("memory %v KiB, %v", kib, err)
	}
}

func TestRedirectTakesTheFirstDevices(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	lines := `{"seed":1,"number":2,"key":"AA==","reply":{"device":"c","brokers":["tls://a:1"]}}
{"seed":1,"number":0,"key":"AA==","reply":{"device":"a","brokers":["tls://a:1"]}}
{"seed":1,"number":1,"key":"AA==","reply":{"device":"b","brokers":["tls://a:1"]}}
`
	if err := os.WriteFile(from, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := redirect(from, to, "tls://b:2", 2); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"key":"AA==","number":0,"reply":{"brokers":["tls://b:2"],"device":"a"},"seed":1}
{"key":"AA==","number":1,"reply":{"brokers":["tls://b:2"],"device":"b"},"seed":1}
`
	if string(text) != want {
		t.Errorf("got %s\nwant %s", text, want)
	}
}

func TestResultWithAFailureIsNotCounted(t *testing.T) {
	outcome := func(state string) map[string]any {
		return map[string]any{"state": state, "packages": []any{map[string]any{"from": "1", "to": "2"}}}
	}
	n, err := changedPackages(map[string]any{"outcomes": []any{outcome("verified"), outcome("verified")}})
	if err != nil || n != 2 {
		t.Errorf("counted %d, %v", n, err)
	}
	if _, err := changedPackages(map[string]any{"outcomes": []any{outcome("verified"), outcome("failed")}}); err == nil {
		t.Error("a failed item was taken for done")
	}
}
