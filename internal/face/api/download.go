package api

import (
	"encoding/json"

	"github.com/danielgtaylor/huma/v2"
)

// lateWriter sends the headers of a file with its first byte, so that what
// fails before it can still be a refusal.
type lateWriter struct {
	ctx     huma.Context
	started bool
}

// Write implements io.Writer.
func (w *lateWriter) Write(b []byte) (int, error) {
	if !w.started {
		w.started = true
		w.ctx.SetHeader("Content-Type", "application/octet-stream")
		w.ctx.SetHeader("Cache-Control", "no-store")
	}
	return w.ctx.BodyWriter().Write(b)
}

func (w *lateWriter) refuse(p *Refusal) {
	w.ctx.SetHeader("Content-Type", p.ContentType(""))
	w.ctx.SetStatus(p.Status)
	text, err := json.Marshal(p)
	if err != nil {
		panic("api: encode a problem: " + err.Error()) // texts and numbers always encode
	}
	if _, err := w.ctx.BodyWriter().Write(text); err != nil {
		return // the client has left
	}
}
