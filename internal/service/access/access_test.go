package access_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/identity"
	"patchring/internal/core/register"
	"patchring/internal/infra/keys"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/store/storetest"
	"patchring/internal/service/access"
	"patchring/wire"
)

// house is a site with its keys, a clock that the test turns, and the
// administrator of its first run.
type house struct {
	*access.Service
	t     *testing.T
	db    *store.DB
	keys  *keys.Site
	now   time.Time
	first access.Credentials
	admin access.Principal

	enrolled []fleet.TenantID
	retired  []identity.Device
}

func newHouse(t *testing.T, db *store.DB) *house {
	t.Helper()
	h := &house{t: t, db: db, now: time.Date(2026, 1, 14, 9, 0, 0, 0, time.UTC)}
	var err error
	if h.keys, err = keys.Open(t.TempDir(), h.now); err != nil {
		t.Fatal(err)
	}
	h.Service, err = access.New(access.Options{
		DB: db, Keys: h.keys, Clock: func() time.Time { return h.now }, Random: rand.Reader, Brokers: []string{"tls://127.0.0.1:4222"}, CheckinS: 60,
		Enrolled: func(tenant fleet.TenantID) { h.enrolled = append(h.enrolled, tenant) },
		Retired:  func(d identity.Device) { h.retired = append(h.retired, d) },
	})
	if err != nil {
		t.Fatal(err)
	}
	var made bool
	if h.first, made, err = h.FirstRun(t.Context(), "admin"); err != nil || !made {
		t.Fatalf("first run: %v, %v", made, err)
	}
	if h.admin, err = h.Login(t.Context(), h.first.Name, h.first.Password); err != nil {
		t.Fatalf("log in as the administrator: %v", err)
	}
	return h
}

func each(t *testing.T, f func(*testing.T, *house)) {
	storetest.Each(t, func(t *testing.T, db *store.DB) { f(t, newHouse(t, db)) })
}

// someone is a person with these roles.
func (h *house) someone(name string, roles ...string) access.Principal {
	h.t.Helper()
	c, err := h.CreateAccount(h.t.Context(), h.admin, name, roles, "")
	if err != nil {
		h.t.Fatal(err)
	}
	p, err := h.Login(h.t.Context(), name, c.Password)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

// kinds are the register's entries so far.
func (h *house) kinds() []register.Kind {
	h.t.Helper()
	rows, err := h.db.Read().RegisterEntriesFrom(h.t.Context(), gen.RegisterEntriesFromParams{Tenant: "main", Max: 1000})
	if err != nil {
		h.t.Fatal(err)
	}
	var out []register.Kind
	for _, row := range rows {
		out = append(out, register.Kind(row.Kind))
	}
	return out
}

func csr(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "pc-1"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func (h *house) enroll(invite access.Invite, name, machine string) wire.EnrollReply {
	h.t.Helper()
	token, err := h.CreateEnrollment(h.t.Context(), h.admin, invite)
	if err != nil {
		h.t.Fatal(err)
	}
	reply, err := h.Enroll(h.t.Context(), wire.EnrollRequest{Token: token.Text, CSR: csr(h.t), Name: name, MachineID: machine, Capability: 1, Version: "1", OS: "Debian 12"})
	if err != nil {
		h.t.Fatal(err)
	}
	return reply
}

func wantCode(t *testing.T, what string, err error, want fault.Code) {
	t.Helper()
	if err == nil || fault.CodeOf(err) != want {
		t.Errorf("%s: got %v, want %s", what, err, want)
	}
}

func TestFirstRunHappensOnce(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		if len(h.first.Password) < 20 || !h.admin.Has(access.Admin) {
			t.Errorf("credentials %q, roles %v", h.first.Password, h.admin.Roles)
		}
		if _, again, err := h.FirstRun(t.Context(), "admin"); err != nil || again {
			t.Errorf("second run: made one %v, %v; want none", again, err)
		}
		if got := h.kinds(); !slices.Equal(got, []register.Kind{register.AdministratorAdded}) {
			t.Errorf("register: %v", got)
		}
	})
}

