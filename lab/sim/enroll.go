package sim

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
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
	"sync"
	"time"

	"patchring/internal/core/fault"
	tokens "patchring/internal/core/identity"
	"patchring/wire"
)

// AgentVersion is what simulated devices say they are.
const AgentVersion = "sim"

// gather gives every device its identity: saved, or enrolled now.
func (s *simulation) gather(ctx context.Context) (devices []*device, err error) {
	all, err := s.Traits()
	if err != nil {
		return nil, err
	}
	kept, known, err := openLedger(s.Identities, s.Seed)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, kept.close()) }()
	var missing []Traits
	for _, t := range all {
		one, ok := known[t.Number]
		if !ok {
			missing = append(missing, t)
			continue
		}
		who, err := s.identity(one, false)
		if err != nil {
			return nil, err
		}
		devices = append(devices, s.newDevice(t, who))
	}
	s.counter.reused(len(devices))
	if len(missing) == 0 {
		return devices, nil
	}
	more, err := s.enrollAll(ctx, missing, kept)
	return append(devices, more...), err
}

// enrollAll enrols several at a time; the first refusal ends it.
func (s *simulation) enrollAll(ctx context.Context, missing []Traits, kept *ledger) ([]*device, error) {
	office, err := newOffice(s.URL, s.Token)
	if err != nil {
		return nil, err
	}
	defer office.http.CloseIdleConnections()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	next := make(chan Traits)
	var mu sync.Mutex // guards devices and the trust that the first identity settles
	var devices []*device
	var working sync.WaitGroup
	for range workers() {
		working.Go(func() {
			for t := range next {
				one, err := office.enroll(ctx, s.Seed, t)
				if err == nil {
					err = kept.add(one)
				}
				if err != nil {
					stop(fmt.Errorf("enrol %s: %w", t.Host.Name, err))
					continue
				}
				mu.Lock()
				who, err := s.identity(one, true)
				if err == nil {
					devices = append(devices, s.newDevice(t, who))
					s.counter.enrolled()
				}
				mu.Unlock()
				if err != nil {
					stop(fmt.Errorf("enrol %s: %w", t.Host.Name, err))
				}
			}
		})
	}
	feed(ctx, next, missing)
	working.Wait()
	return devices, context.Cause(ctx)
}

func feed(ctx context.Context, next chan<- Traits, all []Traits) {
	defer close(next)
	for _, t := range all {
		select {
		case next <- t:
		case <-ctx.Done():
			return
		}
	}
}

// office is where tokens are exchanged.
type office struct {
	http  *http.Client
	url   string
	token string
}

// newOffice trusts what the token names, as an agent does, and nothing before.
func newOffice(server, token string) (*office, error) {
	parsed, err := tokens.ParseEnrollmentToken(token)
	if err != nil {
		return nil, fmt.Errorf("read the enrolment token: %w", err)
	}
	at, err := url.Parse(server)
	if err != nil || at.Scheme != "https" || at.Hostname() == "" {
		return nil, fmt.Errorf("%w: server %q: write https://host:port", ErrOptions, server)
	}
	verify := func(state tls.ConnectionState) error {
		_, err := parsed.VerifyServer(state.PeerCertificates, at.Hostname(), time.Now())
		return err
	}
	return &office{
		token: token, url: at.JoinPath(wire.EnrollPath).String(),
		http: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
			// Not insecure: VerifyConnection demands the CA that the token names.
			TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, VerifyConnection: verify},
			MaxIdleConnsPerHost: workers(),
		}},
	}, nil
}

const (
	enrollPatience = 30 * time.Second
	enrollPause    = 200 * time.Millisecond
)

// enroll makes the device's key and exchanges the token. An outage is waited
// for, a refusal is final.
func (o *office) enroll(ctx context.Context, seed uint64, t Traits) (saved, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return saved{}, fmt.Errorf("make key: %w", err)
	}
	der, err := keyBytes(key)
	if err != nil {
		return saved{}, err
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return saved{}, fmt.Errorf("make certificate request: %w", err)
	}
	ask := wire.EnrollRequest{
		Token: o.token, CSR: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request})),
		Name: t.Host.Name, MachineID: t.MachineID, Capability: wire.Capability, Version: AgentVersion, OS: osName,
	}
	started := time.Now()
	for {
		reply, err := o.exchange(ctx, ask)
		if err == nil {
			return saved{Seed: seed, Number: t.Number, Key: der, Reply: reply}, nil
		}
		if ctx.Err() != nil {
			return saved{}, context.Cause(ctx)
		}
		if !fault.CanRetry(err) || time.Since(started) > enrollPatience {
			return saved{}, err
		}
		if !pause(ctx, enrollPause) {
			return saved{}, context.Cause(ctx)
		}
	}
}

const maxReply = 64 << 10

func (o *office) exchange(ctx context.Context, ask wire.EnrollRequest) (reply wire.EnrollReply, err error) {
	body, err := json.Marshal(ask)
	if err != nil {
		return reply, fmt.Errorf("encode request: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url, bytes.NewReader(body))
	if err != nil {
		return reply, fmt.Errorf("make request: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := o.http.Do(r)
	if errors.Is(err, tokens.ErrOtherSite) {
		return reply, fault.New(fault.TokenInvalid, "problem", "other_site").Wrap(err)
	}
	if err != nil {
		return reply, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxReply))
	if err != nil {
		return reply, fmt.Errorf("read answer: %w", err)
	}
	if answer.StatusCode == http.StatusOK {
		return reply, json.Unmarshal(text, &reply)
	}
	var refused wire.Error
	if err := json.Unmarshal(text, &refused); err != nil || refused.Code == "" {
		return reply, fmt.Errorf("server answers %s: %.200s", answer.Status, strings.TrimSpace(string(text)))
	}
	return reply, refusal(&refused)
}

// refusal is what the server said, as an error.
func refusal(e *wire.Error) error {
	return &fault.Error{Reason: fault.Reason{Code: fault.Code(e.Code), Args: e.Args}, Retry: fault.Retry(e.Retry)}
}

// pause waits, unless ctx ends before: then it answers false.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
