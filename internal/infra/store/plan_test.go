package store_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"patchring/internal/infra/store/storetest"
)

// wholeFleet are the statements that may walk through a table that grows with
// the fleet or with time, and why.
var wholeFleet = map[string]string{
	"nextDue":     "it takes the first entry of an index",
	"lastArrival": "it takes the last entry of an index",

	"nextWatch":    "it takes the first entry of an index",
	"anyWatch":     "it takes the first entry of an index",
	"touchWatches": "a policy that changed may tell any device something else; otherwise once an hour",

	"jumpOrderSerials":   "the restore of a backup moves every device's serial, once",
	"highestOrderSerial": "read once, by the restore of a backup",
	"restoredUS":         "read once, by the restore of a backup",

	"failingEverywhere": "its index holds failures only, which are few",

	"unreadMissing": "its index has the rows of an earlier version only, once after the upgrade",
}

// growing are the tables that hold a row or more for each device, or grow for ever.
const growing = "device|missing|device_part|device_tag|fleet_group_member|campaign_device|campaign_device_item|device_order|register_entry|register_hash|measure_recent|measure_past|device_sample|device_probe|service_down|device_watch|device_evidence|gate_evaluation"

// SQLite chooses its plan without statistics: an ORDER BY that another index
// could serve is enough to make it walk through the whole fleet.
func TestNoStatementWalksThroughTheFleet(t *testing.T) {
	db := storetest.SQLite(t)
	files, err := filepath.Glob("gen/*.sql.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no generated statements: %v", err)
	}
	table := regexp.MustCompile(`\b(?:FROM|JOIN|UPDATE|INTO) (` + growing + `)(?: (?:AS )?([a-z]))?\b`)
	walk := regexp.MustCompile(`^(?:SCAN|SEARCH) (\w+)(?:.*\(([^)]*)\))?`)
	statements, checked := regexp.MustCompile("(?s)const (\\w+) = `(.*?)`"), 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range statements.FindAllStringSubmatch(string(text), -1) {
			name, statement := m[1], m[2]
			large := map[string]bool{}
			for _, at := range table.FindAllStringSubmatch(statement, -1) {
				large[at[1]], large[at[2]] = true, true
			}
			delete(large, "")
			if len(large) == 0 {
				continue
			}
			checked++
			var walks []string
			for _, step := range plan(t, db.Pool(), statement) {
				by := walk.FindStringSubmatch(step)
				if by != nil && large[by[1]] && (by[2] == "" || by[2] == "tenant=?") {
					walks = append(walks, step)
				}
			}
			_, allowed := wholeFleet[name]
			if allowed != (len(walks) > 0) {
				t.Errorf("%s: walks %q, allowed %t", name, walks, allowed)
			}
		}
	}
	if checked < 50 {
		t.Errorf("only %d statements were looked at", checked)
	}
}

// plan asks SQLite how it would run a statement. Its parameters stay NULL.
func plan(t *testing.T, pool *sql.DB, statement string) []string {
	t.Helper()
	args := make([]any, len(regexp.MustCompile(`\$\d+`).FindAllString(statement, -1)))
	rows, err := pool.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+statement, args...)
	if err != nil {
		t.Fatalf("explain %s: %v", strings.SplitN(statement, "\n", 2)[0], err)
	}
	defer rows.Close()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return steps
}
