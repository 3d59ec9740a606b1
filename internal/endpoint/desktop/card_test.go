package desktop

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/fault"
)

// player is a session whose dialogs end as a test says.
type player struct {
	says    state
	open    chan string // keys of dialogs that are on the screen
	press   chan string
	problem error
}

func (d *player) Look(context.Context) state { return d.says }

func (d *player) Deal(ctx context.Context, p Popup, shown func()) (string, error) {
	if d.problem != nil {
		return "", d.problem
	}
	shown()
	d.open <- p.Key
	select {
	case <-ctx.Done():
		d.open <- p.Key + " gone"
		return "", nil
	case button := <-d.press:
		return button, nil
	}
}

// game is a running helper of dialogs.
type game struct {
	t     *testing.T
	in    *io.PipeWriter
	words *bufio.Scanner
	ended chan error
}

func newGame(t *testing.T, d *player) *game {
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	g := &game{t: t, in: inW, words: bufio.NewScanner(outR), ended: make(chan error, 1)}
	go func() { g.ended <- errors.Join(serve(context.WithoutCancel(t.Context()), d, inR, outW), outW.Close()) }()
	return g
}

func (g *game) word() word {
	g.t.Helper()
	if !g.words.Scan() {
		g.t.Fatal("the helper says nothing more")
	}
	var w word
	mustBe(g.t, json.Unmarshal(g.words.Bytes(), &w))
	return w
}

func (g *game) show(list ...Popup) {
	g.t.Helper()
	text, err := json.Marshal(order{Show: list})
	mustBe(g.t, err)
	_, err = g.in.Write(append(text, '\n'))
	mustBe(g.t, err)
}

