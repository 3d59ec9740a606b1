package ticket

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/incident"
	"patchring/internal/core/procedure"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/store/storetest"
)

// desk is a clerk on a real database with a clock of its own.
type desk struct {
	t     *testing.T
	db    *store.DB
	now   time.Time
	clerk *Clerk
	fail  map[bool]bool
}

func newDesk(t *testing.T, url string, connectors ...Config) *desk {
	t.Helper()
	for name, value := range map[string]string{"USER_TOKEN": "user-secret", "APP_TOKEN": "app-secret", "JIRA_TOKEN": "jira-secret", "HOOK": "hook-secret"} {
		t.Setenv(name, value)
	}
	d := &desk{t: t, now: time.Date(2026, 1, 14, 9, 0, 0, 0, time.UTC), fail: map[bool]bool{}}
	if url == "" {
		url = t.TempDir() + "/site.db"
	}
	var err error
	d.db, err = store.Open(t.Context(), store.Options{URL: url, Clock: func() time.Time { return d.now }, Fault: func(stored bool) error {
		if d.fail[stored] {
			delete(d.fail, stored)
			return fmt.Errorf("the commit failed")
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.db.Close(); err != nil {
			t.Error(err)
		}
	})
	checked, err := Check(connectors)
	if err != nil {
		t.Fatal(err)
	}
	d.clerk, err = New(Options{
		DB: d.db, Clock: func() time.Time { return d.now }, Log: slog.New(slog.DiscardHandler), Connectors: checked,
		Say: func(lang string, i gen.Incident, act incident.Act, text string) (string, string) {
			return lang + ": " + i.Title, string(act) + i.What + "\n\n" + text
		},
		Link: func(id string) string { return "https://patchring/incidents/" + id },
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// opens keeps an incident and tells the tools, as the keeper does.
func (d *desk) opens(id string, severity procedure.Severity) gen.Incident {
	d.t.Helper()
	i := gen.Incident{Tenant: "main", ID: id, Severity: string(severity), Title: "payroll <does> not print", What: "since this morning", State: "open"}
	d.must(d.db.Write(d.t.Context(), func(tx *store.Tx) error {
		err := tx.AddIncident(d.t.Context(), gen.AddIncidentParams{Tenant: i.Tenant, ID: i.ID, Severity: i.Severity, Title: i.Title, What: i.What, OpenedUs: d.now.UnixMicro()})
		if err != nil {
			return err
		}
		return d.clerk.Tell(d.t.Context(), tx, i, "", "")
	}))
	return i
}

func (d *desk) tells(i gen.Incident, act incident.Act, text string) {
	d.t.Helper()
	d.must(d.db.Write(d.t.Context(), func(tx *store.Tx) error {
		was, err := tx.Incident(d.t.Context(), i.Tenant, i.ID)
		if err != nil {
			return err
		}
		if _, err := tx.SetIncident(d.t.Context(), gen.SetIncidentParams{Tenant: i.Tenant, ID: i.ID, Was: was.State, State: i.State, Severity: i.Severity}); err != nil {
			return err
		}
		return d.clerk.Tell(d.t.Context(), tx, i, act, text)
	}))
}

// works goes on until so long later, in steps of a minute.
func (d *desk) works(for_ time.Duration) {
	d.t.Helper()
	for end := d.now.Add(for_); d.now.Before(end); d.now = d.now.Add(time.Minute) {
		for busy := true; busy; {
			var err error
			busy, err = d.clerk.Step(d.t.Context())
			d.must(err)
		}
	}
}

func (d *desk) ticket(incident string) gen.Ticket {
	d.t.Helper()
	rows, err := d.db.Read().TicketsOfIncident(d.t.Context(), "main", incident)
	d.must(err)
	if len(rows) != 1 {
		d.t.Fatalf("%d tickets, want one", len(rows))
	}
	return rows[0]
}

func (d *desk) waiting() []gen.TicketOutbox {
	d.t.Helper()
	rows, err := d.db.Read().TicketOutboxDue(d.t.Context(), never-1, 100)
	d.must(err)
	return rows
}

func glpiConfig(g *fakeGLPI) Config {
	return Config{Name: "glpi", Kind: GLPI, URL: g.URL + "/apirest.php/", UserToken: "env:USER_TOKEN", AppToken: "env:APP_TOKEN", Hook: "env:HOOK"}
}

func jiraConfig(j *fakeJira) Config {
	c := Config{Name: "jira", Kind: Jira, URL: j.URL, Token: "env:JIRA_TOKEN", Project: "OPS", Edition: j.edition, Hook: "env:HOOK", Language: "en"}
	if j.edition == Cloud {
		c.User = "ops@example.org"
	}
	return c
}

func TestATicketsLifeInGLPI(t *testing.T) {
	for name, url := range map[string]func() string{"sqlite": func() string { return "" }, "postgres": func() string { return storetest.PostgresURL(t) }} {
		t.Run(name, func(t *testing.T) {
			g := newGLPI(t)
			d := newDesk(t, url(), glpiConfig(g))
			i := d.opens("i1", procedure.Critical)
			d.tells(i, incident.Note, "two more <branches>")
			d.works(time.Minute)
			if len(g.tickets) != 1 {
				t.Fatalf("%d tickets in GLPI", len(g.tickets))
			}
			got, ours := g.tickets[0], d.ticket("i1")
			if !strings.HasPrefix(got.name, "fr: payroll <does> not print [patchring-"+ours.ID) || got.urgency != 5 || !strings.Contains(got.content, "https://patchring/incidents/i1") {
				t.Errorf("GLPI has %+v", got)
			}
			if len(got.followups) != 1 || !strings.Contains(got.followups[0], "two more &lt;branches&gt;") {
				t.Errorf("followups %q", got.followups)
			}
			if ours.ExternalID != "1" || ours.Url != g.URL+"/front/ticket.form.php?id=1" || ours.Done != 0 {
				t.Errorf("kept as %+v", ours)
			}
			i.State = string(incident.Closed)
			d.tells(i, incident.Close, "driver put back")
			d.works(3 * time.Minute)
			if got.status != 5 || len(got.solutions) != 1 {
				t.Errorf("closed: %+v", got)
			}
			if ours := d.ticket("i1"); ours.Status != "solved" || ours.Done != 1 {
				t.Errorf("its status here is %q", ours.Status)
			}
			i.State = string(incident.Open)
			d.tells(i, incident.Reopen, "it is back")
			d.works(3 * time.Minute)
			if got.status != 2 || len(got.followups) != 2 || d.ticket("i1").Done != 0 {
				t.Errorf("opened again: %+v", got)
			}
			if len(g.sessions) != 0 {
				t.Errorf("%d sessions are left open", len(g.sessions))
			}
		})
	}
}

func TestATicketsLifeInJira(t *testing.T) {
	for _, edition := range []Edition{Cloud, DataCenter} {
		t.Run(string(edition), func(t *testing.T) {
			j := newJira(t, edition)
			d := newDesk(t, "", jiraConfig(j))
			i := d.opens("i1", procedure.Minor)
			d.tells(i, incident.Join, "and fin-3")
			d.works(time.Minute)
			if len(j.issues) != 1 || j.issues[0].summary != "en: payroll <does> not print" || !strings.Contains(j.issues[0].text, "https://patchring/incidents/i1") {
				t.Fatalf("Jira has %+v", j.issues)
			}
			if got := d.ticket("i1"); got.ExternalKey != "OPS-1" || got.ExternalID != "10001" || got.Url != j.URL+"/browse/OPS-1" || len(j.issues[0].comments) != 1 {
				t.Errorf("kept as %+v with comments %q", got, j.issues[0].comments)
			}
			i.State = string(incident.Closed)
			d.tells(i, incident.Close, "driver put back")
			d.works(3 * time.Minute)
			if got := d.ticket("i1"); !j.issues[0].done || got.Status != "Terminé" || got.Done != 1 || len(j.issues[0].comments) != 2 {
				t.Errorf("closed: %+v, %+v", j.issues[0], got)
			}
			asked := len(j.asked)
			d.works(2 * time.Hour)
			if len(j.asked) != asked {
				t.Errorf("asked %d times for what is over on both sides", len(j.asked)-asked)
			}
			d.tells(i, incident.Reopen, "it is back")
			d.works(3 * time.Minute)
			if j.issues[0].done {
				t.Error("not opened again")
			}
		})
	}
}

// A crash, or a lost answer, between the tool's commit and ours must not make a
// second ticket: it is found by our reference.
func TestALostAnswerMakesNoSecondTicket(t *testing.T) {
	g := newGLPI(t)
	d := newDesk(t, "", glpiConfig(g))
	d.opens("i1", procedure.Major)
	// initSession, search, killSession, initSession are well; POST /Ticket is lost.
	g.trouble(trouble{}, trouble{}, trouble{}, trouble{}, trouble{status: 502, after: true})
	d.works(10 * time.Minute)
	if len(g.tickets) != 1 || d.ticket("i1").ExternalID != "1" || g.count("POST /Ticket") != 1 {
		t.Errorf("%d tickets after %d posts, kept %+v", len(g.tickets), g.count("POST /Ticket"), d.ticket("i1"))
	}
	j := newJira(t, Cloud)
	d = newDesk(t, "", jiraConfig(j))
	d.opens("i2", procedure.Major)
	// The server dies after the tool has made it, and before it is written down.
	row := d.waiting()[0]
	claimed, err := d.clerk.claim(t.Context(), row)
	d.must(err)
	ours := d.ticket("i2")
	i, err := d.db.Read().Incident(t.Context(), "main", "i2")
	d.must(err)
	if _, err := d.clerk.act(t.Context(), d.clerk.tools["jira"], ours, i, row); err != nil || !claimed {
		t.Fatalf("claimed %t, %v", claimed, err)
	}
	d.works(10 * time.Minute)
	if len(j.issues) != 1 || d.ticket("i2").ExternalKey != "OPS-1" {
		t.Errorf("%d issues, kept %+v", len(j.issues), d.ticket("i2"))
	}
}

func TestASessionThatEndedIsOpenedAgain(t *testing.T) {
	g := newGLPI(t)
	d := newDesk(t, "", glpiConfig(g))
	d.opens("i1", procedure.Major)
	d.works(time.Minute)
	tool := d.clerk.tools["glpi"].connector.(*glpi)
	first := true
	d.must(tool.session(t.Context(), func(h http.Header) error {
		if first {
			first = false
			g.expire()
		}
		return tool.do(t.Context(), call{method: http.MethodGet, path: "/getMyProfiles", header: h})
	}))
	if first || len(g.sessions) != 0 {
		t.Errorf("%d sessions left", len(g.sessions))
	}
}

func TestAToolIsAskedAgainAsItSays(t *testing.T) {
	j := newJira(t, Cloud)
	d := newDesk(t, "", jiraConfig(j))
	d.opens("i1", procedure.Major)
	j.trouble(trouble{status: 429, header: http.Header{"Retry-After": {"1800"}}}, trouble{status: 503})
	d.works(29 * time.Minute)
	if n := len(j.asked); n != 1 {
		t.Errorf("asked %d times within the half hour that it wanted", n)
	}
	if w := d.waiting(); len(w) != 1 || w[0].Error == "" || w[0].DeadUs != 0 {
		t.Errorf("waiting %+v", w)
	}
	d.works(10 * time.Minute)
	if len(j.issues) != 1 || len(d.waiting()) != 0 {
		t.Errorf("%d issues, waiting %+v", len(j.issues), d.waiting())
	}
}

func TestWhatIsRefusedIsGivenUpAndTriedByHand(t *testing.T) {
	j := newJira(t, Cloud)
	d := newDesk(t, "", jiraConfig(j))
	i := d.opens("i1", procedure.Major)
	d.tells(i, incident.Note, "and fin-3")
	j.trouble(trouble{}, trouble{status: 400})
	d.works(3 * time.Hour)
	if n := j.count("POST /rest/api/3/issue"); n != 1 {
		t.Errorf("posted %d times what is refused", n)
	}
	rows := d.waiting()
	if len(rows) != 0 {
		t.Errorf("what comes after it goes first: %+v", rows)
	}
	d.must(d.clerk.Retry(t.Context(), "main", d.ticket("i1").ID))
	d.works(time.Minute)
	if len(j.issues) != 1 || len(j.issues[0].comments) != 1 {
		t.Errorf("tried by hand: %+v", j.issues)
	}
	if err := d.clerk.Retry(t.Context(), "main", d.ticket("i1").ID); fault.CodeOf(err) != fault.NothingToDo {
		t.Errorf("nothing waits: %v", err)
	}
	if err := d.clerk.Retry(t.Context(), "other", d.ticket("i1").ID); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("another tenant's ticket: %v", err)
	}
}

// A wrong token is tried for most of a day, because somebody may put it right,
// and then given up.
func TestAWrongTokenIsGivenUpAfterADay(t *testing.T) {
	g := newGLPI(t)
	d := newDesk(t, "", glpiConfig(g))
	t.Setenv("USER_TOKEN", "wrong")
	d.opens("i1", procedure.Major)
	d.works(12 * time.Hour)
	if w := d.waiting(); len(w) != 1 || !strings.Contains(w[0].Error, "ERROR_GLPI_LOGIN_USER_TOKEN") || strings.Contains(w[0].Error, "wrong") {
		t.Fatalf("waiting %+v", w)
	}
	d.works(14 * time.Hour)
	asked := g.count("GET /initSession")
	if len(d.waiting()) != 0 || asked != maxTries {
		t.Errorf("asked %d times, waiting %+v", asked, d.waiting())
	}
}

func TestOnlyWhatIsGraveEnoughMakesATicket(t *testing.T) {
	j := newJira(t, Cloud)
	c := jiraConfig(j)
	c.From = procedure.Major
	d := newDesk(t, "", c)
	i := d.opens("i1", procedure.Minor)
	d.works(time.Minute)
	if len(j.issues) != 0 {
		t.Fatal("a minor incident made a ticket")
	}
	i.Severity = string(procedure.Critical)
	d.tells(i, incident.Note, "worse")
	d.tells(i, incident.Note, "worse still")
	d.works(time.Minute)
	if len(j.issues) != 1 || len(j.issues[0].comments) != 1 {
		t.Errorf("Jira has %+v", j.issues)
	}
}

func TestASignedMessageMakesTheStatusBeAskedNow(t *testing.T) {
	j := newJira(t, Cloud)
	d := newDesk(t, "", jiraConfig(j))
	d.opens("i1", procedure.Major)
	d.works(5 * time.Minute)
	j.mu.Lock()
	j.issues[0].done = true
	j.mu.Unlock()
	body := []byte(`{"webhookEvent":"jira:issue_updated","issue":{"id":"10001","key":"OPS-1"}}`)
	for name, c := range map[string]struct{ connector, signature string }{
		"unsigned": {"jira", ""}, "another secret": {"jira", "sha256=" + sign("guess", body)}, "no such tool": {"glpi", "sha256=" + sign("hook-secret", body)},
	} {
		if err := d.clerk.Hook(t.Context(), c.connector, c.signature, body); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	d.works(2 * time.Minute)
	if d.ticket("i1").Done != 0 {
		t.Fatal("the status is known although nothing was asked")
	}
	d.must(d.clerk.Hook(t.Context(), "jira", "sha256="+sign("hook-secret", body), body))
	d.works(time.Minute)
	if got := d.ticket("i1"); got.Done != 1 || got.Status != "Terminé" {
		t.Errorf("after the message: %+v", got)
	}
}

func TestAWebhookIsFilledInAndSigned(t *testing.T) {
	var bodies, keys []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if got := r.Header.Get(SignatureHeader); got != "sha256="+sign("hook-secret", body) {
			t.Errorf("signed %q", got)
		}
		if r.Header.Get("X-Api-Key") != "app-secret" {
			t.Error("the header with the secret is missing")
		}
		bodies, keys = append(bodies, string(body)), append(keys, r.Header.Get("Idempotency-Key"))
		answer(w, 200, map[string]any{"result": map[string]any{"number": 4711, "link": "https://desk/4711"}})
	}))
	t.Cleanup(server.Close)
	d := newDesk(t, "", Config{
		Name: "desk", Kind: Webhook, URL: server.URL, Secret: "env:HOOK", Headers: map[string]Secret{"X-Api-Key": "env:APP_TOKEN"},
		Body: `{"kind": {{json .Act}}, "short": {{json .Title}}, "see": {{json .URL}}}`, IDAt: "result.number", URLAt: "result.link",
	})
	i := d.opens("i1", procedure.Major)
	d.tells(i, incident.Note, `"quoted"`)
	d.works(time.Minute)
	if len(bodies) != 2 || bodies[0] != `{"kind": "create", "short": "fr: payroll \u003cdoes\u003e not print", "see": "https://patchring/incidents/i1"}` {
		t.Fatalf("posted %q", bodies)
	}
	var parsed map[string]string
	if err := json.Unmarshal([]byte(bodies[1]), &parsed); err != nil || parsed["kind"] != "note" || keys[0] == keys[1] {
		t.Errorf("posted %q with keys %q", bodies[1], keys)
	}
	if got := d.ticket("i1"); got.ExternalID != "4711" || got.Url != "https://desk/4711" || got.CheckUs != never {
		t.Errorf("kept as %+v", got)
	}
}

func TestATestSpeaksToTheToolsOfTheTenant(t *testing.T) {
	g, j := newGLPI(t), newJira(t, DataCenter)
	theirs := jiraConfig(j)
	theirs.Name, theirs.Tenant = "theirs", "other"
	d := newDesk(t, "", glpiConfig(g), jiraConfig(j), theirs)
	t.Setenv("JIRA_TOKEN", "wrong")
	got, err := d.clerk.Test(t.Context(), "main", "")
	d.must(err)
	if len(got) != 2 || !got[0].OK || got[1].OK || !strings.Contains(got[1].Error, "401") {
		t.Errorf("got %+v", got)
	}
	if _, err := d.clerk.Test(t.Context(), "main", "theirs"); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("another tenant's tool: %v", err)
	}
	if len(g.tickets) != 0 {
		t.Error("a test made a ticket")
	}
}

func TestConfigurationsAreRefusedByField(t *testing.T) {
	good := Config{Name: "glpi", Kind: GLPI, URL: "https://glpi/apirest.php", UserToken: "file:/run/secrets/glpi"}
	for want, change := range map[string]func(*Config){
		"name: ":                  func(c *Config) { c.Name = "GLPI 1" },
		"kind: ":                  func(c *Config) { c.Kind = "itop" },
		"url: ":                   func(c *Config) { c.URL = "glpi/apirest.php" },
		"url: has a password":     func(c *Config) { c.URL = "https://a:b@glpi/" },
		"from: ":                  func(c *Config) { c.From = "bad" },
		"language: ":              func(c *Config) { c.Language = "de" },
		"poll: ":                  func(c *Config) { c.Poll = time.Second },
		"user_token: is not a r":  func(c *Config) { c.UserToken = "q56hqkniwot8wntb3z1qarka5atf365taaa2uyjrn" },
		"user_token: is missing":  func(c *Config) { c.UserToken = "" },
		"project: ":               func(c *Config) { c.Kind, c.Token = Jira, "env:T" },
		"user: is missing":        func(c *Config) { c.Kind, c.Token, c.Project = Jira, "env:T", "OPS" },
		"body: ":                  func(c *Config) { c.Kind, c.Body = Webhook, "{{.Title" },
		"headers.X: is not a ref": func(c *Config) { c.Headers = map[string]Secret{"X": "Bearer abc"} },
	} {
		c := good
		change(&c)
		if _, err := Check([]Config{c}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	if _, err := Check([]Config{good, good}); err == nil || !strings.Contains(err.Error(), "given twice") {
		t.Errorf("the same name twice: %v", err)
	}
}

// Before the commit nothing is told; after it, it is told once.
func TestAFailedCommitTellsNothingTwice(t *testing.T) {
	for _, stored := range []bool{false, true} {
		j := newJira(t, Cloud)
		d := newDesk(t, "", jiraConfig(j))
		d.fail[stored] = true
		err := d.db.Write(t.Context(), func(tx *store.Tx) error {
			i := gen.Incident{Tenant: "main", ID: "i1", Severity: "major", Title: "x", State: "open"}
			if err := tx.AddIncident(context.Background(), gen.AddIncidentParams{Tenant: "main", ID: "i1", Severity: "major", Title: "x", OpenedUs: 1}); err != nil {
				return err
			}
			return d.clerk.Tell(context.Background(), tx, i, "", "")
		})
		if err == nil {
			t.Fatal("the commit failed, and nobody was told")
		}
		d.works(5 * time.Minute)
		if want := map[bool]int{false: 0, true: 1}[stored]; len(j.issues) != want {
			t.Errorf("stored %t: %d issues, want %d", stored, len(j.issues), want)
		}
	}
}

func TestATicketIsInTheRegister(t *testing.T) {
	g := newGLPI(t)
	d := newDesk(t, "", glpiConfig(g))
	d.opens("i1", procedure.Major)
	d.works(time.Minute)
	found := 0
	for row, err := range d.db.RegisterEntries(t.Context(), "main") {
		d.must(err)
		if row.Columns.Kind == register.TicketOpened && strings.Contains(string(row.Raw), g.URL) {
			found++
		}
	}
	if found != 1 {
		t.Errorf("%d entries, want one", found)
	}
}
