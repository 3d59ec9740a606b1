package demo

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
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// Client speaks the public HTTP API, through the lab's network, and trusts the
// site's own CA only.
type Client struct {
	http  *http.Client
	base  string
	token string
}

func (s *Server) client(token string) *Client {
	roots := x509.NewCertPool()
	if ca, err := os.ReadFile(filepath.Join(s.Data, "keys", "ca.crt")); err == nil {
		roots.AppendCertsFromPEM(ca) // not there before the first start: then nothing is trusted yet
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	if s.fleet != nil {
		transport.DialContext = s.fleet.Dial
	}
	return &Client{base: "https://" + s.HTTPS(), token: token, http: &http.Client{Timeout: time.Minute, Transport: transport}}
}

// Healthy asks the server whether it can work.
func (c *Client) Healthy(ctx context.Context) error {
	return c.call(ctx, http.MethodGet, "/healthz", nil, nil)
}

// Login exchanges a password for a client with a token of its own.
func (s *Server) Login(ctx context.Context, name, password string) (*Client, error) {
	var token struct{ Text string }
	err := s.client("").call(ctx, http.MethodPost, "/api/v1/login", map[string]any{"name": name, "password": password, "token": "demo"}, &token)
	if err != nil {
		return nil, fmt.Errorf("log in as %s: %w", name, err)
	}
	return s.client(token.Text), nil
}

// Problem is a refusal by the API (RFC 9457 with our code).
type Problem struct {
	Status int
	Code   string          `json:"code"`
	Detail string          `json:"detail"`
	Args   json.RawMessage `json:"args"`
}

func (p *Problem) Error() string {
	return fmt.Sprintf("%d %s %s %s", p.Status, p.Code, p.Detail, p.Args)
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if res.StatusCode >= http.StatusBadRequest {
		p := &Problem{Status: res.StatusCode}
		if err := json.Unmarshal(text, p); err != nil {
			p.Detail = string(text)
		}
		return fmt.Errorf("%s %s: %w", method, path, p)
	}
	if out == nil || len(text) == 0 {
		return nil
	}
	if raw, ok := out.(*[]byte); ok {
		*raw = text
		return nil
	}
	return json.Unmarshal(text, out)
}

// Get reads any path of the API.
func (c *Client) Get(ctx context.Context, path string, out any) error {
	return c.call(ctx, http.MethodGet, "/api/v1"+path, nil, out)
}

// Post does any act of the API.
func (c *Client) Post(ctx context.Context, path string, in, out any) error {
	return c.call(ctx, http.MethodPost, "/api/v1"+path, in, out)
}

// Act does one act on a campaign.
func (c *Client) Act(ctx context.Context, campaign, act string, in, out any) error {
	return c.call(ctx, http.MethodPost, "/api/v1/campaigns/"+url.PathEscape(campaign)+"/"+act, in, out)
}

// ApplyProcedure keeps a procedure file.
func (c *Client) ApplyProcedure(ctx context.Context, file string, text []byte) error {
	return c.call(ctx, http.MethodPost, "/api/v1/procedures", map[string]any{"file": file, "text": string(text)}, nil)
}

// CreateUser makes an account.
func (c *Client) CreateUser(ctx context.Context, name, password string, roles ...string) error {
	return c.call(ctx, http.MethodPost, "/api/v1/users", map[string]any{"name": name, "password": password, "roles": roles}, nil)
}

// CreateCampaign starts a campaign by hand and returns its name.
func (c *Client) CreateCampaign(ctx context.Context, ask map[string]any) (string, error) {
	var made struct{ Name string }
	err := c.call(ctx, http.MethodPost, "/api/v1/campaigns", ask, &made)
	return made.Name, err
}

// Invite makes an enrolment token for so many devices.
func (c *Client) Invite(ctx context.Context, kind string, tags map[string]string, groups []string, uses int) (string, error) {
	var made struct{ Text string }
	err := c.call(ctx, http.MethodPost, "/api/v1/enrollments", map[string]any{"kind": kind, "tags": tags, "groups": groups, "uses": uses}, &made)
	return made.Text, err
}

// Device is a device as lists show it.
type Device struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	State      string `json:"state"`
	ScanStatus string `json:"scan_status"`
	Missing    int    `json:"missing"`
}

