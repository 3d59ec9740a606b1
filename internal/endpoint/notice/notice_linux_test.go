package notice

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"patchring/internal/endpoint/executor"
	"patchring/internal/endpoint/executor/people"
	"patchring/wire"
)

// TestMain is also a caller, which must be a program of another user.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "call" {
		reply, err := Call(context.Background(), os.Args[2], Request{Choice: people.Choice(os.Args[3])})
		if err = errors.Join(err, json.NewEncoder(os.Stdout).Encode(reply)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var verb = regexp.MustCompile(`%[a-z]`)

func TestEverySentenceIsInBothLanguages(t *testing.T) {
	en, fr := words(English), words(French)
	for key, text := range en {
		if fr[key] == "" {
			t.Errorf("%s is not in French", key)
		} else if got, want := verb.FindAllString(fr[key], -1), verb.FindAllString(text, -1); !slices.Equal(got, want) {
			t.Errorf("%s has %q in French, %q in English", key, got, want)
		}
	}
	if len(fr) != len(en) {
		t.Errorf("%d sentences in French, %d in English", len(fr), len(en))
	}
	for _, why := range []people.Why{
		people.NothingAsked, people.TooOld, people.TooEarly, people.NoneLeft, people.PastDeadline, people.DeadlineOver,
		people.NoWindowThen, people.AlreadyLater, people.NotYours, Unreachable, badRequest, failed,
	} {
		if en[string(why)] == "" {
			t.Errorf("no words for the refusal %s", why)
		}
	}
}

func announcement(user string) executor.Announcement {
	paris := time.FixedZone("CET", 3600)
	return executor.Announcement{
		Notice: people.Notice{
			Act: wire.ActInstall, User: user, Round: 1, State: people.StateAsked, Left: 2,
			Deadline: time.Date(2026, 12, 10, 18, 0, 0, 0, paris),
			Offers:   []people.Offer{{Choice: people.Now}, {Choice: people.Evening, At: time.Date(2026, 12, 8, 18, 30, 0, 0, paris)}},
		},
		Order: "o1", Serial: 7, Items: []string{"openssl", "curl", "bash", "vim", "tar", "gzip"},
	}
}

func TestANoticeReadsInTheReadersLanguage(t *testing.T) {
	a := announcement("ann")
	now := time.Date(2026, 12, 8, 11, 0, 0, 0, time.FixedZone("CET", 3600))
	for l, want := range map[Lang]string{
		French:  "Votre service informatique doit installer des mises à jour sur ce poste.\nMises à jour : openssl, curl, bash, vim et 2 autres.\nSans réponse, rien ne commence avant l'échéance : le jeudi 10 décembre à 18:00.\nReports restants : 2.",
		English: "Your IT department has updates to install on this computer.\nUpdates: openssl, curl, bash, vim and 2 more.\nWithout an answer nothing begins before the deadline: on Thursday 10 December at 18:00.\nPostponements left: 2.",
	} {
		if got := Tell(l, a, now).Body; got != want {
			t.Errorf("%s:\n%s\nwant\n%s", l, got, want)
		}
	}
	if got := Label(French, a, a.Offers[1], now); got != "Ce soir (18:30)" {
		t.Errorf("%q", got)
	}
	a.Text = &wire.NoticeText{FR: wire.NoticeWords{Title: "Mairie", Body: "Bonjour."}}
	if got := Tell(French, a, now); got.Title != "Mairie" || !strings.HasPrefix(got.Body, "Bonjour.\nMises à jour") {
		t.Errorf("the tenant's words: %+v", got)
	}
	if got := Tell(English, a, now); got.Title != "Updates to install" {
		t.Errorf("a language without the tenant's words: %+v", got)
	}
	a.State, a.At = people.StateCountdown, now.Add(15*time.Minute)
	if got := Tell(French, a, now).Body; !strings.Contains(got, "Enregistrez votre travail : début aujourd'hui à 11:15.") {
		t.Errorf("%s", got)
	}
	a.Kind = wire.OrderRollback
	if got := Tell(French, a, now); got.Title != "Retour à la version précédente, à l'essai" || !strings.Contains(got.Body, "installées de nouveau") || strings.Contains(got.Body, "Bonjour") {
		t.Errorf("a rehearsal of a rollback: %+v", got)
	}
	if got := Label(French, a, a.Offers[0], now); got != "Maintenant" {
		t.Errorf("its button says %q", got)
	}
	for locale, want := range map[string]Lang{"fr_CA.UTF-8": French, "fr": French, "C": English, "de_DE.UTF-8": English, "fry_NL": English} {
		if got := Of(locale); got != want {
			t.Errorf("%s reads %s, want %s", locale, got, want)
		}
	}
}

// counter is a server with two people, of whom only one has a desktop.
type counter struct {
	path string

	mu      sync.Mutex // guards the rest
	answers []people.Reply
	refuse  error
}

func (c *counter) said() []people.Reply {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.answers)
}

