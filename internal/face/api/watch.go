package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fleet"
	"patchring/internal/infra/view"
	"patchring/internal/service/access"
)

const (
	// watchEvery is the shortest time between two boards: two a second are
	// enough for eyes, however much happens.
	watchEvery = 500 * time.Millisecond
	// watchBeat keeps proxies from closing a quiet stream, and re-reads what
	// changes by time alone.
	watchBeat = 15 * time.Second
	// watchWrite is how long a reader may take to accept one board.
	watchWrite = 30 * time.Second
)

func (a *API) registerWatch(tag string) {
	op := operation{method: http.MethodGet, path: "/campaigns/{campaign}/watch", id: "watch-campaign", tag: tag, act: access.See,
		summary: "The campaign's board, sent again whenever it changes (server-sent events)"}.huma()
	op.Responses = map[string]*huma.Response{"200": {
		Description: "Events named board, each with a whole board as its data. The stream ends when the campaign is closed.",
		Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: "string"}}},
	}}
	huma.Register(a.huma, op, func(ctx context.Context, in *OneCampaign) (*huma.StreamResponse, error) {
		p := principalIn(ctx)
		if err := p.Need(access.See); err != nil {
			return nil, a.problem(ctx, err)
		}
		c, err := a.View.FindCampaign(ctx, p.Tenant, in.Campaign)
		if err != nil {
			return nil, a.problem(ctx, err)
		}
		return &huma.StreamResponse{Body: func(hctx huma.Context) {
			_, w := humago.Unwrap(hctx)
			if err := a.stream(ctx, w, p.Tenant, c.ID); err != nil && ctx.Err() == nil {
				a.Log.DebugContext(ctx, "watch campaign", "campaign", c.Name, "err", err)
			}
		}}, nil
	})
}

// stream sends boards until the client leaves, the server stops or the
// campaign is closed.
func (a *API) stream(ctx context.Context, w http.ResponseWriter, tenant fleet.TenantID, id string) error {
	changed, stop := a.Listen(tenant, campaign.ID(id))
	defer stop()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	out := http.NewResponseController(w)
	var sent []byte
	for {
		board, text, err := a.board(ctx, tenant, id)
		if err != nil {
			return err
		}
		event := ": still here\n\n"
		if !bytes.Equal(text, sent) {
			event, sent = "event: board\ndata: "+string(text)+"\n\n", text
		}
		if err := send(w, out, event); err != nil {
			return err
		}
		if board.Campaign.State == string(campaign.Closed) {
			return nil
		}
		if !a.wait(ctx, changed) {
			return nil
		}
	}
}

// board is read again each time. What it says of the present instant is left
// out, so that an unchanged board is not sent again.
func (a *API) board(ctx context.Context, tenant fleet.TenantID, id string) (view.Board, []byte, error) {
	board, err := a.View.Board(ctx, tenant, id)
	if err != nil {
		return board, nil, err
	}
	board.At = time.Time{}
	text, err := json.Marshal(board)
	if err != nil {
		return board, nil, fmt.Errorf("encode board: %w", err)
	}
	return board, text, nil
}

func send(w io.Writer, out *http.ResponseController, event string) error {
	if err := out.SetWriteDeadline(time.Now().Add(watchWrite)); err != nil {
		return fmt.Errorf("set deadline: %w", err)
	}
	if _, err := io.WriteString(w, event); err != nil {
		return fmt.Errorf("send board: %w", err)
	}
	return out.Flush()
}

// wait answers false when the stream is to end.
func (a *API) wait(ctx context.Context, changed <-chan struct{}) bool {
	pause := time.NewTimer(watchEvery)
	defer pause.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-pause.C:
	}
	beat := time.NewTimer(watchBeat)
	defer beat.Stop()
	select {
	case <-ctx.Done():
		return false
	case _, open := <-changed:
		return open
	case <-beat.C:
		return true
	}
}
