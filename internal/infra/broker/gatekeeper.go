package broker

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/nats-io/nats-server/v2/server"

	"patchring/internal/core/fleet"
	"patchring/internal/core/identity"
	"patchring/wire"
)

// gatekeeper answers the NATS server's question whether a connection may enter.
type gatekeeper struct{ b *Broker }

// Check implements server.Authentication. It runs in the connection's own
// goroutine, and again if the client sends CONNECT again.
//
// NATS knows two answers; the third, "I cannot tell", is to end the connection
// before answering: then the client reads an end of file, not a violation.
func (g gatekeeper) Check(conn server.ClientAuthentication) bool {
	state := conn.GetTLSConnectionState()
	if state == nil {
		return g.checkOwn(conn)
	}
	who, err := callerOf(conn, state)
	if err == nil {
		err = g.admit(conn, who)
	}
	if err == nil {
		return true
	}
	log := g.b.opts.Log.With("tenant", who.Device.Tenant, "device", who.Device.ID, "address", who.Address)
	if errors.Is(err, ErrRefused) {
		g.b.refused.Add(1)
		log.Info("device refused", "err", err)
		return false
	}
	g.b.outages.Add(1)
	log.Warn("device not answered", "err", err)
	g.b.drop(conn.GetID())
	return false
}

// checkOwn admits this process. Only an in-process connection has no TLS
// state: both listeners demand TLS before anything else.
func (g gatekeeper) checkOwn(conn server.ClientAuthentication) bool {
	opts := conn.GetOpts()
	known := subtle.ConstantTimeCompare([]byte(opts.Password), []byte(g.b.secret)) == 1
	if !known || identity.CheckID(opts.Username) != nil {
		return false
	}
	conn.RegisterUser(&server.User{
		Username: "server", Account: g.b.account(fleet.TenantID(opts.Username)),
	})
	return true
}

// account is made on demand and lives as long as the broker.
func (b *Broker) account(tenant fleet.TenantID) *server.Account {
	account, _ := b.nats.LookupOrRegisterAccount(string(tenant))
	return account
}

func callerOf(conn server.ClientAuthentication, state *tls.ConnectionState) (Caller, error) {
	who := Caller{}
	if address := conn.RemoteAddress(); address != nil {
		who.Address = address.String()
	}
	if len(state.VerifiedChains) == 0 {
		return who, fmt.Errorf("%w: no verified certificate", ErrRefused)
	}
	who.Certificate = state.PeerCertificates[0]
	var err error
	if who.Device, err = identity.DeviceOf(who.Certificate); err != nil {
		return who, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return who, nil
}

// admit asks Authorize and registers the connection. If anybody was kicked
// meanwhile, the answer may be older than the revocation: ask again.
func (g gatekeeper) admit(conn server.ClientAuthentication, who Caller) error {
	for {
		before := g.b.links.round()
		if err := g.register(conn, who); err != nil {
			return err
		}
		surplus, current := g.b.links.add(who.Device, conn.GetID(), before)
		if !current {
			continue
		}
		for _, id := range surplus {
			g.b.drop(id)
		}
		return nil
	}
}

func (g gatekeeper) register(conn server.ClientAuthentication, who Caller) error {
	ctx, cancel := context.WithTimeout(g.b.ctx, authorizeTimeout)
	defer cancel()
	granted, err := g.b.opts.Authorize(ctx, who)
	if err != nil {
		return fmt.Errorf("authorize: %w", err)
	}
	permissions, err := natsPermissions(granted)
	if err != nil {
		return err
	}
	conn.RegisterUser(&server.User{
		Username:           string(who.Device.ID),
		Account:            g.b.account(who.Device.Tenant),
		Permissions:        permissions,
		ConnectionDeadline: who.Certificate.NotAfter,
	})
	return nil
}

// natsPermissions refuses an empty list and a subject that NATS would drop
// with a log line: of an empty list NATS makes "everything".
func natsPermissions(granted wire.Permissions) (*server.Permissions, error) {
	for what, list := range map[string][]string{"publish": granted.Publish, "subscribe": granted.Subscribe} {
		if len(list) == 0 {
			return nil, fmt.Errorf("authorize: nothing to %s", what)
		}
		for _, subject := range list {
			if !server.IsValidSubject(subject) {
				return nil, fmt.Errorf("authorize: %q is no subject to %s", subject, what)
			}
		}
	}
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: granted.Publish},
		Subscribe: &server.SubjectPermission{Allow: granted.Subscribe},
	}, nil
}
