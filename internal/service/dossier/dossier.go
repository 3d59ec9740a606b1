// Package dossier hands out the documents of campaigns and of months. A draft
// is written when it is asked for; a dossier that is issued is written once,
// kept in its very bytes, and its hashes are in the register, so that an auditor
// can tell the file in hand from any other.
//
// It refuses to word anything: the face that writes is given to it. Safe from
// any goroutine.
package dossier

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"patchring/internal/core/document"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/view"
)

// Options of an Office.
type Options struct {
	DB    *store.DB
	View  *view.Reader
	Clock func() time.Time
	// Zone is the one in which months begin.
	Zone *time.Location
	// Key is the public key that a tenant's register is verified by.
	Key func(fleet.TenantID) (string, error)
	// Writer puts documents into words and files.
	Writer Writer
}

// Writer writes documents; package paper does. Equal arguments give equal bytes.
type Writer interface {
	// Dossier writes a campaign's; revision number 0 is a draft. whole are all
	// missing devices, for formats that hold them.
	Dossier(d view.Dossier, whole []view.MissingDevice, is view.Revision, language string, f document.Format) ([]byte, error)
	Missing(rows []view.MissingDevice, language, zone string) ([]byte, error)
	Monthly(m view.Monthly, language string, f document.Format) ([]byte, error)
}

// Office of all tenants.
type Office struct{ Options }

// New makes an Office.
func New(o Options) *Office {
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	return &Office{o}
}

// File is a document as it is handed out.
type File struct {
	Name string // for whoever keeps it
	Type string
	Body []byte
}

// paperMissing is how many missing devices a document for paper is read with,
// wholeMissing how many one for sheets is.
const (
	paperMissing = 200
	wholeMissing = 200_000
)

// Dossier reads what a campaign's dossier says; at most so many missing devices
// are in it as paper lists.
func (o *Office) Dossier(ctx context.Context, tenant fleet.TenantID, campaign string) (view.Dossier, error) {
	c, err := o.View.FindCampaign(ctx, tenant, campaign)
	if err != nil {
		return view.Dossier{}, err
	}
	return o.read(ctx, tenant, c.ID, paperMissing)
}

func (o *Office) read(ctx context.Context, tenant fleet.TenantID, id string, missing int) (view.Dossier, error) {
	d, err := o.View.Dossier(ctx, tenant, id, missing)
	if err != nil {
		return d, err
	}
	d.Register.Key, err = o.Key(tenant)
	return d, err
}

// Draft writes a campaign's dossier as it stands now.
func (o *Office) Draft(ctx context.Context, tenant fleet.TenantID, campaign, language string, f document.Format) (File, error) {
	if err := f.Check(); err != nil {
		return File{}, err
	}
	c, err := o.View.FindCampaign(ctx, tenant, campaign)
	if err != nil {
		return File{}, err
	}
	d, whole, err := o.readFor(ctx, tenant, c.ID, f)
	if err != nil {
		return File{}, err
	}
	body, err := o.Writer.Dossier(d, whole, view.Revision{}, language, f)
	return File{Name: fileName("dossier-"+c.Name, f), Type: f.MediaType(), Body: body}, err
}

// readFor reads with as many missing devices as the format has room for.
func (o *Office) readFor(ctx context.Context, tenant fleet.TenantID, id string, f document.Format) (view.Dossier, []view.MissingDevice, error) {
	if f != document.XLSX {
		d, err := o.read(ctx, tenant, id, paperMissing)
		return d, nil, err
	}
	d, err := o.read(ctx, tenant, id, wholeMissing)
	whole := d.Missing
	d.Missing = d.Missing[:min(len(d.Missing), paperMissing)]
	return d, whole, err
}

// fileName keeps letters, digits, dots and dashes: it goes into a header and
// onto any disk.
func fileName(base string, f document.Format) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}
		return '-'
	}, base) + "." + string(f)
}

// Issue asks for a dossier that counts.
type Issue struct {
	Campaign string
	Lang     string
	Reason   string // what the revision is for: its line in the revision table
}

const longReason = 300

// Issue writes the next revision of a campaign's dossier in every format, keeps
// the files, and puts their hashes into the register, in one transaction.
//
// Crash story: dying before the commit has issued nothing; after it, the files
// are there to be fetched again.
func (o *Office) Issue(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask Issue) (view.Revision, error) {
	switch {
	case strings.TrimSpace(ask.Reason) == "":
		return view.Revision{}, fault.New(fault.ReasonRequired)
	case utf8.RuneCountInString(ask.Reason) > longReason:
		return view.Revision{}, fault.New(fault.InvalidField, "field", "reason", "problem", "too_long", "fix", fmt.Sprintf("≤ %d", longReason))
	case ask.Lang != "fr" && ask.Lang != "en":
		return view.Revision{}, fault.New(fault.InvalidField, "field", "lang", "problem", "not_a_choice", "fix", "fr, en")
	}
	c, err := o.View.FindCampaign(ctx, tenant, ask.Campaign)
	if err != nil {
		return view.Revision{}, err
	}
	d, whole, err := o.readFor(ctx, tenant, c.ID, document.XLSX)
	if err != nil {
		return view.Revision{}, err
	}
	is := view.Revision{Number: int64(len(d.Revisions)) + 1, Lang: ask.Lang, Reason: ask.Reason, Actor: string(by), At: o.Clock().UTC().Truncate(time.Second), Files: []view.RevisionFile{}}
	var bodies [][]byte
	for _, f := range document.Formats() {
		body, err := o.Writer.Dossier(d, whole, is, ask.Lang, f)
		if err != nil {
			return view.Revision{}, err
		}
		sum := sha256.Sum256(body)
		is.Files = append(is.Files, view.RevisionFile{Format: string(f), SHA256: hex.EncodeToString(sum[:]), Size: int64(len(body))})
		bodies = append(bodies, body)
	}
	err = o.DB.Write(ctx, func(tx *store.Tx) error { return o.keep(ctx, tx, tenant, c.ID, is, bodies) })
	if store.IsDuplicate(err) { // somebody issued one at the same time
		return view.Revision{}, fault.Again(fault.Unavailable, "what", "answer_in_progress")
	}
	return is, err
}

