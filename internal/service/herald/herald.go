// Package herald sends what is to be told of alerts: by mail, by signed webhook
// and to chats. It takes the notices that others left in their table, puts those
// that come together into one delivery, and tries until it is sent or given up;
// it keeps the links to the feeds that programs read.
//
// It decides nothing of alerts and writes no words of its own. A secret is read
// where its reference says, when it is sent, and is kept, logged and shown
// nowhere. A delivery leaves at least once: one that was sent just before a
// crash is sent again with the same id, by which its receiver recognises it.
//
// Everything but Run and Step is safe from any goroutine. Several servers may
// run one each; a lease decides who sends.
package herald

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"patchring/internal/core/alert"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/identity"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Letter is a group of messages in words.
type Letter struct {
	Subject string
	Text    string
	HTML    string
	Lines   []string // one a message, for chats
	Link    string   // to the page of alerts
	Grave   bool     // one of them is critical and not over
}

// Options of a Herald.
type Options struct {
	DB    *store.DB
	Clock func() time.Time
	Log   *slog.Logger
	// Book is the document in force for a tenant.
	Book func(ctx context.Context, tenant fleet.TenantID) (alert.Book, error)
	// Write puts messages of a tenant into words.
	Write func(lang, tenant string, list []alert.Message) (Letter, error)
	// Secrets is the directory of files that file: names, with one below it for
	// each tenant but the first.
	Secrets string
	Env     func(string) (string, bool)
	// Host is this site's name, in the ids of its mails.
	Host string
	// Key authenticates links to feeds.
	Key identity.PageKey
	// Roots, when set, stand in place of the system's; tests set it.
	Roots *x509.CertPool
}

// Herald of all tenants.
type Herald struct {
	Options
	wake   chan struct{}
	client *http.Client

	mu      sync.Mutex // guards cleaned
	cleaned time.Time
}

// New makes a Herald; Run starts it.
func New(o Options) *Herald {
	h := &Herald{Options: o, wake: make(chan struct{}, 1)}
	h.client = h.newClient()
	return h
}

const (
	// gather is how long what fires waits for what fires with it.
	gather = 5 * time.Second
	every  = 2 * time.Second
	// together is the most that one message tells of.
	together = 200
	claims   = 50
	lease    = 3 * time.Minute
	// keptFor is how long deliveries that ended stay on the page.
	keptFor      = 30 * 24 * time.Hour
	cleanUpEvery = time.Hour
)

// Wake makes the loop look at once.
func (h *Herald) Wake() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// Run sends until ctx ends.
func (h *Herald) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := h.Step(ctx); err != nil && ctx.Err() == nil {
			h.Log.Error("send what alerts tell", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-h.wake:
		}
	}
}

// Step groups what waits and sends what is due, once.
func (h *Herald) Step(ctx context.Context) error {
	return errors.Join(h.bundle(ctx), h.sendDue(ctx), h.cleanUp(ctx))
}

// bundle puts the notices that wait for an output into one delivery, when the
// first of them has waited for its like.
//
// Crash story: notices and delivery commit together; before that they wait on,
// after it they are in exactly one.
func (h *Herald) bundle(ctx context.Context) error {
	waiting, err := h.DB.Read().NoticesWaiting(ctx)
	if err != nil {
		return fmt.Errorf("look for notices: %w", err)
	}
	now := h.Clock()
	for _, one := range waiting {
		if store.Instant(one.FirstUs).Add(gather).After(now) {
			continue
		}
		err := h.DB.Write(ctx, func(tx *store.Tx) error {
			id, err := uuid.NewV7()
			if err != nil {
				return fmt.Errorf("make a delivery id: %w", err)
			}
			n, err := tx.BundleNotices(ctx, gen.BundleNoticesParams{Tenant: one.Tenant, Output: one.Output, Delivery: id.String(), Max: together})
			if err != nil || n == 0 {
				return err
			}
			return tx.AddAlertDelivery(ctx, gen.AddAlertDeliveryParams{
				Tenant: one.Tenant, ID: id.String(), Output: one.Output, NextUs: now.UnixMicro(), CreatedUs: now.UnixMicro(), Notices: n,
			})
		})
		if err != nil {
			return fmt.Errorf("put notices for %s together: %w", one.Output, err)
		}
	}
	return nil
}

