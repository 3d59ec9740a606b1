package store

import (
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/pressly/goose/v3"
)

// A site that is in the middle of a campaign is upgraded: its devices have
// their places, the campaign knows whom it has considered, and what cannot be
// put back is counted.
func TestUpgradeToPlacesInTheMiddleOfACampaign(t *testing.T) {
	ctx := t.Context()
	db, err := connect(Options{URL: filepath.Join(t.TempDir(), "site.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	tree, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db.write, tree)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(ctx, 4); err != nil {
		t.Fatal(err)
	}
	const minute = "60000000"
	for _, statement := range []string{
		`INSERT INTO device (tenant, id, name, machine_id, kind, tags, cert_serial, enrolled_us, seen_us, retired_us) VALUES
 ('a', 'd2', 'late', '', 'server', '{}', '', 3 * ` + minute + `, 0, 0), ('a', 'd1', 'first', '', 'server', '{}', '', ` + minute + `, 0, 0),
 ('a', 'd3', 'sold', '', 'server', '{}', '', ` + minute + `, 0, 1), ('b', 'd1', 'another tenant', '', 'server', '{}', '', 9, 0, 0)`,
		`INSERT INTO campaign (tenant, id, name, procedure_name, procedure_version, state, origin, schedule, patches, day_us, windows, starts_us, verification_us, enlisted_us, created_us, actor, due_us)
 VALUES ('a', 'c', 'c', 'p', 1, 'running', 'manual', '{}', '[]', 1, '', 1, 1, 3 * ` + minute + `, 1, 'user:x', 0)`,
		`INSERT INTO campaign_ring (tenant, campaign, amendment, position, ring, state, opens_us, closes_us) VALUES ('a', 'c', 0, 0, 'R0', 'open', 1, 2), ('a', 'c', 0, 1, 'R1', 'pending', 1, 2)`,
		`INSERT INTO campaign_device (tenant, campaign, amendment, device, position, goal, bucket, due_us, updated_us)
 VALUES ('a', 'c', 0, 'd1', 0, 'install', 'done', 0, 0), ('a', 'c', 0, 'd3', 0, 'install', 'done', 0, 0)`,
		`INSERT INTO campaign_device_item (tenant, campaign, device, item, amendment, state, packages, updated_us) VALUES
 ('a', 'c', 'd1', 'i1', 0, 'verified', '[{"name":"x","rollback":"impossible","why":"no_old_package"}]', 1),
 ('a', 'c', 'd1', 'i2', 0, 'rolled_back', '[{"name":"x","rollback":"impossible"}]', 1),
 ('a', 'c', 'd1', 'i3', 0, 'verified', '[{"name":"x","rollback":"ready"}]', 1),
 ('a', 'c', 'd3', 'i1', 0, 'verified', '[{"name":"x","rollback":"impossible"}]', 1)`,
	} {
		if err := db.Raw(ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Up(ctx); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{
		"SELECT group_concat(id || '=' || arrival, ' ') FROM (SELECT * FROM device WHERE tenant = 'a' ORDER BY arrival)": "d1=1 d3=2 d2=3",
		"SELECT group_concat(tenant || '=' || last, ' ') FROM (SELECT * FROM device_arrival ORDER BY tenant)":            "a=3 b=1",
		"SELECT enlisted FROM campaign": "2", // the last minute is read once more
		"SELECT group_concat(ring || '=' || rollback_impossible, ' ') FROM (SELECT * FROM campaign_ring ORDER BY position)":                      "R0=1 R1=0",
		"SELECT group_concat(device || item || '=' || rollback_impossible, ' ') FROM (SELECT * FROM campaign_device_item ORDER BY device, item)": "d1i1=1 d1i2=0 d1i3=0 d3i1=0",
	} {
		var got string
		if err := db.read.QueryRowContext(ctx, query).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", query, got, err, want)
		}
	}
	if _, err := p.DownTo(ctx, 4); err != nil {
		t.Errorf("down again: %v", err)
	}
}

// A site that is in the middle of a rollback is upgraded: what was going back
// goes on, in a campaign of its own, and its campaign is held.
func TestUpgradeInTheMiddleOfARollback(t *testing.T) {
	ctx := t.Context()
	db, err := connect(Options{URL: filepath.Join(t.TempDir(), "site.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	tree, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db.write, tree)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(ctx, 23); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`INSERT INTO campaign (tenant, id, name, procedure_name, procedure_version, state, origin, schedule, patches, day_us, windows, starts_us, verification_us, started_us, created_us, actor, due_us)
 VALUES ('a', 'c', 'c', 'p', 1, 'rolling_back', 'manual', '{}', '[]', 1, '', 1, 1, 5, 1, 'user:x', 0), ('a', 'd', 'd', 'p', 1, 'running', 'manual', '{}', '[]', 1, '', 1, 1, 5, 1, 'user:x', 0)`,
		`INSERT INTO campaign_ring (tenant, campaign, amendment, position, ring, state, opens_us, closes_us) VALUES ('a', 'c', 0, 0, 'R0', 'open', 1, 2), ('a', 'c', 0, 1, 'R1', 'pending', 1, 2)`,
		`INSERT INTO campaign_item (tenant, campaign, id, amendment, provider, name, version, suite, promoted, withdrawn_us, withdrawn_by, withdrawn_reason) VALUES
 ('a', 'c', 'i1', 0, 'apt', 'nginx', '2', 's', 0, 3, 'user:x', 'broken'), ('a', 'c', 'i2', 0, 'apt', 'curl', '2', 's', 0, 3, 'user:x', 'broken')`,
		`INSERT INTO campaign_device (tenant, campaign, amendment, device, position, goal, bucket, windows, due_us, updated_us)
 VALUES ('a', 'c', 0, 'd1', 0, 'rollback', 'not_reached', '[]', 9, 0), ('a', 'c', 0, 'd2', 0, 'rollback', 'done', '', 9, 0), ('a', 'c', 0, 'd3', 1, 'install', 'exempt', '', 9, 0)`,
		`INSERT INTO campaign_device_item (tenant, campaign, device, item, amendment, state, rollback, packages, updated_us) VALUES
 ('a', 'c', 'd1', 'i1', 0, 'scheduled', 1, '[]', 1), ('a', 'c', 'd1', 'i2', 0, 'rolled_back', 1, '[]', 1), ('a', 'c', 'd2', 'i1', 0, 'rolled_back', 1, '[]', 1)`,
		`INSERT INTO device_order (tenant, id, device, serial, campaign, amendment, kind, envelope, state, issued_us, expires_us) VALUES
 ('a', 'o1', 'd1', 1, 'c', 0, 'rollback', '{}', 'open', 1, 2), ('a', 'o2', 'd9', 1, 'd', 0, 'install', '{}', 'open', 1, 2)`,
	} {
		if err := db.Raw(ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Up(ctx); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{
		"SELECT group_concat(id || '=' || state || '/' || origin, ' ') FROM (SELECT * FROM campaign ORDER BY id)":                                          "c=running/manual c-rollback=running/rollback d=running/manual",
		"SELECT undoes || ' ' || asked_by || ' ' || reason FROM campaign_rollback":                                                                         "c user:x broken",
		"SELECT group_concat(campaign || device || '=' || goal, ' ') FROM (SELECT * FROM campaign_device ORDER BY campaign, device)":                       "cd1=install cd2=install cd3=install c-rollbackd1=rollback",
		"SELECT group_concat(campaign || device || item || '=' || state, ' ') FROM (SELECT * FROM campaign_device_item ORDER BY campaign, device, item)":   "cd1i1=verified cd1i2=rolled_back cd2i1=rolled_back c-rollbackd1i1=scheduled",
		"SELECT group_concat(ring || '=' || state || not_reached, ' ') FROM (SELECT * FROM campaign_ring WHERE campaign = 'c-rollback' ORDER BY position)": "R0=open1 R1=open0",
		"SELECT group_concat(id || '=' || campaign, ' ') FROM (SELECT * FROM device_order ORDER BY id)":                                                    "o1=c-rollback o2=d",
		"SELECT group_concat(campaign || ' ' || reason) FROM hold":                                                                                         "c broken",
		"SELECT group_concat(id) FROM campaign_item WHERE campaign = 'c-rollback'":                                                                         "i1",
	} {
		var got string
		if err := db.read.QueryRowContext(ctx, query).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", query, got, err, want)
		}
	}
	if _, err := p.DownTo(ctx, 23); err != nil {
		t.Errorf("down again: %v", err)
	}
}
