// Package server wires the whole server: options in, New, Run, and everything
// that was started is waited for. It knows every floor and no rule.
package server

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/identity"
	"patchring/internal/core/patch"
	"patchring/internal/core/register"
	"patchring/internal/face/paper"
	"patchring/internal/infra/broker"
	"patchring/internal/infra/bus"
	"patchring/internal/infra/keys"
	"patchring/internal/infra/store"
	"patchring/internal/infra/view"
	"patchring/internal/service/access"
	"patchring/internal/service/archive"
	"patchring/internal/service/catalogue"
	"patchring/internal/service/checklist"
	"patchring/internal/service/cleaner"
	"patchring/internal/service/conductor"
	"patchring/internal/service/desk"
	"patchring/internal/service/dossier"
	"patchring/internal/service/evidence"
	"patchring/internal/service/foresight"
	"patchring/internal/service/gateway"
	"patchring/internal/service/herald"
	"patchring/internal/service/incident"
	"patchring/internal/service/passport"
	"patchring/internal/service/personal"
	"patchring/internal/service/roster"
	"patchring/internal/service/rulebook"
	"patchring/internal/service/sampler"
	"patchring/internal/service/survey"
	"patchring/internal/service/ticket"
	"patchring/internal/service/waker"
	"patchring/internal/service/watch"
	"patchring/wire"
)

// Options of a server.
type Options struct {
	Config
	Version string
	Clock   func() time.Time
	Log     *slog.Logger
	// AlertRoots stand in place of the system's for what alerts are told by; only
	// tests set them.
	AlertRoots *x509.CertPool
	// Fault makes commits fail; only tests set it.
	Fault func(stored bool) error
}

// Server is one running server. Its parts are exported for the commands that
// run inside the same process (first-run credentials) and for tests.
type Server struct {
	Options
	DB        *store.DB
	Keys      *keys.Site
	Access    *access.Service
	Conductor *conductor.Conductor
	Gateway   *gateway.Gateway
	Roster    *roster.Roster
	Rulebook  *rulebook.Rulebook
	Foresight *foresight.Foresight
	Desk      *desk.Desk
	Incidents *incident.Keeper
	Tests     *checklist.Bench
	Tickets   *ticket.Clerk
	Passport  *passport.Office
	Personal  *personal.Office
	Survey    *survey.Survey
	Catalogue *catalogue.Catalogue
	Cleaner   *cleaner.Cleaner
	Archive   *archive.Archive
	Waker     *waker.Waker
	Sampler   *sampler.Sampler
	Watch     *watch.Watch
	Herald    *herald.Herald
	Evidence  *evidence.Evidence
	Dossiers  *dossier.Office
	View      *view.Reader
	Broker    *broker.Broker
	Bus       *bus.Bus

	pulse    *pulse
	cert     *keys.ServerCertificate // of the broker: always the site's own
	web      *keys.ServerCertificate // of HTTPS: the organisation's, or the site's
	listener net.Listener
	http     *http.Server
	// First holds the administrator made by the first run.
	First access.Credentials
}

