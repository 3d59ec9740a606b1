package cli

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"patchring/internal/core/fault"
	"patchring/internal/core/manifest"
)

const prefix = "/api/v1"

// client talks to one server for one person.
type client struct {
	base  string
	token string
	http  *http.Client
}

// connect finds the server and the token: from the flags, the environment, or
// the last login.
func (c *cli) connect() (*client, error) {
	conf, err := c.loadConfig()
	if err != nil {
		return nil, err
	}
	if v := c.Env("PATCHRING_SERVER"); v != "" {
		conf.Server = v
	}
	if v := c.Env("PATCHRING_TOKEN"); v != "" {
		conf.Token = v
	}
	if path := c.Env("PATCHRING_CA"); path != "" {
		if conf.CA, err = readFile(path); err != nil {
			return nil, err
		}
	}
	if c.server != "" && c.server != conf.Server {
		if c.Env("PATCHRING_TOKEN") == "" {
			return nil, usage{fmt.Errorf("the login is of %s: log in to %s first, or set PATCHRING_TOKEN", conf.Server, c.server)}
		}
		conf.Server = c.server
	}
	if conf.Server == "" || conf.Token == "" {
		return nil, &refused{Status: http.StatusUnauthorized, Code: fault.Unauthorized}
	}
	return newClient(conf)
}

func newClient(conf config) (*client, error) {
	base, err := url.Parse(conf.Server)
	if err != nil || base.Scheme != "https" || base.Host == "" {
		return nil, usage{fmt.Errorf("server %q: write https://HOST:PORT", conf.Server)}
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // a machine without any: the pinned one is enough
	}
	if conf.CA != "" && !roots.AppendCertsFromPEM([]byte(conf.CA)) {
		return nil, errors.New("read the site's CA: no certificate in it")
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ResponseHeaderTimeout: time.Minute, TLSHandshakeTimeout: 15 * time.Second,
	}
	return &client{base: "https://" + base.Host, token: conf.Token, http: &http.Client{Transport: transport}}, nil
}

// refused is the API's problem document.
type refused struct {
	Status   int                `json:"status"`
	Code     fault.Code         `json:"code"`
	Detail   string             `json:"detail"`
	Args     map[string]string  `json:"args"`
	Retry    bool               `json:"retry"`
	Problems []manifest.Problem `json:"problems"`
	file     string             // that the problems are of, with a colon
}

// inFile names the file that a refusal's problems are of.
func inFile(name string, err error) error {
	var no *refused
	if errors.As(err, &no) && len(no.Problems) > 0 {
		no.file = name + ":"
	}
	return err
}

func (r *refused) reason() fault.Reason { return fault.Reason{Code: r.Code, Args: r.Args} }

// Error implements error.
func (r *refused) Error() string { return r.reason().String() }

// ExitCode is what the help promises.
func (r *refused) ExitCode() int {
	switch {
	case r.Status == http.StatusUnauthorized || r.Status == http.StatusForbidden:
		return exitNotAllowed
	case r.Status >= http.StatusInternalServerError || r.Retry:
		return exitFailed
	}
	return exitRefused
}

// body is a request's body.
type body map[string]any

// set adds a field that has a value.
func (b body) set(key string, value string) body {
	if value != "" {
		b[key] = value
	}
	return b
}

// path joins segments of which some are names.
func path(segments ...string) string {
	var out strings.Builder
	for _, s := range segments {
		out.WriteString("/" + url.PathEscape(s))
	}
	return out.String()
}

func (c *client) get(ctx context.Context, path string, query url.Values, into any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.call(ctx, request{method: http.MethodGet, path: path}, into)
}

// send writes. It carries a key, so that a second try after a broken
// connection cannot act twice.
func (c *client) send(ctx context.Context, method, path string, in body, into any) error {
	if in == nil {
		in = body{}
	}
	return c.call(ctx, request{method, path, in, uuid.NewString()}, into)
}

func (c *client) post(ctx context.Context, path string, in body, into any) error {
	return c.send(ctx, http.MethodPost, path, in, into)
}

// weigh asks a question that is too long for an address. It changes nothing, so
// it carries no key, and the server keeps no answer.
func (c *client) weigh(ctx context.Context, path string, in body, into any) error {
	return c.call(ctx, request{http.MethodPost, path, in, ""}, into)
}

