//go:build linux

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"patchring/internal/core/identity"
	"patchring/internal/infra/keys"
	"patchring/wire"
)

// bareVerb makes this program the bare broker: nats-server alone with mutual
// TLS, and somebody in the same process who answers every report at once with
// the same few bytes. It is what nothing that keeps a report can be below.
const bareVerb = "bare-broker"

// runBare serves until interrupted. On a line of standard input it publishes a
// set of holds to all, and says when.
func runBare(args []string) error {
	flags := flag.NewFlagSet(bareVerb, flag.ContinueOnError)
	data := flags.String("keys", "", "the site's keys")
	listen := flags.String("listen", "", "address")
	permissions := flags.Bool("permissions", false, "give each device the permissions of its certificate")
	if err := flags.Parse(args); err != nil {
		return err
	}
	site, err := keys.Open(*data, time.Now())
	if err != nil {
		return err
	}
	broker, err := startBare(site, *listen, *permissions)
	if err != nil {
		return err
	}
	defer func() { broker.Shutdown(); broker.WaitForShutdown() }()
	conn, err := nats.Connect("", nats.InProcessServer(broker))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close()
	if err := answerAll(conn); err != nil {
		return err
	}
	fmt.Println("ready")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- publishOnDemand(site, conn) }()
	select {
	case <-ctx.Done():
		return nil
	case err := <-ended:
		if err == nil {
			<-ctx.Done()
		}
		return err
	}
}

func startBare(site *keys.Site, listen string, permissions bool) (*server.Server, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, fmt.Errorf("listen address: %w", err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, fmt.Errorf("listen address: %w", err)
	}
	own, err := site.Server([]string{"127.0.0.1"}, time.Now())
	if err != nil {
		return nil, err
	}
	clients := own.TLS().Clone()
	clients.ClientAuth, clients.ClientCAs = tls.RequireAndVerifyClientCert, site.Pool()
	options := &server.Options{
		ServerName: "bare", Host: host, Port: number, TLSConfig: clients, TLSVerify: true, TLSTimeout: 30, AuthTimeout: 31,
		DisableShortFirstPing: true, NoSystemAccount: true, NoSigs: true, NoLog: true, MaxPayload: wire.MaxPayloadBytes,
	}
	if permissions {
		options.CustomClientAuthentication = doorman{}
	}
	s, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("make broker: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(15 * time.Second) {
		return nil, errors.New("the bare broker does not listen")
	}
	return s, nil
}

// doorman believes the certificate and gives its device the wire's permissions.
type doorman struct{}

// Check implements server.Authentication.
func (doorman) Check(c server.ClientAuthentication) bool {
	state := c.GetTLSConnectionState()
	if state == nil {
		return true // this process itself
	}
	device, err := identity.DeviceOf(state.PeerCertificates[0])
	if err != nil {
		return false
	}
	granted := wire.AgentPermissions(string(device.ID))
	c.RegisterUser(&server.User{Username: string(device.ID), Permissions: &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: granted.Publish},
		Subscribe: &server.SubjectPermission{Allow: granted.Subscribe},
	}})
	return true
}

// answerAll answers each kind of report with what an agent takes for success.
// At a device's first check-in it wants the parts that the server wants then, so
// that both are sent the same.
func answerAll(conn *nats.Conn) error {
	known := map[string]bool{}
	_, err := conn.Subscribe(wire.ReportPattern, func(m *nats.Msg) { // in one goroutine
		reply := `{}`
		switch {
		case strings.HasSuffix(m.Subject, ".checkin") && !known[m.Subject]:
			known[m.Subject] = true
			reply = fmt.Sprintf(`{"now_us":%d,"checkin_s":60,"want":["facts","patches"]}`, time.Now().UnixMicro())
		case strings.HasSuffix(m.Subject, ".checkin"):
			reply = fmt.Sprintf(`{"now_us":%d,"checkin_s":60}`, time.Now().UnixMicro())
		case strings.HasSuffix(m.Subject, ".events"):
			reply = `{"up_to":9007199254740991}`
		}
		if err := m.Respond([]byte(reply)); err != nil {
			fmt.Fprintln(os.Stderr, "answer:", err)
		}
	})
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	return conn.Flush()
}

func publishOnDemand(site *keys.Site, conn *nats.Conn) error {
	key, err := site.OrderKey(tenant)
	if err != nil {
		return err
	}
	serial := time.Now().UnixMicro() // above any that the devices have seen
	lines := bufio.NewReader(os.Stdin)
	for {
		if _, err := lines.ReadString('\n'); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		serial++
		envelope, err := wire.Seal(wire.EnvelopeHolds, wire.Holds{
			Tenant: string(tenant), Serial: serial, IssuedUS: time.Now().UnixMicro(), Holds: []wire.Hold{{ID: "bare", Campaign: "none", Reason: "bench"}},
		}, key)
		if err != nil {
			return err
		}
		payload, err := json.Marshal(envelope)
		if err != nil {
			return fmt.Errorf("encode holds: %w", err)
		}
		if err := conn.Publish(wire.SubjectOrderAll, payload); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		if err := conn.Flush(); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
}
