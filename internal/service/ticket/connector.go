package ticket

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// Draft is an incident as it is written into another tool.
type Draft struct {
	Ref      string `json:"ref"` // ours: by it a ticket is found again
	Title    string `json:"title"`
	Text     string `json:"text"`
	Severity string `json:"severity"`
	URL      string `json:"url"` // of our page
}

// Remote is a ticket as the other tool has it.
type Remote struct {
	ID     string
	Key    string // as people there call it
	URL    string
	Status string
	Done   bool
}

// Connector is one tool. Every method may be called again after a failure: find
// comes before a create that may have been made, notes may be written twice
// after a crash, close and reopen of what is so already do nothing.
type connector interface {
	// find looks for a ticket by our reference; errNoSearch where the tool
	// cannot, and create is then made harmless to repeat by the reference itself.
	find(ctx context.Context, ref string) (Remote, bool, error)
	create(ctx context.Context, d Draft) (Remote, error)
	note(ctx context.Context, id string, d Draft) error
	close(ctx context.Context, id string, d Draft) error
	reopen(ctx context.Context, id string, d Draft) error
	// status is errNoStatus where the tool tells none.
	status(ctx context.Context, id string) (Remote, error)
	// test speaks to the tool and changes nothing.
	test(ctx context.Context) error
	// hooked is the ticket that a signed message of the tool is about.
	hooked(body []byte) (id string)
}

var (
	errNoSearch = errors.New("the tool cannot search")
	errNoStatus = errors.New("the tool tells no status")
)

// refusal is an answer that is no success.
type refusal struct {
	Status int
	After  time.Duration // that it asks us to wait
	Text   string
}

// Error implements error.
func (r *refusal) Error() string {
	return strings.TrimSpace(fmt.Sprintf("answered %d %s", r.Status, r.Text))
}

// final tells that asking again changes nothing: what we send is refused. What
// is not authorised may be put right by somebody, and is tried for a while.
func final(err error) bool {
	var r *refusal
	if !errors.As(err, &r) {
		return false
	}
	switch r.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusConflict, http.StatusLocked, http.StatusTooEarly:
		return false
	}
	return r.Status >= 300 && r.Status < 500
}

const (
	callTimeout = 20 * time.Second
	maxAnswer   = 1 << 20
	maxShown    = 300 // of an answer, in an error
	maxWait     = 24 * time.Hour
)

// wire is one HTTP client of one connector.
type wire struct {
	base   string
	client *http.Client
	clock  func() time.Time
}

func newWire(c Config, clock func() time.Time) (*wire, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // a machine without any: the given one is enough
	}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("read authority of %s: %w", c.Name, err)
		}
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read authority of %s: %s has no certificate", c.Name, c.CA)
		}
	}
	return &wire{base: c.URL, clock: clock, client: &http.Client{
		Timeout:   callTimeout,
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, TLSHandshakeTimeout: 10 * time.Second},
		// Secrets go to the address that was configured and to no other.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// call is one request; body nil sends none, into nil wants no answer.
type call struct {
	method, path string
	header       http.Header
	body         any
	into         any
}

func (w *wire) do(ctx context.Context, c call) error {
	var content []byte
	if c.body != nil {
		var err error
		if content, err = json.Marshal(c.body); err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
	}
	answer, err := w.send(ctx, c.method, c.path, c.header, content)
	if err != nil || c.into == nil || len(bytes.TrimSpace(answer)) == 0 {
		return err
	}
	if err := json.Unmarshal(answer, c.into); err != nil {
		return fmt.Errorf("read the answer of %s %s: %w", c.method, c.path, err)
	}
	return nil
}

func (w *wire) send(ctx context.Context, method, path string, header http.Header, content []byte) (answer []byte, err error) {
	var reader io.Reader
	if content != nil {
		reader = bytes.NewReader(content)
	}
	request, err := http.NewRequestWithContext(ctx, method, w.base+path, reader)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "patchring")
	if content != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for name, values := range header {
		request.Header[name] = values
	}
	response, err := w.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("reach the tool: %w", err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if answer, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer)); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return nil, &refusal{Status: response.StatusCode, After: w.after(response.Header.Get("Retry-After")), Text: shown(answer)}
	}
	return answer, nil
}

// after reads Retry-After: seconds, or a date.
func (w *wire) after(text string) time.Duration {
	if s, err := strconv.Atoi(text); err == nil && s > 0 {
		return min(time.Duration(s)*time.Second, maxWait)
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, min(at.Sub(w.clock()), maxWait))
	}
	return 0
}

// shown is the beginning of an answer, on one line.
func shown(answer []byte) string {
	text := []rune(strings.ToValidUTF8(strings.Join(strings.Fields(string(answer)), " "), "�"))
	if len(text) > maxShown {
		return string(text[:maxShown]) + "…"
	}
	return string(text)
}

func jsonText(v any) (string, error) {
	out, err := json.Marshal(v)
	return string(out), err
}
