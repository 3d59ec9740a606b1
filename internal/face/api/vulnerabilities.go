package api

import (
	"context"
	"net/http"
	"time"

	"patchring/internal/core/feed"
	"patchring/internal/core/policy"
	"patchring/internal/infra/view"
	"patchring/internal/service/access"
	"patchring/internal/service/catalogue"
)

// VulnerabilityList are the parameters of the list of vulnerabilities.
type VulnerabilityList struct {
	Paged
	Exploited bool            `query:"exploited" doc:"only those that CISA knows to be exploited"`
	Open      bool            `query:"open" doc:"only those that a device has now"`
	Severity  policy.Severity `query:"severity" enum:"critical,high,medium,low,unknown"`
	Text      string          `query:"text" maxLength:"30" doc:"part of the id"`
}

// OneVulnerability names a vulnerability.
type OneVulnerability struct {
	CVE string `path:"cve" maxLength:"30" doc:"CVE-2026-1234"`
}

// ImportFeed is a file of a feed, as its publisher made it.
type ImportFeed struct {
	Feed     feed.Name `path:"feed" enum:"debian,kev,nvd"`
	File     string    `query:"file" maxLength:"255" doc:"the file's name, for the record"`
	Encoding string    `header:"Content-Encoding" enum:"gzip" doc:"how it was packed for the way; the record is of the file itself"`
	RawBody  []byte    `contentType:"application/octet-stream" doc:"plain, or packed by gzip"`
}

const (
	feedsPath = "/vulnerabilities/feeds"
	// maxFeed bounds what travels: Debian's tracker has 8 MB packed, 70 MB plain.
	maxFeed       = 128 << 20
	uploadTimeout = 10 * time.Minute
)

func (a *API) registerVulnerabilities() {
	const tag = "vulnerabilities"
	handle(a, operation{method: http.MethodGet, path: "/vulnerabilities", id: "list-vulnerabilities", summary: "Vulnerabilities that known patches mend, the worst first", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *VulnerabilityList) (view.VulnerabilityPage, error) {
			return a.View.Vulnerabilities(ctx, p.Tenant, view.VulnerabilityQuery{
				Paging: in.paging(), Exploited: in.Exploited, Open: in.Open, Severity: in.Severity, Text: in.Text,
			})
		})
	handle(a, operation{method: http.MethodGet, path: "/vulnerabilities/{cve}", id: "show-vulnerability", summary: "One vulnerability: which patches mend it, and how many devices lack them", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *OneVulnerability) (view.Vulnerability, error) {
			return a.View.Vulnerability(ctx, p.Tenant, in.CVE)
		})
	handle(a, operation{method: http.MethodPost, path: feedsPath + "/{feed}", id: "import-feed", summary: "Import a feed of vulnerabilities; every patch is judged anew", tag: tag, act: access.FeedAct, maxBody: maxFeed},
		func(ctx context.Context, p access.Principal, in *ImportFeed) (catalogue.ImportedFeed, error) {
			return a.Catalogue.Import(ctx, p.Tenant, p.Actor(), catalogue.ImportAsk{Feed: in.Feed, File: in.File, Content: in.RawBody, Wrapped: in.Encoding != ""})
		})
}
