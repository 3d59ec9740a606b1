package console

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/httprate"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/identity"
	"patchring/internal/core/patch"
	"patchring/internal/face/console/page"
	"patchring/internal/face/console/source"
	"patchring/internal/face/console/ui"
	"patchring/internal/service/access"
	"patchring/internal/service/personal"
	"patchring/wire"
)

// What a device's page answers in a minute: whoever has its link is nobody else.
const (
	looksAMinute = 60
	actsAMinute  = 10
)

// pageLimits count by device: many people share an address, and a link is one
// device's.
type pageLimits struct{ looks, acts *httprate.RateLimiter }

func newPageLimits() pageLimits {
	silent := httprate.WithLimitHandler(func(http.ResponseWriter, *http.Request) {}) // the page itself says it
	return pageLimits{
		looks: httprate.NewRateLimiter(looksAMinute, time.Minute, silent), acts: httprate.NewRateLimiter(actsAMinute, time.Minute, silent),
	}
}

// guest is one request of whoever has a device's link.
type guest struct {
	visit
	of identity.Page
}

// personalRoutes are the pages of devices. No cookie opens them, so no other
// site can use one: the address itself is the secret.
func (c *Console) personalRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET "+personal.Path+"{token}", c.guest(c.pages.looks, func(g guest) { c.personalPage(g, http.StatusOK, "", "") }))
	mux.Handle("GET "+personal.Path+"{token}"+wire.LogoPath, c.guest(c.pages.looks, func(g guest) { c.logoOf(g.visit, g.of.Tenant) }))
	mux.Handle("POST "+personal.Path+"{token}/later", c.guest(c.pages.acts, c.later))
	mux.Handle("POST "+personal.Path+"{token}/feedback", c.guest(c.pages.acts, c.say))
	mux.HandleFunc(personal.Path, func(w http.ResponseWriter, r *http.Request) {
		c.gone(visit{Request: r, w: w, words: c.words(r, "")}, fault.New(fault.LinkInvalid))
	})
	return mux
}

// guest lets whoever has a good link through, and not too often.
func (c *Console) guest(limit *httprate.RateLimiter, h func(guest)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := visit{Request: r, w: w, words: c.words(r, "")}
		w.Header().Set("X-Robots-Tag", "noindex, nofollow")
		of, err := c.Personal.Open(r.Context(), r.PathValue("token"))
		if err == nil && limit.OnLimit(w, r, string(of.Tenant)+"/"+string(of.ID)) {
			err = fault.New(fault.TooManyTries)
		}
		if err != nil {
			c.gone(v, err)
			return
		}
		h(guest{v, of})
	})
}

// gone says why there is no page.
func (c *Console) gone(v visit, err error) {
	status := statusOf(err)
	if errors.Is(err, fault.New(fault.LinkInvalid)) || errors.Is(err, fault.New(fault.LinkExpired)) {
		status = http.StatusNotFound
	}
	if status == http.StatusInternalServerError && v.Context().Err() == nil {
		c.Log.Error("device's page", "err", err)
	}
	why := fault.Because(fault.Internal)
	var known *fault.Error
	if errors.As(err, &known) {
		why = known.Reason
	}
	f := c.frame(v, ui.NoSection, v.words.T("personal.gone"))
	f.Path = "/login" // the switches lead no one back to a secret
	c.show(v, status, page.PersonalGonePage(f, why))
}

// flashes are what the page may tell after an act.
var flashes = []string{"later", "works", "broken"}

func (c *Console) personalPage(g guest, status int, problem, words string) {
	p, err := c.Reader.Personal(g.Context(), source.Viewer{Tenant: g.of.Tenant, Words: g.words}, g.of.ID)
	if err != nil {
		c.gone(g.visit, err)
		return
	}
	logo, err := c.Personal.Logo(g.Context(), g.of.Tenant)
	if err != nil {
		c.gone(g.visit, err)
		return
	}
	p.Token, p.Logo, p.Error, p.Words = g.PathValue("token"), logo != nil, problem, words
	f := inZone(c.frame(g.visit, ui.NoSection, g.words.T("personal.title")), p)
	f.Path = personal.Path + p.Token
	if done := g.URL.Query().Get("done"); problem == "" && slices.Contains(flashes, done) {
		f.Flash = &ui.Flash{Good: true, Text: g.words.T("said." + done)}
	}
	c.show(g.visit, status, page.PersonalPage(f, p))
}

func (c *Console) later(g guest) {
	if err := g.parse(); err != nil {
		c.refuse(g, err)
		return
	}
	err := c.Personal.Postpone(g.Context(), g.of, personal.Later{Order: g.PostFormValue("order"), Choice: wire.Choice(g.PostFormValue("choice"))})
	c.answer(g, "later", err)
}

