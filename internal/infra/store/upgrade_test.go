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
