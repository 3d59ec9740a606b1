package console

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/a-h/templ"

	"patchring/internal/core/campaign"
	"patchring/internal/face/console/page"
	"patchring/internal/face/console/source"
	"patchring/internal/face/console/ui"
)

const (
	// pushEvery keeps a board to two pushes a second, however fast things move.
	pushEvery = 500 * time.Millisecond
	// lookEvery finds what no beat told: another server's work, for instance.
	lookEvery = 5 * time.Second
	// streamLife ends a stream so that the browser comes back through the door:
	// a closed account does not watch for ever.
	streamLife = 5 * time.Minute
	// writeWithin drops a reader that does not take what it is sent.
	writeWithin = 10 * time.Second
)

// fragment is a part of the board that is pushed by itself, in the same markup
// as in the page.
type fragment struct {
	id   string
	show func(ui.Frame, page.Board) templ.Component
}

var fragments = []fragment{
	{"board-head", page.BoardHead},
	{"board-emergency", page.BoardEmergency},
	{"board-rollback", page.BoardRollback},
	{"board-summary", page.BoardSummary},
	{"board-rings", page.BoardRings},
	{"board-causes", page.BoardCauses},
	{"board-holds", page.BoardHolds},
	{"board-alerts", page.BoardAlerts},
	{"board-content", page.BoardContent},
	{"board-amendments", page.BoardAmendments},
	{"board-incidents", page.BoardIncidents},
	{"board-tasks", page.BoardTasks},
	{"board-activity", page.BoardActivity},
}

// boardParts are the ids of fragments.
func boardParts() (ids []string) {
	for _, f := range fragments {
		ids = append(ids, f.id)
	}
	return ids
}

// boards are the boards somebody watches, each rendered once for all who see
// the same: same campaign, language and permissions.
type boards struct {
	mu      sync.Mutex // guards watched and each board's watchers
	watched map[string]*board
}

type board struct {
	watchers int

	mu    sync.Mutex // guards all below
	at    time.Time
	parts []string
}

func newBoards() *boards { return &boards{watched: map[string]*board{}} }

// watch joins the board of a key until stop is called.
func (b *boards) watch(key string) (*board, func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.watched[key]
	if one == nil {
		one = &board{}
		b.watched[key] = one
	}
	one.watchers++
	return one, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if one.watchers--; one.watchers == 0 {
			delete(b.watched, key)
		}
	}
}

// current gives the parts as they are, rendered anew when they are older than
// a push may be. Whoever comes first renders; the others wait for it.
func (b *board) current(now time.Time, render func() ([]string, error)) ([]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.parts != nil && now.Sub(b.at) < pushEvery*9/10 {
		return b.parts, nil
	}
	parts, err := render()
	if err != nil {
		return nil, err
	}
	b.at, b.parts = now, parts
	return parts, nil
}

// class is what makes two readers see different boards.
func class(v visit, id string) string {
	roles := slices.Sorted(slices.Values(v.who.Roles))
	return strings.Join([]string{string(v.who.Tenant), id, string(v.words.Lang()), strings.Join(roles, ",")}, "\x00")
}

// stream pushes what changes on a board.
func (c *Console) stream(v visit) {
	id := v.PathValue("id")
	shared, leave := c.live.watch(class(v, id))
	defer leave()
	beats, stop := c.Listen(v.who.Tenant, campaign.ID(id))
	defer stop()
	render := func() ([]string, error) { return c.renderBoard(v.Context(), v.viewer(), c.boardFrame(v, id), id) }
	parts, err := shared.current(time.Now(), render)
	if err != nil {
		c.problem(v, err) // before the stream begins, so that its status is told
		return
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Accel-Buffering", "no")
	ctx, cancel := context.WithTimeout(v.Context(), streamLife)
	defer cancel()
	seen := make([]string, len(fragments))
	for {
		if err := push(v.w, boardParts(), seen, parts); err != nil {
			return // the reader went away
		}
		seen = parts
		if !wait(ctx, beats) {
			return
		}
		next, err := shared.current(time.Now(), render)
		switch {
		case err == nil:
			parts = next
		case ctx.Err() == nil:
			// What the reader sees stays; the next look may succeed.
			c.Log.Error("read a live board", "campaign", id, "err", err)
		}
	}
}

// wait ends with a beat or when it is time to look anyway, never sooner than a
// push may follow the last; false when the stream is over.
func wait(ctx context.Context, beats <-chan struct{}) bool {
	pause := time.NewTimer(pushEvery)
	defer pause.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-pause.C:
	}
	look := time.NewTimer(lookEvery)
	defer look.Stop()
	select {
	case <-ctx.Done():
		return false
	case _, open := <-beats:
		return open
	case <-look.C:
		return true
	}
}

// boardFrame is the page's frame without what is of this one visit only.
func (c *Console) boardFrame(v visit, id string) ui.Frame {
	f := c.frame(v, ui.Campaigns, "")
	f.Path = ui.Path("campaigns", id)
	return f
}

func (c *Console) renderBoard(ctx context.Context, who source.Viewer, f ui.Frame, id string) ([]string, error) {
	view, err := c.Reader.Board(ctx, who, id)
	if err != nil {
		return nil, err
	}
	f = inZone(f, view)
	parts := make([]string, len(fragments))
	for i, part := range fragments {
		var b strings.Builder
		if err := part.show(f, view).Render(ctx, &b); err != nil {
			return nil, fmt.Errorf("render %s: %w", part.id, err)
		}
		parts[i] = b.String()
	}
	return parts, nil
}

// push sends the parts that differ from what the reader has, in one unnamed
// message that htmx swaps part by part. Without any it sends a comment, which
// finds out whether anyone is still there.
func push(w http.ResponseWriter, ids, seen, parts []string) error {
	var b strings.Builder
	for i, part := range parts {
		if part == seen[i] {
			continue
		}
		fmt.Fprintf(&b, "<hx-partial hx-target=\"#%s\" hx-swap=\"outerMorph\">%s</hx-partial>\n", ids[i], part)
	}
	message := ": still here\n\n"
	if b.Len() > 0 {
		message = "data: " + strings.ReplaceAll(strings.TrimSpace(b.String()), "\n", "\ndata: ") + "\n\n"
	}
	control := http.NewResponseController(w)
	if err := control.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return err
	}
	if _, err := io.WriteString(w, message); err != nil {
		return err
	}
	return control.Flush()
}
