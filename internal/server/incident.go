package server

import (
	"context"

	"patchring/internal/core/fleet"
	core "patchring/internal/core/incident"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/service/checklist"
	"patchring/internal/service/incident"
)

// failedTest makes the incident of a failed test: siblings do not know each
// other.
func (s *Server) failedTest(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, by register.Actor, f checklist.Failure) (string, func(), error) {
	subject := incident.SubjectOfTest(f.Campaign, f.Ring, f.Test, f.Item)
	opened, err := s.Incidents.OpenIn(ctx, tx, tenant, by, incident.Open{
		Severity: f.Severity, Title: f.Title, What: f.Remark, Campaign: f.Campaign, Ring: f.Ring, Origin: core.Test, OriginID: f.Test, Subject: subject,
	})
	return opened.ID, func() { s.Incidents.Told(tenant, opened) }, err
}
