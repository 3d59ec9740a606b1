package alert

import (
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"patchring/internal/core/manifest"
)

// Way is how an output tells.
type Way string

// Ways.
const (
	Mail       Way = "mail"
	Webhook    Way = "webhook"
	Slack      Way = "slack"
	Teams      Way = "teams"
	Mattermost Way = "mattermost"
	Ntfy       Way = "ntfy"
)

// Ways lists them.
func Ways() []Way { return []Way{Mail, Webhook, Slack, Teams, Mattermost, Ntfy} }

// TLS is how mail is protected on its way.
type TLS string

// Protections. StartTLS is never left out silently: a server without it is
// refused.
const (
	StartTLS TLS = "starttls"
	Implicit TLS = "tls"
	NoTLS    TLS = "none"
)

// Secret names where the server finds a secret: file:NAME or env:NAME. It is
// never the secret itself.
type Secret string

// Output is where alerts go.
type Output struct {
	Name   string
	Way    Way
	URL    string // of webhook and ntfy
	Hook   Secret // of slack, teams, mattermost: the address is the secret
	Secret Secret // that signs a webhook, or the token of ntfy
	Server string // of mail, HOST:PORT
	TLS    TLS
	User   string
	Pass   Secret
	From   string
	To     []string
}

// Where says where it goes, for people, without any secret.
func (o Output) Where() string {
	switch o.Way {
	case Mail:
		return strings.Join(o.To, ", ")
	case Webhook, Ntfy:
		if u, err := url.Parse(o.URL); err == nil {
			return u.Host
		}
	}
	return string(o.Hook)
}

const maxRecipients = 50

func readOutput(o manifest.Object) Output {
	out := Output{Name: o.Identifier("name")}
	var given []string
	for _, way := range Ways() {
		if o.Written(string(way)) {
			given, out.Way = append(given, string(way)), way
		}
	}
	switch {
	case len(given) == 0:
		o.Reader.Refuse(o.At, "says not how it tells", "write one of mail, webhook, slack, teams, mattermost, ntfy")
		return out
	case len(given) > 1:
		o.Reader.Refuse(o.At, "tells in two ways: "+strings.Join(given, ", "), "make an output of each")
		return out
	case !o.Has(string(out.Way)):
		return out
	}
	at := o.Field(string(out.Way))
	switch out.Way {
	case Mail:
		out.mail(o.Reader.Object(at, "server", "tls", "username", "password", "from", "to"))
	case Webhook:
		in := o.Reader.Object(at, "url", "secret")
		in.Need("secret", "name where its secret is, for example secret: file:webhook")
		out.URL, out.Secret = address(in), secret(in, "secret")
	case Ntfy:
		in := o.Reader.Object(at, "url", "token")
		out.URL, out.Secret = address(in), secret(in, "token")
	default:
		in := o.Reader.Object(at, "url")
		in.Need("url", "name where its address is: whoever has it may write there, so it is a secret, for example url: file:"+string(out.Way))
		out.Hook = secret(in, "url")
	}
	return out
}

func (out *Output) mail(o manifest.Object) {
	o.Need("server", `name it with its port, for example server: "smtp.example.org:587"`)
	o.Need("from", "write who sends, for example from: patchring@example.org")
	o.Need("to", "list who is written to")
	out.Server, out.User, out.Pass = o.Text("server"), o.Text("username"), secret(o, "password")
	out.TLS = manifest.Choice(o, "tls", StartTLS, []TLS{StartTLS, Implicit, NoTLS})
	if host, port, err := net.SplitHostPort(out.Server); out.Server != "" && (err != nil || host == "" || !isPort(port)) {
		o.Reader.Refuse(o.Field("server"), fmt.Sprintf("%q is not HOST:PORT", out.Server), `write it as "smtp.example.org:587"`)
	}
	if out.From = o.Text("from"); out.From != "" && !isAddress(out.From) {
		o.Reader.Refuse(o.Field("from"), fmt.Sprintf("%q is not a mail address", out.From), "write NAME@DOMAIN")
	}
	o.List("to", func(at manifest.Place) {
		to := o.Reader.Text(at)
		if to != "" && !isAddress(to) {
			o.Reader.Refuse(at, fmt.Sprintf("%q is not a mail address", to), "write NAME@DOMAIN")
		}
		out.To = append(out.To, to)
	})
	if o.Has("to") && (len(out.To) == 0 || len(out.To) > maxRecipients) {
		o.Reader.Refuse(o.Field("to"), fmt.Sprintf("has %d addresses", len(out.To)), fmt.Sprintf("write 1 to %d", maxRecipients))
	}
	switch {
	case out.TLS == NoTLS && out.Pass != "":
		o.Reader.Refuse(o.Or("tls"), "would send the password in clear", "write tls: starttls, or take username and password out")
	case (out.User == "") != (out.Pass == "") && o.Written("username") != o.Written("password"):
		o.Reader.Refuse(o.Or("username"), "goes with a password", "write username and password, or neither")
	}
}

func isPort(text string) bool {
	n, err := strconv.Atoi(text)
	return err == nil && n > 0 && n < 1<<16
}

func isAddress(text string) bool {
	a, err := mail.ParseAddress(text)
	return err == nil && a.Name == "" && a.Address == text
}

// address reads where a webhook goes.
func address(o manifest.Object) string {
	o.Need("url", "write its address, for example url: https://hooks.example.org/patchring")
	text := o.Text("url")
	u, err := url.Parse(text)
	switch {
	case text == "":
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		o.Reader.Refuse(o.Field("url"), "is not an http or https address", "write https://HOST/PATH")
	case u.User != nil:
		o.Reader.Refuse(o.Field("url"), "has a password in it", "take it out: this text is kept and shown")
	}
	return text
}

var reference = regexp.MustCompile(`^(file:[A-Za-z0-9][A-Za-z0-9._-]{0,99}|env:PATCHRING_SECRET_[A-Z0-9_]{1,80})$`)

// secret reads where a secret is, and never repeats what was written: it may be
// the secret.
func secret(o manifest.Object, name string) Secret {
	text := o.Text(name)
	if text == "" {
		return ""
	}
	if !reference.MatchString(text) {
		o.Reader.Refuse(o.Field(name), "does not name where the secret is",
			"write file:NAME, a file in the server's directory of secrets, or env:PATCHRING_SECRET_NAME; the secret itself is never written here")
		return ""
	}
	return Secret(text)
}
