package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/fault"
)

func chacha(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

func newEnrollment(t *testing.T) EnrollmentToken {
	t.Helper()
	token, err := NewEnrollmentToken(chacha(1), Fingerprint{1, 2, 3, 15: 9, 16: 77})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func newAPI(t *testing.T) APIToken {
	t.Helper()
	token, err := NewAPIToken(chacha(2))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestTokensComeBack(t *testing.T) {
	token, api := newEnrollment(t), newAPI(t)
	if got, err := ParseEnrollmentToken(token.Reveal()); err != nil || got != token {
		t.Fatalf("enrolment: got %#v, %v", got, err)
	}
	if got, err := ParseAPIToken(api.Reveal()); err != nil || got != api {
		t.Fatalf("API: got %#v, %v", got, err)
	}
	if want := "pre_" + token.ID + "_"; !strings.HasPrefix(token.Reveal(), want) {
		t.Fatalf("got %q, want it to begin with %q", token.Reveal(), want)
	}
}

func TestTokenSurvivesItsWay(t *testing.T) {
	token := newEnrollment(t)
	text := token.Reveal()
	body := strings.NewReplacer("0", "O", "1", "l").Replace(text[4:])
	for name, typed := range map[string]string{
		"capitals":      strings.ToUpper(text),
		"spaces around": "  " + text + "\r\n",
		"wrapped":       text[:40] + "\n    " + text[40:],
		"look-alikes":   text[:4] + body,
	} {
		if got, err := ParseEnrollmentToken(typed); err != nil || got != token {
			t.Errorf("%s: got %#v, %v", name, got, err)
		}
	}
}

func TestParseNamesTheProblem(t *testing.T) {
	enrollment, api := newEnrollment(t).Reveal(), newAPI(t).Reveal()
	asEnrollment := func(text string) error { _, err := ParseEnrollmentToken(text); return err }
	asAPI := func(text string) error { _, err := ParseAPIToken(text); return err }
	swapped := []byte(enrollment)
	swapped[15], swapped[16] = swapped[16], swapped[15]
	cases := []struct {
		name    string
		parse   func(string) error
		text    string
		problem string
	}{
		{"empty", asEnrollment, " \n", ProblemEmpty},
		{"a word", asEnrollment, "password", ProblemNoToken},
		{"API for enrolment", asEnrollment, api, ProblemIsAPI},
		{"enrolment for API", asAPI, enrollment, ProblemIsEnrollment},
		{"end cut", asEnrollment, enrollment[:len(enrollment)-1], ProblemTruncated},
		{"CA cut", asEnrollment, enrollment[:46], ProblemTruncated},
		{"API cut", asAPI, api[:20], ProblemTruncated},
		{"pasted twice", asAPI, api + api, ProblemTooLong},
		{"two characters swapped", asEnrollment, string(swapped), ProblemMistyped},
		{"a strange character", asAPI, api[:20] + "é" + api[22:], ProblemMistyped},
		{"no separator", asAPI, api[:12] + "x" + api[13:], ProblemMistyped},
	}
	for _, c := range cases {
		err := c.parse(c.text)
		var refused *fault.Error
		if !errors.As(err, &refused) || refused.Code != fault.TokenInvalid || refused.Args["problem"] != c.problem {
			t.Errorf("%s: got %v, want problem %s", c.name, err, c.problem)
		}
	}
}

// No single changed character passes for the token it was.
func TestEveryCharacterOfATokenMatters(t *testing.T) {
	token := newEnrollment(t)
	text := token.Reveal()
	for at := range text {
		for _, c := range []byte("0123456789abcdefghjkmnpqrstvwxyz_u-") {
			if text[at] == c {
				continue
			}
			changed := text[:at] + string(c) + text[at+1:]
			if got, err := ParseEnrollmentToken(changed); err == nil {
				t.Fatalf("character %d of %q: got %#v, want an error", at, changed, got)
			}
		}
	}
}

func TestSecretStaysSecret(t *testing.T) {
	token := newEnrollment(t)
	encoded, err := json.Marshal(token)
	if err != nil {
		t.Fatal(err)
	}
	hidden := strings.Split(token.Reveal(), "_")[2]
	raw := fmt.Sprint(token.Secret.bytes)
	for _, shown := range []string{fmt.Sprint(token), fmt.Sprintf("%+v", token), fmt.Sprintf("%#v", token), string(encoded)} {
		if strings.Contains(shown, hidden) || strings.Contains(shown, raw) {
			t.Errorf("secret shown in %s", shown)
		}
	}
}

func TestHashMatchesOnlyItsSecret(t *testing.T) {
	one, other := newEnrollment(t).Secret, newAPI(t).Secret
	if !one.Hash().Matches(one) || one.Hash().Matches(other) || Hash("").Matches(one) {
		t.Fatal("a hash must match its own secret and no other")
	}
}

func TestNewTokenNeedsRandomness(t *testing.T) {
	if _, err := NewAPIToken(bytes.NewReader(make([]byte, 5))); err == nil {
		t.Error("drew an API token from 5 bytes, want an error")
	}
	if _, err := NewEnrollmentToken(bytes.NewReader(nil), Fingerprint{}); err == nil {
		t.Error("drew an enrolment token from nothing, want an error")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("pre_0_0_0")
	f.Add("prt_01234567_0")
	f.Fuzz(func(t *testing.T, text string) {
		if token, err := ParseEnrollmentToken(text); err == nil && asTyped(text) != token.Reveal() {
			t.Fatalf("%q read as %q", text, token.Reveal())
		}
		if token, err := ParseAPIToken(text); err == nil && asTyped(text) != token.Reveal() {
			t.Fatalf("%q read as %q", text, token.Reveal())
		}
	})
}

var now = time.Date(2026, 12, 8, 10, 0, 0, 0, time.UTC)

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, seed byte) authority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(seed)), Subject: pkix.Name{CommonName: "site"},
		NotBefore: now, NotAfter: now.AddDate(10, 0, 0), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	return authority{}.issue(t, template, seed)
}

func (a authority) issue(t *testing.T, template *x509.Certificate, seed byte) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), chacha(seed))
	if err != nil {
		t.Fatal(err)
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(chacha(seed+1), template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key}
}