// Devices lists the whole fleet.
func (c *Client) Devices(ctx context.Context) ([]Device, error) {
	var all []Device
	for cursor := ""; ; {
		var page struct {
			Rows []Device `json:"rows"`
			Next string   `json:"next"`
		}
		if err := c.Get(ctx, "/devices?limit=200&cursor="+url.QueryEscape(cursor), &page); err != nil {
			return nil, err
		}
		all = append(all, page.Rows...)
		if page.Next == "" {
			return all, nil
		}
		cursor = page.Next
	}
}

// Board is a campaign as its board shows it.
type Board struct {
	Campaign struct {
		ID           string    `json:"id"`
		Name         string    `json:"name"`
		State        string    `json:"state"`
		Verification time.Time `json:"verification"`
	} `json:"campaign"`
	Amendments []struct {
		Number int    `json:"number"`
		Items  []Item `json:"items"`
		Rings  []Ring `json:"rings"`
	} `json:"amendments"`
}

// Item is one patch of the content.
type Item struct {
	Patch struct {
		ID      string `json:"id"`
		Name    string `json:"name"`
		Version string `json:"version"`
	} `json:"patch"`
	Withdrawn *struct {
		Reason string `json:"reason"`
	} `json:"withdrawn"`
}

// Ring is a column of the board.
type Ring struct {
	Ring     string          `json:"ring"`
	State    string          `json:"state"`
	Verdict  string          `json:"verdict"`
	Numbers  Numbers         `json:"numbers"`
	Evidence json.RawMessage `json:"evidence"`
	Reasons  []Reason        `json:"reasons"`
	SignOffs []SignOffSlot   `json:"sign_offs"`
}

// Reason is a code with its arguments.
type Reason struct {
	Code string            `json:"code"`
	Args map[string]string `json:"args"`
}

// Numbers are the five.
type Numbers struct {
	Done        int `json:"done"`
	Failed      int `json:"failed"`
	NotReached  int `json:"not_reached"`
	Unreachable int `json:"unreachable"`
	Exempt      int `json:"exempt"`
}

// SignOffSlot is a sign-off that a gate asks for.
type SignOffSlot struct {
	Role      string            `json:"role"`
	Checklist []json.RawMessage `json:"checklist"`
	Given     json.RawMessage   `json:"given"`
}

// Board reads a campaign.
func (c *Client) Board(ctx context.Context, campaign string) (Board, error) {
	var b Board
	err := c.Get(ctx, "/campaigns/"+url.PathEscape(campaign), &b)
	return b, err
}

// Sign says yes to a gate with every test of its checklist ticked.
func (c *Client) Sign(ctx context.Context, campaign string, amendment int, ring string, slot SignOffSlot) error {
	yes := slot.yes()
	yes["amendment"], yes["ring"] = amendment, ring
	return c.Act(ctx, campaign, "sign", yes, nil)
}

// Verification is what closing a campaign waits for.
type Verification struct {
	Signable bool          `json:"signable"`
	SignOffs []SignOffSlot `json:"sign_offs"`
}

// Verification reads it.
func (c *Client) Verification(ctx context.Context, campaign string) (Verification, error) {
	var v Verification
	err := c.Get(ctx, "/campaigns/"+url.PathEscape(campaign)+"/verification", &v)
	return v, err
}

// SignVerification says yes to it as Sign does.
func (c *Client) SignVerification(ctx context.Context, campaign string, slot SignOffSlot) error {
	return c.Act(ctx, campaign, "verification/sign", slot.yes(), nil)
}

func (s SignOffSlot) yes() map[string]any {
	ticked := make([]int, len(s.Checklist))
	for i := range ticked {
		ticked[i] = i
	}
	return map[string]any{"role": s.Role, "yes": true, "ticked": ticked, "comment": "signed by the demonstration"}
}

// IsCode tells whether err is a refusal with this code.
func IsCode(err error, code string) bool {
	var p *Problem
	return errors.As(err, &p) && p.Code == code
}
