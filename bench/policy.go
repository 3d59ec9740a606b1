//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// The catalogue of a month in which everything was published, and how much of
// it one device lacks.
const (
	policyPatches = 500
	policyMissing = 25
	policyFile    = "examples/policies/parc-france.yaml"
	policyOther   = "examples/policies/infogerance.yaml"
)

// benchPolicy measures verdicts in memory, as a campaign and a rehearsal work
// them out, and the difference between two policies over a stored fleet.
func benchPolicy(ctx context.Context, b *bench) error {
	if err := b.verdicts(); err != nil {
		return err
	}
	return b.differences(ctx)
}

// fleetDevice is the n-th device of a fleet as various as a company's.
func fleetDevice(i int) policy.Device {
	d := policy.Device{
		Name: fmt.Sprintf("PC-%06d", i), Kind: string(fleet.Workstation), Tags: fleet.Tags{"department": fmt.Sprintf("d%d", i%12), "site": fmt.Sprintf("s%d", i%30)},
		Traits:   policy.Traits{OS: "debian", Model: fmt.Sprintf("model-%d", i%40), RAMBytes: int64(4+i%60) << 30, DiskBytes: int64(1+i%200) << 30, CPUs: 4},
		Software: map[string]string{"openssl": "3.0.17"},
	}
	switch {
	case i%10 == 0:
		d.Kind = string(fleet.Server)
		d.Tags["role"], d.Tags["cluster"] = "sql", fmt.Sprintf("c%d", i%100)
	case i%7 == 0:
		d.Tags["department"] = "comptabilite"
	case i%11 == 0:
		d.Software["nvidia-driver"] = "535"
	}
	return d
}

func policyPatch(i int, now time.Time) policy.Patch {
	names, classes := []string{"linux", "openssl", "cups", "firefox-esr", "glibc"}, patch.Classes()
	return policy.Patch{
		Key:   patch.Key{Provider: "apt", Name: fmt.Sprintf("%s-%d", names[i%len(names)], i), Version: "2", Suite: "bookworm"},
		Class: classes[i%len(classes)], Released: now.AddDate(0, 0, -i%40), Bytes: int64(i) << 20,
	}
}

func readPolicy(file string) (*policy.Policy, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read policy: %w", err)
	}
	p, err := policy.Parse(file, text)
	return &p, err
}

func (b *bench) verdicts() error {
	p, err := readPolicy(policyFile)
	if err != nil {
		return err
	}
	now := time.Now()
	rules := policy.Rules{Policies: policy.Policies{Tenant: p}}
	patches := make([]policy.Patch, policyPatches)
	for i := range patches {
		patches[i] = policyPatch(i, now)
	}
	alone := eachVerdict(rules, 1000, now, func(h policy.Holder) {
		for i := range patches {
			rules.Judge(&patches[i], h, now)
		}
	})
	var thousand time.Duration
	for _, n := range []int{1000, 10_000, 100_000} {
		sheet := policy.NewSheet(rules, patches, now)
		took := eachVerdict(rules, n, now, func(h policy.Holder) {
			for i := range patches {
				sheet.Judge(i, h, now)
			}
		})
		f := Figure{
			Name: fmt.Sprintf("verdicts on %d devices × %d patches", n, policyPatches), Value: took.Seconds(), Unit: "s",
			Note: fmt.Sprintf("%.0f ns each", float64(took)/float64(n*policyPatches)),
		}
		if n == 1000 {
			thousand = took
			f.Baseline, f.Base = "each condition asked of each patch anew", alone.Seconds()
		} else {
			f.Baseline, f.Base = fmt.Sprintf("%d times 1000 devices", n/1000), thousand.Seconds()*float64(n)/1000
		}
		if n == 100_000 {
			f.Aim = 20
		}
		b.add(f)
	}
	return nil
}

// eachVerdict matches n devices and judges each; it is timed without making them.
func eachVerdict(rules policy.Rules, n int, now time.Time, judge func(policy.Holder)) time.Duration {
	var took time.Duration
	for i := range n {
		d := fleetDevice(i)
		begun := time.Now()
		judge(policy.Holder{Device: fleet.DeviceID(d.Name), Match: rules.Policies.Match(&d, now), Exposed: now.AddDate(0, 0, -i%30)})
		took += time.Since(begun)
	}
	return took
}

func (b *bench) differences(ctx context.Context) error {
	small := time.Duration(0)
	for _, n := range []int{1000, 10_000, 100_000} {
		took, lines, err := b.difference(ctx, n)
		if err != nil {
			return err
		}
		f := Figure{
			Name: fmt.Sprintf("policy diff, %d devices lacking %d of %d patches", n, policyMissing, policyPatches), Value: took.Seconds(), Unit: "s",
			Note: fmt.Sprintf("%d lines", lines),
		}
		if n == 1000 {
			small = took
		} else {
			f.Baseline, f.Base = fmt.Sprintf("%d times 1000 devices", n/1000), small.Seconds()*float64(n)/1000
		}
		if n == 100_000 {
			f.Aim = 30
		}
		b.add(f)
	}
	return nil
}

// difference weighs one example against the other, which is in force, over n
// stored devices.
func (b *bench) difference(ctx context.Context, n int) (took time.Duration, lines int, err error) {
	w, err := b.newWorld(ctx, fmt.Sprintf("policy-%d", n), n)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	if err := w.lackPatches(ctx); err != nil {
		return 0, 0, err
	}
	before, e1 := os.ReadFile(policyFile)
	after, e2 := os.ReadFile(policyOther)
	if err := errors.Join(e1, e2); err != nil {
		return 0, 0, fmt.Errorf("read policies: %w", err)
	}
	if _, err := w.srv.Rulebook.Apply(ctx, tenant, register.System("bench"), policyFile, before); err != nil {
		return 0, 0, err
	}
	begun := time.Now()
	diff, err := w.srv.Rulebook.Diff(ctx, tenant, policyOther, after)
	took = time.Since(begun)
	if err == nil && (diff.Devices != n || len(diff.Verdicts) == 0) {
		err = fmt.Errorf("the difference is of %d devices and has %d lines", diff.Devices, len(diff.Verdicts))
	}
	return took, len(diff.Verdicts) + len(diff.Settings), err
}

// lackPatches writes a catalogue, and what each device lacks of it.
func (w *world) lackPatches(ctx context.Context) error {
	now := w.clock()
	err := w.srv.DB.Write(ctx, func(tx *store.Tx) error {
		for i := range policyPatches {
			p := policyPatch(i, now)
			if _, err := tx.PutPatch(ctx, gen.PutPatchParams{
				Tenant: string(tenant), ID: string(p.Key.ID()), Provider: p.Key.Provider, Name: p.Key.Name, Version: p.Key.Version, Suite: p.Key.Suite,
				Class: string(p.Class), FirstSeenUs: p.Released.UnixMicro(), DownloadBytes: p.Bytes,
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("fill the catalogue: %w", err)
	}
	return w.batches(ctx, w.ids, func(tx *store.Tx, i int) error {
		for k := range policyMissing {
			p := policyPatch((i+k*policyPatches/policyMissing)%policyPatches, now)
			since := now.AddDate(0, 0, -i%30).UnixMicro()
			if err := tx.PutMissing(ctx, gen.PutMissingParams{
				Tenant: string(tenant), Device: string(w.ids[i]), Patch: string(p.Key.ID()), State: wire.PatchOffered, Packages: "[]", SinceUs: since, ExposedUs: since,
			}); err != nil {
				return err
			}
		}
		return nil
	})
}
