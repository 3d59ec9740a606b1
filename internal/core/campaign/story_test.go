package campaign_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/core/procedure"
)

// TestScenarios plays the dated stories of testdata/scenarios: who is in the
// fleet, then what happens and what must be seen, line by line, at wall clock
// times of the procedure's zone.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txtar")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d scenarios found, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			play(t, file)
		})
	}
}

// story is a scenario being played.
type story struct {
	*world
	t    *testing.T
	file string
	line string
}

func play(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &story{t: t, file: file}
	for _, f := range archive.Files {
		switch f.Name {
		case "procedure":
			s.begin(string(f.Data))
		case "fleet":
			s.lines(string(f.Data), s.enrol)
		case "repository":
			s.lines(string(f.Data), func(words []string) { s.verb("offer", words) })
		case "story":
			s.lines(string(f.Data), s.tell)
		default:
			t.Fatalf("%s: unknown part %q", file, f.Name)
		}
	}
	s.line = "the end"
	s.checkNumbers()
	s.checkIdle()
}

func exampleProcedure(t *testing.T, name string) procedure.Procedure {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("..", "..", "..", "examples", "procedures", name))
	if err != nil {
		t.Fatal(err)
	}
	p, err := procedure.Parse(name, body)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (s *story) lines(text string, do func(words []string)) {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "#")
		if words := strings.Fields(line); len(words) > 0 {
			s.line = strings.Join(words, " ")
			do(words)
		}
	}
}

// Fatalf and Errorf say which line of the story was being told.
func (s *story) wrong(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s: %s\n\t%s", s.file, s.line, fmt.Sprintf(format, args...))
}

func (s *story) must(err error) {
	s.t.Helper()
	if err != nil {
		s.wrong("%v", err)
	}
}

// begin reads "example FILE month YYYY-MM", then changes to it for the story.
func (s *story) begin(text string) {
	words := strings.Fields(text)
	if len(words) < 4 || words[0] != "example" || words[2] != "month" {
		s.wrong("want: example FILE month YYYY-MM")
	}
	month, err := time.Parse("2006-01", words[3])
	s.must(err)
	s.world = newWorld(s.t, exampleProcedure(s.t, words[1]), month.Year(), month.Month())
}

// enrol reads "NAME KIND [group GROUP] PACKAGE=VERSION…".
func (s *story) enrol(words []string) {
	d := newDevice(words[0], fleet.Kind(words[1]))
	for rest := words[2:]; len(rest) > 0; rest = rest[1:] {
		if rest[0] == "group" {
			d.member.Groups = append(d.member.Groups, rest[1])
			rest = rest[1:]
			continue
		}
		name, version := cut(rest[0])
		d.installed[name] = version
	}
	s.devices = append(s.devices, d)
	if !s.started.IsZero() {
		s.enlist(d)
		d.scan(s.world)
	}
}

func cut(word string) (name, version string) {
	name, version, _ = strings.Cut(word, "=")
	return name, version
}

// tell reads "DATE HOUR VERB …": time passes until then, and the verb happens.
func (s *story) tell(words []string) {
	if len(words) < 3 {
		s.wrong("want: DATE HOUR VERB …")
	}
	at, err := time.ParseInLocation("2006-01-02 15:04", words[0]+" "+words[1], s.procedure.Zone)
	s.must(err)
	if at.Before(s.now) {
		s.wrong("stories go forward: it is %s", s.now.In(s.procedure.Zone))
	}
	s.until(at)
	s.checkNumbers()
	s.checkIdle()
	s.verb(words[2], words[3:])
	s.settle()
}

func (s *story) verb(verb string, words []string) {
	verbs := map[string]func([]string){
		"offer": s.offer, "sign": s.sign, "hold": s.hold, "resume": s.resume, "withdraw": s.withdrawVerb, "decide": s.decideVerb,
		"amend": s.amend, "rollback": s.rollbackVerb, "expedite": s.expedite, "close": s.close, "device": s.deviceVerb, "enrol": s.enrol,
		"ring": s.wantRing, "numbers": s.wantNumbers, "has": s.wantHas, "is": s.wantIs, "why": s.wantWhy, "campaign": s.wantCampaign,
		"acted": s.wantActed,
	}
	do, ok := verbs[verb]
	if !ok {
		s.wrong("unknown verb %q", verb)
	}
	do(words)
}

