//go:build e2e

package console

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"patchring/internal/core/register"
)

const nightPolicy = firstPolicy + `profiles:
  - name: serveurs
    title: {fr: Serveurs, en: Servers}
    devices: device.kind == "server"
    rules: [{name: lent, patches: 'patch.class == "security"', verdict: delay 7d}]
`

// TestAPolicyInABrowser: an operator writes a mistake and is led to its line,
// sees whom the policy would touch, and puts it in force; in both languages.
func TestAPolicyInABrowser(t *testing.T) {
	for _, c := range []struct{ lang, line, before, after, done string }{
		{"fr", "ligne 11", "approuvé", "règle « lent » du profil « serveurs »", "parc, version 2 : en vigueur"},
		{"en", "line 11", "approved", "rule “lent” of profile “serveurs”", "parc, version 2: in force"},
	} {
		t.Run(c.lang, func(t *testing.T) {
			w, rules := ruled(t)
			if _, err := rules.Apply(t.Context(), "main", register.User("claire"), "parc.yaml", []byte(firstPolicy)); err != nil {
				t.Fatal(err)
			}
			w.accounts.lang = c.lang
			ctx := browser(t)
			complaints := complain(t, ctx)
			open(t, ctx, w.URL+"/login?back=%2Fpolicy", 1440, 900)
			do(t, ctx,
				chromedp.SendKeys(chromedp.ID("f-name"), "exploitation"),
				chromedp.SendKeys(chromedp.ID("f-password"), "secret"),
				chromedp.Click(chromedp.CSS("button.main")))
			until(t, ctx, "the policy", `document.querySelector("main").textContent.includes("securite")`)
			do(t, ctx, chromedp.Click(chromedp.CSS("a[href='/policy/edit']")))
			until(t, ctx, "the editor", `document.querySelector("#f-text") !== null && document.readyState === "complete"`)

			// A mistake, and the way to its line.
			write(t, ctx, nightPolicy[:len(nightPolicy)-len("delay 7d}]\n")]+"delay seven}]\n")
			do(t, ctx, chromedp.Click(chromedp.CSS("button[value=check]")))
			until(t, ctx, "the problem with its line", `document.querySelector("#problems a[data-line]")?.textContent === "`+c.line+`"`)
			until(t, ctx, "the page to be ready", `document.readyState === "complete"`)
			do(t, ctx, chromedp.Click(chromedp.CSS("#problems a[data-line]")))
			until(t, ctx, "the line selected", `document.activeElement.id === "f-text" && (e => e.value.slice(e.selectionStart, e.selectionEnd))(document.activeElement).includes("delay seven")`)
			accessible(t, ctx)
			shoot(t, ctx, filepath.Join(shots(t), "policy-problem-"+c.lang+".png"))

			// A field goes where the cursor is.
			write(t, ctx, "")
			do(t, ctx, chromedp.Click(chromedp.CSS("[data-insert='device.kind']")))
			until(t, ctx, "the field", `document.querySelector("#f-text").value === "device.kind"`)

			// What is begun narrows the list, and is completed.
			write(t, ctx, "")
			do(t, ctx, chromedp.SendKeys(chromedp.ID("f-text"), "devices: device.dep"))
			until(t, ctx, "the list of what fits", `[...document.querySelectorAll("#fields li")].filter(l => !l.hidden).map(l => l.querySelector("[data-insert]").dataset.insert).join() === "device.department"`)
			do(t, ctx, chromedp.KeyEvent(" ", chromedp.KeyModifiers(chromedp.ModifierCtrl)))
			until(t, ctx, "the field completed", `document.querySelector("#f-text").value === "devices: device.department"`)

			// What it would change, and the yes.
			write(t, ctx, nightPolicy)
			do(t, ctx, chromedp.Click(chromedp.CSS("button[value=apply]")))
			until(t, ctx, "the difference", `document.querySelector("#diff")?.textContent.replaceAll("\u00a0", " ").includes("`+c.after+`")`)
			until(t, ctx, "what was before", `document.querySelector("#diff").textContent.includes("`+c.before+`")`)
			accessible(t, ctx)
			fits(t, ctx)
			shoot(t, ctx, filepath.Join(shots(t), "policy-diff-"+c.lang+".png"))
			if list := inForce(t, rules); len(list) != 1 {
				t.Fatalf("versions %+v before the yes", list)
			}
			do(t, ctx, chromedp.Click(chromedp.CSS("#confirm button[value=confirm]")))
			until(t, ctx, "the word that it is in force", `location.pathname === "/policy" && document.querySelector(".notice.tone-good")?.textContent.replaceAll("\u00a0", " ").includes("`+c.done+`")`)
			if list := inForce(t, rules); len(list) != 2 {
				t.Errorf("versions %+v after the yes", list)
			}
			if shown, err := rules.Show(t.Context(), "main", 0); err != nil || shown.Body != nightPolicy {
				t.Errorf("kept %q, %v", shown.Body, err)
			}
			// The refusal of the mistake is all that the browser may note.
			for _, told := range complaints() {
				if !strings.Contains(told, "status of 422") {
					t.Errorf("the browser complains: %s", told)
				}
			}
		})
	}
}

// write puts a text into the editor in place of what it has.
func write(t *testing.T, ctx context.Context, text string) {
	t.Helper()
	quoted, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	do(t, ctx, chromedp.Evaluate[chromedp.Void](`document.querySelector("#f-text").value = `+string(quoted)))
}
