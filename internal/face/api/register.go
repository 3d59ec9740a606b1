package api

import (
	"context"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"patchring/internal/infra/view"
	"patchring/internal/service/access"
	"patchring/internal/service/passport"
)

func (a *API) registerRegister() {
	const tag = "register"
	handle(a, operation{method: http.MethodGet, path: "/events", id: "list-events", summary: "The register, newest first", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *Paged) (view.EventPage, error) {
			return a.View.Events(ctx, p.Tenant, view.EventQuery{Paging: in.paging()})
		})
	handle(a, operation{method: http.MethodGet, path: "/register", id: "register-head", summary: "The register's size, root, checkpoint and public key", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, _ *struct{}) (passport.Head, error) {
			return a.Passport.Head(ctx, p.Tenant)
		})
	handle(a, operation{method: http.MethodPost, path: "/register/verify", id: "verify-register", summary: "Verify the register where it is kept", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, _ *struct{}) (passport.Verified, error) {
			return a.Passport.Verify(ctx, p.Tenant)
		})
	a.download(operation{method: http.MethodGet, path: "/register/export", id: "export-register", summary: "The whole register with its checkpoint, verified offline by: patchring register verify", tag: tag, act: access.Export},
		func(ctx context.Context, p access.Principal, _ string, w io.Writer) error {
			return a.Passport.Export(ctx, p.Tenant, p.Actor(), w)
		})
	a.download(operation{method: http.MethodGet, path: "/devices/{device}/passport", id: "device-passport", summary: "One device's register with its proofs", tag: tag, act: access.Export},
		func(ctx context.Context, p access.Principal, device string, w io.Writer) error {
			d, err := a.View.FindDevice(ctx, p.Tenant, device)
			if err != nil {
				return err
			}
			return a.Passport.Passport(ctx, p.Tenant, p.Actor(), d.ID, w)
		})
	a.download(operation{method: http.MethodGet, path: "/backup", id: "backup", summary: "A consistent copy of the database; the keys are not in it", tag: tag, act: access.Backup},
		func(ctx context.Context, _ access.Principal, _ string, w io.Writer) error { return a.Backup(ctx, w) })
}

// download registers a route that streams a file. What is refused is refused
// before the first byte; a failure after it cuts the stream short, which the
// file's own checksums tell.
func (a *API) download(op operation, write func(context.Context, access.Principal, string, io.Writer) error) {
	spec := op.huma()
	spec.Responses = map[string]*huma.Response{"200": {
		Description: "The file.", Content: map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{Type: "string", Format: "binary"}}},
	}}
	respond := func(ctx context.Context, device string) (*huma.StreamResponse, error) {
		p := principalIn(ctx)
		if err := p.Need(op.act); err != nil {
			return nil, a.problem(ctx, err)
		}
		return &huma.StreamResponse{Body: func(hctx huma.Context) {
			w := &lateWriter{ctx: hctx}
			err := write(ctx, p, device, w)
			switch {
			case err == nil:
			case w.started:
				a.Log.ErrorContext(ctx, "download cut short", "operation", op.id, "err", err)
				panic(http.ErrAbortHandler) // the client must see that the file is not whole
			default:
				w.refuse(a.problem(ctx, err))
			}
		}}, nil
	}
	if op.id == "device-passport" {
		huma.Register(a.huma, spec, func(ctx context.Context, in *OneDevice) (*huma.StreamResponse, error) { return respond(ctx, in.Device) })
		return
	}
	huma.Register(a.huma, spec, func(ctx context.Context, _ *struct{}) (*huma.StreamResponse, error) { return respond(ctx, "") })
}
