package ticket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"patchring/internal/core/procedure"
)

// glpi speaks GLPI's REST API (apirest.php), which 10 and 11 both serve: a
// session by the account's and the client's tokens, kept for the length of one
// task and killed after it.
type glpi struct {
	*wire
	Config
}

// Numbers of GLPI's statuses of a ticket, and of what it searches by.
const (
	glpiSolved    = 5
	glpiClosed    = 6
	glpiReopened  = 2 // processing (assigned)
	glpiIncident  = 1 // type of ticket
	glpiFieldName = "1"
	glpiFieldID   = "2"
	glpiMaxTitle  = 255
)

var glpiStatus = map[int64]string{1: "new", 2: "assigned", 3: "planned", 4: "pending", glpiSolved: "solved", glpiClosed: "closed"}

// glpiUrgency is on GLPI's scale of five.
var glpiUrgency = map[procedure.Severity]int{procedure.Minor: 2, procedure.Major: 4, procedure.Critical: 5}

// session runs f with a session of its own, and once more with another when
// GLPI has ended it meanwhile: it restarts its sessions when it likes.
func (g *glpi) session(ctx context.Context, f func(http.Header) error) error {
	for try := 0; ; try++ {
		header, err := g.open(ctx)
		if err != nil {
			return err
		}
		err = f(header)
		if ended(err) && try == 0 {
			continue
		}
		// A session that cannot be killed ends by itself: what was done counts.
		if killed := g.do(ctx, call{method: http.MethodGet, path: "/killSession", header: header}); killed != nil && err == nil && ctx.Err() != nil {
			return killed
		}
		return err
	}
}

// ended: GLPI says 401 with ERROR_SESSION_TOKEN_INVALID.
func ended(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.Status == http.StatusUnauthorized && strings.Contains(r.Text, "SESSION_TOKEN")
}

func (g *glpi) open(ctx context.Context) (http.Header, error) {
	user, err := g.UserToken.Read()
	if err != nil {
		return nil, err
	}
	app, err := g.AppToken.Read()
	if err != nil {
		return nil, err
	}
	header := http.Header{"Authorization": {"user_token " + user}}
	if app != "" {
		header.Set("App-Token", app)
	}
	var session struct {
		Token string `json:"session_token"`
	}
	if err := g.do(ctx, call{method: http.MethodGet, path: "/initSession", header: header, into: &session}); err != nil {
		return nil, fmt.Errorf("open a session: %w", err)
	}
	header.Del("Authorization")
	header.Set("Session-Token", session.Token)
	return header, nil
}

func (g *glpi) test(ctx context.Context) error {
	return g.session(ctx, func(h http.Header) error {
		return g.do(ctx, call{method: http.MethodGet, path: "/getMyProfiles", header: h})
	})
}

// glpiTitle has the reference in it: a title is what GLPI searches exactly,
// while it rewrites contents.
func glpiTitle(d Draft) string {
	ref := " [" + d.Ref + "]"
	title := []rune(d.Title)
	return string(title[:min(len(title), glpiMaxTitle-len(ref))]) + ref
}

func (g *glpi) find(ctx context.Context, ref string) (found Remote, ok bool, err error) {
	query := url.Values{}
	query.Set("criteria[0][field]", glpiFieldName)
	query.Set("criteria[0][searchtype]", "contains")
	query.Set("criteria[0][value]", "["+ref+"]")
	query.Set("forcedisplay[0]", glpiFieldID)
	err = g.session(ctx, func(h http.Header) error {
		var answer struct {
			Data []map[string]any `json:"data"`
		}
		if err := g.do(ctx, call{method: http.MethodGet, path: "/search/Ticket?" + query.Encode(), header: h, into: &answer}); err != nil {
			return err
		}
		for _, row := range answer.Data {
			if title, is := row[glpiFieldName].(string); is && strings.Contains(html.UnescapeString(title), "["+ref+"]") {
				found, ok = g.remote(number(row[glpiFieldID]), 0), true
				return nil
			}
		}
		return nil
	})
	return found, ok, err
}

// number reads an id that GLPI writes as a number or as text.
func number(v any) string {
	switch v := v.(type) {
	case float64:
		return strconv.FormatInt(int64(v), 10)
	case json.Number:
		return v.String()
	case string:
		return v
	}
	return ""
}