func TestLoginRefusesNamesAndPasswordsAlike(t *testing.T) {
	h := newHouse(t, storetest.SQLite(t))
	_, wrong := h.Login(t.Context(), "admin", "not this one")
	_, nobody := h.Login(t.Context(), "nobody", "not this one")
	wantCode(t, "wrong password", wrong, fault.Unauthorized)
	if wrong.Error() != nobody.Error() {
		t.Errorf("a wrong name says %q, a wrong password %q; want the same", nobody, wrong)
	}
}

func TestLoginWaitsLongerAfterEachFailure(t *testing.T) {
	h := newHouse(t, storetest.SQLite(t))
	for range 5 {
		_, err := h.Login(t.Context(), "admin", "wrong")
		wantCode(t, "a free try", err, fault.Unauthorized)
	}
	_, err := h.Login(t.Context(), "admin", h.first.Password)
	wantCode(t, "right, but too soon", err, fault.TooManyTries)
	if !fault.CanRetry(err) {
		t.Error("waiting must be a retryable refusal")
	}
	if other := h.someone("bob", "operator"); other.Name != "bob" {
		t.Error("another name must not wait")
	}
	h.now = h.now.Add(2 * time.Second)
	if _, err := h.Login(t.Context(), "admin", h.first.Password); err != nil {
		t.Errorf("after the wait: %v", err)
	}
}

func TestRolesGrantActs(t *testing.T) {
	tests := []struct {
		roles []string
		may   []access.Act
	}{
		{[]string{"it"}, []access.Act{access.See}},
		{[]string{access.Auditor}, []access.Act{access.See, access.Export}},
		{[]string{access.Operator}, []access.Act{access.See, access.RunAct, access.DecideAct, access.Procedures, access.Policies, access.FreezeAct, access.FleetAct, access.EnrollAct, access.Export}},
		{[]string{access.Admin}, []access.Act{access.See, access.RunAct, access.DecideAct, access.Procedures, access.Policies, access.FreezeAct, access.FleetAct, access.EnrollAct, access.Export, access.Accounts, access.Backup, access.SiteAct}},
	}
	all := tests[len(tests)-1].may
	for _, tt := range tests {
		p := access.Principal{Tenant: fleet.DefaultTenant, Roles: tt.roles}
		for _, act := range all {
			if got, want := p.Need(act) == nil, slices.Contains(tt.may, act); got != want {
				t.Errorf("%v may %s: %v, want %v", tt.roles, act, got, want)
			}
		}
		if err := p.NeedRole("business"); err == nil {
			t.Errorf("%v may sign for business", tt.roles)
		}
	}
}

// What reaches beyond a tenant is for those who run the site.
func TestOnlyTheFirstTenantActsForAll(t *testing.T) {
	p := access.Principal{Tenant: "rival", Roles: []string{access.Admin}}
	for _, act := range []access.Act{access.SiteAct, access.Backup} {
		wantCode(t, string(act), p.Need(act), fault.Forbidden)
		if slices.Contains(p.Granted(), act) {
			t.Errorf("another tenant's administrator is granted %s", act)
		}
	}
	if err := p.Need(access.Policies); err != nil {
		t.Errorf("its own policy: %v", err)
	}
}

func TestAccountsAreTheAdministrators(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		bob := h.someone("bob", "operator")
		_, err := h.CreateAccount(t.Context(), bob, "eve", []string{"admin"}, "")
		wantCode(t, "an operator creates an account", err, fault.Forbidden)
		_, err = h.CreateAccount(t.Context(), h.admin, "bob", []string{"it"}, "")
		wantCode(t, "a second bob", err, fault.AlreadyExists)
		_, err = h.CreateAccount(t.Context(), h.admin, "eve", []string{"it"}, "short")
		wantCode(t, "a short password", err, fault.InvalidField)
		wantCode(t, "the last administrator", h.CloseAccount(t.Context(), h.admin, "admin"), fault.InvalidField)
		wantCode(t, "the last administrator's role", h.SetRoles(t.Context(), h.admin, "admin", []string{"it"}), fault.InvalidField)
		if err := h.SetRoles(t.Context(), h.admin, "bob", []string{"it", "business"}); err != nil {
			t.Fatal(err)
		}
		accounts, err := h.ListAccounts(t.Context(), h.admin)
		if err != nil || len(accounts) != 2 || !slices.Equal(accounts[1].Roles, []string{"business", "it"}) {
			t.Errorf("accounts: %+v, %v", accounts, err)
		}
	})
}