func (o *Office) keep(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, campaign string, is view.Revision, bodies [][]byte) error {
	atUS := is.At.UnixMicro()
	if err := tx.AddDossierRevision(ctx, gen.AddDossierRevisionParams{
		Tenant: string(tenant), Campaign: campaign, Revision: is.Number, Lang: is.Lang, Reason: is.Reason, Actor: is.Actor, AtUs: atUS,
	}); err != nil {
		return fmt.Errorf("keep revision %d: %w", is.Number, err)
	}
	files := make([]any, len(is.Files))
	for i, f := range is.Files {
		files[i] = map[string]any{"format": f.Format, "sha256": f.SHA256, "size": f.Size}
		if err := tx.AddDossierFile(ctx, gen.AddDossierFileParams{
			Tenant: string(tenant), Campaign: campaign, Revision: is.Number, Format: f.Format, Sha256: f.SHA256, Size: f.Size, Body: bodies[i],
		}); err != nil {
			return fmt.Errorf("keep the %s of revision %d: %w", f.Format, is.Number, err)
		}
	}
	tx.Record(register.Entry{
		Tenant: string(tenant), AtUS: atUS, Actor: register.Actor(is.Actor), Kind: register.DossierIssued, Campaign: campaign,
		Detail: map[string]any{"revision": is.Number, "lang": is.Lang, "why": is.Reason, "files": files},
	})
	return nil
}

// Issued hands a file of a revision out, as it was issued.
func (o *Office) Issued(ctx context.Context, tenant fleet.TenantID, campaign string, revision int64, f document.Format) (File, error) {
	if err := f.Check(); err != nil {
		return File{}, err
	}
	c, err := o.View.FindCampaign(ctx, tenant, campaign)
	if err != nil {
		return File{}, err
	}
	row, err := o.DB.Read().DossierFile(ctx, gen.DossierFileParams{Tenant: string(tenant), Campaign: c.ID, Revision: revision, Format: string(f)})
	if store.IsNone(err) {
		return File{}, fault.New(fault.NotFound, "what", "dossier", "name", fmt.Sprintf("%s, %d", c.Name, revision))
	}
	if err != nil {
		return File{}, fmt.Errorf("read revision %d of %s: %w", revision, c.Name, err)
	}
	return File{Name: fileName(fmt.Sprintf("dossier-%s-%d", c.Name, revision), f), Type: f.MediaType(), Body: row.Body}, nil
}

// Missing writes all missing devices that a query chooses, for spreadsheets.
func (o *Office) Missing(ctx context.Context, tenant fleet.TenantID, q view.MissingQuery, language string) (File, error) {
	c, err := o.View.FindCampaign(ctx, tenant, q.Campaign)
	if err != nil {
		return File{}, err
	}
	zone, err := o.View.ZoneOf(ctx, tenant, c.ID)
	if err != nil {
		return File{}, err
	}
	var rows []view.MissingDevice
	q.Campaign, q.Limit = c.ID, view.MaxLimit
	for {
		page, err := o.View.Missing(ctx, tenant, q)
		if err != nil {
			return File{}, err
		}
		rows = append(rows, page.Rows...)
		if len(rows) > wholeMissing {
			return File{}, errors.New("list missing devices: more than a sheet holds")
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	body, err := o.Writer.Missing(rows, language, zone)
	return File{Name: fileName("missing-"+c.Name, "csv"), Type: "text/csv; charset=utf-8", Body: body}, err
}

// Monthly reads what a month came to; empty: the month that is.
func (o *Office) Monthly(ctx context.Context, tenant fleet.TenantID, month string) (view.Monthly, error) {
	at := o.Clock().In(o.Zone)
	if month != "" {
		var err error
		if at, err = time.ParseInLocation("2006-01", month, o.Zone); err != nil {
			return view.Monthly{}, fault.New(fault.InvalidField, "field", "month", "problem", "not_a_date", "fix", "2026-11")
		}
	}
	return o.View.Monthly(ctx, tenant, at)
}

// MonthlyFile writes it.
func (o *Office) MonthlyFile(ctx context.Context, tenant fleet.TenantID, month, language string, f document.Format) (File, error) {
	if err := f.Check(); err != nil {
		return File{}, err
	}
	m, err := o.Monthly(ctx, tenant, month)
	if err != nil {
		return File{}, err
	}
	body, err := o.Writer.Monthly(m, language, f)
	return File{Name: fileName("report-"+m.Month, f), Type: f.MediaType(), Body: body}, err
}
