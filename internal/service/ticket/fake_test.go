package ticket

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The answers of these fakes are written from the public documentation of
// GLPI's apirest.php and of Jira's REST API, versions 2 and 3; no recording of a
// customer's tool is in them.

// trouble makes the next answers bad.
type trouble struct {
	status int
	header http.Header
	body   string
	after  bool // the act is done, and then the answer is lost
}

// fake is what both tools share.
type fake struct {
	t        *testing.T
	mu       sync.Mutex // guards all below
	troubles []trouble
	asked    []string
}

func (f *fake) next(r *http.Request) (trouble, bool) {
	f.asked = append(f.asked, r.Method+" "+r.URL.Path)
	if len(f.troubles) == 0 {
		return trouble{}, false
	}
	first := f.troubles[0]
	f.troubles = f.troubles[1:]
	return first, true
}

func (f *fake) trouble(list ...trouble) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.troubles = append(f.troubles, list...)
}

func (f *fake) count(what string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.asked {
		if a == what {
			n++
		}
	}
	return n
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		panic(err)
	}
}

// fakeGLPI is a GLPI 10 with one account.
type fakeGLPI struct {
	fake
	*httptest.Server
	sessions map[string]bool
	made     int
	tickets  []*glpiTicket
}

type glpiTicket struct {
	name, content string
	urgency       int
	status        int
	followups     []string
	solutions     []string
}

func newGLPI(t *testing.T) *fakeGLPI {
	t.Helper()
	g := &fakeGLPI{fake: fake{t: t}, sessions: map[string]bool{}}
	g.Server = httptest.NewServer(http.StripPrefix("/apirest.php", http.HandlerFunc(g.serve)))
	t.Cleanup(g.Close)
	return g
}

func (g *fakeGLPI) expire() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.sessions)
}

func glpiError(w http.ResponseWriter, status int, code, text string) {
	answer(w, status, []string{code, text + "; view documentation in your browser at http://glpi/apirest.php/#" + code})
}

func (g *fakeGLPI) serve(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	bad, troubled := g.next(r)
	if troubled && !bad.after && bad.status != 0 {
		for name, values := range bad.header {
			w.Header()[name] = values
		}
		w.WriteHeader(bad.status)
		_, _ = io.WriteString(w, bad.body)
		return
	}
	if troubled && bad.after {
		rec := httptest.NewRecorder()
		g.act(rec, r)
		w.WriteHeader(bad.status)
		return
	}
	g.act(w, r)
}

func (g *fakeGLPI) act(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("App-Token") != "app-secret" {
		glpiError(w, 400, "ERROR_WRONG_APP_TOKEN_PARAMETER", "parameter app_token seems wrong")
		return
	}
	if r.URL.Path == "/initSession" {
		if r.Header.Get("Authorization") != "user_token user-secret" {
			glpiError(w, 401, "ERROR_GLPI_LOGIN_USER_TOKEN", "parameter user_token seems invalid")
			return
		}
		g.made++
		token := fmt.Sprintf("83af7e620c83a50a18d3eac2f6ed05a3ca0bea62-%d", g.made)
		g.sessions[token] = true
		answer(w, 200, map[string]any{"session_token": token})
		return
	}
	token := r.Header.Get("Session-Token")
	if !g.sessions[token] {
		glpiError(w, 401, "ERROR_SESSION_TOKEN_INVALID", "session_token seems invalid")
		return
	}
	switch path := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/"); {
	case r.URL.Path == "/killSession":
		delete(g.sessions, token)
		w.WriteHeader(200)
	case r.URL.Path == "/getMyProfiles":
		answer(w, 200, map[string]any{"myprofiles": []any{}})
	case r.URL.Path == "/search/Ticket":
		g.search(w, r.URL.Query())
	case r.Method == http.MethodPost:
		g.add(w, r, path[0])
	case path[0] == "Ticket":
		g.ticket(w, r, path[1])
	default:
		glpiError(w, 400, "ERROR_RESOURCE_NOT_FOUND_NOR_COMMONDBTM", "resource not found or not an instance of CommonDBTM")
	}
}

func (g *fakeGLPI) search(w http.ResponseWriter, q url.Values) {
	if q.Get("criteria[0][field]") != "1" || q.Get("criteria[0][searchtype]") != "contains" || q.Get("forcedisplay[0]") != "2" {
		g.t.Errorf("searched by %v", q)
	}
	data := []any{}
	for n, t := range g.tickets {
		if strings.Contains(t.name, q.Get("criteria[0][value]")) {
			data = append(data, map[string]any{"1": t.name, "2": n + 1, "12": t.status})
		}
	}
	out := map[string]any{"totalcount": len(data), "count": len(data), "sort": []int{1}, "order": []string{"ASC"}, "content-range": "0-0/1"}
	if len(data) > 0 {
		out["data"] = data
	}
	answer(w, 200, out)
}

