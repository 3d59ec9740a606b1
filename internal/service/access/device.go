package access

import (
	"context"
	"encoding/json"
	"fmt"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/identity"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Admit tells whether a device may connect: a fault when it may not, any other
// error when nobody can tell.
func (s *Service) Admit(ctx context.Context, d identity.Device) error {
	_, err := s.device(ctx, d)
	return err
}

func (s *Service) device(ctx context.Context, d identity.Device) (gen.Device, error) {
	row, err := s.opts.DB.Read().Device(ctx, string(d.Tenant), string(d.ID))
	switch {
	case store.IsNone(err):
		return row, fault.New(fault.DeviceUnknown, "device", string(d.ID))
	case err != nil:
		return row, fmt.Errorf("read device %s: %w", d.ID, err)
	case row.RetiredUs > 0:
		return row, fault.New(fault.DeviceRetired, "device", row.Name)
	}
	return row, nil
}

// Renew signs a device's next certificate. The one before stays good until its
// end: a device that never got the answer can ask again.
func (s *Service) Renew(ctx context.Context, tenant fleet.TenantID, device fleet.DeviceID, csr string) (string, error) {
	d := identity.Device{Tenant: tenant, ID: device}
	if _, err := s.device(ctx, d); err != nil {
		return "", err
	}
	if len(csr) > maxCSR {
		return "", invalid("csr", "too_long", "")
	}
	issued, err := s.issue(csr, d)
	if err != nil {
		return "", err
	}
	err = s.opts.DB.Write(ctx, func(tx *store.Tx) error {
		tx.Record(register.Entry{
			Tenant: string(tenant), AtUS: s.now().UnixMicro(), Actor: register.Agent(string(device)), Kind: register.DeviceRenewed,
			Device: string(device), Detail: map[string]any{"certificate": issued.Serial},
		})
		return tx.SetDeviceCert(ctx, gen.SetDeviceCertParams{Tenant: string(tenant), ID: string(device), CertSerial: issued.Serial, CertExpiresUs: issued.NotAfter.UnixMicro()})
	})
	if err != nil {
		return "", fmt.Errorf("renew the certificate of device %s: %w", device, err)
	}
	return issued.PEM, nil
}

// Retire takes a device out of the fleet: its certificate opens nothing any
// more, its orders are cancelled, and it counts nowhere. Its register stays.
func (s *Service) Retire(ctx context.Context, p Principal, device fleet.DeviceID, why string) error {
	if err := p.Need(FleetAct); err != nil {
		return err
	}
	if why == "" {
		return fault.New(fault.ReasonRequired)
	}
	retired := false
	err := s.opts.DB.Write(ctx, func(tx *store.Tx) (err error) {
		retired, err = s.retire(ctx, tx, p, string(device), why)
		return err
	})
	if err != nil {
		return fmt.Errorf("retire device %s: %w", device, err)
	}
	if retired && s.opts.Retired != nil {
		s.opts.Retired(identity.Device{Tenant: p.Tenant, ID: device})
	}
	return nil
}

func (s *Service) retire(ctx context.Context, tx *store.Tx, p Principal, id, why string) (bool, error) {
	tenant, now := string(p.Tenant), s.now().UnixMicro()
	row, err := tx.Device(ctx, tenant, id)
	if store.IsNone(err) {
		return false, fault.New(fault.NotFound, "what", "device", "name", id)
	}
	if err != nil {
		return false, err
	}
	n, err := tx.RetireDevice(ctx, gen.RetireDeviceParams{Tenant: tenant, ID: id, RetiredUs: now, RetiredWhy: why})
	if err != nil || n == 0 {
		return false, err // retired already: asked twice, done once
	}
	cause, err := json.Marshal(fault.Because(fault.DeviceRetired, "device", row.Name))
	if err != nil {
		return false, fmt.Errorf("encode reason: %w", err)
	}
	if err := tx.ForgetInstalled(ctx, tenant, id); err != nil {
		return false, err
	}
	if err := tx.DropServicesDown(ctx, tenant, id); err != nil {
		return false, err
	}
	if err := tx.ForgetMissing(ctx, tenant, id); err != nil {
		return false, err
	}
	if err := tx.DropMissingOfDevice(ctx, tenant, id); err != nil {
		return false, err
	}
	if _, err := tx.DropNotices(ctx, tenant, id); err != nil {
		return false, err
	}
	if _, err := tx.CancelOrdersOf(ctx, gen.CancelOrdersOfParams{Tenant: tenant, Device: id, Cause: string(cause)}); err != nil {
		return false, err
	}
	if err := forgetRollbackImpossible(ctx, tx, tenant, id); err != nil {
		return false, err
	}
	if _, err := tx.WakeDevice(ctx, tenant, id); err != nil {
		return false, err
	}
	for _, kind := range []register.Kind{register.DeviceRetired, register.DeviceRevoked} {
		tx.Record(register.Entry{
			Tenant: tenant, AtUS: now, Actor: p.Actor(), Kind: kind, Device: id,
			Detail: map[string]any{"name": row.Name, "why": why, "certificate": row.CertSerial},
		})
	}
	return true, nil
}

// forgetRollbackImpossible takes the device out of the numbers of what could not be put
// back: nobody will ask it to.
func forgetRollbackImpossible(ctx context.Context, tx *store.Tx, tenant, id string) error {
	list, err := tx.RollbackImpossibleOf(ctx, tenant, id)
	if err != nil {
		return err
	}
	for _, n := range list {
		if err := tx.CountRollbackImpossible(ctx, gen.CountRollbackImpossibleParams{
			Tenant: tenant, Campaign: n.Campaign, Amendment: n.Amendment, Device: id, Delta: -n.Items,
		}); err != nil {
			return err
		}
		if err := tx.ForgetRollbackImpossible(ctx, gen.ForgetRollbackImpossibleParams{Tenant: tenant, Campaign: n.Campaign, Device: id}); err != nil {
			return err
		}
	}
	return nil
}
