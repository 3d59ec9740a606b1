package server

import (
	"context"
	"os"
	"path/filepath"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/identity"
	core "patchring/internal/core/incident"
	"patchring/internal/core/register"
	"patchring/internal/face/lang"
	"patchring/internal/face/letter"
	"patchring/internal/infra/store"
	"patchring/internal/service/herald"
	"patchring/internal/service/incident"
	"patchring/internal/service/watch"
)

// allAlerts is where live pages hear that alerts changed: no campaign has this id.
const allAlerts campaign.ID = ""

// openAlerts wires those who look for alerts to those who act, and to those who
// tell: siblings do not know each other.
func (s *Server) openAlerts(key identity.PageKey) {
	s.Watch = watch.New(watch.Options{
		DB: s.DB, Clock: s.Clock, Log: s.Log, Told: func() { s.Herald.Wake() },
		Changed: func(tenant fleet.TenantID) { s.pulse.beat(tenant, allAlerts) },
		Hold:    s.Conductor.Hold, RollBack: s.Conductor.Rollback, Incident: s.alertIncident,
		HoldIn: s.Conductor.HoldIn, OpenIn: s.ruleIncident,
		Words: func(language string, r fault.Reason) string { return lang.For(language).In(s.zone()).Reason(r) },
	})
	s.Herald = herald.New(herald.Options{
		DB: s.DB, Clock: s.Clock, Log: s.Log, Book: s.Watch.Book, Write: letter.Writer{Base: s.URL, Zone: s.zone()}.Write,
		Secrets: filepath.Join(s.Data, "secrets"), Env: os.LookupEnv, Host: s.Names[0], Key: key, Roots: s.AlertRoots,
	})
}

// alertIncident opens an incident from an alert; a second one from the same joins
// the first while that is not closed.
func (s *Server) alertIncident(ctx context.Context, tenant fleet.TenantID, by register.Actor, alert string, ask campaign.Incident) error {
	open := incident.Open{
		Severity: ask.Severity, What: ask.What, Campaign: ask.Campaign, Ring: ask.Ring, Patch: ask.Patch,
		Origin: core.Alert, OriginID: alert, Subject: incident.SubjectOfAlert(alert),
	}
	if ask.Device != "" {
		open.Devices = []fleet.DeviceID{ask.Device}
	}
	_, err := s.Incidents.Open(ctx, tenant, by, open)
	return err
}

// ruleIncident opens one by a rule, in the transaction of its alert. Who must act
// by a rule may be a team in words of its own, which is nobody's account.
func (s *Server) ruleIncident(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, by register.Actor, ask watch.Opening) (id string, done func(), err error) {
	open := incident.Open{
		Severity: ask.Severity, Title: incident.Headline(ask.Title), What: ask.What, Campaign: ask.Campaign, Ring: ask.Ring, Devices: []fleet.DeviceID{ask.Device},
		Origin: core.Alert, OriginID: ask.Alert, Subject: ask.Subject,
	}
	if incident.IsRole(ask.Owner) {
		open.Owner = ask.Owner
	}
	out, err := s.Incidents.OpenIn(ctx, tx, tenant, by, open)
	return out.ID, func() { s.Incidents.Told(tenant, out) }, err
}