func (g *fakeGLPI) add(w http.ResponseWriter, r *http.Request, item string) {
	var body struct {
		Input struct {
			Name     string `json:"name"`
			Content  string `json:"content"`
			Urgency  int    `json:"urgency"`
			Type     int    `json:"type"`
			ItemType string `json:"itemtype"`
			ItemsID  string `json:"items_id"`
		} `json:"input"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		glpiError(w, 400, "ERROR_JSON_PAYLOAD_INVALID", "JSON payload seems not valid")
		return
	}
	in := body.Input
	id := len(g.tickets) + 1
	if item == "Ticket" {
		if in.Type != 1 || len([]rune(in.Name)) > 255 {
			g.t.Errorf("a ticket of type %d with a title of %d", in.Type, len(in.Name))
		}
		g.tickets = append(g.tickets, &glpiTicket{name: in.Name, content: in.Content, urgency: in.Urgency, status: 1})
	} else {
		if in.ItemType != "Ticket" {
			g.t.Errorf("%s of a %q", item, in.ItemType)
		}
		var n int
		if _, err := fmt.Sscan(in.ItemsID, &n); err != nil || n < 1 || n > len(g.tickets) {
			glpiError(w, 400, "ERROR_GLPI_ADD", "You don't have permission to perform this action.")
			return
		}
		t := g.tickets[n-1]
		if item == "ITILSolution" {
			t.solutions, t.status = append(t.solutions, in.Content), 5
		} else {
			t.followups = append(t.followups, in.Content)
		}
	}
	w.Header().Set("Location", fmt.Sprintf("http://glpi/apirest.php/%s/%d", item, id))
	answer(w, 201, map[string]any{"id": id, "message": ""})
}

func (g *fakeGLPI) ticket(w http.ResponseWriter, r *http.Request, id string) {
	var n int
	if _, err := fmt.Sscan(id, &n); err != nil || n < 1 || n > len(g.tickets) {
		glpiError(w, 404, "ERROR_ITEM_NOT_FOUND", "Item not found")
		return
	}
	t := g.tickets[n-1]
	if r.Method == http.MethodPut {
		var body struct {
			Input struct {
				Status int `json:"status"`
			} `json:"input"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			g.t.Error(err)
		}
		t.status = body.Input.Status
		answer(w, 200, []any{map[string]any{id: true, "message": ""}})
		return
	}
	answer(w, 200, map[string]any{"id": n, "entities_id": 0, "name": t.name, "status": t.status, "type": 1, "content": t.content})
}

// fakeJira is a Jira of either edition with one project.
type fakeJira struct {
	fake
	*httptest.Server
	edition Edition
	issues  []*jiraIssue
}

type jiraIssue struct {
	summary  string
	labels   []string
	text     string
	done     bool
	comments []string
}

func newJira(t *testing.T, edition Edition) *fakeJira {
	t.Helper()
	j := &fakeJira{fake: fake{t: t}, edition: edition}
	j.Server = httptest.NewServer(http.HandlerFunc(j.serve))
	t.Cleanup(j.Close)
	return j
}

func jiraError(w http.ResponseWriter, status int, text string) {
	answer(w, status, map[string]any{"errorMessages": []string{text}, "errors": map[string]string{}})
}

func (j *fakeJira) serve(w http.ResponseWriter, r *http.Request) {
	j.mu.Lock()
	defer j.mu.Unlock()
	bad, troubled := j.next(r)
	switch {
	case troubled && bad.after:
		j.act(httptest.NewRecorder(), r)
		w.WriteHeader(bad.status)
	case troubled && bad.status != 0:
		for name, values := range bad.header {
			w.Header()[name] = values
		}
		w.WriteHeader(bad.status)
	default:
		j.act(w, r)
	}
}

func (j *fakeJira) act(w http.ResponseWriter, r *http.Request) {
	version, want := "/rest/api/3", "Basic b3BzQGV4YW1wbGUub3JnOmppcmEtc2VjcmV0"
	if j.edition == DataCenter {
		version, want = "/rest/api/2", "Bearer jira-secret"
	}
	if r.Header.Get("Authorization") != want {
		jiraError(w, 401, "Client must be authenticated to access this resource.")
		return
	}
	path, is := strings.CutPrefix(r.URL.Path, version)
	if !is {
		jiraError(w, 404, "no such version")
		return
	}
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	switch {
	case path == "/search" && j.edition == Cloud:
		jiraError(w, 410, "The requested API has been removed. Please migrate to the /rest/api/3/search/jql API.")
	case path == "/search" || path == "/search/jql" && j.edition == Cloud:
		j.search(w, r)
	case path == "/project/OPS":
		answer(w, 200, map[string]any{"id": "10000", "key": "OPS"})
	case path == "/issue" && r.Method == http.MethodPost:
		j.create(w, r)
	case parts[0] == "issue" && len(parts) > 1:
		j.issue(w, r, parts)
	default:
		jiraError(w, 404, "not here")
	}
}