// sendDue sends what is due, each output by itself: one that does not answer
// keeps no other waiting.
func (h *Herald) sendDue(ctx context.Context) error {
	due, err := h.claim(ctx)
	if err != nil {
		return err
	}
	type output struct{ tenant, name string }
	by := map[output][]gen.AlertDelivery{}
	for _, d := range due {
		by[output{d.Tenant, d.Output}] = append(by[output{d.Tenant, d.Output}], d)
	}
	errs := make(chan error, len(by))
	for _, list := range by {
		go func() {
			var all []error
			for _, d := range list {
				all = append(all, h.attempt(ctx, d))
			}
			errs <- errors.Join(all...)
		}()
	}
	var all []error
	for range by {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

func (h *Herald) claim(ctx context.Context) (due []gen.AlertDelivery, err error) {
	now := h.Clock()
	next, err := h.DB.Read().NextDelivery(ctx)
	if err != nil || next > now.UnixMicro() {
		return nil, wrap("look for deliveries", err)
	}
	err = h.DB.Write(ctx, func(tx *store.Tx) (err error) {
		due, err = tx.ClaimDeliveries(ctx, gen.ClaimDeliveriesParams{LeaseUs: now.Add(lease).UnixMicro(), NowUs: now.UnixMicro(), Max: claims})
		return err
	})
	return due, wrap("claim deliveries", err)
}

// attempt sends one delivery, and keeps what came of it.
//
// Crash story: between the sending and the commit nobody knows that it was sent.
// Its lease ends, and it is sent again with the same id.
func (h *Herald) attempt(ctx context.Context, d gen.AlertDelivery) error {
	failure := h.deliver(ctx, d)
	now := h.Clock()
	cause := ""
	if failure != nil {
		var err error
		if cause, err = store.ReasonText(failure.Reason); err != nil {
			return err
		}
		h.Log.Warn("an output was not told", "output", d.Output, "delivery", d.ID, "attempt", d.Attempts+1, "reason", failure.Code)
	}
	if ctx.Err() != nil && failure != nil {
		return nil // the server stops: nothing was learnt of the output
	}
	return h.DB.Write(ctx, func(tx *store.Tx) (err error) {
		switch {
		case failure == nil:
			_, err = tx.EndDelivery(ctx, gen.EndDeliveryParams{Tenant: d.Tenant, ID: d.ID, State: "sent", EndedUs: now.UnixMicro()})
		case givenUp(d.Attempts+1, failure):
			_, err = tx.EndDelivery(ctx, gen.EndDeliveryParams{Tenant: d.Tenant, ID: d.ID, State: "dead", EndedUs: now.UnixMicro(), Cause: cause})
		default:
			_, err = tx.RetryDelivery(ctx, gen.RetryDeliveryParams{Tenant: d.Tenant, ID: d.ID, NextUs: now.Add(backoff(d.Attempts)).UnixMicro(), Cause: cause})
		}
		return wrap("keep what came of a delivery", err)
	})
}

// How often it is tried: over some four hours, or three times where the other
// side says that it never will.
const (
	mostAttempts  = 10
	refusedThrice = 3
	firstBackoff  = 30 * time.Second
	longestPause  = time.Hour
	maxShiftPause = 7
)

func givenUp(attempts int64, failure *fault.Error) bool {
	if failure.Code == fault.OutputGone {
		return true
	}
	return attempts >= mostAttempts || !bool(failure.Retry) && attempts >= refusedThrice
}

func backoff(attempts int64) time.Duration {
	return min(firstBackoff<<min(attempts, maxShiftPause), longestPause)
}

// deliver sends a delivery's messages as they are, to the output as it is now.
func (h *Herald) deliver(ctx context.Context, d gen.AlertDelivery) *fault.Error {
	tenant := fleet.TenantID(d.Tenant)
	book, err := h.Book(ctx, tenant)
	if err != nil {
		return fault.Again(fault.OutputFailed, "step", "rules", "said", err.Error())
	}
	out, ok := book.Output(d.Output)
	if !ok {
		return fault.New(fault.OutputGone, "output", d.Output)
	}
	rows, err := h.DB.Read().NoticesOfDelivery(ctx, d.Tenant, d.ID)
	if err != nil {
		return fault.Again(fault.OutputFailed, "step", "database", "said", err.Error())
	}
	var list []alert.Message
	for _, row := range rows {
		var m alert.Message
		if err := json.Unmarshal([]byte(row.Body), &m); err != nil {
			return fault.New(fault.OutputFailed, "step", "database", "said", err.Error())
		}
		list = append(list, m)
	}
	return h.send(ctx, parcel{id: d.ID, tenant: tenant, out: out, lang: book.Lang, list: list, at: store.Instant(d.CreatedUs)})
}

// parcel is what is sent to one output.
type parcel struct {
	id     string
	tenant fleet.TenantID
	out    alert.Output
	lang   string
	list   []alert.Message
	at     time.Time
}

func (h *Herald) send(ctx context.Context, p parcel) *fault.Error {
	name := "" // of the first tenant nothing is said: on most sites it is the only one
	if p.tenant != fleet.DefaultTenant {
		row, err := h.DB.Read().Tenant(ctx, string(p.tenant))
		if err != nil {
			return fault.Again(fault.OutputFailed, "step", "database", "said", err.Error())
		}
		name = row.Name
	}
	letter, err := h.Write(p.lang, name, p.list)
	if err != nil {
		return fault.New(fault.OutputFailed, "step", "words", "said", err.Error())
	}
	if p.out.Way == alert.Mail {
		return h.mail(ctx, p, letter)
	}
	return h.post(ctx, p, letter)
}

// Tested is what came of a test.
type Tested struct {
	Output string        `json:"output"`
	Way    alert.Way     `json:"way"`
	Where  string        `json:"where"`
	OK     bool          `json:"ok"`
	TookMS int64         `json:"took_ms"`
	Cause  *fault.Reason `json:"cause,omitempty"`
}

// Test sends a test to an output now, and says what came of it.
func (h *Herald) Test(ctx context.Context, tenant fleet.TenantID, output string) (Tested, error) {
	book, err := h.Book(ctx, tenant)
	if err != nil {
		return Tested{}, err
	}
	out, ok := book.Output(output)
	if !ok {
		return Tested{}, fault.New(fault.NotFound, "what", "output", "name", output)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Tested{}, fmt.Errorf("make a delivery id: %w", err)
	}
	began, now := time.Now(), h.Clock()
	failure := h.send(ctx, parcel{
		id: id.String(), tenant: tenant, out: out, lang: book.Lang, at: now,
		list: []alert.Message{{Kind: alert.Test, Rule: output, Severity: alert.Info, At: now}},
	})
	tested := Tested{Output: output, Way: out.Way, Where: out.Where(), OK: failure == nil, TookMS: time.Since(began).Milliseconds()}
	if failure != nil {
		tested.Cause = &failure.Reason
	}
	return tested, nil
}

// Revive lets a delivery that was given up be tried again.
func (h *Herald) Revive(ctx context.Context, tenant fleet.TenantID, id string) error {
	err := h.DB.Write(ctx, func(tx *store.Tx) error {
		n, err := tx.ReviveDelivery(ctx, gen.ReviveDeliveryParams{Tenant: string(tenant), ID: id, NextUs: h.Clock().UnixMicro()})
		if err == nil && n == 0 {
			return fault.New(fault.NotFound, "what", "delivery", "name", id)
		}
		return wrap("try a delivery again", err)
	})
	if err == nil {
		h.Wake()
	}
	return err
}

// Dismiss takes a delivery that was given up from the page.
func (h *Herald) Dismiss(ctx context.Context, tenant fleet.TenantID, id string) error {
	return h.DB.Write(ctx, func(tx *store.Tx) error {
		n, err := tx.DismissDelivery(ctx, string(tenant), id)
		if err == nil && n == 0 {
			return fault.New(fault.NotFound, "what", "delivery", "name", id)
		}
		return wrap("dismiss a delivery", err)
	})
}

func (h *Herald) cleanUp(ctx context.Context) error {
	now := h.Clock()
	h.mu.Lock()
	again := now.Sub(h.cleaned) >= cleanUpEvery
	if again {
		h.cleaned = now
	}
	h.mu.Unlock()
	if !again {
		return nil
	}
	before := now.Add(-keptFor).UnixMicro()
	return h.DB.Write(ctx, func(tx *store.Tx) error {
		_, deliveries := tx.DropOldDeliveries(ctx, before)
		_, notices := tx.DropOldNotices(ctx, before)
		return wrap("forget old deliveries", errors.Join(deliveries, notices))
	})
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