func TestVerifyServer(t *testing.T) {
	site, stranger := newAuthority(t, 10), newAuthority(t, 20)
	server := func(ca authority) *x509.Certificate {
		return ca.issue(t, &x509.Certificate{
			SerialNumber: big.NewInt(2), DNSNames: []string{"patch.example"},
			NotBefore: now, NotAfter: now.AddDate(1, 0, 0),
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		}, 30).cert
	}
	token, err := NewEnrollmentToken(chacha(1), FingerprintOf(site.cert))
	if err != nil {
		t.Fatal(err)
	}
	chain := []*x509.Certificate{server(site), site.cert}
	if ca, err := token.VerifyServer(chain, "patch.example", now.Add(time.Hour)); err != nil || ca != site.cert {
		t.Fatalf("own site: got %v, %v", ca, err)
	}
	refused := map[string]struct {
		chain []*x509.Certificate
		host  string
		at    time.Time
	}{
		"another host":        {chain, "other.example", now.Add(time.Hour)},
		"expired":             {chain, "patch.example", now.AddDate(2, 0, 0)},
		"another site":        {[]*x509.Certificate{server(stranger), stranger.cert}, "patch.example", now},
		"our CA only shown":   {[]*x509.Certificate{server(stranger), site.cert}, "patch.example", now},
		"no CA shown":         {chain[:1], "patch.example", now},
		"nothing shown":       {nil, "patch.example", now},
		"the CA as a server":  {[]*x509.Certificate{site.cert}, "patch.example", now},
		"stranger and our CA": {[]*x509.Certificate{server(stranger), stranger.cert, site.cert}, "patch.example", now},
	}
	for name, c := range refused {
		if _, err := token.VerifyServer(c.chain, c.host, c.at); err == nil {
			t.Errorf("%s: verified, want an error", name)
		}
	}
}

func TestDeviceOf(t *testing.T) {
	want := Device{"main", "01998f2e-0000-7000-8000-000000000001"}
	cert := func(uris ...string) *x509.Certificate {
		c := &x509.Certificate{SerialNumber: big.NewInt(1)}
		for _, uri := range uris {
			parsed, err := url.Parse(uri)
			if err != nil {
				t.Fatal(err)
			}
			c.URIs = append(c.URIs, parsed)
		}
		return c
	}
	good := want.URI().String()
	if good != "patchring:device:main/01998f2e-0000-7000-8000-000000000001" {
		t.Fatalf("URI is %s", good)
	}
	if got, err := DeviceOf(cert(good)); err != nil || got != want {
		t.Fatalf("got %v, %v", got, err)
	}
	for _, uris := range [][]string{
		nil, {good, good}, {"patchring:device:main"}, {"patchring:device:/x"}, {"patchring:device:main/"},
		{"patchring:device:main/a/b"}, {"patchring:device:main/a.b"}, {"patchring:device:main/%3E"},
		{"patchring:device:main/*"}, {"patchring:user:main/x"}, {"other:device:main/x"},
		{"patchring:device:main/x?y"}, {"patchring:device:main/x#y"}, {"patchring://device/main/x"},
		{"patchring:device:main/" + strings.Repeat("x", maxID+1)},
	} {
		if got, err := DeviceOf(cert(uris...)); err == nil {
			t.Errorf("%v: got %v, want an error", uris, got)
		}
	}
}
