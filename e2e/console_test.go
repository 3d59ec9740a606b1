//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"patchring/lab/demo"
)

// A person signs the gate of a real campaign in a real browser, and looks at
// every page in both languages.
func TestConsoleOfARealCampaign(t *testing.T) {
	s := newSite(t, []string{pilot, user, other}, []string{"lab-good", "lab-svc", "lab-reboot"})
	c := s.campaign(s.patches("lab-good", "lab-svc", "lab-reboot"), nil)
	s.expedite(c, "R0")
	s.awaitRing(c, "R0", "gate", 3*time.Minute)
	addr, err := s.fleet.Forward("127.0.0.1:0", s.server.HTTPS())
	must(t, err)
	b := newBrowser(t, "https://"+addr.String())
	b.open("/login")
	b.do(chromedp.SendKeys(chromedp.ID("f-name"), "it-lead"), chromedp.SendKeys(chromedp.ID("f-password"), "a-password-for-tests-1"),
		chromedp.Click(chromedp.CSS("button.main")))
	b.until("the first page", `document.querySelector("nav") !== null && location.pathname !== "/login"`)

	var board demo.Board
	board, err = s.admin.Board(t.Context(), c)
	must(t, err)
	pages := map[string]string{
		"today": "/", "campaigns": "/campaigns", "board": "/campaigns/" + board.Campaign.ID, "fleet": "/devices",
		"device": "/devices/" + s.device(pilot), "patches": "/patches", "calendar": "/calendar",
	}
	for _, lang := range []string{"en", "fr"} {
		b.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(
			`fetch("/preferences", {method: "POST", body: new URLSearchParams({lang: %q})}).then(() => document.body.dataset.kept = %q)`, lang, lang)))
		b.until("the language is kept", fmt.Sprintf(`document.body.dataset.kept === %q`, lang))
		for name, path := range pages {
			b.open(path)
			b.until(name+" in "+lang, fmt.Sprintf(`document.documentElement.lang === %q && document.querySelector("main h1") !== null`, lang))
			b.shoot(name + "-" + lang)
		}
	}

	b.open(pages["board"])
	b.until("three rings", `document.querySelectorAll(".ring").length === 3`)
	b.do(chromedp.Click(chromedp.CSS(`a[href*="/sign"]`)))
	b.until("the form", `document.querySelector("#dialog form, main form[action*='/sign']") !== null`)
	b.shoot("sign")
	b.do(chromedp.Click(chromedp.CSS(`#dialog input[type="radio"], main form[action*="/sign"] input[type="radio"]`)))
	b.do(chromedp.Click(chromedp.CSS(`#dialog button.main, main form[action*='/sign'] button.main`)))
	s.awaitRing(c, "R0", "done", time.Minute)
	b.until("the board shows it by itself", `document.querySelector(".ring") !== null && !document.querySelector(".ring").textContent.includes("Au jalon")`)
}

type browser struct {
	t    *testing.T
	ctx  context.Context
	base string
}

// newBrowser starts Chromium with no way out of this machine.
func newBrowser(t *testing.T, base string) *browser {
	t.Helper()
	alloc, stop := chromedp.NewExecAllocator(context.Background(),
		append(chromedp.DefaultExecAllocatorOptions[:],
			chromedp.ExecPath("/usr/bin/chromium"), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
			chromedp.Flag("ignore-certificate-errors", true), // the site's own CA; enrolment and CLI pin it
			chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
			chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-sync", true),
			chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"))...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 5*time.Minute)
	t.Cleanup(cancel)
	return &browser{t: t, ctx: ctx, base: base}
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	must(b.t, chromedp.Do(b.ctx, steps...))
}

func (b *browser) open(path string) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(1440, 900), chromedp.Navigate(b.base+path))
}

// until waits for a condition of the page.
func (b *browser) until(what, condition string) {
	b.t.Helper()
	err := demo.Poll(b.ctx, 20*time.Second, what, func() (bool, error) {
		return chromedp.Run(b.ctx, chromedp.Evaluate[bool](condition))
	})
	if err != nil {
		b.shoot("stuck")
		b.t.Fatal(err)
	}
}

// shoot keeps a picture in PATCHRING_SHOTS, to look at.
func (b *browser) shoot(name string) {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	must(b.t, err)
	dir := os.Getenv("PATCHRING_SHOTS")
	if dir == "" {
		dir = b.t.TempDir()
	}
	must(b.t, os.MkdirAll(dir, 0o755))
	must(b.t, os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644))
}
