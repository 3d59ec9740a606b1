package agent

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"patchring/internal/endpoint/executor"
	"patchring/internal/endpoint/notice"
	"patchring/wire"
)

// logos fetches the tenant's logo, once for each hash that an order names, to a
// place that people's notification services can read. A notice does not wait for
// it: the next one has it.
type logos struct {
	dir    string // beside the people's socket
	client *http.Client
	wanted chan wantedLogo
	now    func() time.Time
}

type wantedLogo struct{ hash, url string }

const (
	logoTimeout = 20 * time.Second
	logoRetry   = 10 * time.Minute
)

// newLogos trusts whom enrolment trusts: the site's CA, or the organisation's own
// certificate by the device's roots.
func newLogos(dir, ca string) *logos {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // a device without any: the site's is enough
	}
	roots.AppendCertsFromPEM([]byte(ca))
	return &logos{
		dir: filepath.Dir(notice.Path(dir)), wanted: make(chan wantedLogo, 1), now: time.Now,
		client: &http.Client{Timeout: logoTimeout, Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		}},
	}
}

func (l *logos) path(hash string) string { return filepath.Join(l.dir, "logo-"+hash+".png") }

// of is the file of an announcement's logo; empty while there is none.
func (l *logos) of(a executor.Announcement) string {
	if a.Logo == "" || a.Link == "" {
		return ""
	}
	if _, err := os.Stat(l.path(a.Logo)); err == nil {
		return l.path(a.Logo)
	}
	select {
	case l.wanted <- wantedLogo{a.Logo, a.Link + wire.LogoPath}:
	default: // one is being fetched
	}
	return ""
}

// run fetches what is wanted until ctx ends. What fails is left alone for a
// while: a notice without a logo is a notice.
func (l *logos) run(ctx context.Context, failed func(error)) error {
	tried := map[string]time.Time{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case w := <-l.wanted:
			if l.now().Sub(tried[w.hash]) < logoRetry {
				continue
			}
			tried = map[string]time.Time{w.hash: l.now()}
			if err := l.fetch(ctx, w); err != nil && ctx.Err() == nil {
				failed(err)
			}
		}
	}
}

// fetch keeps a logo if it is the one that the signed order names.
//
// Crash story: a file is whole or not there; the next notice asks again.
func (l *logos) fetch(ctx context.Context, w wantedLogo) (err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url, nil)
	if err != nil {
		return fmt.Errorf("ask for the logo: %w", err)
	}
	answer, err := l.client.Do(request)
	if err != nil {
		return errors.New("ask for the logo: the server is not reached") // the address is a secret: not in logs
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, wire.MaxLogoBytes+1))
	if err != nil {
		return errors.New("read the logo: the connection broke")
	}
	if sum := sha256.Sum256(body); answer.StatusCode != http.StatusOK || len(body) > wire.MaxLogoBytes || hex.EncodeToString(sum[:]) != w.hash {
		return fmt.Errorf("read the logo: the server answered %d and not the logo of the order", answer.StatusCode)
	}
	file, err := os.CreateTemp(l.dir, ".logo-*")
	if err != nil {
		return fmt.Errorf("keep the logo: %w", err)
	}
	_, err = file.Write(body)
	err = errors.Join(err, file.Chmod(0o644), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), l.path(w.hash))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("keep the logo: %w", err), os.Remove(file.Name()))
	}
	return l.forget(w.hash)
}

// forget removes the logos before.
func (l *logos) forget(but string) error {
	old, err := filepath.Glob(filepath.Join(l.dir, "logo-*.png"))
	if err != nil {
		return fmt.Errorf("list logos: %w", err)
	}
	var errs []error
	for _, path := range old {
		if path != l.path(but) {
			errs = append(errs, os.Remove(path))
		}
	}
	return errors.Join(errs...)
}
