package console

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"patchring/internal/face/console/assets"
	"patchring/internal/face/console/stories"
	"patchring/internal/face/console/ui"
	"patchring/internal/face/lang"
	"patchring/internal/service/herald"
)

// eachStory renders the storybook in both languages and both themes.
func eachStory(t *testing.T, check func(t *testing.T, l lang.Lang, text string, doc *html.Node)) {
	t.Helper()
	files, err := assets.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stories.All() {
		for _, l := range lang.Langs() {
			for _, theme := range []ui.Theme{ui.ThemeLight, ui.ThemeDark, ui.ThemeSystem} {
				t.Run(s.Name+"-"+string(l)+"-"+string(theme), func(t *testing.T) {
					f, err := s.Frame(l, theme, files)
					if err != nil {
						t.Fatal(err)
					}
					var b strings.Builder
					if err := s.Page(f).Render(t.Context(), &b); err != nil {
						t.Fatal(err)
					}
					doc, err := html.Parse(strings.NewReader(b.String()))
					if err != nil {
						t.Fatal(err)
					}
					check(t, l, b.String(), doc)
				})
			}
		}
	}
}

var missingWord = regexp.MustCompile(`\[[a-z_]+\.[a-z0-9_.\-]+\]`)

func TestStoriesLackNoWord(t *testing.T) {
	eachStory(t, func(t *testing.T, l lang.Lang, text string, doc *html.Node) {
		if w := missingWord.FindString(text); w != "" {
			t.Errorf("there is no word %s", w)
		}
		if strings.Contains(text, "%!") || strings.Contains(text, "no value&gt;") {
			t.Error("a text was not formatted")
		}
		root := one(doc, "html")
		if got := attribute(root, "lang"); got != string(l) {
			t.Errorf("the page says it is in %q, want %q", got, l)
		}
	})
}

func TestStoriesHoldWhatTheContentPolicyForbidsNowhere(t *testing.T) {
	eachStory(t, func(t *testing.T, _ lang.Lang, _ string, doc *html.Node) {
		each(doc, func(n *html.Node) {
			if n.Data == "style" || n.Data == "script" && attribute(n, "src") == "" {
				t.Errorf("<%s> stands in the page", n.Data)
			}
			for _, a := range n.Attr {
				if a.Key == "style" || strings.HasPrefix(a.Key, "on") || strings.HasPrefix(strings.TrimSpace(a.Val), "javascript:") {
					t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
				}
			}
		})
	})
}

func TestStoriesAreSoundHTML(t *testing.T) {
	eachStory(t, func(t *testing.T, _ lang.Lang, text string, doc *html.Node) {
		ids := map[string]bool{}
		labels := map[string]bool{}
		each(doc, func(n *html.Node) {
			if n.Data == "label" {
				labels[attribute(n, "for")] = true
			}
			if id := attribute(n, "id"); id != "" {
				if ids[id] {
					t.Errorf("id %q stands twice", id)
				}
				ids[id] = true
			}
		})
		each(doc, func(n *html.Node) {
			switch n.Data {
			case "input", "select", "textarea":
				if attribute(n, "type") != "hidden" && attribute(n, "aria-label") == "" && !labels[attribute(n, "id")] {
					t.Errorf("<%s name=%q> has no label", n.Data, attribute(n, "name"))
				}
			case "a":
				if attribute(n, "href") == "" {
					t.Errorf("a link leads nowhere: %q", content(n))
				}
			case "button":
				if content(n) == "" && attribute(n, "aria-label") == "" {
					t.Error("a button says nothing")
				}
			}
		})
		if n := count(doc, "h1"); n != 1 {
			t.Errorf("%d h1, want 1", n)
		}
		if n := count(doc, "main"); n != 1 {
			t.Errorf("%d main, want 1", n)
		}
		if !strings.HasPrefix(text, "<!doctype html>") {
			t.Errorf("the page begins with %q", text[:min(20, len(text))])
		}
	})
}

// TestEveryLinkLeadsSomewhere follows each link and each form of the storybook
// on the console itself: a number without the list behind it fails here.
func TestEveryLinkLeadsSomewhere(t *testing.T) {
	w := newWorld(t)
	v := w.as(t, "exploitation")
	links := map[string]bool{}
	eachStory(t, func(_ *testing.T, _ lang.Lang, _ string, doc *html.Node) {
		each(doc, func(n *html.Node) {
			if n.Data == "a" && strings.HasPrefix(attribute(n, "href"), "/") {
				address, _, _ := strings.Cut(attribute(n, "href"), "#")
				links[address] = true
			}
			if n.Data == "form" && attribute(n, "method") != "post" && attribute(n, "action") != "" {
				links[attribute(n, "action")] = true
			}
		})
	})
	if len(links) < 60 {
		t.Fatalf("found %d links, want the whole console", len(links))
	}
	for link := range links {
		if strings.HasPrefix(link, herald.FeedPath) {
			continue // of another face, and for programs
		}
		if got := v.get(link); got.status != http.StatusOK {
			t.Errorf("%s answers %d", link, got.status)
		}
	}
}

func each(n *html.Node, f func(*html.Node)) {
	if n.Type == html.ElementNode {
		f(n)
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		each(c, f)
	}
}

func count(doc *html.Node, name string) (n int) {
	each(doc, func(e *html.Node) {
		if e.Data == name {
			n++
		}
	})
	return n
}

func one(doc *html.Node, name string) (found *html.Node) {
	each(doc, func(e *html.Node) {
		if e.Data == name && found == nil {
			found = e
		}
	})
	return found
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func content(n *html.Node) string {
	var b strings.Builder
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.TextNode {
			b.WriteString(n.Data)
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(n)
	return strings.TrimSpace(b.String())
}
