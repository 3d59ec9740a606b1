package agent

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"patchring/internal/core/fault"
	"patchring/internal/core/identity"
	"patchring/internal/endpoint/journal"
	"patchring/wire"
)

func (s *site) enrolment(dir string) Enrolment {
	return Enrolment{Dir: dir, Host: host(nil), Server: s.web.URL + "/", Token: s.token(), Version: "1.2"}
}

func TestEnrolmentStoresAnIdentityOnlyTheOwnerCanRead(t *testing.T) {
	s := newSite(t)
	s.spoil = func(r *wire.EnrollReply) { r.DuplicateOf = "other" }
	e := s.enrolment(filepath.Join(t.TempDir(), "new"))
	reply, err := Enroll(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	id, err := journal.ReadIdentity(e.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if id.Device != device || id.Tenant != tenant || id.Name != "h1" || len(id.OrderKeys) != 1 || id.CheckinS != 3600 || reply.DuplicateOf != "other" {
		t.Errorf("identity %+v, reply %+v", id, reply)
	}
	ask := s.asked[0]
	if ask.Token != e.Token || ask.MachineID != "0123456789abcdef" || ask.OS != "Debian 12" || ask.Version != "1.2" || ask.Capability != wire.Capability {
		t.Errorf("asked %+v", ask)
	}
	if strings.Contains(ask.CSR, "PRIVATE") || !strings.Contains(id.Key, "PRIVATE KEY") {
		t.Error("the key left the device, or was not kept")
	}
	for path, want := range map[string]os.FileMode{e.Dir: 0o700, filepath.Join(e.Dir, "identity.json"): 0o600} {
		at, err := os.Stat(path)
		if err != nil || at.Mode().Perm() != want {
			t.Errorf("%s: %v, error %v, want %o", path, at.Mode(), err, want)
		}
	}
}

func TestEnrollingTwiceIsRefusedUnlessAsked(t *testing.T) {
	s := newSite(t)
	dir := s.enrolled()
	e := s.enrolment(dir)
	if _, err := Enroll(t.Context(), e); !errors.Is(err, ErrEnrolled) {
		t.Errorf("error %v, want ErrEnrolled", err)
	}
	if len(s.asked) != 1 {
		t.Error("the second token was spent")
	}
	before, err := journal.ReadIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	e.Again, e.Name = true, "renamed"
	if _, err := Enroll(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if id, err := journal.ReadIdentity(dir); err != nil || id.Name != "renamed" || id.Key == before.Key {
		t.Errorf("identity %+v, error %v, want a new one", id, err)
	}
}

func TestAServerOfAnotherSiteNeverSeesTheToken(t *testing.T) {
	mine, other := newSite(t), newSite(t)
	e := mine.enrolment(t.TempDir())
	e.Server = other.web.URL
	if _, err := Enroll(t.Context(), e); !errors.Is(err, identity.ErrOtherSite) {
		t.Errorf("error %v, want ErrOtherSite", err)
	}
	if len(other.asked) != 0 {
		t.Error("the token was told to another site")
	}
	if _, err := journal.ReadIdentity(e.Dir); !errors.Is(err, journal.ErrNotEnrolled) {
		t.Errorf("an identity was stored: %v", err)
	}
}

func TestAnAnswerWithAnotherCAIsNotStored(t *testing.T) {
	s, other := newSite(t), newSite(t)
	for name, ca := range map[string]string{"another site's": pemText(other.ca), "rubbish": "x"} {
		s.spoil = func(r *wire.EnrollReply) { r.CA = ca }
		e := s.enrolment(t.TempDir())
		if _, err := Enroll(t.Context(), e); err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, err := journal.ReadIdentity(e.Dir); !errors.Is(err, journal.ErrNotEnrolled) {
			t.Errorf("%s: an identity was stored", name)
		}
	}
}

func TestRefusalsKeepTheirCode(t *testing.T) {
	s := newSite(t)
	s.refusal = &wire.Error{Code: string(fault.TokenSpent)}
	_, err := Enroll(t.Context(), s.enrolment(t.TempDir()))
	if fault.CodeOf(err) != fault.TokenSpent || fault.CanRetry(err) {
		t.Errorf("error %v, want token_spent", err)
	}
	e := s.enrolment(t.TempDir())
	e.Token = e.Token[:20]
	if _, err := Enroll(t.Context(), e); fault.CodeOf(err) != fault.TokenInvalid {
		t.Errorf("a torn token: %v, want token_invalid", err)
	}
	e = s.enrolment(t.TempDir())
	e.Server = "http://" + s.web.Listener.Addr().String()
	if _, err := Enroll(t.Context(), e); err == nil || !strings.Contains(err.Error(), "https://") {
		t.Errorf("an address without TLS: %v", err)
	}
	e.Server = s.web.URL + "/elsewhere"
	if _, err := Enroll(t.Context(), e); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a wrong path: %v", err)
	}
}
