package agent

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/identity"
	"patchring/internal/endpoint/facts"
	"patchring/internal/endpoint/journal"
	"patchring/internal/endpoint/link"
	"patchring/wire"
)

// Enrolment is what an administrator gives to enrol a device.
type Enrolment struct {
	Dir     string
	Host    facts.Host
	Server  string // https://…
	Token   string
	Name    string // empty: the host's name
	Version string
	Again   bool // forget an earlier enrolment
}

// ErrEnrolled refuses to enrol a device twice by accident.
var ErrEnrolled = errors.New("this device is enrolled already; give --again to enrol it anew")

const enrolTimeout = time.Minute

// Enroll exchanges the token for an identity. The token says which site it is
// from: a server that cannot show that site's CA never sees the token.
func Enroll(ctx context.Context, e Enrolment) (wire.EnrollReply, error) {
	if _, err := journal.ReadIdentity(e.Dir); err == nil && !e.Again {
		return wire.EnrollReply{}, ErrEnrolled
	} else if err != nil && !errors.Is(err, journal.ErrNotEnrolled) && !e.Again {
		return wire.EnrollReply{}, err
	}
	token, err := identity.ParseEnrollmentToken(e.Token)
	if err != nil {
		return wire.EnrollReply{}, err
	}
	ask, key, err := e.request(ctx)
	if err != nil {
		return wire.EnrollReply{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, enrolTimeout)
	defer cancel()
	reply, err := exchange(ctx, e.Server, token, ask)
	if err != nil {
		return reply, err
	}
	return reply, journal.WriteIdentity(e.Dir, journal.Identity{
		Server: e.Server, Tenant: reply.Tenant, Device: reply.Device, Name: ask.Name, Key: key, Certificate: reply.Certificate,
		CA: reply.CA, Brokers: reply.Brokers, OrderKeys: reply.OrderKeys, RegisterKey: reply.RegisterKey, CheckinS: reply.CheckinS,
	})
}

func (e Enrolment) request(ctx context.Context) (wire.EnrollRequest, string, error) {
	f, err := facts.NewReader(e.Host).Read(ctx, false)
	if err != nil && f.Hostname == "" && e.Name == "" {
		return wire.EnrollRequest{}, "", fmt.Errorf("read the host's name (or give --name): %w", err)
	}
	name := e.Name
	if name == "" {
		name = f.Hostname
	}
	key, csr, err := link.NewKey(name)
	if err != nil {
		return wire.EnrollRequest{}, "", err
	}
	return wire.EnrollRequest{
		Token: e.Token, CSR: csr, Name: name, MachineID: f.MachineID, Capability: wire.Capability, Version: e.Version, OS: f.OS.Name,
	}, key, nil
}

// exchange posts the request to a server that has shown the token's CA.
func exchange(ctx context.Context, server string, token identity.EnrollmentToken, ask wire.EnrollRequest) (wire.EnrollReply, error) {
	var reply wire.EnrollReply
	base, err := url.Parse(server)
	if err != nil || base.Scheme != "https" || base.Host == "" {
		return reply, fmt.Errorf("server %q: give its address as https://host:port", server)
	}
	text, err := json.Marshal(ask)
	if err != nil {
		return reply, fmt.Errorf("encode the request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(server, "/")+wire.EnrollPath, bytes.NewReader(text))
	if err != nil {
		return reply, fmt.Errorf("make the request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := client(token, base.Hostname()).Do(req)
	if err != nil {
		return reply, fmt.Errorf("reach the server: %w", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return reply, fmt.Errorf("read the server's answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return reply, refusal(res.Status, answer)
	}
	if err := json.Unmarshal(answer, &reply); err != nil {
		return reply, fmt.Errorf("decode the server's answer: %w", err)
	}
	return reply, checkCA(token, reply.CA)
}

// refusal is what the server said, as an error.
func refusal(status string, answer []byte) error {
	var e wire.Error
	if err := json.Unmarshal(answer, &e); err != nil || e.Code == "" {
		return fmt.Errorf("the server answers %s: %s", status, wire.Clean(string(answer), 200))
	}
	return fmt.Errorf("the server refused: %w", &fault.Error{
		Reason: fault.Reason{Code: fault.Code(e.Code), Args: e.Args}, Retry: fault.Retry(e.Retry),
	})
}

// client trusts the site that the token names. An organisation's own HTTPS
// certificate is trusted by the system's roots; the CA in the answer must be the
// token's all the same (checkCA).
func client(token identity.EnrollmentToken, host string) *http.Client {
	verify := func(state tls.ConnectionState) error {
		_, err := token.VerifyServer(state.PeerCertificates, host, time.Now())
		if errors.Is(err, identity.ErrOtherSite) {
			return bySystemRoots(state.PeerCertificates, host, err)
		}
		return err
	}
	return &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		// The chain is verified below, against the one CA that the token names.
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, VerifyConnection: verify},
	}}
}

func bySystemRoots(chain []*x509.Certificate, host string, otherSite error) error {
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{DNSName: host, Intermediates: between}); err != nil {
		return errors.Join(otherSite, err)
	}
	return nil
}

func checkCA(token identity.EnrollmentToken, text string) error {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return errors.New("the server's CA is not readable")
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return fmt.Errorf("read the server's CA: %w", err)
	}
	if !token.Trusts(ca) {
		return identity.ErrOtherSite
	}
	return nil
}
