// Package heraldtest gives tests a real mail server: it speaks SMTP
// with STARTTLS or TLS and authentication, keeps what it takes, and refuses,
// delays or hangs up when it is told to. It is only ever imported by tests.
package heraldtest

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http/httptest"
	"net/mail"
	"net/textproto"
	"strings"
	"sync"
	"testing"
)

// Message is one mail that was taken.
type Message struct {
	From string
	To   []string
	Raw  string
	TLS  bool
	User string // who logged in
}

// Header reads one header, decoded as it came.
func (m Message) Header(name string) string {
	parsed, err := mail.ReadMessage(strings.NewReader(m.Raw))
	if err != nil {
		return ""
	}
	return parsed.Header.Get(name)
}

// Text is what a person reads: the subject, and the text part.
func (m Message) Text() string {
	parsed, err := mail.ReadMessage(strings.NewReader(m.Raw))
	if err != nil {
		return err.Error()
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject"))
	if err != nil {
		return err.Error()
	}
	_, params, err := mime.ParseMediaType(parsed.Header.Get("Content-Type"))
	if err != nil {
		return err.Error()
	}
	parts := multipart.NewReader(parsed.Body, params["boundary"])
	for {
		part, err := parts.NextPart() // which decodes quoted-printable
		if err != nil {
			return subject + "\n(no text: " + err.Error() + ")"
		}
		if strings.HasPrefix(part.Header.Get("Content-Type"), "text/plain") {
			body, err := io.ReadAll(part)
			if err != nil {
				return err.Error()
			}
			return subject + "\n" + string(body)
		}
	}
}

// SMTP is a mail server.
type SMTP struct {
	Addr  string
	Roots *x509.CertPool // that sign its certificate

	listener net.Listener
	config   *tls.Config
	offer    Offer
	password string

	mu     sync.Mutex // guards all below
	say    func(command string) string
	taken  []Message
	conns  map[net.Conn]bool
	closed bool
	done   sync.WaitGroup
}

// Offer is how a server protects its lines.
type Offer string

// Offers.
const (
	Plain    Offer = "plain"
	StartTLS Offer = "starttls"
	Implicit Offer = "tls"
)

// Start runs a server on loopback until the test ends. A password asks for a
// login as "patchring".
func Start(t testing.TB, offer Offer, password string) *SMTP {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return Serve(t, listener, offer, password)
}

// Serve is Start on a listener of the caller's, which may be of another network.
func Serve(t testing.TB, listener net.Listener, offer Offer, password string) *SMTP {
	t.Helper()
	config, certificate := borrow()
	s := &SMTP{offer: offer, password: password, Roots: x509.NewCertPool(), conns: map[net.Conn]bool{}, listener: listener, config: config}
	s.Roots.AddCert(certificate)
	if offer == Implicit {
		s.listener = tls.NewListener(s.listener, s.config)
	}
	s.Addr = s.listener.Addr().String()
	s.done.Add(1)
	go s.accept()
	t.Cleanup(s.stop)
	return s
}

// borrow takes the certificate of 127.0.0.1 that every test server has.
func borrow() (*tls.Config, *x509.Certificate) {
	from := httptest.NewTLSServer(nil)
	defer from.Close()
	return &tls.Config{Certificates: from.TLS.Certificates, MinVersion: tls.VersionTLS12}, from.Certificate()
}

// Authority is who signs the server's certificate, in PEM: for a program that is
// told whom to trust by a file.
func Authority() []byte {
	_, certificate := borrow()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})
}

// Say makes the server answer some commands otherwise: an empty answer leaves
// the command to it, "hang up" ends the connection.
func (s *SMTP) Say(f func(command string) string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.say = f
}

// Taken are the mails it took.
func (s *SMTP) Taken() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message{}, s.taken...)
}

func (s *SMTP) stop() {
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.listener.Close()
	s.done.Wait()
}

