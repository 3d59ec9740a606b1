package desk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strings"
	"time"
	"unicode"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/core/task"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// MaxFile bounds a proof's file, and maxOutput a command's output.
const (
	MaxFile   = 1 << 20
	maxOutput = 16 << 10 // in runes: the register keeps it, and an entry has its bounds
)

// Show closes a task by what is shown.
type Show struct {
	Task    string
	Proof   task.Proof
	Text    string // of a text
	Command string // that was run, and
	Output  string // what it said
	Name    string // of a file, and
	File    []byte // what is in it
}

// Close closes a task on its proof. A file's bytes are kept by their hash, and
// the hash is in the register: what is shown later is what was shown then.
func (d *Desk) Close(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask Show) error {
	proof, err := proofOf(ask)
	if err != nil {
		return err
	}
	if ask.Proof == task.Rescan {
		if proof.Text, err = d.refound(ctx, tenant, ask.Task); err != nil {
			return err
		}
	}
	err = d.DB.Write(ctx, func(tx *store.Tx) error {
		row, err := taskRow(ctx, tx, tenant, ask.Task)
		if err != nil {
			return err
		}
		if row.ClosedUs > 0 {
			return fault.New(fault.NothingToDo, "what", "task_is_closed")
		}
		if row.Proof != "" && row.Proof != string(ask.Proof) {
			return fault.New(fault.ProofMissing, "proof", row.Proof)
		}
		if ask.Proof == task.Rescan && row.Finding == "" {
			if proof.Text, err = rescanned(ctx, tx, row); err != nil {
				return err
			}
		}
		return d.close(ctx, tx, row, by, proof, ask.File)
	})
	if err == nil {
		d.Wake()
	}
	return err
}

func (d *Desk) close(ctx context.Context, tx *store.Tx, row gen.Task, by register.Actor, proof gen.AddTaskProofParams, file []byte) (err error) {
	now := d.Clock().UnixMicro()
	proof.Tenant, proof.Task, proof.Actor, proof.AtUs = row.Tenant, row.ID, string(by), now
	if proof.ID, err = newID(); err != nil {
		return err
	}
	n, err := tx.CloseTask(ctx, gen.CloseTaskParams{Tenant: row.Tenant, ID: row.ID, ClosedUs: now, ClosedBy: string(by)})
	if err != nil {
		return fmt.Errorf("close the task: %w", err)
	}
	if n == 0 { // somebody else was quicker
		return fault.New(fault.NothingToDo, "what", "task_is_closed")
	}
	if len(file) > 0 {
		if err := tx.PutProofFile(ctx, gen.PutProofFileParams{Tenant: row.Tenant, Sha256: proof.Sha256, Body: file}); err != nil {
			return fmt.Errorf("keep the file: %w", err)
		}
	}
	if err := tx.AddTaskProof(ctx, proof); err != nil {
		return fmt.Errorf("keep the proof: %w", err)
	}
	detail := map[string]any{"proof": proof.Kind, "text": proof.Text}
	switch task.Proof(proof.Kind) {
	case task.File:
		detail["file"], detail["sha256"], detail["size"] = proof.FileName, proof.Sha256, proof.Size
	case task.Command:
		detail["output"] = proof.Output
	}
	d.record(tx, row, by, register.TaskClosed, detail)
	return touchGate(ctx, tx, row)
}

// proofOf checks what was shown. A re-scan shows nothing: it is looked up.
func proofOf(ask Show) (gen.AddTaskProofParams, error) {
	proof := gen.AddTaskProofParams{Kind: string(ask.Proof)}
	switch ask.Proof {
	case task.Text:
		proof.Text = ask.Text
		return proof, words("text", ask.Text, 4*longText)
	case task.Command:
		proof.Text, proof.Output = ask.Command, ask.Output
		if err := words("command", ask.Command, longText); err != nil {
			return proof, err
		}
		return proof, words("output", ask.Output, maxOutput)
	case task.File:
		proof.FileName, proof.Size = fileName(ask.Name), int64(len(ask.File))
		sum := sha256.Sum256(ask.File)
		proof.Sha256 = hex.EncodeToString(sum[:])
		switch {
		case proof.FileName == "":
			return proof, invalid("file", "empty", "name_a_file")
		case len(ask.File) == 0:
			return proof, invalid("file", "empty", "name_a_file")
		case len(ask.File) > MaxFile:
			return proof, invalid("file", "too_long", "≤ 1 MiB")
		}
		return proof, nil
	case task.Rescan:
		return proof, nil
	case "":
		return proof, fault.New(fault.ProofMissing)
	}
	return proof, invalid("proof", "not_a_choice", proofWords())
}

const longestName = 120

// fileName keeps the last part of a path, without what could mean something to
// a terminal, a header or a file system.
func fileName(name string) string {
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || strings.ContainsRune(`/\:*?"<>|;`, r) {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, "_"))
	if name = strings.Trim(name, " ."); name == "" {
		return ""
	}
	if r := []rune(name); len(r) > longestName {
		name = string(r[len(r)-longestName:]) // the end says what kind of file it is
	}
	return name
}

// rescanned wants a good scan of the device since the task was opened, in which
// the patch is not missing. A later version may be, but only if what it would
// replace is the very version that the task is about.
func rescanned(ctx context.Context, tx *store.Tx, row gen.Task) (string, error) {
	if row.Device == "" || row.Patch == "" {
		return "", invalid("proof", "rescan_of_nothing", "device + patch")
	}
	dev, err := tx.Device(ctx, row.Tenant, row.Device)
	if err != nil {
		return "", fmt.Errorf("read device %s: %w", row.Device, err)
	}
	if dev.ScanUs <= row.OpenedUs || dev.ScanStatus != "ok" {
		return "", fault.New(fault.NotRescanned, "device", dev.Name, "at", store.Instant(row.OpenedUs).UTC().Format(time.RFC3339))
	}
	p, err := tx.Patch(ctx, row.Tenant, row.Patch)
	if err != nil {
		return "", fmt.Errorf("read patch %s: %w", row.Patch, err)
	}
	missing, err := tx.MissingOfName(ctx, gen.MissingOfNameParams{Tenant: row.Tenant, Device: row.Device, Provider: p.Provider, Name: p.Name})
	if err != nil {
		return "", fmt.Errorf("read what is missing: %w", err)
	}
	for _, m := range missing {
		from, err := installed(m.Packages, p.Name)
		if err != nil {
			return "", err
		}
		if m.Patch == row.Patch || from != p.Version {
			return "", fault.New(fault.StillMissing, "device", dev.Name, "patch", p.Name+" "+m.Version)
		}
	}
	return store.Instant(dev.ScanUs).UTC().Format(time.RFC3339), nil
}
