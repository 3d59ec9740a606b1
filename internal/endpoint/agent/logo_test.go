package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"patchring/internal/endpoint/executor"
	"patchring/wire"
)

func TestTheLogoOfTheOrderIsFetchedOnceAndNoOther(t *testing.T) {
	logo := []byte("\x89PNG a logo")
	var asked atomic.Int32
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		switch r.URL.Path {
		case "/p/good" + wire.LogoPath:
			_, _ = w.Write(logo)
		case "/p/large" + wire.LogoPath:
			_, _ = w.Write(make([]byte, wire.MaxLogoBytes+1))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	l := newLogos(t.TempDir(), string(ca))
	sum := sha256.Sum256(logo)
	hash := hex.EncodeToString(sum[:])
	of := func(link string) executor.Announcement {
		return executor.Announcement{Link: server.URL + link, Logo: hash}
	}
	if l.of(executor.Announcement{Link: server.URL}) != "" || len(l.wanted) != 0 {
		t.Error("without a logo, one is wanted")
	}
	large := sha256.Sum256(make([]byte, wire.MaxLogoBytes+1))
	for _, bad := range []wantedLogo{
		{hash, server.URL + "/p/revoked" + wire.LogoPath}, {strings.Repeat("0", 64), server.URL + "/p/good" + wire.LogoPath},
		{hex.EncodeToString(large[:]), server.URL + "/p/large" + wire.LogoPath},
	} {
		if err := l.fetch(t.Context(), bad); err == nil || strings.Contains(err.Error(), "/p/") {
			t.Errorf("%s: %v, want a refusal that names no secret", bad.url, err)
		}
	}
	old := filepath.Join(l.dir, "logo-"+strings.Repeat("1", 64)+".png")
	if err := os.WriteFile(old, logo, 0o644); err != nil {
		t.Fatal(err)
	}
	if l.of(of("/p/good")) != "" || len(l.wanted) != 1 {
		t.Fatal("a logo that is not here yet is not wanted")
	}
	if err := l.fetch(t.Context(), <-l.wanted); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(l.of(of("/p/good")))
	if err != nil || string(got) != string(logo) || len(l.wanted) != 0 {
		t.Fatalf("%q, %v", got, err)
	}
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Errorf("the logo before is still here: %v", err)
	}
}