func TestClosingAnAccountEndsItsSessionAndTokens(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		bob := h.someone("bob", "operator")
		token, err := h.CreateToken(t.Context(), bob, "script", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := h.Bearer(t.Context(), token.Text); err != nil || p.Name != "bob" || p.Token != token.ID {
			t.Fatalf("bearer: %+v, %v", p, err)
		}
		if err := h.CloseAccount(t.Context(), h.admin, "bob"); err != nil {
			t.Fatal(err)
		}
		_, err = h.Bearer(t.Context(), token.Text)
		wantCode(t, "its token", err, fault.Unauthorized)
	})
}

func TestTokensAreOnesOwn(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		bob, eve := h.someone("bob", "operator"), h.someone("eve", "operator")
		token, err := h.CreateToken(t.Context(), bob, "script", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		wantCode(t, "somebody else's token", h.RevokeToken(t.Context(), eve, token.ID), fault.NotFound)
		if list, err := h.ListTokens(t.Context(), eve); err != nil || len(list) != 0 {
			t.Errorf("eve sees %+v, %v", list, err)
		}
		if list, err := h.ListTokens(t.Context(), h.admin); err != nil || len(list) != 1 || list[0].Account != "bob" {
			t.Errorf("the administrator sees %+v, %v", list, err)
		}
		h.now = h.now.Add(time.Hour)
		_, err = h.Bearer(t.Context(), token.Text)
		wantCode(t, "an expired token", err, fault.TokenExpired)
		for range 2 {
			if err := h.RevokeToken(t.Context(), bob, token.ID); err != nil {
				t.Errorf("revoke: %v", err)
			}
		}
		if n := count(h.kinds(), register.TokenRevoked); n != 1 {
			t.Errorf("revoked twice: %d entries, want 1", n)
		}
		_, err = h.Bearer(t.Context(), "prt_nonsense")
		wantCode(t, "nonsense", err, fault.TokenInvalid)
	})
}

func count(kinds []register.Kind, kind register.Kind) int {
	n := 0
	for _, k := range kinds {
		if k == kind {
			n++
		}
	}
	return n
}

func TestEnrollGivesADeviceItsIdentityTagsAndGroups(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		reply := h.enroll(access.Invite{Kind: fleet.Server, Tags: fleet.Tags{"department": "finance"}, Groups: []string{"it-pilots"}}, "srv\x001", "m1")
		block, _ := pem.Decode([]byte(reply.Certificate))
		if block == nil {
			t.Fatal("no certificate")
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		who, err := h.keys.VerifyDevice(cert, h.now)
		if err != nil || string(who.ID) != reply.Device || who.Tenant != fleet.DefaultTenant {
			t.Errorf("certificate of %+v, %v", who, err)
		}
		row, err := h.db.Read().Device(t.Context(), "main", reply.Device)
		if err != nil || row.Name != "srv1" || row.Kind != "server" || row.Tags != `{"department":"finance"}` {
			t.Errorf("device: %+v, %v", row, err)
		}
		groups, err := h.db.Read().GroupsOfDevice(t.Context(), "main", reply.Device)
		if err != nil || !slices.Equal(groups, []string{"it-pilots"}) {
			t.Errorf("groups: %v, %v", groups, err)
		}
		if len(reply.OrderKeys) != 1 || reply.RegisterKey == "" || reply.CheckinS != 60 || len(reply.Brokers) != 1 {
			t.Errorf("reply: %+v", reply)
		}
		if !slices.Equal(h.enrolled, []fleet.TenantID{"main"}) {
			t.Errorf("told of %v", h.enrolled)
		}
		if err := h.Admit(t.Context(), who); err != nil {
			t.Errorf("admit: %v", err)
		}
	})
}

