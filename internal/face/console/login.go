package console

import (
	"errors"
	"net/http"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/face/console/page"
	"patchring/internal/face/console/ui"
	"patchring/internal/face/lang"
	"patchring/internal/service/access"
)

// Cookies of a browser's own choices; the session is the session manager's.
const (
	langCookie  = "patchring_lang"
	themeCookie = "patchring_theme"
	choiceLife  = 365 * 24 * time.Hour
)

// maxForm bounds what a form may send.
const maxForm = 256 << 10

func (c *Console) loginPage(w http.ResponseWriter, r *http.Request) {
	back := local(r.URL.Query().Get("back"), "/")
	if _, err := c.Accounts.Of(r.Context(), c.Sessions); err == nil {
		http.Redirect(w, r, back, http.StatusSeeOther)
		return
	}
	c.door(visit{Request: r, w: w, words: c.words(r, "")}, http.StatusOK, page.Login{Back: back})
}

func (c *Console) door(v visit, status int, view page.Login) {
	f := c.frame(v, ui.NoSection, v.words.T("login.title"))
	f.Path = ui.With("/login", "back", view.Back)
	c.show(v, status, page.LoginPage(f, view))
}

func (c *Console) login(w http.ResponseWriter, r *http.Request) {
	v := visit{Request: r, w: w, words: c.words(r, "")}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	view := page.Login{Name: r.PostFormValue("name"), Back: local(r.PostFormValue("back"), "/")}
	who, err := c.Accounts.Login(r.Context(), view.Name, r.PostFormValue("password"))
	if err == nil {
		err = access.Enter(r.Context(), c.Sessions, who)
	}
	if err != nil {
		status := statusOf(err)
		if status == http.StatusInternalServerError {
			c.Log.Error("log in", "err", err)
		}
		view.Error = v.words.Error(err)
		if errors.Is(err, fault.New(fault.Unauthorized)) {
			view.Error = v.words.T("login.refused")
		}
		c.door(v, status, view)
		return
	}
	http.Redirect(w, r, view.Back, http.StatusSeeOther)
}

func (c *Console) logout(w http.ResponseWriter, r *http.Request) {
	if err := c.Sessions.Destroy(r.Context()); err != nil {
		c.problem(visit{Request: r, w: w, words: c.words(r, "")}, err)
		return
	}
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// preferences keeps the language and the theme in the browser, and the
// language with the account, so that the next browser starts with it.
func (c *Console) preferences(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if chosen := r.PostFormValue("lang"); chosen != "" {
		l := lang.For(chosen).Lang()
		keep(w, r, langCookie, string(l))
		if who, err := c.Accounts.Of(r.Context(), c.Sessions); err == nil {
			if err := c.Accounts.SetLang(r.Context(), who, string(l)); err != nil {
				c.problem(visit{Request: r, w: w, who: who, words: c.words(r, who.Lang)}, err)
				return
			}
		}
	}
	if chosen := r.PostFormValue("theme"); chosen != "" {
		keep(w, r, themeCookie, string(ui.ParseTheme(chosen)))
	}
	http.Redirect(w, r, local(r.PostFormValue("back"), "/"), http.StatusSeeOther)
}

func keep(w http.ResponseWriter, r *http.Request, name, value string) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(choiceLife.Seconds()),
		HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode,
	})
}