func (s *SMTP) accept() {
	defer s.done.Done()
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.closed {
			c.Close()
		}
		s.conns[c] = true
		s.mu.Unlock()
		s.done.Add(1)
		go func() {
			defer s.done.Done()
			(&session{SMTP: s, conn: c, tls: s.offer == Implicit}).run()
			c.Close()
		}()
	}
}

type session struct {
	*SMTP
	conn net.Conn
	tp   *textproto.Conn
	tls  bool
	user string
	m    Message
}

func (s *session) run() {
	s.tp = textproto.NewConn(s.conn)
	s.reply("220 test ESMTP")
	for {
		line, err := s.tp.ReadLine()
		if err != nil {
			return
		}
		s.mu.Lock()
		say := s.say
		s.mu.Unlock()
		if say != nil {
			switch answer := say(line); answer {
			case "":
			case "hang up":
				return
			default:
				s.reply(answer)
				continue
			}
		}
		if !s.command(line) {
			return
		}
	}
}

// reply: who does not listen any more is found out by the next read.
func (s *session) reply(line string) {
	if err := s.tp.PrintfLine("%s", line); err != nil {
		s.conn.Close()
	}
}

func (s *session) command(line string) bool {
	verb, rest, _ := strings.Cut(line, " ")
	switch verb = strings.ToUpper(verb); verb {
	case "EHLO", "HELO":
		s.greet()
	case "STARTTLS":
		return s.startTLS()
	case "AUTH":
		s.login(rest)
	case "MAIL":
		if s.password != "" && s.user == "" {
			s.reply("530 5.7.0 authentication required")
			return true
		}
		s.m = Message{From: address(rest), TLS: s.tls, User: s.user}
		s.reply("250 ok")
	case "RCPT":
		s.m.To = append(s.m.To, address(rest))
		s.reply("250 ok")
	case "DATA":
		return s.data()
	case "RSET", "NOOP":
		s.reply("250 ok")
	case "QUIT":
		s.reply("221 bye")
		return false
	default:
		s.reply("502 what?")
	}
	return true
}

func (s *session) greet() {
	lines := []string{"test"}
	if s.offer == StartTLS && !s.tls {
		lines = append(lines, "STARTTLS")
	}
	if s.password != "" {
		lines = append(lines, "AUTH PLAIN")
	}
	for i, line := range append(lines, "8BITMIME") {
		sep := "-"
		if i == len(lines) {
			sep = " "
		}
		s.reply("250" + sep + line)
	}
}

func (s *session) startTLS() bool {
	s.reply("220 go on")
	secured := tls.Server(s.conn, s.config)
	if err := secured.Handshake(); err != nil {
		return false
	}
	s.mu.Lock()
	s.conns[secured] = true
	s.mu.Unlock()
	s.conn, s.tp, s.tls = secured, textproto.NewConn(secured), true
	return true
}

func (s *session) login(rest string) {
	_, given, _ := strings.Cut(rest, " ")
	raw, err := base64.StdEncoding.DecodeString(given)
	if err == nil && string(raw) == "\x00patchring\x00"+s.password {
		s.user = "patchring"
		s.reply("235 welcome")
		return
	}
	s.reply("535 5.7.8 authentication failed")
}

func (s *session) data() bool {
	s.reply("354 go on")
	raw, err := io.ReadAll(bufio.NewReader(s.tp.DotReader()))
	if err != nil {
		return false
	}
	s.m.Raw = string(raw)
	s.mu.Lock()
	s.taken = append(s.taken, s.m)
	say := s.say
	s.mu.Unlock()
	if say != nil && say("TAKEN") == "hang up" {
		return false // it was taken, and nobody hears so
	}
	s.reply(fmt.Sprintf("250 taken as %d", len(raw)))
	return true
}

func address(text string) string {
	_, after, _ := strings.Cut(text, "<")
	name, _, _ := strings.Cut(after, ">")
	return name
}
