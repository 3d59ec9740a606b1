// Package console is the browser's face of Patchring: pages rendered on the
// server that work without script, live fragments over SSE, forms for every
// act. It owns addresses, sessions, forms and what a browser is allowed to do.
//
// It reads through Reader and acts through Acts, both of which check the
// account again; it decides nothing about campaigns and knows no SQL. The
// Handler is safe from any goroutine.
package console

import "net/http"

// policy lets a page load and reach nothing but this server, and forbids
// script and style that stand in the page itself.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; " +
	"connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

func secure(h http.Header) {
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}
