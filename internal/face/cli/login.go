package cli

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"patchring/internal/core/fault"
)

type loginOptions struct {
	user, ca, fingerprint, token, life string
	passwordStdin                      bool
}

func (c *cli) login() *cobra.Command {
	var o loginOptions
	cmd := &cobra.Command{
		Use: "login https://SERVER:8443", Short: "Log in to a server",
		Long: `Log in to a server and keep its address, its CA and an API token in
~/.config/patchring/config.json, which only you can read.

A server with a certificate of its own site is trusted by the fingerprint of
that site's CA, which "patchring serve" prints: give it with --fingerprint, or
compare it when asked.
` + exitCodes,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), c, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.user, "user", "", "name of your account (default: asked)")
	flags.BoolVar(&o.passwordStdin, "password-stdin", false, "read the password from standard input")
	flags.StringVar(&o.ca, "ca", "", "file with the CA's certificate")
	flags.StringVar(&o.fingerprint, "fingerprint", "", "SHA-256 of the site's CA, in hexadecimal")
	flags.StringVar(&o.token, "token", "", "keep this API token in place of a password")
	flags.StringVar(&o.life, "life", "", "how long the login lasts, for example 12h (default: 90 days)")
	flags.BoolVar(&c.json, "json", false, "write JSON")
	return cmd
}

func (o loginOptions) run(ctx context.Context, c *cli, server string) error {
	conf := config{Server: strings.TrimRight(server, "/"), Token: o.token}
	var err error
	if conf.CA, err = o.trust(ctx, c, conf.Server); err != nil {
		return err
	}
	api, err := newClient(conf)
	if err != nil {
		return err
	}
	if conf.Token == "" {
		if conf.Token, err = o.exchange(ctx, c, api); err != nil {
			return err
		}
		api.token = conf.Token
	}
	var me struct {
		Name  string   `json:"name"`
		Roles []string `json:"roles"`
	}
	if err := api.get(ctx, "/me", nil, &me); err != nil {
		return err
	}
	conf.User = me.Name
	path, err := c.saveConfig(conf)
	if err != nil {
		return err
	}
	return c.emit(map[string]any{"server": conf.Server, "user": me.Name, "roles": me.Roles, "config": path}, func() error {
		return c.say(c.words().T("cli.logged_in", "name", me.Name, "server", conf.Server))
	})
}

// exchange gives a password for a token.
func (o loginOptions) exchange(ctx context.Context, c *cli, api *client) (string, error) {
	name, password, err := o.credentials(c)
	if err != nil {
		return "", err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "command line"
	}
	var token struct {
		Text string `json:"text"`
	}
	in := body{"name": name, "password": password, "token": host}.set("life", o.life)
	return token.Text, errors.Join(api.post(ctx, "/login", in, &token))
}

func (o loginOptions) credentials(c *cli) (name, password string, err error) {
	w := c.words()
	name = o.user
	if name == "" {
		c.tell(w.T("login.name") + ": ")
		if name, err = readLine(c.In); err != nil {
			return "", "", err
		}
	}
	if file, ok := c.In.(*os.File); ok && isTerminal(file) && !o.passwordStdin {
		c.tell(w.T("login.password") + ": ")
		secret, err := term.ReadPassword(int(file.Fd()))
		c.tell("\n")
		if err != nil {
			return "", "", fmt.Errorf("read the password: %w", err)
		}
		return name, string(secret), nil
	}
	text, err := io.ReadAll(io.LimitReader(c.In, 1<<10))
	if err != nil {
		return "", "", fmt.Errorf("read the password: %w", err)
	}
	return name, strings.TrimRight(string(text), "\r\n"), nil
}

// trust decides which CA to trust: none when the system trusts the server
// already, and else the site's own, once its fingerprint was compared.
func (o loginOptions) trust(ctx context.Context, c *cli, server string) (string, error) {
	if o.ca != "" {
		return readFile(o.ca)
	}
	chain, known, err := presented(ctx, server)
	if err != nil || known {
		return "", err
	}
	ca := chain[len(chain)-1]
	if !ca.IsCA {
		return "", fmt.Errorf("trust %s: its certificate is of no known CA, and it does not show its own; give it with --ca", server)
	}
	sum := sha256.Sum256(ca.Raw)
	print := hex.EncodeToString(sum[:])
	if o.fingerprint != "" {
		if !strings.EqualFold(strings.ReplaceAll(o.fingerprint, ":", ""), print) {
			return "", &refused{Status: http.StatusForbidden, Code: fault.Forbidden, Args: map[string]string{"role": "fingerprint " + print}}
		}
	} else if err := c.confirm(c.words().T("cli.trust", "server", server, "fingerprint", print)); err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw})), nil
}

// presented asks a server for its certificates, before anything is told to it.
func presented(ctx context.Context, server string) (chain []*x509.Certificate, known bool, err error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, false, usage{fmt.Errorf("server %q: write https://HOST:PORT", server)}
	}
	address := u.Host
	if u.Port() == "" {
		address += ":443"
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	// Nothing is verified here on purpose: the chain is only looked at.
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, false, fmt.Errorf("reach %s: %w", server, err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	secure, ok := conn.(*tls.Conn)
	if !ok {
		return nil, false, fmt.Errorf("reach %s: no TLS", server)
	}
	chain = secure.ConnectionState().PeerCertificates
	between := x509.NewCertPool()
	for _, cert := range chain[1:] {
		between.AddCert(cert)
	}
	_, unknown := chain[0].Verify(x509.VerifyOptions{DNSName: u.Hostname(), Intermediates: between})
	return chain, unknown == nil, nil
}