// remote is the ticket by its id; its page is beside the API's address.
func (g *glpi) remote(id string, status int64) Remote {
	site := g.Config.URL
	for _, tail := range []string{"/apirest.php", "/api.php/v1", "/api.php"} {
		site = strings.TrimSuffix(site, tail)
	}
	return Remote{ID: id, Key: id, URL: site + "/front/ticket.form.php?id=" + id, Status: glpiStatus[status], Done: status == glpiSolved || status == glpiClosed}
}

func (g *glpi) create(ctx context.Context, d Draft) (Remote, error) {
	input := map[string]any{
		"name": glpiTitle(d), "content": glpiText(d.Text + "\n\n" + d.URL), "type": glpiIncident,
		"urgency": glpiUrgency[procedure.Severity(d.Severity)], "impact": glpiUrgency[procedure.Severity(d.Severity)],
	}
	if g.Entity > 0 {
		input["entities_id"] = g.Entity
	}
	if g.Category > 0 {
		input["itilcategories_id"] = g.Category
	}
	var made struct {
		ID any `json:"id"`
	}
	err := g.session(ctx, func(h http.Header) error {
		return g.do(ctx, call{method: http.MethodPost, path: "/Ticket", header: h, body: glpiInput(input), into: &made})
	})
	if err != nil {
		return Remote{}, err
	}
	if number(made.ID) == "" {
		return Remote{}, errors.New("read the answer of POST /Ticket: it has no id")
	}
	return g.remote(number(made.ID), 1), nil
}

// glpiText is HTML, as GLPI's editor writes it.
func glpiText(text string) string {
	return "<p>" + strings.ReplaceAll(html.EscapeString(text), "\n", "<br>") + "</p>"
}

func glpiInput(fields map[string]any) map[string]any { return map[string]any{"input": fields} }

func (g *glpi) about(id, text string) map[string]any {
	return glpiInput(map[string]any{"itemtype": "Ticket", "items_id": id, "content": glpiText(text)})
}

func (g *glpi) note(ctx context.Context, id string, d Draft) error {
	return g.session(ctx, func(h http.Header) error {
		return g.do(ctx, call{method: http.MethodPost, path: "/ITILFollowup", header: h, body: g.about(id, d.Text)})
	})
}

// close adds a solution, which makes GLPI solve the ticket by its own rules:
// who asked may still refuse it. One that is solved takes no second one.
func (g *glpi) close(ctx context.Context, id string, d Draft) error {
	return g.session(ctx, func(h http.Header) error {
		status, err := g.statusIn(ctx, h, id)
		if err != nil || status == glpiSolved || status == glpiClosed {
			return err
		}
		return g.do(ctx, call{method: http.MethodPost, path: "/ITILSolution", header: h, body: g.about(id, d.Text)})
	})
}

func (g *glpi) reopen(ctx context.Context, id string, d Draft) error {
	return g.session(ctx, func(h http.Header) error {
		status, err := g.statusIn(ctx, h, id)
		if err != nil {
			return err
		}
		if status == glpiSolved || status == glpiClosed {
			err := g.do(ctx, call{method: http.MethodPut, path: "/Ticket/" + url.PathEscape(id), header: h, body: glpiInput(map[string]any{"status": glpiReopened})})
			if err != nil {
				return err
			}
		}
		return g.do(ctx, call{method: http.MethodPost, path: "/ITILFollowup", header: h, body: g.about(id, d.Text)})
	})
}

func (g *glpi) statusIn(ctx context.Context, h http.Header, id string) (int64, error) {
	var t struct {
		Status any `json:"status"`
	}
	if err := g.do(ctx, call{method: http.MethodGet, path: "/Ticket/" + url.PathEscape(id), header: h, into: &t}); err != nil {
		return 0, err
	}
	status, err := strconv.ParseInt(number(t.Status), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the status of ticket %s: %w", id, err)
	}
	return status, nil
}

func (g *glpi) status(ctx context.Context, id string) (out Remote, err error) {
	err = g.session(ctx, func(h http.Header) error {
		status, err := g.statusIn(ctx, h, id)
		out = g.remote(id, status)
		return err
	})
	return out, err
}

// hooked reads what GLPI 11's webhooks send: the item, or its id.
func (g *glpi) hooked(body []byte) string {
	var m struct {
		ID   any `json:"id"`
		Item struct {
			ID any `json:"id"`
		} `json:"item"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return ""
	}
	if id := number(m.Item.ID); id != "" {
		return id
	}
	return number(m.ID)
}
