//go:build e2e

package e2e_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"patchring/internal/service/herald/heraldtest"
	"patchring/lab/demo"
)

const mailPassword = "a-password-for-mails-1"

// trustMail tells the server, before it starts, whom to believe about the mail
// server's certificate, and the secret that alert documents name.
func trustMail(t *testing.T) {
	t.Helper()
	roots := filepath.Join(t.TempDir(), "roots.pem")
	must(t, os.WriteFile(roots, heraldtest.Authority(), 0o600))
	t.Setenv("SSL_CERT_FILE", roots)
	t.Setenv("PATCHRING_SECRET_SMTP", mailPassword)
}

// mail is a mail server where the server reaches it: STARTTLS and a login, as a
// company's relay wants them.
func (s *site) mail() *heraldtest.SMTP {
	s.t.Helper()
	netns, err := s.fleet.ServerNetNS()
	must(s.t, err)
	listener, err := listenIn(netns, "127.0.0.1:0")
	must(s.t, err)
	return heraldtest.Serve(s.t, listener, heraldtest.StartTLS, mailPassword)
}

// listenIn listens in another network namespace. The thread that went there ends
// with its goroutine: no other ever runs on it.
func listenIn(netns, address string) (l net.Listener, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked
		var f *os.File
		if f, err = os.Open(netns); err != nil {
			return
		}
		defer f.Close()
		if err = unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
			err = fmt.Errorf("enter %s: %w", netns, err)
			return
		}
		l, err = net.Listen("tcp", address)
	}()
	<-done
	return l, err
}

// awaitMail waits for a mail to an address in which all of these words stand.
func (s *site) awaitMail(smtp *heraldtest.SMTP, to string, limit time.Duration, words ...string) heraldtest.Message {
	s.t.Helper()
	var found heraldtest.Message
	says := func(m heraldtest.Message) bool {
		text := m.Text()
		return slices.Contains(m.To, to) && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
	}
	err := demo.Poll(s.t.Context(), limit, "the mail comes", func() (bool, error) {
		taken := smtp.Taken()
		i := slices.IndexFunc(taken, says)
		if i >= 0 {
			found = taken[i]
		}
		return i >= 0, nil
	})
	if err != nil {
		for _, m := range smtp.Taken() {
			s.t.Logf("to %v: %s", m.To, m.Text())
		}
		s.t.Fatalf("no mail to %s says %q within %s", to, words, limit)
	}
	return found
}
