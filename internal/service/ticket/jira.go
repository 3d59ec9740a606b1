package ticket

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// jira speaks Jira's REST API: version 3 of Cloud, whose texts are documents
// (ADF) and whose search is /search/jql since the older one is gone (410), and
// version 2 of Data Center, with plain texts and /search.
type jira struct {
	*wire
	Config
}

const jiraMaxSummary = 255

func (j *jira) api(path string) string {
	if j.Edition == DataCenter {
		return "/rest/api/2" + path
	}
	return "/rest/api/3" + path
}

// header: Cloud takes the account's address with its API token, Data Center a
// personal access token.
func (j *jira) header() (http.Header, error) {
	token, err := j.Token.Read()
	if err != nil {
		return nil, err
	}
	value := "Bearer " + token
	if j.User != "" {
		value = "Basic " + base64.StdEncoding.EncodeToString([]byte(j.User+":"+token))
	}
	return http.Header{"Authorization": {value}}, nil
}

func (j *jira) ask(ctx context.Context, method, path string, body, into any) error {
	header, err := j.header()
	if err != nil {
		return err
	}
	return j.do(ctx, call{method: method, path: j.api(path), header: header, body: body, into: into})
}

func (j *jira) test(ctx context.Context) error {
	return j.ask(ctx, http.MethodGet, "/project/"+url.PathEscape(j.Project), nil, nil)
}

// issue is what is asked of one.
type issue struct {
	ID     string `json:"id"`
	Key    string `json:"key"`
	Fields struct {
		Status struct {
			Name     string `json:"name"`
			Category struct {
				Key string `json:"key"`
			} `json:"statusCategory"`
		} `json:"status"`
	} `json:"fields"`
}

const jiraDone = "done" // key of the category, in every language and workflow

func (j *jira) remote(i issue) Remote {
	return Remote{
		ID: i.ID, Key: i.Key, URL: j.Config.URL + "/browse/" + url.PathEscape(i.Key), Status: i.Fields.Status.Name,
		Done: i.Fields.Status.Category.Key == jiraDone,
	}
}

// find looks for the reference, which is a label of the issue. On Cloud what
// was made a moment ago may not be found yet; the next try is minutes later.
func (j *jira) find(ctx context.Context, ref string) (Remote, bool, error) {
	path := "/search/jql"
	if j.Edition == DataCenter {
		path = "/search"
	}
	var answer struct {
		Issues []issue `json:"issues"`
	}
	err := j.ask(ctx, http.MethodPost, path, map[string]any{
		"jql": fmt.Sprintf("project = %q AND labels = %q", j.Project, ref), "fields": []string{"status"}, "maxResults": 1,
	}, &answer)
	if err != nil || len(answer.Issues) == 0 {
		return Remote{}, false, err
	}
	return j.remote(answer.Issues[0]), true, nil
}

func (j *jira) create(ctx context.Context, d Draft) (Remote, error) {
	summary := []rune(strings.Join(strings.Fields(d.Title), " "))
	var made issue
	err := j.ask(ctx, http.MethodPost, "/issue", map[string]any{"fields": map[string]any{
		"project": map[string]string{"key": j.Project}, "issuetype": map[string]string{"name": j.IssueType},
		"summary": string(summary[:min(len(summary), jiraMaxSummary)]), "description": j.text(d.Text + "\n\n" + d.URL), "labels": []string{d.Ref},
	}}, &made)
	if err != nil {
		return Remote{}, err
	}
	if made.ID == "" || made.Key == "" {
		return Remote{}, errors.New("read the answer of POST /issue: it has no id")
	}
	return j.remote(made), nil
}

// text is a document for version 3, one paragraph a line, and plain for 2.
func (j *jira) text(text string) any {
	if j.Edition == DataCenter {
		return text
	}
	var paragraphs []any
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		p := map[string]any{"type": "paragraph"}
		if line != "" { // an empty text node is refused
			p["content"] = []any{adfText(line)}
		}
		paragraphs = append(paragraphs, p)
	}
	return map[string]any{"type": "doc", "version": 1, "content": paragraphs}
}

// adfText is a line; one that is an address is a link.
func adfText(line string) map[string]any {
	node := map[string]any{"type": "text", "text": line}
	if strings.HasPrefix(line, "https://") && !strings.ContainsAny(line, " \t") {
		node["marks"] = []any{map[string]any{"type": "link", "attrs": map[string]string{"href": line}}}
	}
	return node
}

func (j *jira) note(ctx context.Context, id string, d Draft) error {
	return j.ask(ctx, http.MethodPost, "/issue/"+url.PathEscape(id)+"/comment", map[string]any{"body": j.text(d.Text)}, nil)
}

func (j *jira) close(ctx context.Context, id string, d Draft) error {
	return j.move(ctx, id, d, true, j.Closes)
}

func (j *jira) reopen(ctx context.Context, id string, d Draft) error {
	return j.move(ctx, id, d, false, j.Reopens)
}

// move comments and takes the transition that leads there: workflows are the
// customer's own, so it is looked up by what was configured, or by the category
// of the state it leads to. None is a refusal that a person must read.
func (j *jira) move(ctx context.Context, id string, d Draft, done bool, name string) error {
	now, err := j.status(ctx, id)
	if err != nil || now.Done == done {
		return err
	}
	var answer struct {
		Transitions []transition `json:"transitions"`
	}
	path := "/issue/" + url.PathEscape(id) + "/transitions"
	if err := j.ask(ctx, http.MethodGet, path, nil, &answer); err != nil {
		return err
	}
	for _, t := range answer.Transitions {
		if !t.leads(done, name) {
			continue
		}
		if err := j.ask(ctx, http.MethodPost, path, map[string]any{"transition": map[string]string{"id": t.ID}}, nil); err != nil {
			return err
		}
		return j.note(ctx, id, d)
	}
	return &refusal{Status: http.StatusUnprocessableEntity, Text: "no transition of issue " + now.Key + " leads there; name one by closes: or reopens: in the configuration"}
}

type transition struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	To   struct {
		Name     string `json:"name"`
		Category struct {
			Key string `json:"key"`
		} `json:"statusCategory"`
	} `json:"to"`
}

func (t transition) leads(done bool, name string) bool {
	if name != "" {
		return strings.EqualFold(t.Name, name) || strings.EqualFold(t.To.Name, name)
	}
	return (t.To.Category.Key == jiraDone) == done
}

func (j *jira) status(ctx context.Context, id string) (Remote, error) {
	var i issue
	err := j.ask(ctx, http.MethodGet, "/issue/"+url.PathEscape(id)+"?fields=status", nil, &i)
	return j.remote(i), err
}

func (j *jira) hooked(body []byte) string {
	var m struct {
		Issue struct {
			ID string `json:"id"`
		} `json:"issue"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return ""
	}
	return m.Issue.ID
}