// New opens everything and listens; nothing is served before Run.
func New(ctx context.Context, o Options) (*Server, error) {
	var err error
	if o.Config, err = o.complete(); err != nil {
		return nil, err
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	s := &Server{Options: o, pulse: newPulse()}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// open opens the parts, each from those before it. The administrator comes
// last: a start that fails must not make one whose password nobody is shown.
func (s *Server) open(ctx context.Context) (err error) {
	if s.Keys, err = keys.Open(s.Data+"/keys", s.Clock()); err != nil {
		return err
	}
	if err := s.openStore(ctx); err != nil {
		return err
	}
	if err := s.openAccess(); err != nil {
		return err
	}
	if err := s.openBroker(); err != nil {
		return err
	}
	if err := s.openServices(); err != nil {
		return err
	}
	if err := s.listen(); err != nil {
		return err
	}
	s.First, _, err = s.Access.FirstRun(ctx, "admin")
	return err
}

func (s *Server) openStore(ctx context.Context) (err error) {
	s.DB, err = store.Open(ctx, store.Options{URL: s.Database, Notary: notary(s.Keys), Clock: s.Clock, Fault: s.Fault})
	if err != nil {
		return err
	}
	s.View = view.NewReader(s.DB.Pool(), view.Options{Clock: s.Clock, UnreachableAfter: time.Duration(s.Silent)})
	return nil
}

// notary signs the register's checkpoint with the tenant's key.
func notary(site *keys.Site) store.Notary {
	return func(tenant string, c register.Checkpoint) (string, error) {
		key, err := site.RegisterKey(fleet.TenantID(tenant))
		if err != nil {
			return "", err
		}
		return c.Sign(key.Signer)
	}
}

func (s *Server) openBroker() (err error) {
	own, err := s.Keys.Server(s.Names, s.Clock())
	if err != nil {
		return err
	}
	s.cert = own
	s.Broker, err = broker.Start(broker.Options{
		Listen: s.Config.Broker, WebSocket: s.WebSocket, TLS: own.TLS(), ClientCAs: s.Keys.Pool(), Authorize: s.authorize, Log: s.Log,
	})
	if err != nil {
		return err
	}
	s.Bus = bus.New(bus.Options{
		Broker: s.Broker, Log: s.Log,
		Access: func(t fleet.TenantID) (string, string) { a := s.Broker.Access(t); return a.User, a.Password },
	})
	return nil
}

// authorize tells a refusal, which the agent is told of, from an outage, after
// which it tries again.
func (s *Server) authorize(ctx context.Context, who broker.Caller) (wire.Permissions, error) {
	err := s.Access.Admit(ctx, who.Device)
	switch {
	case err == nil:
		return wire.AgentPermissions(string(who.Device.ID)), nil
	case fault.CanRetry(err):
		return wire.Permissions{}, err
	default:
		return wire.Permissions{}, fmt.Errorf("%w: %w", broker.ErrRefused, err)
	}
}

func (s *Server) openAccess() (err error) {
	s.Access, err = access.New(access.Options{
		DB: s.DB, Keys: s.Keys, Clock: s.Clock, Random: rand.Reader, Brokers: s.brokers(),
		CheckinS: int64(time.Duration(s.Checkin) / time.Second),
		Enrolled: func(fleet.TenantID) { s.Conductor.Enlist(); s.Cleaner.Enlist(); s.Sampler.Enlist() },
		Retired:  func(d identity.Device) { s.Broker.Kick(d); s.Conductor.Wake() },
	})
	return err
}

func (s *Server) openServices() error {
	key, err := s.Keys.PageKey()
	if err != nil {
		return err
	}
	s.Personal = personal.New(personal.Options{
		DB: s.DB, Clock: s.Clock, Key: key, Base: s.URL, OrderKey: s.Keys.OrderKey, Wake: func() { s.Conductor.Wake() }, Changed: s.pulse.beat, Broken: s.brokenUpdate,
	})
	s.Conductor = conductor.New(conductor.Options{
		DB: s.DB, Clock: s.Clock, Log: s.Log, OrderKey: s.Keys.OrderKey, Publish: s.Bus.Publish, Changed: s.pulse.beat, Link: s.Personal.OrderLink,
		OpenAgain: func(ctx context.Context, tx *store.Tx, ask conductor.Covered) error {
			return s.Desk.Cover(ctx, tx, desk.Covered(ask))
		},
		Verified: func(ctx context.Context, tx *store.Tx, tenant string, patches []patch.ID) error {
			return s.Desk.Mended(ctx, tx, tenant, patches)
		},
	})
	s.Cleaner = cleaner.New(cleaner.Options{
		DB: s.DB, Clock: s.Clock, Log: s.Log, OrderKey: s.Keys.OrderKey, Policies: s.Conductor.Policies, Sent: s.Conductor.Wake,
	})
	s.Waker = waker.New(waker.Options{
		DB: s.DB, Clock: s.Clock, Log: s.Log, OrderKey: s.Keys.OrderKey, Policies: s.Conductor.Policies, Sent: s.Conductor.Wake,
		CheckinEvery: time.Duration(s.Checkin),
	})
	s.openAlerts(key)
	s.Gateway = gateway.New(gateway.Options{
		DB: s.DB, Clock: s.Clock, Log: s.Log, Wake: func() { s.Conductor.Wake(); s.Cleaner.Wake() }, Renew: s.Access.Renew,
		Terms: s.Conductor.Terms, CheckinEvery: time.Duration(s.Checkin), Sampled: s.Watch.Sampled,
	})
	s.Sampler = sampler.New(sampler.Options{
		DB: s.DB, Clock: s.Clock, Log: s.Log, OrderKey: s.Keys.OrderKey, Policies: s.Conductor.Policies, Sent: s.Conductor.Wake,
	})
	s.Archive = archive.New(archive.Options{DB: s.DB, Clock: s.Clock, Log: s.Log, Kept: time.Duration(s.MeasuresKept)})
	s.Roster = roster.New(roster.Options{DB: s.DB, Clock: s.Clock, Replace: s.Conductor.Replace, Wake: s.Conductor.Wake})
	s.Rulebook = rulebook.New(rulebook.Options{DB: s.DB, Clock: s.Clock, Zone: s.zone(), Changed: func() { s.Conductor.Wake(); s.Cleaner.Wake(); s.Sampler.Wake() }})
	s.Desk = desk.New(desk.Options{DB: s.DB, Clock: s.Clock, Log: s.Log, Zone: s.zone(), Wake: s.Conductor.Wake, Look: s.look, CatchUp: s.Conductor.StartEmergency})
	s.Incidents = incident.New(incident.Options{
		DB: s.DB, Clock: s.Clock, Answer: s.Conductor.AnswerIncident, Tell: s.tellTickets,
		Wake: func() { s.Conductor.Wake(); s.Tickets.Wake() }, Changed: s.pulse.beat,
	})
	if s.Tickets, err = ticket.New(ticket.Options{
		DB: s.DB, Clock: s.Clock, Log: s.Log, Connectors: s.Config.Tickets, Say: sayTicket, Link: s.incidentURL,
	}); err != nil {
		return err
	}
	s.Tests = checklist.New(checklist.Options{
		DB: s.DB, Clock: s.Clock, Log: s.Log, Procedure: s.Conductor.Procedure, Fail: s.failedTest, Wake: s.Conductor.Wake, Changed: s.pulse.beat,
	})
	s.Foresight = foresight.New(foresight.Options{DB: s.DB, Clock: s.Clock, Rules: s.Conductor.Rules})
	s.Evidence = evidence.New(evidence.Options{DB: s.DB, Clock: s.Clock, Log: s.Log, Touched: s.Conductor.Wake})
	s.Survey = survey.New(survey.Options{DB: s.DB, Clock: s.Clock, SilentAfter: time.Duration(s.Silent)})
	s.Catalogue = catalogue.New(catalogue.Options{DB: s.DB, Clock: s.Clock, Log: s.Log, Changed: s.Conductor.Wake})
	s.Passport = passport.New(passport.Options{DB: s.DB, Clock: s.Clock, Key: s.Keys.RegisterKey})
	s.Dossiers = dossier.New(dossier.Options{DB: s.DB, View: s.View, Clock: s.Clock, Zone: s.zone(), Writer: paper.Writer{}, Key: func(t fleet.TenantID) (string, error) {
		key, err := s.Keys.RegisterKey(t)
		return key.Verifier, err
	}})
	return nil
}

// brokers are the addresses told to agents at enrolment.
func (s *Server) brokers() []string {
	var out []string
	for scheme, address := range map[string]string{"tls": s.Config.Broker, "wss": s.WebSocket} {
		if _, port, err := net.SplitHostPort(address); err == nil {
			out = append(out, scheme+"://"+net.JoinHostPort(s.Names[0], port))
		}
	}
	slices.Sort(out) // tls first
	return out
}

func (s *Server) listen() (err error) {
	s.web = s.cert
	if s.Certificate != "" {
		if s.web, err = keys.GivenServer(s.Certificate, s.Key, s.Clock()); err != nil {
			return err
		}
	}
	if s.listener, err = net.Listen("tcp", s.Config.Listen); err != nil {
		return fmt.Errorf("listen for HTTPS: %w", err)
	}
	handler, err := s.handler()
	if err != nil {
		return err
	}
	s.http = &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	s.listener = tls.NewListener(s.listener, s.web.TLS())
	return nil
}

// URL is where the console is, by the first name.
func (s *Server) URL() string {
	_, port, err := net.SplitHostPort(s.listener.Addr().String())
	if err != nil {
		return ""
	}
	return "https://" + net.JoinHostPort(s.Names[0], port)
}

// Run serves until ctx ends, then lets what was taken be finished.
func (s *Server) Run(ctx context.Context) error {
	tenants, err := s.DB.Read().Tenants(ctx)
	if err != nil {
		return fmt.Errorf("read tenants: %w", err)
	}
	writing, stopWriting := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWriting()
	var writer, g group
	writer.run("gateway", func() error { return s.Gateway.Run(writing) })
	for _, t := range tenants {
		serving, err := s.serveTenant(fleet.TenantID(t.ID))
		if err != nil {
			return err
		}
		g.run("reports of "+t.ID, func() error { return serving.Run(ctx) })
	}
	g.run("conductor", func() error { return s.Conductor.Run(ctx) })
	g.run("cleaner", func() error { return s.Cleaner.Run(ctx) })
	g.run("evidence", func() error { return s.Evidence.Run(ctx) })
	g.run("waker", func() error { return s.Waker.Run(ctx) })
	g.run("sampler", func() error { return s.Sampler.Run(ctx) })
	g.run("archive", func() error { return s.Archive.Run(ctx) })
	g.run("watch", func() error { return s.Watch.Run(ctx) })
	g.run("herald", func() error { return s.Herald.Run(ctx) })
	g.run("tickets", func() error { return s.Tickets.Run(ctx) })
	g.run("tests", func() error { return s.Tests.Run(ctx) })
	g.run("desk", func() error { return s.Desk.Run(ctx) })
	g.run("catalogue", func() error { return s.Catalogue.Run(ctx) })
	g.run("housekeeping", func() error { return s.housekeep(ctx) })
	g.run("https", func() error { return s.serveHTTP(ctx) })
	err = g.wait()
	stopWriting() // after the last report was answered
	return errors.Join(err, writer.wait())
}

// reportWorkers wait in the writer's batch together.
const reportWorkers = 512

func (s *Server) serveTenant(tenant fleet.TenantID) (*bus.Serving, error) {
	return s.Bus.Serve(bus.Service{
		Tenant: tenant, Pattern: wire.ReportPattern, Queue: "gateway", Workers: reportWorkers,
		Handle: func(ctx context.Context, m bus.Msg) ([]byte, error) {
			device, kind, err := wire.DeviceOf(m.Subject)
			if err != nil {
				return nil, err
			}
			return s.Gateway.Handle(ctx, tenant, fleet.DeviceID(device), wire.ReportKind(kind), m.Data)
		},
	})
}

const (
	stopTimeout    = 10 * time.Second
	housekeepEvery = 6 * time.Hour
)

func (s *Server) serveHTTP(ctx context.Context) error {
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		s.pulse.close() // ends the live streams, which would otherwise outlast the shutdown
		deadline, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		stopped <- s.http.Shutdown(deadline)
	}()
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve HTTPS: %w", err)
	}
	return <-stopped
}