// offer changes what the repository has: PACKAGE=VERSION…
func (s *story) offer(words []string) {
	for _, word := range words {
		name, version := cut(word)
		s.offers[name] = version
	}
}

// sign RING ROLE yes|no [AMENDMENT]
func (s *story) sign(words []string) {
	s.signOff(s.ringNamed(words[0], s.amendment(words, 3)), words[1], words[2] == "yes")
}

func (s *story) amendment(words []string, at int) int {
	if len(words) <= at {
		return 0
	}
	n, err := strconv.Atoi(words[at])
	s.must(err)
	return n
}

func (s *story) ringNamed(name string, amendment int) *ring {
	for _, r := range s.rings {
		if r.Name == name && r.amendment == amendment {
			return r
		}
	}
	s.wrong("no ring %s", name)
	return nil
}

// hold campaign | ring NAME | device NAME | patch PACKAGE [device NAME]
func (s *story) hold(words []string) {
	h := campaign.Hold{Campaign: campaignID, Reason: "said so", Actor: "user:admin"}
	for rest := words; len(rest) > 1; rest = rest[2:] {
		switch rest[0] {
		case "ring":
			h.Ring = rest[1]
		case "device":
			h.Device = rest[1]
		case "patch":
			h.Item = string(s.item(rest[1]).ID)
		}
	}
	s.place(h)
}

func (s *story) resume([]string) { s.lift() }

func (s *story) item(name string) campaign.Item {
	for _, item := range s.items {
		if item.Key.Name == name {
			return item
		}
	}
	s.wrong("no %s in the content", name)
	return campaign.Item{}
}

func (s *story) withdrawVerb(words []string) { s.withdraw(s.item(words[0]).ID, "said so") }

// decide PACKAGE approved|delayed|declined [DATE]
func (s *story) decideVerb(words []string) {
	d := policy.Decision{Verdict: policy.Verdict(words[1]), Reason: "said so", Actor: "user:admin", At: s.now}
	if len(words) > 2 {
		until, err := time.ParseInLocation("2006-01-02", words[2], s.procedure.Zone)
		s.must(err)
		d.Until = until
	}
	s.decide(policy.ScopeOfName("apt", words[0]), d)
}

// amend PACKAGE=VERSION…
func (s *story) amend(words []string) {
	var keys []patch.Key
	for _, word := range words {
		name, version := cut(word)
		keys = append(keys, keyOf(name, version))
	}
	s.addAmendment(keys)
}

// rollback all | patch PACKAGE | ring NAME | device NAME
func (s *story) rollbackVerb(words []string) {
	var ask campaign.Rollback
	switch words[0] {
	case "patch":
		ask.Patch = s.item(words[1]).ID
	case "ring":
		ask.Ring = words[1]
	case "device":
		ask.Device = fleet.DeviceID(words[1])
	}
	s.rollBack(ask)
}

func (s *story) expedite(words []string) { s.hurry(s.ringNamed(words[0], s.amendment(words, 1))) }

func (s *story) close([]string) { s.state = campaign.Closed }

