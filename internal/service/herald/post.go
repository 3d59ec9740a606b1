package herald

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"patchring/internal/core/alert"
	"patchring/internal/core/fault"
)

const maxRedirects = 3

// newClient goes where it is told and nowhere else. Private addresses are
// allowed: chats and supervision stand in the organisation's own network.
func (h *Herald) newClient() *http.Client {
	return &http.Client{
		Timeout: sendTimeout,
		Transport: &http.Transport{
			Proxy:           http.ProxyFromEnvironment,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: h.Roots}, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: sendTimeout, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(to *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects || to.URL.Host != via[0].URL.Host || to.URL.Scheme != via[0].URL.Scheme {
				return errRedirect
			}
			return nil
		},
	}
}

var errRedirect = errors.New("it redirects to another host")

// post sends a letter by HTTP, as the output's way wants it.
func (h *Herald) post(ctx context.Context, p parcel, l Letter) *fault.Error {
	secret := ""
	for _, ref := range []alert.Secret{p.out.Hook, p.out.Secret} {
		if ref == "" {
			continue
		}
		var failure *fault.Error
		if secret, failure = h.secret(p.tenant, ref); failure != nil {
			return failure
		}
	}
	req, err := h.request(ctx, p, l, secret)
	if err != nil {
		return fault.New(fault.OutputFailed, "step", "compose", "said", said(err, secret))
	}
	res, err := h.client.Do(req)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // without the address, which may be the secret
		}
		failure := fault.Again(fault.OutputFailed, "step", "connect", "said", said(err, secret))
		if errors.Is(err, errRedirect) {
			failure.Args["step"], failure.Retry = "redirect", fault.Terminal
		}
		return failure
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	if res.StatusCode >= 200 && res.StatusCode < 300 {
		return nil
	}
	if err != nil {
		answer = []byte(err.Error())
	}
	failure := fault.Again(fault.OutputFailed, "step", "http", "said", scrub(strconv.Itoa(res.StatusCode)+" "+string(answer[:min(len(answer), 120)]), secret))
	if s := res.StatusCode; s >= 400 && s < 500 && s != http.StatusRequestTimeout && s != http.StatusTooManyRequests {
		failure.Retry = fault.Terminal
	}
	return failure
}

func (h *Herald) request(ctx context.Context, p parcel, l Letter, secret string) (*http.Request, error) {
	var to string
	var payload any
	switch p.out.Way {
	case alert.Webhook:
		return h.webhook(ctx, p, secret)
	case alert.Ntfy:
		return h.ntfy(ctx, p, l, secret)
	case alert.Teams:
		to, payload = secret, teams(l)
	case alert.Slack:
		to, payload = secret, map[string]any{"text": slackText(l)}
	default:
		to, payload = secret, map[string]any{"text": markdown(l)}
	}
	u, err := url.Parse(to)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("the secret is not an http or https address")
	}
	body, err := json.Marshal(payload)
	if err != nil {
		return nil, fmt.Errorf("encode message: %w", err)
	}
	return newPost(ctx, to, "application/json", body)
}

func newPost(ctx context.Context, to, kind string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("its address cannot be read")
	}
	req.Header.Set("Content-Type", kind)
	req.Header.Set("User-Agent", "Patchring")
	return req, nil
}

// Hooked is the body of a webhook, by Standard Webhooks: a type, an instant, and
// the data.
type Hooked struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      HookData  `json:"data"`
}

// HookData is what a webhook tells.
type HookData struct {
	Tenant string          `json:"tenant"`
	Alerts []alert.Message `json:"alerts"`
}

// webhook signs as Standard Webhooks says: HMAC-SHA256 of "id.timestamp.body".
// The id is the delivery's, the same when it is sent again.
func (h *Herald) webhook(ctx context.Context, p parcel, secret string) (*http.Request, error) {
	key := []byte(secret)
	if text, ok := strings.CutPrefix(secret, "whsec_"); ok {
		var err error
		if key, err = base64.StdEncoding.DecodeString(text); err != nil {
			return nil, errors.New("the secret after whsec_ is not base64")
		}
	}
	kind := "alerts"
	if len(p.list) == 1 {
		kind = "alert." + string(p.list[0].Kind)
	}
	body, err := json.Marshal(Hooked{Type: kind, Timestamp: p.at.UTC(), Data: HookData{Tenant: string(p.tenant), Alerts: p.list}})
	if err != nil {
		return nil, fmt.Errorf("encode message: %w", err)
	}
	req, err := newPost(ctx, p.out.URL, "application/json", body)
	if err != nil {
		return nil, err
	}
	at := strconv.FormatInt(h.Clock().Unix(), 10)
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.", p.id, at)
	mac.Write(body)
	req.Header.Set("webhook-id", p.id)
	req.Header.Set("webhook-timestamp", at)
	req.Header.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return req, nil
}

func (h *Herald) ntfy(ctx context.Context, p parcel, l Letter, token string) (*http.Request, error) {
	req, err := newPost(ctx, p.out.URL, "text/plain; charset=utf-8", []byte(strings.Join(l.Lines, "\n")))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Title", mime.BEncoding.Encode("utf-8", l.Subject))
	req.Header.Set("Click", l.Link)
	if req.Header.Set("Priority", "default"); l.Grave {
		req.Header.Set("Priority", "high")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, nil
}

// shownLines is how many lines a chat shows: the page has the others.
const shownLines = 20

func shown(l Letter) []string {
	if len(l.Lines) > shownLines {
		return append(append([]string{}, l.Lines[:shownLines]...), "… +"+strconv.Itoa(len(l.Lines)-shownLines))
	}
	return l.Lines
}

// slackText is Slack's mrkdwn, in which three characters are markup: what a
// device calls itself must not become a mention of everybody.
func slackText(l Letter) string {
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	out := "*" + escape.Replace(l.Subject) + "*"
	for _, line := range shown(l) {
		out += "\n• " + escape.Replace(line)
	}
	return out + "\n<" + l.Link + ">"
}

var plainMarkdown = strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "`", "\\`", "[", `\[`, "]", `\]`, "<", "&lt;", "@", "@\u200b", "#", `\#`)

func markdown(l Letter) string {
	out := "**" + plainMarkdown.Replace(l.Subject) + "**"
	for _, line := range shown(l) {
		out += "\n- " + plainMarkdown.Replace(line)
	}
	return out + "\n" + l.Link
}

// teams is an Adaptive Card, which the workflows of Teams take.
func teams(l Letter) any {
	block := func(text, weight string) map[string]any {
		return map[string]any{"type": "TextBlock", "text": plainMarkdown.Replace(text), "wrap": true, "weight": weight}
	}
	body := []map[string]any{block(l.Subject, "Bolder")}
	for _, line := range shown(l) {
		body = append(body, block(line, "Default"))
	}
	card := map[string]any{
		"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4", "body": body,
		"actions": []any{map[string]any{"type": "Action.OpenUrl", "title": "Patchring", "url": l.Link}},
	}
	return map[string]any{
		"type":        "message",
		"attachments": []any{map[string]any{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}},
	}
}
