package policy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/cleanup"
	"patchring/internal/core/policy"
	"patchring/wire"
)

const cleanUpPolicy = `
policy: fleet
title: {fr: Parc, en: Fleet}
owner: Exploitation
timezone: Europe/Paris
profiles:
  - name: pcs
    devices: device.kind == "workstation"
    windows: [{name: noon, days: [mon, tue, wed, thu, fri], start: "12:00", duration: 1h}]
    clean_up:
      every: 14d
      after_dry_run: approve
      package_cache: {}
      temporary_files: {older_than: 20d, paths: [/var/tmp/build, /tmp, /tmp]}
      browser_history: {allowed: true, reason: {fr: Charte 2026, en: Charter of 2026}}
  - name: all
    windows: [{name: night, days: [sun], start: "01:00", duration: 3h}]
    devices: "true"
    clean_up: {journal: {older_than: 60d}, windows: [{name: dawn, days: [sat], start: "05:00", duration: 1h}]}
`

func TestCleanUpOfTheFirstProfile(t *testing.T) {
	p := policy.Policies{Tenant: parsed(t, strings.Replace(cleanUpPolicy, `"true"`, `device.kind != "x"`, 1))}
	c := p.Settings(p.Match(&desk, now)).CleanUp
	want := []cleanup.Item{
		{Kind: wire.CleanPackageCache, OlderThan: cleanup.Usual(wire.CleanPackageCache)},
		{Kind: wire.CleanTemporaryFiles, OlderThan: 480 * time.Hour, Paths: []string{"/tmp", "/var/tmp/build"}},
		{Kind: wire.CleanBrowserHistory, OlderThan: cleanup.Usual(wire.CleanBrowserHistory)},
	}
	if !slices.EqualFunc(c.Items, want, func(a, b cleanup.Item) bool { return a.Fingerprint() == b.Fingerprint() && a.Problem() == "" }) {
		t.Errorf("items are %+v, want %+v", c.Items, want)
	}
	if c.Every != 14*24*time.Hour || c.AfterDryRun != policy.ApproveAfterDryRun || c.Allowed.EN != "Charter of 2026" || c.Windows[0].Name != "noon" || c.Profile != "pcs" {
		t.Errorf("clean-up is %+v, want every 14d, approved after the dry run, at noon, of pcs", c)
	}
	if c := p.Settings(p.Match(&server, now)).CleanUp; c.Windows[0].Name != "dawn" || c.AfterDryRun != policy.AskAfterDryRun || c.Every != 7*24*time.Hour {
		t.Errorf("servers' clean-up is %+v, want its own window, asking, weekly", c)
	}
	other := policy.Policies{Tenant: parsed(t, strings.Replace(strings.Replace(cleanUpPolicy, `"true"`, `device.kind != "x"`, 1), "every: 14d", "every: 15d", 1))}
	if got := p.Settings(p.Match(&desk, now)).Differing(other.Settings(other.Match(&desk, now))); !slices.Equal(got, []policy.Part{policy.InCleanUp}) {
		t.Errorf("another pace differs in %v, want clean_up", got)
	}
}

func TestCleanUpIsRefused(t *testing.T) {
	const head = "policy: fleet\ntitle: Fleet\nowner: Ops\ntimezone: Europe/Paris\nprofiles:\n  - name: pcs\n    devices: device.kind == \"server\"\n"
	const night = "    windows: [{name: n, days: [sun], start: \"01:00\", duration: 3h}]\n"
	for why, c := range map[string]struct{ text, want string }{
		"no window anywhere":         {head + "    clean_up: {journal: {}}\n", "nothing would ever be cleaned up"},
		"nothing to do":              {head + night + "    clean_up: {every: 7d}\n", "names nothing"},
		"too young":                  {head + night + "    clean_up: {user_caches: {older_than: 2d}}\n", "less than 7d"},
		"a path elsewhere":           {head + night + "    clean_up: {temporary_files: {paths: [/etc]}}\n", "below none of the places"},
		"a path that climbs":         {head + night + "    clean_up: {temporary_files: {paths: [/tmp/../etc]}}\n", "below none of the places"},
		"a neighbour of a root":      {head + night + "    clean_up: {temporary_files: {paths: [/tmpfiles]}}\n", "below none of the places"},
		"history without permission": {head + night + "    clean_up: {browser_history: {}}\n", "on what ground"},
		"history refused":            {head + night + "    clean_up: {browser_history: {allowed: false, reason: x}}\n", "is not true"},
		"history without a reason":   {head + night + "    clean_up: {browser_history: {allowed: true}}\n", "on what ground"},
		"every hour":                 {head + night + "    clean_up: {every: 1h, journal: {}}\n", "less than a day"},
		"paths of the history":       {head + night + "    clean_up: {browser_history: {allowed: true, reason: x, paths: [/home]}}\n", "paths"},
	} {
		if _, err := policy.Parse("fleet.yaml", []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want %q", why, err, c.want)
		}
	}
}