func (s *Server) housekeep(ctx context.Context) error {
	tick := time.NewTicker(housekeepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			for _, cert := range []*keys.ServerCertificate{s.cert, s.web} {
				if _, err := cert.Renew(s.Clock()); err != nil {
					s.Log.Error("renew the server's certificate", "err", err)
				}
			}
			if err := s.Access.Housekeep(ctx); err != nil {
				s.Log.Error("housekeeping", "err", err)
			}
		}
	}
}

// Close releases what New opened.
func (s *Server) Close() error {
	var errs []error
	if s.listener != nil {
		if err := s.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if s.Bus != nil {
		s.Bus.Close()
	}
	if s.Broker != nil {
		s.Broker.Close()
	}
	if s.DB != nil {
		errs = append(errs, s.DB.Close())
	}
	return errors.Join(errs...)
}

// group runs named goroutines and waits for them all; the first error stops
// nothing by itself, because each part ends by the context.
type group struct {
	n    atomic.Int32
	errs chan error
}

func (g *group) run(name string, f func() error) {
	if g.errs == nil {
		g.errs = make(chan error, 64)
	}
	g.n.Add(1)
	go func() {
		err := f()
		if err != nil {
			err = fmt.Errorf("%s: %w", name, err)
		}
		g.errs <- err
	}()
}

func (g *group) wait() error {
	var errs []error
	for range g.n.Load() {
		errs = append(errs, <-g.errs)
	}
	return errors.Join(errs...)
}

// look lets the desk ask what the survey finds: siblings do not know each other.
func (s *Server) look(ctx context.Context, tenant fleet.TenantID, campaign string, days int) ([]desk.Found, error) {
	all, err := s.Survey.All(ctx, tenant, survey.ReadinessAsk{Campaign: campaign, Days: days})
	out := make([]desk.Found, 0, len(all))
	for _, f := range all {
		out = append(out, desk.Found{Device: f.Device, Name: f.Name, Finding: f.Finding})
	}
	return out, err
}
