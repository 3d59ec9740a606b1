// Package passport hands the register out and checks it: whole exports, the
// passport of one device with its proofs, and the verification of the register
// where it is kept. It writes nothing but the entry that says an export was
// made. Safe from any goroutine.
package passport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/infra/keys"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Options of an Office.
type Options struct {
	DB    *store.DB
	Clock func() time.Time
	// Key opens a tenant's register key.
	Key func(fleet.TenantID) (keys.RegisterKey, error)
}

// Office of all tenants' registers.
type Office struct{ Options }

// New makes an Office.
func New(o Options) *Office { return &Office{o} }

// Head is where a register stands, with the key that anybody verifies it by.
type Head struct {
	Tenant     string `json:"tenant"`
	Size       int64  `json:"size"`
	Root       string `json:"root"`
	Checkpoint string `json:"checkpoint"`
	Key        string `json:"key"`
}

// Head reads where a tenant's register stands.
func (o *Office) Head(ctx context.Context, tenant fleet.TenantID) (Head, error) {
	stored, key, err := o.open(ctx, tenant)
	if err != nil {
		return Head{}, err
	}
	return Head{Tenant: string(tenant), Size: stored.Tree.Size(), Root: stored.Tree.Root().String(), Checkpoint: stored.Checkpoint, Key: key.Verifier}, nil
}

func (o *Office) open(ctx context.Context, tenant fleet.TenantID) (register.Stored, keys.RegisterKey, error) {
	key, err := o.Key(tenant)
	if err != nil {
		return register.Stored{}, key, err
	}
	stored, err := o.DB.Register(ctx, string(tenant))
	if err != nil {
		return stored, key, fmt.Errorf("open the register of %s: %w", tenant, err)
	}
	return stored, key, nil
}

// Verified is the outcome of a verification. When it is not OK, First and Last
// say which entries do not fit; -1 is the register as a whole.
type Verified struct {
	OK      bool          `json:"ok"`
	Tenant  string        `json:"tenant"`
	Entries int64         `json:"entries"` // verified
	Size    int64         `json:"size"`
	Root    string        `json:"root"`
	Key     string        `json:"key"`
	Flaw    register.Flaw `json:"flaw,omitempty"`
	First   int64         `json:"first"`
	Last    int64         `json:"last"`
	Detail  string        `json:"detail,omitempty"`
	// The latest restore from a backup: when, and how many entries it held.
	RestoredAt   time.Time `json:"restored_at,omitzero"`
	RestoredSize int64     `json:"restored_size,omitempty"`
}

// Verify reads the whole register where it is kept. A register that does not
// fit is an answer; only one that cannot be read is an error.
func (o *Office) Verify(ctx context.Context, tenant fleet.TenantID) (Verified, error) {
	stored, key, err := o.open(ctx, tenant)
	if err != nil {
		return Verified{}, err
	}
	stored.Entries = o.asOf(ctx, stored)
	result, err := register.VerifyStored(stored, register.Trust{Key: key.Verifier})
	out := Verified{
		OK: err == nil, Tenant: string(tenant), Entries: result.Entries, Size: stored.Tree.Size(), Root: stored.Tree.Root().String(),
		Key: key.Verifier, First: -1, Last: -1,
	}
	if restored := result.Checkpoint.Restored; !restored.IsZero() {
		out.RestoredAt, out.RestoredSize = restored.At(), restored.Size
	}
	var broken *register.Broken
	if errors.As(err, &broken) {
		out.Flaw, out.First, out.Last, out.Detail = broken.Flaw, broken.First, broken.Last, broken.Error()
		return out, nil
	}
	if err != nil {
		return Verified{}, fmt.Errorf("verify the register of %s: %w", tenant, err)
	}
	return out, nil
}

// asOf ends the entries where the tree ended when it was read, unless what
// follows was not appended since: then it is a flaw to be found.
func (o *Office) asOf(ctx context.Context, stored register.Stored) iter.Seq2[register.Row, error] {
	entries := stored.Entries
	return func(yield func(register.Row, error) bool) {
		for row, err := range entries {
			if err == nil && row.Index >= stored.Tree.Size() {
				if head, failed := o.DB.Read().RegisterHead(ctx, stored.Tenant); failed == nil && head.Size > row.Index {
					return
				}
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

// Export writes the whole register, with the entry that says so at its end.
func (o *Office) Export(ctx context.Context, tenant fleet.TenantID, by register.Actor, w io.Writer) error {
	if err := o.note(ctx, tenant, by, ""); err != nil {
		return err
	}
	stored, key, err := o.open(ctx, tenant)
	if err != nil {
		return err
	}
	x, err := register.NewExporter(w, register.Head{Tenant: string(tenant), Key: key.Verifier, Checkpoint: stored.Checkpoint})
	if err != nil {
		return err
	}
	for row, err := range stored.Entries {
		if err != nil {
			return fmt.Errorf("export the register of %s: %w", tenant, err)
		}
		if row.Index >= stored.Tree.Size() {
			break // appended while we read: after the checkpoint
		}
		if err := x.Add(row.Index, row.Raw); err != nil {
			return err
		}
	}
	return x.Close()
}

// Passport writes one device's entries with their proofs.
func (o *Office) Passport(ctx context.Context, tenant fleet.TenantID, by register.Actor, device fleet.DeviceID, w io.Writer) error {
	if err := o.note(ctx, tenant, by, device); err != nil {
		return err
	}
	stored, key, err := o.open(ctx, tenant)
	if err != nil {
		return err
	}
	p, err := register.NewPassportWriter(w, register.Head{Tenant: string(tenant), Key: key.Verifier, Checkpoint: stored.Checkpoint}, string(device), key.Signer)
	if err != nil {
		return err
	}
	for from := int64(0); ; {
		rows, err := o.DB.Read().RegisterEntriesOfDevice(ctx, gen.RegisterEntriesOfDeviceParams{Tenant: string(tenant), Device: string(device), Idx: from, Max: passportPage})
		if err != nil {
			return fmt.Errorf("read the register of device %s: %w", device, err)
		}
		for _, row := range rows {
			if row.Idx >= stored.Tree.Size() {
				return p.Close()
			}
			proof, err := register.ProveEntry(stored.Tree.Size(), row.Idx, stored.Hashes)
			if err != nil {
				return err
			}
			if err := p.Add(row.Idx, row.Body, proof); err != nil {
				return err
			}
			from = row.Idx + 1
		}
		if len(rows) < passportPage {
			return p.Close()
		}
	}
}

const passportPage = 200

// note records that an export is made, before its first byte: an export that
// was interrupted is known too.
func (o *Office) note(ctx context.Context, tenant fleet.TenantID, by register.Actor, device fleet.DeviceID) error {
	form := register.FormExport
	if device != "" {
		form = register.FormPassport
	}
	err := o.DB.Write(ctx, func(tx *store.Tx) error {
		tx.Record(register.Entry{
			Tenant: string(tenant), AtUS: o.Clock().UnixMicro(), Actor: by, Kind: register.RegisterExported, Device: string(device),
			Detail: map[string]any{"form": string(form)},
		})
		return nil
	})
	if err != nil {
		return fmt.Errorf("record the export: %w", err)
	}
	return nil
}