// request is one call; key is what makes it harmless to repeat.
type request struct {
	method, path string
	in           body
	key          string
}

const tries = 2

func (c *client) call(ctx context.Context, r request, into any) error {
	var content []byte
	if r.in != nil && r.method != http.MethodDelete {
		var err error
		if content, err = json.Marshal(r.in); err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
	}
	response, err := c.do(ctx, r.method, r.path, content, r.key)
	for try := 1; err != nil && try < tries && ctx.Err() == nil; try++ {
		response, err = c.do(ctx, r.method, r.path, content, r.key)
	}
	if err != nil {
		return fmt.Errorf("reach %s: %w", c.base, err)
	}
	defer response.Body.Close()
	return decodeBody(response, into)
}

func (c *client) do(ctx context.Context, method, path string, content []byte, key string) (*http.Response, error) {
	var reader io.Reader
	if content != nil {
		reader = bytes.NewReader(content)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+prefix+path, reader)
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	if content != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	return c.http.Do(request)
}

// upload sends a file as it is. What takes it recognises one that it has, so it
// carries no key.
func (c *client) upload(ctx context.Context, path string, header http.Header, content []byte, into any) (err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+prefix+path, bytes.NewReader(content))
	if err != nil {
		return err
	}
	request.Header = header
	request.Header.Set("Authorization", "Bearer "+c.token)
	patient := *c.http
	if t, ok := patient.Transport.(*http.Transport); ok { // the answer comes when every patch was judged
		slow := t.Clone()
		slow.ResponseHeaderTimeout = uploadTimeout
		patient.Transport = slow
		defer slow.CloseIdleConnections()
	}
	response, err := patient.Do(request)
	if err != nil {
		return fmt.Errorf("reach %s: %w", c.base, err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	return decodeBody(response, into)
}

const uploadTimeout = 10 * time.Minute

// maxAnswer bounds what is read into memory; files are streamed.
const maxAnswer = 64 << 20

func decodeBody(response *http.Response, into any) error {
	if response.StatusCode >= http.StatusBadRequest {
		return refusalIn(response)
	}
	if into == nil || response.StatusCode == http.StatusNoContent {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}

func refusalIn(response *http.Response) error {
	no := &refused{}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(no); err != nil || no.Code == "" {
		return fmt.Errorf("the server answered %s", response.Status)
	}
	return no
}

// download streams a file.
func (c *client) download(ctx context.Context, path string, to io.Writer) (n int64, err error) {
	response, err := c.do(ctx, http.MethodGet, path, nil, "")
	if err != nil {
		return 0, fmt.Errorf("reach %s: %w", c.base, err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode >= http.StatusBadRequest {
		return 0, refusalIn(response)
	}
	if n, err = io.Copy(to, response.Body); err != nil {
		return n, fmt.Errorf("download: %w", err)
	}
	return n, nil
}

// events reads server-sent events until the stream ends; data is one event's.
func (c *client) events(ctx context.Context, path string, each func(data []byte) error) (err error) {
	response, err := c.do(ctx, http.MethodGet, path, nil, "")
	if err != nil {
		return fmt.Errorf("reach %s: %w", c.base, err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode >= http.StatusBadRequest {
		return refusalIn(response)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(make([]byte, 0, 64<<10), maxAnswer)
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !ok {
			continue
		}
		if err := each(data); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	return nil
}

// page is one page of any list.
type page[T any] struct {
	Rows []T    `json:"rows"`
	Next string `json:"next"`
}

const pageRows = 200

// rows reads a list page by page, up to limit rows; 0 is all of them.
func rows[T any](ctx context.Context, c *client, path string, query url.Values, limit int) (out []T, more bool, err error) {
	out = []T{}
	if query == nil {
		query = url.Values{}
	}
	for {
		want := pageRows
		if limit > 0 {
			want = min(want, limit-len(out))
		}
		query.Set("limit", fmt.Sprint(want))
		var p page[T]
		if err := c.get(ctx, path, query, &p); err != nil {
			return nil, false, err
		}
		out = append(out, p.Rows...)
		if p.Next == "" || limit > 0 && len(out) >= limit {
			return out, p.Next != "", nil
		}
		query.Set("cursor", p.Next)
	}
}
