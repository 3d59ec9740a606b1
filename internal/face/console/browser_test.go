//go:build e2e

package console

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	browserlog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"patchring/internal/core/campaign"
	"patchring/internal/face/console/assets"
	"patchring/internal/face/console/stories"
	"patchring/internal/face/console/ui"
	"patchring/internal/face/lang"
	"patchring/internal/service/dossier"
)

//go:embed testdata/axe.min.js
var axe string

// browser starts Chromium once for a test, with no way out of this machine.
func browser(t *testing.T) context.Context {
	t.Helper()
	alloc, stop := chromedp.NewExecAllocator(context.Background(),
		append(chromedp.DefaultExecAllocatorOptions[:],
			chromedp.ExecPath("/usr/bin/chromium"), chromedp.NoSandbox, chromedp.DisableGPU,
			chromedp.UserDataDir(t.TempDir()),
			chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
			chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-sync", true),
			chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"))...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// shots is where screenshots go: PATCHRING_SHOTS, to look at them, or a folder
// that disappears with the test.
func shots(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("PATCHRING_SHOTS"); dir != "" {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	return t.TempDir()
}

// storybook serves every story at /NAME/LANG/THEME under the console's own
// security headers.
func storybook(t *testing.T) *httptest.Server {
	t.Helper()
	files, err := assets.Load()
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(assets.Prefix, files)
	for _, s := range stories.All() {
		mux.HandleFunc("GET /"+s.Name+"/{lang}/{theme}", func(w http.ResponseWriter, r *http.Request) {
			f, err := s.Frame(lang.Lang(r.PathValue("lang")), ui.ParseTheme(r.PathValue("theme")), files)
			if err != nil {
				t.Error(err)
			}
			secure(w.Header())
			if err := s.Page(f).Render(r.Context(), w); err != nil {
				t.Error(err)
			}
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func TestStoriesInABrowser(t *testing.T) {
	server, dir, ctx := storybook(t), shots(t), browser(t)
	only := os.Getenv("PATCHRING_STORY")
	for _, s := range stories.All() {
		if only != "" && only != s.Name {
			continue
		}
		for _, l := range lang.Langs() {
			for _, theme := range []ui.Theme{ui.ThemeLight, ui.ThemeDark} {
				name := fmt.Sprintf("%s-%s-%s", s.Name, l, theme)
				t.Run(name, func(t *testing.T) {
					url := fmt.Sprintf("%s/%s/%s/%s", server.URL, s.Name, l, theme)
					open(t, ctx, url, 1440, 900)
					shoot(t, ctx, filepath.Join(dir, name+".png"))
					accessible(t, ctx)
					fits(t, ctx)
				})
			}
		}
		t.Run(s.Name+"-narrow", func(t *testing.T) {
			open(t, ctx, fmt.Sprintf("%s/%s/fr/light", server.URL, s.Name), 390, 800)
			shoot(t, ctx, filepath.Join(dir, s.Name+"-narrow.png"))
			fits(t, ctx)
		})
	}
}

// TestTheConsoleInABrowser walks through it as an operator does, script and
// all, and wants the browser to complain of nothing.
func TestTheConsoleInABrowser(t *testing.T) {
	w, ctx := newWorld(t), browser(t)
	complaints := complain(t, ctx)
	open(t, ctx, w.URL+"/campaigns/c1", 1440, 900)
	do(t, ctx,
		chromedp.SendKeys(chromedp.ID("f-name"), "exploitation"),
		chromedp.SendKeys(chromedp.ID("f-password"), "secret"),
		chromedp.Click(chromedp.CSS("button.main")))
	until(t, ctx, "the board", `document.querySelectorAll(".ring").length === 3`)

	// A push changes the page in place, and only where something changed.
	do(t, ctx, chromedp.Evaluate[chromedp.Void](`document.addEventListener("htmx:sse:after:message", () => document.body.dataset.pushed = "yes")`))
	for w.reader.boards.Load() < 2 {
		until(t, ctx, "the page while the stream opens", `true`)
	}
	b := stories.Board()
	b.Holds = nil
	w.reader.set(b)
	w.beat <- struct{}{}
	until(t, ctx, "the lifted hold", `document.querySelector("#board-holds .empty") !== null`)
	until(t, ctx, "the word that it is live", `document.querySelector("[data-live=on] .on").offsetWidth > 0 && document.querySelector("[data-live=on] .off").offsetWidth === 0`)
	until(t, ctx, "a push", `document.body.dataset.pushed === "yes"`)
	until(t, ctx, "the rest left alone", `document.querySelectorAll("#board-rings").length === 1 && document.querySelectorAll("#board-rings .ring").length === 3`)

	// A form comes up in a dialog; sending it acts and says so.
	do(t, ctx, chromedp.Click(chromedp.CSS("#board-head a[href$='/hold']")))
	until(t, ctx, "the dialog", `document.querySelector("#dialog").open && document.querySelector("#dialog textarea") !== null`)
	shoot(t, ctx, filepath.Join(shots(t), "dialog.png"))
	accessible(t, ctx)
	do(t, ctx, chromedp.SendKeys(chromedp.CSS("#dialog textarea"), "imprimantes muettes"), chromedp.Click(chromedp.CSS("#dialog button.main")))
	until(t, ctx, "the word that it is done", `document.readyState === "complete" && document.querySelector(".notice.tone-good") !== null`)
	if ask, want := w.acts.last(t), (campaign.PlaceHold{Campaign: "c1", Reason: "imprimantes muettes"}); ask != want {
		t.Errorf("asked %+v, want %+v", ask, want)
	}

	// By keyboard alone.
	do(t, ctx, chromedp.KeyEvent("gf"))
	until(t, ctx, "the fleet", `document.readyState === "complete" && location.pathname === "/devices"`)
	do(t, ctx, chromedp.KeyEvent("?"))
	until(t, ctx, "the shortcuts", `document.querySelector("#shortcuts").open`)
	do(t, ctx, chromedp.KeyEvent(kb.Escape))
	until(t, ctx, "the shortcuts gone", `!document.querySelector("#shortcuts").open`)
	do(t, ctx, chromedp.KeyEvent("/"))
	until(t, ctx, "the search", `document.activeElement.matches("[data-search]")`)
	do(t, ctx, chromedp.KeyEvent("compta"+kb.Enter))
	until(t, ctx, "what was found", `location.pathname === "/search" && document.querySelector("h1").textContent.includes("compta")`)

	for _, c := range complaints() {
		t.Errorf("the browser complains: %s", c)
	}
}

// TestTheDocumentsInABrowser goes from the first page to the month's report, from
// there to a campaign's verification, and takes its dossier home.
func TestTheDocumentsInABrowser(t *testing.T) {
	for _, l := range []string{"fr", "en"} {
		t.Run(l, func(t *testing.T) { documentsInABrowser(t, l) })
	}
}

func documentsInABrowser(t *testing.T, l string) {
	w, ctx := newWorld(t), browser(t)
	complaints := complain(t, ctx)
	open(t, ctx, w.URL+"/", 1440, 900)
	do(t, ctx,
		chromedp.SendKeys(chromedp.ID("f-name"), "exploitation"),
		chromedp.SendKeys(chromedp.ID("f-password"), "secret"),
		chromedp.Click(chromedp.CSS("button.main")))
	until(t, ctx, "the link to the month", `document.readyState === "complete" && document.querySelector("a[href='/reports/monthly']") !== null`)
	do(t, ctx, chromedp.Evaluate[chromedp.Void](`document.querySelector("button[name=lang][value=`+l+`]")?.click()`))
	until(t, ctx, "the language", `document.readyState === "complete" && document.documentElement.lang === "`+l+`" && document.querySelector("a[href='/reports/monthly']") !== null`)
	do(t, ctx, chromedp.Click(chromedp.CSS("a[href='/reports/monthly']")))
	until(t, ctx, "the month", `document.readyState === "complete" && location.pathname === "/reports/monthly" && document.querySelector("#month-sla") !== null`)
	do(t, ctx, chromedp.Click(chromedp.CSS("a[href='/campaigns/c1/verification']")))
	until(t, ctx, "the verification", `document.readyState === "complete" && location.pathname === "/campaigns/c1/verification" && document.querySelector("#cover-rings") !== null`)
	for _, format := range []string{"pdf", "html", "xlsx"} {
		said, err := chromedp.Run(ctx, chromedp.Evaluate[string](
			`fetch(document.querySelector("a[href*='format=`+format+`']").href).then(r => r.status + " " + r.headers.get("Content-Disposition"))`, chromedp.EvalAwaitPromise))
		if want := "200 attachment; filename=dossier." + format; err != nil || said != want {
			t.Errorf("the button of the %s answers %q, %v; want %q", format, said, err, want)
		}
	}
	do(t, ctx, chromedp.Click(chromedp.CSS("a[href$='/dossier/issue']")))
	until(t, ctx, "the question what it is for", `document.querySelector("#dialog").open && document.querySelector("#dialog input[name=reason]") !== null`)
	accessible(t, ctx)
	do(t, ctx, chromedp.SendKeys(chromedp.CSS("#dialog input[name=reason]"), "Comité de suivi"), chromedp.Click(chromedp.CSS("#dialog button.main")))
	until(t, ctx, "the word that it is issued", `document.readyState === "complete" && document.querySelector(".notice.tone-good") !== null`)
	if ask, ok := w.acts.last(t).(dossier.Issue); !ok || ask.Campaign != "c1" || ask.Reason != "Comité de suivi" || ask.Lang != l {
		t.Errorf("asked %+v", w.acts.last(t))
	}
	for _, c := range complaints() {
		t.Errorf("the browser complains: %s", c)
	}
}

// complain gathers what the browser logs: errors, broken policies, exceptions.
func complain(t *testing.T, ctx context.Context) func() []string {
	t.Helper()
	listening, stop := context.WithCancel(ctx)
	var mu sync.Mutex
	var all []string
	entries := chromedp.Events(listening, browserlog.EntryAdded)
	thrown := chromedp.Events(listening, runtime.ExceptionThrown)
	var done sync.WaitGroup
	done.Go(func() {
		for e, err := range entries {
			if err != nil {
				return
			}
			mu.Lock()
			all = append(all, e.Entry.Text+" "+e.Entry.URL)
			mu.Unlock()
		}
	})
	done.Go(func() {
		for e, err := range thrown {
			if err != nil {
				return
			}
			mu.Lock()
			all = append(all, e.ExceptionDetails.Text)
			mu.Unlock()
		}
	})
	return func() []string {
		stop()
		done.Wait()
		return all
	}
}

func do(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

// until waits for a condition of the page.
func until(t *testing.T, ctx context.Context, what, condition string) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for {
		if ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](condition)); err == nil && ok {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			shoot(t, ctx, filepath.Join(shots(t), "stuck.png"))
			t.Fatalf("%s: not seen", what)
		}
	}
}

func open(t *testing.T, ctx context.Context, url string, width, height int64) {
	t.Helper()
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, height), chromedp.Navigate(url)); err != nil {
		t.Fatalf("open %s: %v", url, err)
	}
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("document.fonts.ready.then(() => true)", chromedp.EvalAwaitPromise)); err != nil {
		t.Fatalf("wait for the fonts of %s: %v", url, err)
	}
}

func shoot(t *testing.T, ctx context.Context, path string) {
	t.Helper()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatalf("take %s: %v", path, err)
	}
	if err := os.WriteFile(path, png, 0o644); err != nil {
		t.Fatal(err)
	}
}

// accessible runs axe-core on the page as it stands.
func accessible(t *testing.T, ctx context.Context) {
	t.Helper()
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](axe+";true")); err != nil {
		t.Fatalf("load axe: %v", err)
	}
	raw, err := chromedp.Run(ctx, chromedp.Evaluate[string](
		`axe.run().then(r => JSON.stringify(r.violations.map(v => ({rule: v.id, help: v.help, nodes: v.nodes.map(n => n.html.slice(0, 160) + " :: " + n.failureSummary)}))))`,
		chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("run axe: %v", err)
	}
	var violations []struct {
		Rule, Help string
		Nodes      []string
	}
	if err := json.Unmarshal([]byte(raw), &violations); err != nil {
		t.Fatal(err)
	}
	for _, v := range violations {
		t.Errorf("%s: %s\n%s", v.Rule, v.Help, v.Nodes)
	}
}

// fits tells that nothing makes the page scroll sideways.
func fits(t *testing.T, ctx context.Context) {
	t.Helper()
	over, err := chromedp.Run(ctx, chromedp.Evaluate[int64]("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
	if err != nil {
		t.Fatal(err)
	}
	if over > 0 {
		t.Errorf("the page is %d px wider than its window", over)
	}
}