// device NAME HABIT [PACKAGE]
func (s *story) deviceVerb(words []string) {
	d := s.deviceNamed(words[0])
	what := strings.Join(words[2:], " ")
	name, version := cut(what)
	habits := map[string]func(){
		"leaves":   func() { d.away, d.leftAt = true, s.now },
		"returns":  func() { s.comeBack(d) },
		"breaks":   func() { d.breaks[what] = -1 },
		"mends":    func() { delete(d.breaks, what) },
		"lies":     func() { d.lies[what] = true },
		"reboots":  func() { d.reboots[what], d.noReboot = true, true },
		"discards": func() { d.discards[what] = true },
		"vetoes":   func() { d.vetoed[what] = true },
		"marks":    func() { d.marked[what] = true; d.scan(s.world) },
		"offered":  func() { d.offers[name] = version; d.scan(s.world) },
		"gets":     func() { d.installed[name] = version; d.scan(s.world) },
		"scans":    func() { d.habits.scan = scanGrades[what]; d.scan(s.world) },
		"rebooted": func() { s.restart(d) },
		"retires":  func() { s.retire(d) },
	}
	do, ok := habits[words[1]]
	if !ok {
		s.wrong("a device never %s", words[1])
	}
	do()
}

// ring NAME STATE [VERDICT] [REASON…] [amendment N]
func (s *story) wantRing(words []string) {
	amendment := 0
	if at := slices.Index(words, "amendment"); at > 0 {
		amendment = s.amendment(words, at+1)
		words = words[:at]
	}
	r := s.ringNamed(words[0], amendment)
	got := append([]string{string(r.Ring.Ring)}, strings.Fields(string(r.Verdict))...)
	for _, reason := range r.decision.Reasons {
		got = append(got, string(reason.Code))
	}
	for _, want := range words[1:] {
		if !slices.Contains(got, want) {
			s.wrong("ring is %v", got)
		}
	}
	if got[0] != words[1] {
		s.wrong("ring is %v", got)
	}
}

// numbers RING DONE FAILED NOT_REACHED UNREACHABLE EXEMPT [AMENDMENT]
func (s *story) wantNumbers(words []string) {
	c := s.ringNamed(words[0], s.amendment(words, 6)).Counters
	got := fmt.Sprint(c.Done, c.Failed, c.NotReached, c.Unreachable, c.Exempt)
	if want := strings.Join(words[1:6], " "); got != want {
		s.wrong("counts %s", got)
	}
}

// has DEVICE PACKAGE=VERSION…
func (s *story) wantHas(words []string) {
	d := s.deviceNamed(words[0])
	for _, word := range words[1:] {
		if name, version := cut(word); d.installed[name] != version {
			s.wrong("%s has %v", words[0], d.installed)
		}
	}
}

// is DEVICE BUCKET [REASON] [in AMENDMENT OR ROLLBACK]
func (s *story) wantIs(words []string) {
	number := 0
	if at := slices.Index(words, "in"); at > 0 {
		number, words = s.amendment(words, at+1), words[:at]
	}
	got := s.deviceNamed(words[0]).rows[number].decision
	if string(got.Bucket) != words[1] || len(words) > 2 && string(got.Reason.Code) != words[2] {
		s.wrong("%s is %s %s", words[0], got.Bucket, got.Reason)
	}
}

// why DEVICE PACKAGE=VERSION REASON: the first link that does not hold, or
// where the order stands.
func (s *story) wantWhy(words []string) {
	d := s.deviceNamed(words[0])
	r := d.rows[0]
	name, version := cut(words[1])
	chain := campaign.Explain(s.now, s.scene(0), s.view(d, r), keyOf(name, version))
	got := chain[len(chain)-1].Reason
	if blocking, blocked := campaign.Blocking(chain); blocked {
		got = blocking.Reason
	}
	if string(got.Code) != words[2] {
		s.wrong("because %s, chain %+v", got, chain)
	}
}

func (s *story) wantCampaign(words []string) {
	if string(s.state) != words[0] {
		s.wrong("it is %s", s.state)
	}
}

// acted DEVICE N [FROM-HOUR TO-HOUR]: how often it installed anything, and
// between which hours on its wall each time.
func (s *story) wantActed(words []string) {
	n, err := strconv.Atoi(words[1])
	s.must(err)
	var at []string
	for _, i := range s.installs {
		if i.device == words[0] {
			at = append(at, i.at.In(s.procedure.Zone).Format("2006-01-02 15:04"))
		}
	}
	if len(at) != n {
		s.wrong("it acted at %v", at)
	}
}