// read takes a text as the edition wants it; another one is refused.
func (j *fakeJira) read(raw json.RawMessage) (string, bool) {
	var plain string
	if j.edition == DataCenter {
		err := json.Unmarshal(raw, &plain)
		return plain, err == nil
	}
	var doc struct {
		Type    string `json:"type"`
		Version int    `json:"version"`
		Content []struct {
			Type    string `json:"type"`
			Content []struct {
				Type, Text string
			} `json:"content"`
		} `json:"content"`
	}
	if json.Unmarshal(raw, &doc) != nil || doc.Type != "doc" || doc.Version != 1 {
		return "", false
	}
	var lines []string
	for _, p := range doc.Content {
		line := ""
		for _, t := range p.Content {
			if t.Text == "" {
				return "", false // Jira refuses an empty text node
			}
			line += t.Text
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n"), true
}

func (j *fakeJira) shown(n int) map[string]any {
	name, category := "À faire", "new"
	if j.issues[n].done {
		name, category = "Terminé", "done"
	}
	return map[string]any{
		"id": fmt.Sprint(10001 + n), "key": fmt.Sprintf("OPS-%d", n+1), "self": j.URL + "/rest/api/3/issue/10001",
		"fields": map[string]any{"status": map[string]any{"name": name, "statusCategory": map[string]any{"key": category}}},
	}
}

func (j *fakeJira) search(w http.ResponseWriter, r *http.Request) {
	var body struct {
		JQL    string   `json:"jql"`
		Fields []string `json:"fields"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || !slices.Contains(body.Fields, "status") {
		jiraError(w, 400, "bad search")
		return
	}
	found := []any{}
	for n, i := range j.issues {
		if body.JQL == fmt.Sprintf(`project = "OPS" AND labels = %q`, i.labels[0]) {
			found = append(found, j.shown(n))
		}
	}
	answer(w, 200, map[string]any{"issues": found, "isLast": true})
}

func (j *fakeJira) create(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Fields struct {
			Project     struct{ Key string }
			IssueType   struct{ Name string } `json:"issuetype"`
			Summary     string
			Description json.RawMessage
			Labels      []string
		} `json:"fields"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		jiraError(w, 400, err.Error())
		return
	}
	f := body.Fields
	text, ok := j.read(f.Description)
	switch {
	case !ok:
		answer(w, 400, map[string]any{"errorMessages": []string{}, "errors": map[string]string{"description": "Operation value must be an Atlassian Document (see the Atlassian Document Format)"}})
		return
	case f.Project.Key != "OPS" || f.IssueType.Name == "" || f.Summary == "" || strings.Contains(f.Summary, "\n") || len(f.Labels) != 1 || strings.Contains(f.Labels[0], " "):
		jiraError(w, 400, "a field is refused")
		return
	}
	j.issues = append(j.issues, &jiraIssue{summary: f.Summary, labels: f.Labels, text: text})
	n := len(j.issues) - 1
	answer(w, 201, map[string]any{"id": fmt.Sprint(10001 + n), "key": fmt.Sprintf("OPS-%d", n+1), "self": j.URL})
}

func (j *fakeJira) issue(w http.ResponseWriter, r *http.Request, parts []string) {
	var id int
	if _, err := fmt.Sscan(parts[1], &id); err != nil || id < 10001 || id > 10000+len(j.issues) {
		jiraError(w, 404, "Issue does not exist or you do not have permission to see it.")
		return
	}
	i := j.issues[id-10001]
	switch {
	case len(parts) == 2:
		answer(w, 200, j.shown(id-10001))
	case parts[2] == "comment":
		var body struct {
			Body json.RawMessage `json:"body"`
		}
		err := json.NewDecoder(r.Body).Decode(&body)
		text, ok := j.read(body.Body)
		if err != nil || !ok {
			jiraError(w, 400, "Comment body is not valid!")
			return
		}
		i.comments = append(i.comments, text)
		answer(w, 201, map[string]any{"id": "1"})
	case r.Method == http.MethodGet:
		done := map[string]any{"id": "31", "name": "Terminer", "to": map[string]any{"name": "Terminé", "statusCategory": map[string]any{"key": "done"}}}
		open := map[string]any{"id": "11", "name": "Rouvrir", "to": map[string]any{"name": "À faire", "statusCategory": map[string]any{"key": "new"}}}
		answer(w, 200, map[string]any{"transitions": []any{open, done}})
	default:
		var body struct {
			Transition struct{ ID string }
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Transition.ID == "" {
			jiraError(w, 400, "no transition")
			return
		}
		i.done = body.Transition.ID == "31"
		w.WriteHeader(204)
	}
}