func (c *Console) say(g guest) {
	if err := g.parse(); err != nil {
		c.refuse(g, err)
		return
	}
	says := personal.Says(g.PostFormValue("says"))
	err := c.Personal.Say(g.Context(), g.of, personal.Feedback{
		Campaign: g.PostFormValue("campaign"), Patch: patch.ID(g.PostFormValue("patch")), Says: says, Words: g.PostFormValue("words"),
	})
	c.answer(g, string(says), err)
}

// answer goes back to the page, so that loading it again sends nothing twice.
func (c *Console) answer(g guest, done string, err error) {
	if err != nil {
		c.refuse(g, err)
		return
	}
	http.Redirect(g.w, g.Request, ui.With(personal.Path+g.PathValue("token"), "done", done), http.StatusSeeOther)
}

func (c *Console) refuse(g guest, err error) {
	if statusOf(err) >= http.StatusInternalServerError {
		c.gone(g.visit, err)
		return
	}
	c.personalPage(g, statusOf(err), g.words.Error(err), strings.TrimSpace(g.PostFormValue("words")))
}

// logoOf hands out a tenant's logo. It is a picture that this server has drawn.
func (c *Console) logoOf(v visit, tenant fleet.TenantID) {
	body, err := c.Personal.Logo(v.Context(), tenant)
	if err == nil && body == nil {
		err = fault.New(fault.NotFound, "what", "logo", "name", "")
	}
	if err != nil {
		c.gone(v, err)
		return
	}
	h := v.w.Header()
	secure(h)
	h.Set("Content-Type", "image/png")
	h.Set("Cache-Control", "private, max-age=3600")
	if _, err := v.w.Write(body); err != nil {
		c.Log.Debug("answer", "err", err)
	}
}

func (c *Console) logo(v visit) { c.logoOf(v, v.who.Tenant) }

func (c *Console) deviceLink(v visit) (page.DeviceLink, error) {
	if err := v.who.Need(access.FleetAct); err != nil {
		return page.DeviceLink{}, err
	}
	d, err := c.device(v)
	if err != nil {
		return page.DeviceLink{}, err
	}
	l, err := c.Personal.Link(v.Context(), v.who.Tenant, fleet.DeviceID(d.ID))
	return page.DeviceLink{ID: d.ID, Name: d.Name, URL: l.URL, Expires: l.Expires}, err
}

func (c *Console) revokeLinksForm(v visit) (ui.Form, error) {
	d, err := c.device(v)
	if err != nil {
		return ui.Form{}, err
	}
	fm := v.blank("revoke_links", d.Name, ui.Path("devices", d.ID, "page"))
	fm.Danger, fm.Fields = true, []ui.Field{v.why()}
	return fm, nil
}

func (c *Console) revokeLinks(v visit) error {
	return c.Personal.Revoke(v.Context(), v.who.Tenant, v.who.Actor(), fleet.DeviceID(v.PathValue("id")), v.PostFormValue("reason"))
}

func (c *Console) feedback(v visit) (page.FeedbackList, error) {
	return c.Reader.Feedback(v.Context(), v.viewer(), page.FeedbackQuery{
		Which: orElse(v.FormValue("which"), page.FeedbackFilters[0]), Campaign: v.FormValue("campaign"), Device: v.FormValue("device"), After: v.FormValue("after"),
	})
}

func (c *Console) closeFeedbackForm(v visit) (ui.Form, error) {
	l, err := c.Reader.FeedbackOne(v.Context(), v.viewer(), v.PathValue("id"))
	if err != nil {
		return ui.Form{}, err
	}
	fm := v.blank("close_feedback", l.Heading(), "/feedback")
	fm.Fields = []ui.Field{v.why()}
	return fm, nil
}

func (c *Console) closeFeedback(v visit) error {
	return c.Personal.Close(v.Context(), v.who.Tenant, v.who.Actor(), v.PathValue("id"), v.PostFormValue("reason"))
}

func (c *Console) logoForm(v visit) (ui.Form, error) {
	fm := v.blank("logo", "", "/policy")
	fm.Upload = true
	fm.Fields = []ui.Field{{Name: "file", Kind: ui.File, Label: v.words.T("field.file"), Hint: v.words.T("field.logo_hint"), Required: true}}
	return fm, nil
}

func (c *Console) setLogo(v visit) error {
	_, file, err := v.uploaded("file")
	if err != nil {
		return err
	}
	return c.Personal.SetLogo(v.Context(), v.who.Tenant, v.who.Actor(), file)
}

func (c *Console) removeLogoForm(v visit) (ui.Form, error) {
	return v.blank("remove_logo", "", "/policy"), nil
}

func (c *Console) removeLogo(v visit) error {
	return c.Personal.RemoveLogo(v.Context(), v.who.Tenant, v.who.Actor())
}
