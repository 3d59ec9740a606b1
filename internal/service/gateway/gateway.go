// Package gateway takes in what agents report: check-ins, parts, events,
// measures and renewals. It keeps each in one transaction with what follows from it and
// answers only when that is committed: an agent drops from its spool what was
// acknowledged.
//
// It decides nothing about campaigns: it moves progress by core/campaign's
// rules, touches what must be decided again, and wakes the conductor. The
// device's id comes from the broker's permission, never from the message.
//
// Safe from any goroutine; Run owns the writer.
package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// Options of a gateway.
type Options struct {
	DB    *store.DB
	Clock func() time.Time
	Log   *slog.Logger
	// Wake tells the conductor that something was touched.
	Wake func()
	// Renew signs a device's next certificate.
	Renew func(ctx context.Context, tenant fleet.TenantID, device fleet.DeviceID, csr string) (certificate string, err error)
	// Terms are those of a campaign: how often a failed item may be tried.
	Terms func(ctx context.Context, q *gen.Queries, tenant, campaign string) (campaign.Terms, error)
	// CheckinEvery is the heartbeat asked of agents.
	CheckinEvery time.Duration
	// Sampled hears each sample once it is kept, cleaned and with its instants by
	// our clock. It returns at once: the device waits for its answer.
	Sampled func(tenant fleet.TenantID, device fleet.DeviceID, s wire.Sample)
}

// Gateway of all tenants' agents.
type Gateway struct {
	Options
	writer *writer
}

// New makes a gateway; Run starts its writer.
func New(o Options) *Gateway {
	if o.Sampled == nil {
		o.Sampled = func(fleet.TenantID, fleet.DeviceID, wire.Sample) {}
	}
	return &Gateway{Options: o, writer: newWriter(o.DB)}
}

// Run writes batches until ctx ends.
func (g *Gateway) Run(ctx context.Context) error { return g.writer.run(ctx) }

// Handle answers one report. An error it cannot express to the agent never
// happens: what is not a refusal is an outage, and the agent tries again.
func (g *Gateway) Handle(ctx context.Context, tenant fleet.TenantID, device fleet.DeviceID, kind wire.ReportKind, payload []byte) ([]byte, error) {
	reply, err := g.answer(ctx, tenant, device, kind, payload)
	if err != nil {
		g.Log.Warn("report refused", "tenant", tenant, "device", device, "kind", kind, "err", err)
		reply = refusal(kind, err)
	}
	out, err := json.Marshal(reply)
	if err != nil {
		return nil, fmt.Errorf("encode reply to %s: %w", kind, err)
	}
	return out, nil
}

func (g *Gateway) answer(ctx context.Context, tenant fleet.TenantID, device fleet.DeviceID, kind wire.ReportKind, payload []byte) (any, error) {
	switch kind {
	case wire.ReportCheckin:
		return decoded(payload, func(m wire.Checkin) (any, error) { return g.checkin(ctx, tenant, device, m) })
	case wire.ReportPart:
		return decoded(payload, func(m wire.Part) (any, error) { return g.part(ctx, tenant, device, m) })
	case wire.ReportEvents:
		return decoded(payload, func(m wire.Events) (any, error) { return g.events(ctx, tenant, device, m) })
	case wire.ReportMeasures:
		return decoded(payload, func(m wire.MeasuresReport) (any, error) { return g.measures(ctx, tenant, device, m) })
	case wire.ReportRenew:
		return decoded(payload, func(m wire.RenewRequest) (any, error) {
			certificate, err := g.Renew(ctx, tenant, device, m.CSR)
			return wire.RenewReply{Certificate: certificate}, err
		})
	default:
		return nil, fault.New(fault.InvalidField, "field", "kind", "problem", "unknown report", "fix", "update the server")
	}
}

func decoded[M any](payload []byte, f func(M) (any, error)) (any, error) {
	var m M
	if err := json.Unmarshal(payload, &m); err != nil {
		return nil, fault.New(fault.InvalidField, "field", "message", "problem", "not readable", "fix", "update the agent").Wrap(err)
	}
	return f(m)
}

// refusal is the reply of each kind that carries an error.
func refusal(kind wire.ReportKind, err error) any {
	e := &wire.Error{Code: string(fault.CodeOf(err)), Retry: fault.CanRetry(err)}
	var f *fault.Error
	if errors.As(err, &f) {
		e.Args = f.Args
	}
	switch kind {
	case wire.ReportCheckin:
		return wire.CheckinReply{Error: e}
	case wire.ReportPart:
		return wire.PartReply{Error: e}
	case wire.ReportEvents:
		return wire.EventsReply{Error: e}
	case wire.ReportMeasures:
		return wire.MeasuresReply{Error: e}
	default:
		return wire.RenewReply{Error: e}
	}
}

func (g *Gateway) nowUS() int64 { return g.Clock().UnixMicro() }
