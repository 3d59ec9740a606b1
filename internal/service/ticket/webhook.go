package ticket

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"text/template"
)

// webhook posts each act to one address, signed. What it is posted twice after
// a crash has the same Idempotency-Key.
type webhook struct {
	*wire
	Config
	body *template.Template // nil: all fields as JSON
}

// SignatureHeader is over the body: sha256= and the HMAC in hexadecimal.
const SignatureHeader = "X-Patchring-Signature"

// message is what a template sees.
type message struct {
	Act string `json:"act"` // create, note, close, reopen, test
	ID  string `json:"id,omitempty"`
	Draft
}

func (h *webhook) post(ctx context.Context, act, id string, d Draft) (any, error) {
	content, err := h.render(message{Act: act, ID: id, Draft: d})
	if err != nil {
		return nil, err
	}
	header := http.Header{"Idempotency-Key": {d.Ref + "/" + act + "/" + digest(content)}}
	for name, secret := range h.Headers {
		value, err := secret.Read()
		if err != nil {
			return nil, err
		}
		header.Set(name, value)
	}
	secret, err := h.Secret.Read()
	if err != nil {
		return nil, err
	}
	if secret != "" {
		header.Set(SignatureHeader, "sha256="+sign(secret, content))
	}
	answer, err := h.send(ctx, http.MethodPost, "", header, content)
	if err != nil || len(bytes.TrimSpace(answer)) == 0 {
		return nil, err
	}
	var out any
	if err := json.Unmarshal(answer, &out); err != nil {
		return nil, nil //nolint:nilerr // many answer "ok": then there is no id to keep, and no error
	}
	return out, nil
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:8])
}

func sign(secret string, content []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(content)
	return hex.EncodeToString(mac.Sum(nil))
}

func (h *webhook) render(m message) ([]byte, error) {
	if h.body == nil {
		return json.Marshal(m)
	}
	var out bytes.Buffer
	if err := h.body.Execute(&out, m); err != nil {
		return nil, fmt.Errorf("fill in the body: %w", err)
	}
	return out.Bytes(), nil
}

func (h *webhook) find(context.Context, string) (Remote, bool, error) {
	return Remote{}, false, errNoSearch
}

// create keeps our own reference as the id where the answer has none.
func (h *webhook) create(ctx context.Context, d Draft) (Remote, error) {
	answer, err := h.post(ctx, "create", "", d)
	out := Remote{ID: at(answer, h.IDAt), Key: at(answer, h.KeyAt), URL: at(answer, h.URLAt)}
	if out.ID == "" {
		out.ID = d.Ref
	}
	if out.Key == "" {
		out.Key = out.ID
	}
	return out, err
}

// at walks an answer by the names of its fields: result.id.
func at(answer any, path string) string {
	if path == "" {
		return ""
	}
	for _, name := range strings.Split(path, ".") {
		fields, is := answer.(map[string]any)
		if !is {
			return ""
		}
		answer = fields[name]
	}
	return number(answer)
}

func (h *webhook) note(ctx context.Context, id string, d Draft) error {
	_, err := h.post(ctx, "note", id, d)
	return err
}

func (h *webhook) close(ctx context.Context, id string, d Draft) error {
	_, err := h.post(ctx, "close", id, d)
	return err
}

func (h *webhook) reopen(ctx context.Context, id string, d Draft) error {
	_, err := h.post(ctx, "reopen", id, d)
	return err
}

func (h *webhook) status(context.Context, string) (Remote, error) { return Remote{}, errNoStatus }

func (h *webhook) test(ctx context.Context) error {
	_, err := h.post(ctx, "test", "", Draft{Ref: "patchring-test", Title: "Patchring", Text: "Patchring"})
	return err
}

func (h *webhook) hooked([]byte) string { return "" }
