package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"patchring/internal/endpoint/executor"
	"patchring/internal/endpoint/executor/people"
	"patchring/internal/endpoint/notice"
)

// The verbs of the person at the device. What they say is in that person's
// language; what goes wrong ends with the documented exit status.

func lang() notice.Lang {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if locale := os.Getenv(name); locale != "" {
			return notice.Of(locale)
		}
	}
	return notice.English
}

// said is a refusal in the person's own language.
type said struct {
	text string
	why  error
}

func (s said) Error() string { return s.text }
func (s said) Unwrap() error { return s.why }

func (o options) ask(ctx context.Context, r notice.Request) (notice.Reply, error) {
	reply, err := notice.Call(ctx, notice.Path(o.dir), r)
	why, at := reply.Why()
	if err != nil || why == notice.Unreachable {
		return reply, said{notice.Refused(lang(), notice.Unreachable, at, time.Now()), errNotRunning}
	}
	if why != "" {
		return reply, said{notice.Refused(lang(), why, at, time.Now()), errNotTaken}
	}
	return reply, nil
}

func (o options) notices(ctx context.Context, out io.Writer) error {
	reply, err := o.ask(ctx, notice.Request{})
	if err != nil {
		return err
	}
	if o.json {
		return json.NewEncoder(out).Encode(reply.Notices)
	}
	return say(out, "%s", noticesText(lang(), reply.Notices, time.Now()))
}

func noticesText(l notice.Lang, list []executor.Announcement, now time.Time) string {
	if len(list) == 0 {
		return notice.Nothing(l) + "\n"
	}
	var b []byte
	for _, a := range list {
		text := notice.Tell(l, a, now)
		b = fmt.Appendf(b, "%s\n%s\n", text.Title, text.Body)
		for _, offer := range a.Offers {
			b = fmt.Appendf(b, "  %-10s %s\n", offer.Choice, notice.Label(l, a, offer, now))
		}
	}
	return string(b)
}

// instant is a local time, to the minute or to the second.
func instant(text string) (time.Time, error) {
	at, err := time.ParseInLocation("2006-01-02T15:04", text, time.Local)
	if err != nil {
		at, err = time.ParseInLocation("2006-01-02T15:04:05", text, time.Local)
	}
	return at, err
}

// later is the defer verb. An hour alone is what a person means by "later".
func (o options) later(ctx context.Context, args []string, out io.Writer) error {
	r := notice.Request{Choice: people.Hour}
	switch {
	case len(args) > 1 || len(args) == 1 && o.until != "":
		return fmt.Errorf("defer takes one of 1h, evening, tomorrow, or --until: %w", errUsage)
	case o.until != "":
		at, err := instant(o.until)
		if err != nil {
			return fmt.Errorf("--until wants a local time such as 2026-12-08T18:00: %w", errUsage)
		}
		r = notice.Request{Choice: people.At, Until: at}
	case len(args) == 1:
		r.Choice = people.Choice(args[0])
		if !slices.Contains([]people.Choice{people.Hour, people.Evening, people.Tomorrow}, r.Choice) {
			return fmt.Errorf("defer takes one of 1h, evening, tomorrow, or --until: %w", errUsage)
		}
	}
	if _, err := o.ask(ctx, r); err != nil {
		return err
	}
	return say(out, "%s\n", notice.Taken(lang(), r.Choice))
}

func (o options) now(ctx context.Context, out io.Writer) error {
	if _, err := o.ask(ctx, notice.Request{Choice: people.Now}); err != nil {
		return err
	}
	return say(out, "%s\n", notice.Taken(lang(), people.Now))
}
