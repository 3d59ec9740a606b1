package ticket

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/procedure"
)

// Kind is what tool a connector speaks to.
type Kind string

// Kinds.
const (
	GLPI    Kind = "glpi"
	Jira    Kind = "jira"
	Webhook Kind = "webhook"
)

// Kinds lists them.
func Kinds() []Kind { return []Kind{GLPI, Jira, Webhook} }

// Secret is a reference to one: file:/path or env:NAME. A secret that stands in
// the configuration itself is refused: configurations are copied and shown.
type Secret string

// Config is one connector of one tenant. It stands in the server's
// configuration: who runs the server says which addresses it speaks to.
type Config struct {
	Name     string             `yaml:"name"`     // once in a tenant: glpi
	Tenant   fleet.TenantID     `yaml:"tenant"`   // default: the first
	Kind     Kind               `yaml:"kind"`     // glpi, jira, webhook
	URL      string             `yaml:"url"`      // of GLPI: https://glpi.example/apirest.php
	From     procedure.Severity `yaml:"from"`     // incidents of this severity or worse; default: minor
	Language string             `yaml:"language"` // of what is written there: fr (default), en
	CA       string             `yaml:"ca"`       // PEM file, beside the system's authorities
	Poll     time.Duration      `yaml:"poll"`     // how often its status is asked; default 15m
	// Hook is the secret by which the tool signs what it sends to
	// /hooks/tickets/NAME; empty: nothing is taken.
	Hook Secret `yaml:"hook"`

	UserToken Secret `yaml:"user_token"` // GLPI: the technical account's
	AppToken  Secret `yaml:"app_token"`  // GLPI: the API client's; empty when it asks for none
	Entity    int64  `yaml:"entity"`     // GLPI: id of the entity
	Category  int64  `yaml:"category"`   // GLPI: id of the ITIL category

	Edition   Edition `yaml:"edition"`    // Jira: cloud (default) or datacenter
	User      string  `yaml:"user"`       // Jira Cloud: the account's address
	Token     Secret  `yaml:"token"`      // Jira: its API token, or a personal access token
	Project   string  `yaml:"project"`    // Jira: its key
	IssueType string  `yaml:"issue_type"` // Jira: default Task
	Closes    string  `yaml:"closes"`     // Jira: name of the transition or state that closes; default: any of category done
	Reopens   string  `yaml:"reopens"`    // Jira: the same, that opens again; default: any that is not done

	Secret  Secret            `yaml:"secret"`  // webhook: signs bodies
	Body    string            `yaml:"body"`    // webhook: a template; default: all fields as JSON
	Headers map[string]Secret `yaml:"headers"` // webhook: headers with secrets, such as Authorization
	IDAt    string            `yaml:"id_at"`   // webhook: where the answer has the ticket's id: result.id
	KeyAt   string            `yaml:"key_at"`
	URLAt   string            `yaml:"url_at"`
}

// Edition of Jira: they differ in their API's version.
type Edition string

// Editions.
const (
	Cloud      Edition = "cloud"
	DataCenter Edition = "datacenter"
)

const (
	defaultPoll = 15 * time.Minute
	minPoll     = time.Minute
)

var (
	nameWord   = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	projectKey = regexp.MustCompile(`^[A-Z][A-Z0-9_]{1,49}$`)
)

// Check fills in what was left out, and refuses what cannot work, naming the
// field and the fix.
func Check(list []Config) ([]Config, error) {
	out := slices.Clone(list)
	seen := map[string]bool{}
	for i := range out {
		if err := out[i].complete(); err != nil {
			return nil, fmt.Errorf("tickets[%d] %s: %w", i, out[i].Name, err)
		}
		if seen[out[i].Name] {
			return nil, fmt.Errorf("tickets[%d] %s: name: is given twice; give each connector its own: its address for webhooks has it", i, out[i].Name)
		}
		seen[out[i].Name] = true
	}
	return out, nil
}

