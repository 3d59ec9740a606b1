package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/desktop"
	"patchring/internal/endpoint/executor"
	"patchring/internal/endpoint/executor/people"
	"patchring/internal/endpoint/notice"
	"patchring/wire"
)

// answerTimeout bounds what a press of a button may take.
const answerTimeout = 30 * time.Second

// desk puts the desktops and the executor together: persons into users, notices
// into words, buttons into answers.
type desk struct {
	a       *Agent
	desktop *desktop.Desktop

	mu      sync.Mutex // guards the rest
	persons map[string]desktop.Person
	popups  map[string]executor.Announcement // on a screen, by key
	shown   map[string]wire.NoticeWhat       // last told to the server, by what does not count down
}

func newDesk(a *Agent) *desk {
	d := &desk{a: a, persons: map[string]desktop.Person{}, popups: map[string]executor.Announcement{}, shown: map[string]wire.NoticeWhat{}}
	o := a.Device.Desktop
	o.Pressed, o.Shown, o.Log = d.pressed, d.told, a.Log
	d.desktop = desktop.New(o)
	return d
}

// present is who is there, for the executor.
func (d *desk) present(ctx context.Context) (executor.Presence, error) {
	var p executor.Presence
	list, err := d.desktop.People(ctx)
	if err != nil {
		return p, err
	}
	persons := map[string]desktop.Person{}
	for _, person := range list {
		persons[person.Name] = person
		u := people.User{Name: person.Name}
		if person.Busy != "" {
			u.Busy = fault.Because(person.Busy, "user", person.Name, "app", person.App)
		}
		p.Users = append(p.Users, u)
	}
	d.mu.Lock()
	d.persons = persons
	d.mu.Unlock()
	p.Battery.InUse, p.Battery.Percent, err = desktop.Battery(d.a.Device.Host.FS)
	if err != nil {
		d.a.Log.Warn("battery not read", "err", err) // one hint among several
	}
	return p, nil
}

// show puts on each screen what awaits an answer or counts down.
func (d *desk) show(list []executor.Announcement) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var popups []desktop.Popup
	kept, shown := map[string]executor.Announcement{}, map[string]wire.NoticeWhat{}
	for _, a := range list {
		person, here := d.persons[a.User]
		if !here || a.State != people.StateAsked && a.State != people.StateCountdown {
			continue
		}
		p := d.popup(person, a)
		popups = append(popups, p)
		kept[p.Key], shown[steady(a)] = a, d.shown[steady(a)]
	}
	d.popups, d.shown = kept, shown
	d.desktop.Show(popups)
}

func (d *desk) popup(person desktop.Person, a executor.Announcement) desktop.Popup {
	l, now := d.lang(person), time.Now()
	text := notice.Tell(l, a, now)
	p := desktop.Popup{
		Key: steady(a) + a.At.UTC().Format(time.RFC3339), UID: person.UID, Title: text.Title, Body: text.Body, Plain: text.Plain,
		Urgent: a.State == people.StateCountdown, Image: d.a.logos.of(a),
	}
	for _, o := range a.Offers {
		p.Key += " " + string(o.Choice)
		p.Buttons = append(p.Buttons, desktop.Button{Key: string(o.Choice), Label: notice.Label(l, a, o, now)})
	}
	return p
}

// steady names a notice by what does not change while it stands.
func steady(a executor.Announcement) string {
	return fmt.Sprint(a.Serial, " ", a.Act, " ", a.User, " ", a.Round, " ", a.State, " ")
}

// lang is the session's language, or the device's.
func (d *desk) lang(p desktop.Person) notice.Lang {
	if p.Lang != "" {
		return notice.Of(p.Lang)
	}
	text, err := fs.ReadFile(d.a.Device.Host.FS, "etc/default/locale")
	if err != nil {
		return notice.English
	}
	for line := range strings.Lines(string(text)) {
		if locale, is := strings.CutPrefix(strings.TrimSpace(line), "LANG="); is {
			return notice.Of(strings.Trim(locale, `"`))
		}
	}
	return notice.English
}

// pressed is an answer from a screen.
func (d *desk) pressed(key, button string) {
	d.mu.Lock()
	a, stands := d.popups[key]
	d.mu.Unlock()
	if !stands {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	err := d.a.executor.Answer(ctx, a.Serial, people.Reply{User: a.User, Round: a.Round, Choice: people.Choice(button)})
	if err != nil {
		d.a.Log.Warn("an answer was not taken", "serial", a.Serial, "err", err)
	}
}

// told is spooled once a notice, however often its screen came and went; that
// it is seen at last is news too.
func (d *desk) told(key string, problem error) {
	what := wire.NoticeShown
	if problem != nil {
		what = wire.NoticeUnseen
	}
	d.mu.Lock()
	a, stands := d.popups[key]
	before := d.shown[steady(a)]
	news := stands && before != what && before != wire.NoticeShown
	if news {
		d.shown[steady(a)] = what
	}
	d.mu.Unlock()
	if !news {
		return
	}
	if err := d.a.executor.Shown(a, problem); err != nil {
		d.a.Log.Error("a notice on a screen was not told", "err", err)
	}
}

// serve answers people on the device's own socket.
func (d *desk) serve(ctx context.Context) error {
	s := notice.Server{
		Path: notice.Path(d.a.Dir), Announced: d.a.executor.Announced, Answer: d.a.executor.Answer, Name: d.desktop.Name, Log: d.a.Log,
	}
	return s.Run(ctx)
}

// HelperVerb is the verb that runs the helper of a desktop session.
const HelperVerb = "notify-helper"

func helper() []string {
	exe, err := os.Executable()
	if err != nil {
		return nil
	}
	return []string{exe, HelperVerb}
}

// Help runs the helper of one person's session until its input ends.
func Help(ctx context.Context) error {
	err := desktop.Help(ctx, os.Stdin, os.Stdout)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