func TestEnrollSpendsItsToken(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		token, err := h.CreateEnrollment(t.Context(), h.admin, access.Invite{Uses: 2, Life: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		ask := wire.EnrollRequest{Token: token.Text, CSR: csr(t), Name: "pc", MachineID: "m1"}
		first, err := h.Enroll(t.Context(), ask)
		if err != nil {
			t.Fatal(err)
		}
		bad := ask
		bad.CSR = "not a request"
		_, err = h.Enroll(t.Context(), bad)
		wantCode(t, "no certificate request", err, fault.InvalidField)
		second, err := h.Enroll(t.Context(), ask)
		if err != nil || second.DuplicateOf != first.Device {
			t.Errorf("second with the same machine id: duplicate of %q, %v; want %q", second.DuplicateOf, err, first.Device)
		}
		_, err = h.Enroll(t.Context(), ask)
		wantCode(t, "a spent token", err, fault.TokenSpent)
		last := "0"
		if strings.HasSuffix(ask.Token, last) {
			last = "1"
		}
		ask.Token = ask.Token[:len(ask.Token)-1] + last
		_, err = h.Enroll(t.Context(), ask)
		wantCode(t, "a mistyped token", err, fault.TokenInvalid)

		late, err := h.CreateEnrollment(t.Context(), h.admin, access.Invite{Life: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		h.now = h.now.Add(time.Hour)
		ask.Token = late.Text
		_, err = h.Enroll(t.Context(), ask)
		wantCode(t, "an expired token", err, fault.TokenExpired)
	})
}

func TestEnrollmentsAreListedUntilTheyAreRevoked(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		token, err := h.CreateEnrollment(t.Context(), h.admin, access.Invite{})
		if err != nil {
			t.Fatal(err)
		}
		if list, err := h.ListEnrollments(t.Context(), h.admin); err != nil || len(list) != 1 || list[0].Kind != fleet.Workstation {
			t.Errorf("list: %+v, %v", list, err)
		}
		if err := h.RevokeEnrollment(t.Context(), h.admin, token.ID); err != nil {
			t.Fatal(err)
		}
		if list, err := h.ListEnrollments(t.Context(), h.admin); err != nil || len(list) != 0 {
			t.Errorf("after revoking: %+v, %v", list, err)
		}
		_, err = h.Enroll(t.Context(), wire.EnrollRequest{Token: token.Text, CSR: csr(t), Name: "pc"})
		wantCode(t, "a revoked token", err, fault.TokenSpent)
		wantCode(t, "an auditor revokes", h.RevokeEnrollment(t.Context(), h.someone("eve", "auditor"), token.ID), fault.Forbidden)
	})
}

func TestEnrollIsAllOrNothing(t *testing.T) {
	var broken error
	db, err := store.Open(t.Context(), store.Options{URL: t.TempDir() + "/site.db", Fault: func(stored bool) error {
		if !stored {
			return broken
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	h := newHouse(t, db)
	token, err := h.CreateEnrollment(t.Context(), h.admin, access.Invite{})
	if err != nil {
		t.Fatal(err)
	}
	broken = errors.New("disk on fire")
	ask := wire.EnrollRequest{Token: token.Text, CSR: csr(t), Name: "pc"}
	if _, err := h.Enroll(t.Context(), ask); err == nil || fault.CodeOf(err) != fault.Internal || !fault.CanRetry(err) {
		t.Errorf("an outage: %v, want an error that is no refusal", err)
	}
	broken = nil
	if _, err := h.Enroll(t.Context(), ask); err != nil {
		t.Errorf("the token must still be good: %v", err)
	}
}

func TestRenewKeepsTheDevice(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		reply := h.enroll(access.Invite{}, "pc", "m1")
		if _, err := h.Renew(t.Context(), "main", fleet.DeviceID(reply.Device), csr(t)); err != nil {
			t.Fatal(err)
		}
		_, err := h.Renew(t.Context(), "rival", fleet.DeviceID(reply.Device), csr(t))
		wantCode(t, "of another tenant", err, fault.DeviceUnknown)
		if n := count(h.kinds(), register.DeviceRenewed); n != 1 {
			t.Errorf("%d entries, want 1", n)
		}
	})
}

func TestRetireEndsADevice(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		reply := h.enroll(access.Invite{}, "pc", "m1")
		id := fleet.DeviceID(reply.Device)
		wantCode(t, "without a reason", h.Retire(t.Context(), h.admin, id, ""), fault.ReasonRequired)
		wantCode(t, "nobody", h.Retire(t.Context(), h.admin, "nobody", "sold"), fault.NotFound)
		for range 2 {
			if err := h.Retire(t.Context(), h.admin, id, "sold"); err != nil {
				t.Fatal(err)
			}
		}
		wantCode(t, "admit", h.Admit(t.Context(), identity.Device{Tenant: "main", ID: id}), fault.DeviceRetired)
		_, err := h.Renew(t.Context(), "main", id, csr(t))
		wantCode(t, "renew", err, fault.DeviceRetired)
		if len(h.retired) != 1 || h.retired[0].ID != id {
			t.Errorf("told of %v, want the device once", h.retired)
		}
		if n := count(h.kinds(), register.DeviceRetired); n != 1 {
			t.Errorf("%d entries, want 1", n)
		}
	})
}