func (c *Config) complete() error {
	c.Tenant = cmp.Or(c.Tenant, fleet.DefaultTenant)
	c.From = cmp.Or(c.From, procedure.Minor)
	c.Language = cmp.Or(c.Language, "fr")
	c.Poll = cmp.Or(c.Poll, defaultPoll)
	c.IssueType = cmp.Or(c.IssueType, "Task")
	c.Edition = cmp.Or(c.Edition, Cloud)
	c.URL = strings.TrimRight(c.URL, "/")
	address, err := url.Parse(c.URL)
	switch {
	case !nameWord.MatchString(c.Name):
		return fmt.Errorf("name: %q is not a name; write lower-case letters, digits and dashes", c.Name)
	case !slices.Contains(Kinds(), c.Kind):
		return fmt.Errorf("kind: %q is not known; write glpi, jira or webhook", c.Kind)
	case err != nil || address.Host == "" || address.Scheme != "https" && address.Scheme != "http":
		return fmt.Errorf("url: %q is not an address; write https://glpi.example/apirest.php", c.URL)
	case address.User != nil:
		return fmt.Errorf("url: has a password in it; write it as a file:/path or env:NAME reference in its own field")
	case !slices.Contains(procedure.Severities(), c.From):
		return fmt.Errorf("from: %q is no severity; write minor, major or critical", c.From)
	case c.Language != "fr" && c.Language != "en":
		return fmt.Errorf("language: %q is not known; write fr or en", c.Language)
	case c.Poll < minPoll:
		return fmt.Errorf("poll: %s is too often; write %s or more", c.Poll, minPoll)
	}
	for field, s := range c.secrets() {
		if s != "" && !strings.HasPrefix(string(s), "file:") && !strings.HasPrefix(string(s), "env:") {
			return fmt.Errorf("%s: is not a reference; write file:/path or env:NAME, never the secret itself", field)
		}
	}
	return c.ofKind()
}

func (c *Config) secrets() map[string]Secret {
	out := map[string]Secret{"hook": c.Hook, "user_token": c.UserToken, "app_token": c.AppToken, "token": c.Token, "secret": c.Secret}
	for name, s := range c.Headers {
		out["headers."+name] = s
	}
	return out
}

func (c *Config) ofKind() error {
	switch {
	case c.Kind == GLPI && c.UserToken == "":
		return fmt.Errorf("user_token: is missing; write file:/path of the technical account's token")
	case c.Kind == Jira && c.Token == "":
		return fmt.Errorf("token: is missing; write file:/path of the API token")
	case c.Kind == Jira && !projectKey.MatchString(c.Project):
		return fmt.Errorf("project: %q is not a project's key; write it as OPS", c.Project)
	case c.Kind == Jira && c.Edition != Cloud && c.Edition != DataCenter:
		return fmt.Errorf("edition: %q is not known; write cloud or datacenter", c.Edition)
	case c.Kind == Jira && c.Edition == Cloud && c.User == "":
		return fmt.Errorf("user: is missing; write the address of the account that the token is of")
	case c.Kind == Webhook && c.Body != "":
		if _, err := bodyTemplate(c.Body); err != nil {
			return fmt.Errorf("body: %w", err)
		}
	}
	return nil
}

func bodyTemplate(text string) (*template.Template, error) {
	return template.New("body").Funcs(template.FuncMap{"json": jsonText}).Option("missingkey=error").Parse(text)
}

// Read gives the secret; an empty reference is none.
func (s Secret) Read() (string, error) {
	kind, at, _ := strings.Cut(string(s), ":")
	switch kind {
	case "":
		return "", nil
	case "env":
		if text := os.Getenv(at); text != "" {
			return text, nil
		}
		return "", fmt.Errorf("read secret: %s is not set in the server's environment", at)
	case "file":
		text, err := os.ReadFile(at)
		if err != nil {
			return "", fmt.Errorf("read secret: %w", err)
		}
		return strings.TrimSpace(string(text)), nil
	}
	return "", fmt.Errorf("read secret: write file:/path or env:NAME")
}
