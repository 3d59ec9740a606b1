package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/identity"
	"patchring/internal/core/register"
	"patchring/internal/infra/keys"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// Limits of what a device may say of itself before it is known.
const (
	maxCSR       = 8 << 10
	maxName      = 253 // of a DNS name
	maxMachineID = 128
	maxVersion   = 64
	maxOS        = 200
)

func tagsOf(text string) (fleet.Tags, error) {
	out := fleet.Tags{}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return nil, fmt.Errorf("decode tags: %w", err)
	}
	return out, nil
}

// Enroll exchanges a token for a certificate: the device is new from here on.
//
// Crash story: the token's use, the device and its register entry are one
// transaction. Dying before its commit leaves the token as it was; dying after
// it, before the device has the answer, leaves a device that never checks in
// and a use spent: it enrols again with another token, and the two have the
// same machine id, which is said.
func (s *Service) Enroll(ctx context.Context, ask wire.EnrollRequest) (wire.EnrollReply, error) {
	ask, err := cleaned(ask)
	if err != nil {
		return wire.EnrollReply{}, err
	}
	row, err := s.invitation(ctx, ask.Token)
	if err != nil {
		return wire.EnrollReply{}, err
	}
	id, err := newID()
	if err != nil {
		return wire.EnrollReply{}, err
	}
	device := identity.Device{Tenant: fleet.TenantID(row.Tenant), ID: fleet.DeviceID(id)}
	issued, err := s.issue(ask.CSR, device)
	if err != nil {
		return wire.EnrollReply{}, err
	}
	reply := wire.EnrollReply{
		Tenant: row.Tenant, Device: id, Certificate: issued.PEM, CA: s.opts.Keys.CAPEM(), Brokers: s.opts.Brokers,
		CheckinS: s.opts.CheckinS, NowUS: s.now().UnixMicro(),
	}
	if reply.OrderKeys, reply.RegisterKey, err = s.pinned(device.Tenant); err != nil {
		return wire.EnrollReply{}, err
	}
	err = s.opts.DB.Write(ctx, func(tx *store.Tx) (err error) {
		reply.DuplicateOf, err = s.admit(ctx, tx, row, ask, id, issued)
		return err
	})
	if err != nil {
		return wire.EnrollReply{}, fmt.Errorf("enrol %s: %w", ask.Name, err)
	}
	if s.opts.Enrolled != nil {
		s.opts.Enrolled(device.Tenant)
	}
	return reply, nil
}

// cleaned makes what a stranger sent fit to be kept.
func cleaned(ask wire.EnrollRequest) (wire.EnrollRequest, error) {
	if len(ask.CSR) > maxCSR {
		return ask, invalid("csr", "too_long", "")
	}
	ask.Name = wire.Clean(ask.Name, maxName)
	ask.MachineID = wire.Clean(ask.MachineID, maxMachineID)
	ask.Version = wire.Clean(ask.Version, maxVersion)
	ask.OS = wire.Clean(ask.OS, maxOS)
	if ask.Name == "" {
		return ask, invalid("name", "empty", "")
	}
	return ask, nil
}

// invitation finds what a token gives, and refuses one that gives nothing more.
func (s *Service) invitation(ctx context.Context, text string) (gen.Enrollment, error) {
	t, err := identity.ParseEnrollmentToken(text)
	if err != nil {
		return gen.Enrollment{}, err
	}
	row, err := s.opts.DB.Read().EnrollmentByHash(ctx, string(t.Secret.Hash()))
	switch {
	case store.IsNone(err) || err == nil && row.ID != t.ID:
		return gen.Enrollment{}, fault.New(fault.TokenInvalid, "problem", "unknown")
	case err != nil:
		return gen.Enrollment{}, fmt.Errorf("read enrolment token: %w", err)
	case s.now().UnixMicro() >= row.ExpiresUs:
		return gen.Enrollment{}, fault.New(fault.TokenExpired, "at", instant(row.ExpiresUs).Format(time.RFC3339))
	case row.UsesLeft <= 0:
		return gen.Enrollment{}, fault.New(fault.TokenSpent)
	}
	return row, nil
}

func (s *Service) issue(csr string, device identity.Device) (keys.Issued, error) {
	issued, err := s.opts.Keys.IssueDevice(csr, device, s.now(), s.opts.CertificateLife)
	if errors.Is(err, keys.ErrBadRequest) {
		return keys.Issued{}, invalid("csr", "not_a_request", "").Wrap(err)
	}
	return issued, err
}

// admit writes the new device. It answers the device whose machine id it
// shares, if there is one.
func (s *Service) admit(ctx context.Context, tx *store.Tx, row gen.Enrollment, ask wire.EnrollRequest, id string, issued keys.Issued) (duplicateOf string, err error) {
	spent, err := tx.SpendEnrollment(ctx, row.Tenant, row.ID)
	if err != nil {
		return "", err
	}
	if spent == 0 {
		return "", fault.New(fault.TokenSpent) // another device took the last use meanwhile
	}
	if ask.MachineID != "" {
		same, err := tx.DeviceByMachine(ctx, row.Tenant, ask.MachineID)
		if err != nil {
			return "", err
		}
		if len(same) > 0 {
			duplicateOf = same[0].ID
		}
	}
	now := s.now().UnixMicro()
	err = tx.AddDevice(ctx, gen.AddDeviceParams{
		Tenant: row.Tenant, ID: id, Name: ask.Name, MachineID: ask.MachineID, Kind: row.Kind, Tags: row.Tags, OsName: ask.OS,
		AgentVersion: ask.Version, Capability: int64(ask.Capability), CertSerial: issued.Serial, CertExpiresUs: issued.NotAfter.UnixMicro(), EnrolledUs: now, SeenUs: now, DuplicateOf: duplicateOf,
	})
	if err != nil {
		return "", err
	}
	if err := addMemberships(ctx, tx, row, id); err != nil {
		return "", err
	}
	// Campaigns that are under way look for their new member.
	if _, err := tx.TouchOpenCampaigns(ctx, row.Tenant); err != nil {
		return "", err
	}
	detail := map[string]any{
		"name": ask.Name, "enrollment": row.ID, "kind": row.Kind, "tags": row.Tags, "groups": row.GroupNames,
		"machine": ask.MachineID, "os": ask.OS, "agent": ask.Version, "certificate": issued.Serial,
	}
	if duplicateOf != "" {
		detail["duplicate_of"] = duplicateOf
	}
	tx.Record(register.Entry{Tenant: row.Tenant, AtUS: now, Actor: register.Agent(id), Kind: register.DeviceEnrolled, Device: id, Detail: detail})
	return duplicateOf, nil
}

func addMemberships(ctx context.Context, tx *store.Tx, row gen.Enrollment, id string) error {
	e, err := enrollmentOf(row)
	if err != nil {
		return err
	}
	for name, value := range e.Tags {
		if err := tx.AddDeviceTag(ctx, gen.AddDeviceTagParams{Tenant: row.Tenant, Device: id, Name: name, Value: value}); err != nil {
			return err
		}
	}
	for _, g := range e.Groups {
		if err := tx.AddGroupMember(ctx, gen.AddGroupMemberParams{Tenant: row.Tenant, GroupName: g, Device: id}); err != nil {
			return err
		}
	}
	return nil
}