func TestSessionsCarryAPersonUntilLogout(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		bob := h.someone("bob", "operator")
		m := h.Sessions()
		var acts []func(w http.ResponseWriter, r *http.Request)
		server := httptest.NewTLSServer(m.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			act := acts[0]
			acts = acts[1:]
			act(w, r)
		})))
		defer server.Close()
		client := server.Client()
		client.Jar = newJar(t)
		do := func(act func(r *http.Request) error) error {
			var err error
			acts = append(acts, func(_ http.ResponseWriter, r *http.Request) { err = act(r) })
			response, failed := client.Get(server.URL)
			if failed != nil {
				t.Fatal(failed)
			}
			return errors.Join(err, response.Body.Close())
		}
		of := func(r *http.Request) error { _, err := h.Of(r.Context(), m); return err }
		wantCode(t, "before the login", do(of), fault.Unauthorized)
		if err := do(func(r *http.Request) error { return access.Enter(r.Context(), m, bob) }); err != nil {
			t.Fatal(err)
		}
		if err := do(of); err != nil {
			t.Errorf("after the login: %v", err)
		}
		if err := h.CloseAccount(t.Context(), h.admin, "bob"); err != nil {
			t.Fatal(err)
		}
		wantCode(t, "of a closed account", do(of), fault.Unauthorized)
	})
}

func TestIdempotencyAnswersTwiceAndActsOnce(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		r := access.Repeat{Principal: h.admin, Key: "k1", Request: "POST /x"}
		if a, err := h.Claim(t.Context(), r); err != nil || a != nil {
			t.Fatalf("first: %+v, %v; want to act", a, err)
		}
		_, err := h.Claim(t.Context(), r)
		wantCode(t, "while the first acts", err, fault.Unavailable)
		if err := h.Finish(t.Context(), r, access.Answer{Status: 201, Body: []byte("done")}); err != nil {
			t.Fatal(err)
		}
		if a, err := h.Claim(t.Context(), r); err != nil || a == nil || a.Status != 201 || string(a.Body) != "done" {
			t.Errorf("again: %+v, %v; want the first answer", a, err)
		}
		other := r
		other.Request = "POST /y"
		_, err = h.Claim(t.Context(), other)
		wantCode(t, "another request", err, fault.InvalidField)
		theirs := r
		theirs.Principal = h.someone("bob", "operator")
		if a, err := h.Claim(t.Context(), theirs); err != nil || a != nil {
			t.Errorf("another person's key: %+v, %v; want to act", a, err)
		}
		h.now = h.now.Add(24 * time.Hour)
		if a, err := h.Claim(t.Context(), other); err != nil || a != nil {
			t.Errorf("a day later: %+v, %v; want to act", a, err)
		}
		if err := h.Finish(t.Context(), other, access.Answer{Status: 503}); err != nil {
			t.Fatal(err)
		}
		if a, err := h.Claim(t.Context(), r); err != nil || a != nil {
			t.Errorf("after a failure of ours: %+v, %v; want to act", a, err)
		}
		if err := h.Housekeep(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestPasswordsChange(t *testing.T) {
	h := newHouse(t, storetest.SQLite(t))
	bob := h.someone("bob", "operator")
	if _, err := h.SetPassword(t.Context(), bob, "bob", "correct horse battery"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Login(t.Context(), "bob", "correct horse battery"); err != nil {
		t.Errorf("with the new one: %v", err)
	}
	_, err := h.SetPassword(t.Context(), bob, "admin", "correct horse battery")
	wantCode(t, "of somebody else", err, fault.Forbidden)
	if got, err := h.SetPassword(t.Context(), h.admin, "bob", ""); err != nil || !strings.Contains(got.Password, "-") {
		t.Errorf("generated: %+v, %v", got, err)
	}
}

func newJar(t *testing.T) http.CookieJar {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return jar
}
