package prober

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"patchring/internal/core/fault"
	"patchring/wire"
)

func (p *Prober) service(ctx context.Context, probe wire.Probe) error {
	if p.Service == nil {
		return fault.New(fault.ProbeUnsupported, "what", "service")
	}
	state, runs, err := p.Service(ctx, probe.Target)
	switch {
	case err != nil:
		return failed(probe.Target, err)
	case state == "":
		return fault.New(fault.ProbeNoService, "service", probe.Target)
	case !runs:
		return fault.New(fault.ProbeNotRunning, "service", probe.Target, "state", state)
	}
	return nil
}

func (p *Prober) process(probe wire.Probe) error {
	alive, err := p.Process(probe.Target)
	if err != nil {
		return failed(probe.Target, err)
	}
	if !alive {
		return fault.New(fault.ProbeNoProcess, "process", probe.Target)
	}
	return nil
}

func (p *Prober) tcp(ctx context.Context, probe wire.Probe) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", probe.Target)
	if err != nil {
		return failed(probe.Target, err)
	}
	return conn.Close()
}

// What an http probe reads at most, and how many redirects it follows.
const (
	maxBody     = 64 << 10
	maxRedirect = 5
)

var errOtherHost = errors.New("redirect to another host")

// http asks once. It goes through no proxy: what the device itself reaches is
// what is asked. A redirect is followed on the same host only; no address that
// an operator did not write is connected to.
func (p *Prober) http(ctx context.Context, probe wire.Probe) error {
	target, err := url.Parse(probe.Target)
	if err != nil || target.Host == "" || target.Scheme != "http" && target.Scheme != "https" {
		return fault.New(fault.ProbeTarget, "target", probe.Target)
	}
	transport := &http.Transport{TLSClientConfig: p.tls(""), DisableKeepAlives: true, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	elsewhere := ""
	client := &http.Client{Transport: transport, CheckRedirect: func(to *http.Request, via []*http.Request) error {
		if to.URL.Hostname() != target.Hostname() {
			elsewhere = to.URL.Redacted()
			return errOtherHost
		}
		if len(via) > maxRedirect {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, probe.Target, nil)
	if err != nil {
		return fault.New(fault.ProbeTarget, "target", probe.Target).Wrap(err)
	}
	ask.Header.Set("User-Agent", "patchring-agent")
	answer, err := client.Do(ask)
	if errors.Is(err, errOtherHost) {
		return fault.New(fault.ProbeRedirect, "target", probe.Target, "to", elsewhere)
	}
	if err != nil {
		return failed(probe.Target, err)
	}
	defer answer.Body.Close()
	if !statusFits(probe.Status, answer.StatusCode) {
		return fault.New(fault.ProbeStatus, "target", probe.Target, "status", strconv.Itoa(answer.StatusCode), "want", wanted(probe.Status))
	}
	if probe.Contains == "" {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxBody))
	if err != nil {
		return failed(probe.Target, err)
	}
	if !strings.Contains(string(body), probe.Contains) {
		return fault.New(fault.ProbeBody, "target", probe.Target, "want", probe.Contains)
	}
	return nil
}

func statusFits(want, have int) bool { return have == want || want == 0 && have < 400 }

func wanted(status int) string {
	if status == 0 {
		return "< 400"
	}
	return strconv.Itoa(status)
}

func (p *Prober) tls(name string) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: p.Roots, ServerName: name}
}

// certificate looks at the date of the one that a server shows, or of those in a
// PEM file: the first of them to end counts. Who issued it is no matter of this
// probe, an http one asks for that.
func (p *Prober) certificate(ctx context.Context, probe wire.Probe) error {
	var chain []*x509.Certificate
	var err error
	if isFile(probe.Target) {
		chain, err = ofFile(probe.Target)
	} else {
		chain, err = ofServer(ctx, probe.Target)
	}
	if err != nil {
		return err
	}
	now := p.Now()
	for _, c := range chain {
		left := c.NotAfter.Sub(now)
		if left <= 0 || left < time.Duration(probe.MinDays)*24*time.Hour {
			return fault.New(fault.ProbeCertificateEnds, "target", probe.Target, "at", c.NotAfter.UTC().Format(time.RFC3339),
				"subject", c.Subject.CommonName)
		}
		if now.Before(c.NotBefore) {
			return fault.New(fault.ProbeTLS, "target", probe.Target, "problem", "not valid before "+c.NotBefore.UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// isFile: a path is absolute; Windows' begins with a drive.
func isFile(target string) bool {
	return strings.HasPrefix(target, "/") || len(target) > 2 && target[1] == ':' && (target[2] == '\\' || target[2] == '/')
}

// maxPEM bounds what is read of a file that is named by the network.
const maxPEM = 1 << 20

func ofFile(name string) ([]*x509.Certificate, error) {
	unreadable := func(err error) error {
		return fault.New(fault.ProbeUnreadable, "target", name).Wrap(err)
	}
	if at, err := os.Stat(name); err != nil || !at.Mode().IsRegular() {
		return nil, unreadable(err) // a pipe would be waited for
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, unreadable(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPEM))
	if err != nil {
		return nil, unreadable(err)
	}
	var chain []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue // a key may be in the same file: it is not looked at
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, unreadable(err)
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, unreadable(errors.New("no certificate in it"))
	}
	return chain, nil
}

func ofServer(ctx context.Context, target string) ([]*x509.Certificate, error) {
	// Whether it is trusted is not asked: an expired one has to be seen.
	d := tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}}
	conn, err := d.DialContext(ctx, "tcp", target)
	if err != nil {
		return nil, failed(target, err)
	}
	defer conn.Close()
	secure, ok := conn.(*tls.Conn)
	if !ok {
		return nil, failed(target, fmt.Errorf("it is a %T", conn))
	}
	return secure.ConnectionState().PeerCertificates[:1], nil
}

// failed says why a target could not be asked, in the words of an operator.
func failed(target string, err error) error {
	var asked *url.Error
	if errors.As(err, &asked) {
		err = asked.Err // without the address, which is beside it
	}
	say := func(code fault.Code, args ...string) error {
		return fault.New(code, append([]string{"target", target}, args...)...).Wrap(err)
	}
	var timeout interface{ Timeout() bool }
	var name *net.DNSError
	var invalid x509.CertificateInvalidError
	var ended *tls.CertificateVerificationError
	var alert tls.AlertError
	var plain tls.RecordHeaderError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return say(fault.ProbeRefused)
	case errors.As(err, &name) && !name.IsTimeout:
		return say(fault.ProbeNoName)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return say(fault.ProbeCertificateEnds, "at", invalid.Cert.NotAfter.UTC().Format(time.RFC3339), "subject", invalid.Cert.Subject.CommonName)
	case errors.As(err, &ended):
		return say(fault.ProbeTLS, "problem", ended.Err.Error())
	case errors.As(err, &alert), errors.As(err, &plain), errors.Is(err, http.ErrSchemeMismatch):
		return say(fault.ProbeTLS, "problem", err.Error())
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return say(fault.ProbeTimeout)
	}
	return say(fault.ProbeFailed, "problem", err.Error())
}

func reasonOf(err error) fault.Reason {
	var known *fault.Error
	if errors.As(err, &known) {
		return known.Reason
	}
	return fault.Because(fault.ProbeFailed, "problem", err.Error())
}