func mustBe(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestADialogIsShownAnsweredOnceAndTakenAway(t *testing.T) {
	d := &player{says: state{Lang: "fr", Busy: fault.UserBusy, App: "zoom"}, open: make(chan string), press: make(chan string)}
	g := newGame(t, d)
	if w := g.word(); w.State == nil || *w.State != d.says {
		t.Fatalf("first %+v, want the session's state", w)
	}
	one, two := Popup{Key: "1", Buttons: []Button{{"now", "Installer"}}}, Popup{Key: "2"}
	g.show(one)
	if w := g.word(); w.Shown != "1" || w.Problem != "" || <-d.open != "1" {
		t.Fatalf("%+v, want the first shown", w)
	}
	d.press <- "now"
	if w := g.word(); w.Pressed != "1" || w.Button != "now" {
		t.Fatalf("%+v, want its answer", w)
	}
	g.show(one, two) // the answered one is still announced: it does not come again
	if w := g.word(); w.Shown != "2" || <-d.open != "2" {
		t.Fatalf("%+v, want the second and not the first again", w)
	}
	g.show(one)
	if got := <-d.open; got != "2 gone" {
		t.Fatalf("%s, want the second taken away", got)
	}
	g.show(one, two) // asked again later, it is a new one
	if w := g.word(); w.Shown != "2" || <-d.open != "2" {
		t.Fatalf("%+v", w)
	}
	mustBe(t, g.in.Close())
	if got := <-d.open; got != "2 gone" {
		t.Fatalf("%s, want everything taken away at the end", got)
	}
	select {
	case err := <-g.ended:
		mustBe(t, err)
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end with its input")
	}
}

func TestADialogThatCannotBeShownIsTold(t *testing.T) {
	g := newGame(t, &player{problem: errors.New("no screen")})
	g.word()
	g.show(Popup{Key: "1"})
	if w := g.word(); w.Shown != "1" || w.Problem != "no screen" {
		t.Fatalf("%+v, want the problem", w)
	}
	mustBe(t, g.in.Close())
	mustBe(t, <-g.ended)
}

func TestWhatMacToolsPrintIsRead(t *testing.T) {
	const battery = "Now drawing from 'Battery Power'\n -InternalBattery-0 (id=4653155)\t63%; discharging; 4:03 remaining present: true\n"
	const mains = "Now drawing from 'AC Power'\n -InternalBattery-0 (id=4653155)\t100%; charged; 0:00 remaining present: true\n"
	const none = "Now drawing from 'AC Power'\n"
	for text, want := range map[string]struct {
		inUse   bool
		percent int
	}{battery: {true, 63}, mains: {false, 100}, none: {}, "": {}} {
		if inUse, percent := macBattery(text); inUse != want.inUse || percent != want.percent {
			t.Errorf("%q: %v %d, want %+v", text, inUse, percent, want)
		}
	}
	const call = `Assertion status system-wide:
   PreventUserIdleDisplaySleep    1
Listed by owning process:
   pid 102(powerd): [0x0000213100018a5c] 00:20:02 PreventUserIdleDisplaySleep named: "Powerd - Prevent sleep while display is on"
   pid 612(zoom.us): [0x0000213e00058a5b] 00:20:05 PreventUserIdleDisplaySleep named: "Zoom Video Communications"
`
	if code, app := macBusy(call); code != fault.UserBusy || app != "zoom.us" {
		t.Errorf("a call: %s %q", code, app)
	}
	if code, _ := macBusy(strings.ReplaceAll(call, "612(zoom.us)", "102(powerd)")); code != "" {
		t.Errorf("the system's own: %s", code)
	}
	if !macLocked("<key>CGSSessionScreenIsLocked</key>\n\t\t<true/>") || macLocked("<key>CGSSessionScreenIsLocked</key>\n<false/>") || macLocked("") {
		t.Error("locked is read wrongly")
	}
	for text, want := range map[string]string{"(\n    \"fr-FR\",\n    \"en-FR\"\n)\n": "fr", "(\n    en\n)\n": "en", "(\n    \"de-DE\",\n)\n": "", "": ""} {
		if got := macLanguage(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestAMacDialogTakesWordsAsArguments(t *testing.T) {
	evil := `"; do shell script "touch /tmp/x`
	args, by := macDialog(Popup{Title: evil, Body: evil, Plain: "type this", Buttons: []Button{{"now", "Now"}, {"1h", "In 1 h"}, {"evening", "Evening"}, {"tomorrow", "Tomorrow"}}})
	if strings.Contains(args[1], "touch") || args[2] != evil {
		t.Errorf("a word became a part of the program: %q", args[1])
	}
	if want := []string{"Evening", "In 1 h", "Now"}; strings.Join(args[4:], "|") != strings.Join(want, "|") || by["Now"] != "now" || len(by) != 3 || !strings.Contains(args[3], "type this") {
		t.Errorf("%q %v, want three buttons and how to give the fourth answer", args[4:], by)
	}
	if args, by := macDialog(Popup{Title: "t", Body: "b"}); args[len(args)-1] != "OK" || len(by) != 0 {
		t.Errorf("without answers: %q %v", args, by)
	}
}

func TestWhatWindowsSaysIsRead(t *testing.T) {
	for state, want := range map[uint32]fault.Code{1: "", 2: fault.UserFullScreen, 3: fault.UserFullScreen, 4: fault.UserBusy, 5: "", 6: fault.UserUndisturbed, 7: "", 99: ""} {
		if got := winBusy(state); got != want {
			t.Errorf("state %d: %q, want %q", state, got, want)
		}
	}
	for _, c := range []struct {
		ac, flag, percent byte
		inUse             bool
		full              int
	}{{0, 0, 41, true, 41}, {1, 8, 100, false, 100}, {1, 128, 255, false, 0}, {255, 255, 255, false, 0}} {
		if inUse, full := winBattery(c.ac, c.flag, c.percent); inUse != c.inUse || full != c.full {
			t.Errorf("%+v: %v %d", c, inUse, full)
		}
	}
	if winLanguage(0x040c) != "fr" || winLanguage(0x0c0c) != "fr" || winLanguage(0x0409) != "en" || winLanguage(0x0407) != "" {
		t.Error("languages are read wrongly")
	}
	text, by := winBox(Popup{Body: "Mises à jour", Plain: "Pour répondre", Buttons: []Button{{"now", "Installer"}, {"1h", "Dans 1 h"}, {"evening", "Ce soir"}}}, "fr")
	if by[winYes] != "now" || by[winNo] != "1h" || by[winCancel] != "" || !strings.Contains(text, "[Oui]  Installer\n[Non]  Dans 1 h\n\nPour répondre") {
		t.Errorf("%q %v", text, by)
	}
}
