package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// Summary is what a demo leaves behind, in demo/out/summary.json.
type Summary struct {
	Campaign string         `json:"campaign"`
	Rings    []RingSummary  `json:"rings"`
	Hosts    []HostSummary  `json:"hosts"`
	Register RegisterResult `json:"register"`
	Seconds  int            `json:"seconds"`
	// Simulated: there were no hosts, so no dpkg to ask.
	Simulated bool `json:"simulated,omitempty"`
}

// RingSummary has the five numbers and the gate.
type RingSummary struct {
	Ring string `json:"ring"`
	Numbers
	Gate GateSummary `json:"gate"`
}

// GateSummary is what the gate decided, on what, with whose sign-off.
type GateSummary struct {
	Decision string            `json:"decision"`
	Evidence json.RawMessage   `json:"evidence"`
	SignOffs []json.RawMessage `json:"sign_offs"`
}

// HostSummary is what dpkg in the host says, not what the server believes.
type HostSummary struct {
	Host     string           `json:"host"`
	Ring     string           `json:"ring"`
	Packages []PackageSummary `json:"packages"`
}

// PackageSummary is a package whose version is another one than before.
type PackageSummary struct {
	Name   string `json:"name"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// RegisterResult is the register, exported and verified offline.
type RegisterResult struct {
	Size     int64  `json:"size"`
	Root     string `json:"root"`
	Verified bool   `json:"verified"`
}

func (d *Demo) summarise(ctx context.Context, name string) (Summary, error) {
	board, err := d.admin.Board(ctx, name)
	if err != nil {
		return Summary{}, err
	}
	s := Summary{Campaign: name, Hosts: []HostSummary{}, Simulated: d.simulated}
	for _, r := range board.Amendments[0].Rings {
		ring := RingSummary{Ring: r.Ring, Numbers: r.Numbers, Gate: GateSummary{Decision: r.Verdict, Evidence: r.Evidence, SignOffs: []json.RawMessage{}}}
		for _, slot := range r.SignOffs {
			if len(slot.Given) > 0 && string(slot.Given) != "null" {
				ring.Gate.SignOffs = append(ring.Gate.SignOffs, slot.Given)
			}
		}
		s.Rings = append(s.Rings, ring)
	}
	if !d.simulated {
		if s.Hosts, err = d.hostSummaries(ctx); err != nil {
			return s, err
		}
	}
	if s.Register, err = d.verifyRegister(ctx); err != nil {
		return s, err
	}
	s.Seconds = int(time.Since(d.started).Seconds())
	return s, nil
}

func (d *Demo) hostSummaries(ctx context.Context) ([]HostSummary, error) {
	out := []HostSummary{}
	for _, h := range d.fleet.Hosts() {
		after, err := d.fleet.Versions(ctx, h.Name)
		if err != nil {
			return nil, fmt.Errorf("ask dpkg in %s: %w", h.Name, err)
		}
		host := HostSummary{Host: h.Name, Ring: string(h.Ring), Packages: []PackageSummary{}}
		before := d.before[h.Name]
		for _, name := range slices.Sorted(maps.Keys(after)) {
			if before[name] != after[name] {
				host.Packages = append(host.Packages, PackageSummary{Name: name, Before: before[name], After: after[name]})
			}
		}
		out = append(out, host)
	}
	return out, nil
}

// verifyRegister exports the register and has it verified by the command an
// auditor would run, offline, with the public key alone.
func (d *Demo) verifyRegister(ctx context.Context) (RegisterResult, error) {
	var head struct {
		Size int64  `json:"size"`
		Root string `json:"root"`
		Key  string `json:"key"`
	}
	if err := d.admin.Get(ctx, "/register", &head); err != nil {
		return RegisterResult{}, err
	}
	var export []byte
	if err := d.admin.Get(ctx, "/register/export", &export); err != nil {
		return RegisterResult{}, err
	}
	path := filepath.Join(d.Root, "demo", "out", "register.jsonl")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return RegisterResult{}, fmt.Errorf("make %s: %w", filepath.Dir(path), err)
	}
	if err := os.WriteFile(path, export, 0o644); err != nil {
		return RegisterResult{}, fmt.Errorf("write the export: %w", err)
	}
	out, err := exec.CommandContext(ctx, d.bin("patchring"), "register", "verify", path, "--key", head.Key).CombinedOutput()
	if err != nil {
		return RegisterResult{}, fmt.Errorf("verify the register: %w: %s", err, out)
	}
	return RegisterResult{Size: head.Size, Root: head.Root, Verified: true}, nil
}

// check refuses a summary that shows no campaign: a ring without a passed gate,
// a device that is not done, a host where nothing changed.
func (s Summary) check() error {
	for _, r := range s.Rings {
		if r.Gate.Decision != "pass" {
			return fmt.Errorf("the gate of %s says %q", r.Ring, r.Gate.Decision)
		}
		if r.Failed+r.NotReached+r.Unreachable > 0 || r.Done == 0 {
			return fmt.Errorf("%s ends with done %d, failed %d, not reached %d, unreachable %d", r.Ring, r.Done, r.Failed, r.NotReached, r.Unreachable)
		}
	}
	for _, h := range s.Hosts {
		if len(h.Packages) == 0 {
			return fmt.Errorf("no package of %s changed its version", h.Host)
		}
	}
	if !s.Register.Verified {
		return fmt.Errorf("the register was not verified")
	}
	return nil
}