func (c *counter) refuses(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse = err
}

func open(t *testing.T) *counter {
	dir, err := os.MkdirTemp("", "notice")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c := &counter{path: filepath.Join(dir, "people.sock")}
	s := Server{
		Path: c.path, Announced: func() []executor.Announcement {
			return []executor.Announcement{announcement("ann"), announcement("bob")}
		},
		Answer: func(_ context.Context, _ int64, r people.Reply) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.answers = append(c.answers, r)
			return c.refuse
		},
		Name: func(_ context.Context, uid uint32) (string, bool, error) { return "ann", uid == ann, nil },
		Log:  slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if at, err := os.Stat(c.path); err == nil && at.Mode().Perm() == 0o666 {
			return c
		}
		<-tick.C
	}
}

// Users that every system has.
const (
	ann    = 65534
	daemon = 1
)

// call asks as another user.
func (c *counter) call(t *testing.T, uid uint32, choice people.Choice) Reply {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(filepath.Dir(c.path), "caller")
	if _, err := os.Stat(program); err != nil {
		copyFile(t, self, program)
	}
	cmd := exec.Command(program, "call", c.path, string(choice))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("call as %d: %v", uid, err)
	}
	var r Reply
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func copyFile(t *testing.T, from, to string) {
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = io.Copy(out, in); errors.Join(err, out.Close()) != nil {
		t.Fatal(err)
	}
}

// The kernel says who calls: a person sees and answers their own notices, root
// everybody's, and somebody without a desktop none. It changes users, so it
// needs root, as the agent does.
func TestAPersonAnswersForThemselvesAlone(t *testing.T) {
	c := open(t)
	if r := c.call(t, ann, ""); len(r.Notices) != 1 || r.Notices[0].User != "ann" {
		t.Errorf("ann sees %+v", r)
	}
	if r := c.call(t, ann, people.Hour); r.Refused != nil {
		t.Errorf("ann is refused: %+v", r)
	}
	if got := c.said(); len(got) != 1 || got[0].User != "ann" || got[0].Choice != people.Hour {
		t.Errorf("answers %+v", got)
	}
	for _, choice := range []people.Choice{"", people.Now} {
		if why, _ := c.call(t, daemon, choice).Why(); why != people.NotYours {
			t.Errorf("somebody without a desktop: %q", why)
		}
	}
	if r := c.call(t, 0, ""); len(r.Notices) != 2 {
		t.Errorf("root sees %+v", r)
	}
	c.call(t, 0, people.Now)
	if got := c.said(); len(got) != 3 || got[2].User != "bob" {
		t.Errorf("root answers %+v", got)
	}
	c.refuses(&people.Refusal{Why: people.NoneLeft})
	if why, _ := c.call(t, ann, people.Hour).Why(); why != people.NoneLeft {
		t.Errorf("a refusal comes back as %q", why)
	}
	c.refuses(errors.New("disk full"))
	if why, _ := c.call(t, ann, people.Hour).Why(); why != failed {
		t.Errorf("a failure comes back as %q", why)
	}
}

func TestNonsenseIsAnsweredAndCostsNothing(t *testing.T) {
	c := open(t)
	for _, text := range []string{"{\n", "[]\n", `{"choice":7}` + "\n"} {
		conn, err := net.Dial("unix", c.path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		var r Reply
		if err := json.NewDecoder(conn).Decode(&r); err != nil {
			t.Fatal(err)
		}
		if why, _ := r.Why(); why != badRequest {
			t.Errorf("%q: %q", text, why)
		}
		conn.Close()
	}
	if got := c.said(); len(got) != 0 {
		t.Errorf("answers %+v", got)
	}
	if r, err := Call(t.Context(), c.path+".none", Request{}); err == nil || r.Refused == nil || r.Refused.Why != Unreachable {
		t.Errorf("no agent: %+v %v", r, err)
	}
}

func TestTheSocketIsWhereEverybodyReachesIt(t *testing.T) {
	if got := Path("/var/lib/patchring-agent/"); got != "/run/patchring-agent/people.sock" {
		t.Error(got)
	}
	if got := Path("/srv/a"); got != "/srv/a/people.sock" {
		t.Error(got)
	}
}
