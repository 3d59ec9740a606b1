package view

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/series"
	"patchring/internal/infra/store"
)

// TestNoPageWalksTheFleet asks SQLite for the plan of every query that a page
// needs. A SCAN reads a whole table; a sort reads everything before its first
// row. Both would make pages slower as the fleet grows.
func TestNoPageWalksTheFleet(t *testing.T) {
	db, err := store.Open(t.Context(), store.Options{URL: filepath.Join(t.TempDir(), "site.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	const tenant = fleet.TenantID("acme")
	var asked []query
	r := NewReader(db.Pool(), Options{})
	r.asked = func(q query) { asked = append(asked, q) }
	read := map[string]func() error{}
	for _, sort := range DeviceSorts() {
		read["devices by "+sort] = func() error { _, err := r.Devices(t.Context(), tenant, DeviceQuery{Sort: sort}); return err }
	}
	for _, sort := range DeviceSorts() {
		read["a later page of devices by "+sort] = func() error {
			later := cursor{Sort: sort, Text: "pc-1", N: 1, ID: "1"}.String()
			_, err := r.Devices(t.Context(), tenant, DeviceQuery{Sort: sort, Paging: Paging{Cursor: later}})
			return err
		}
	}
	for _, filter := range DeviceFilters() {
		read["devices that are "+filter] = func() error {
			_, err := r.Devices(t.Context(), tenant, DeviceQuery{Filter: filter})
			return err
		}
	}
	read["devices that miss a patch"] = func() error { _, err := r.Devices(t.Context(), tenant, DeviceQuery{Patch: "p"}); return err }
	for _, sort := range PatchSorts() {
		read["patches by "+sort] = func() error { _, err := r.Patches(t.Context(), tenant, PatchQuery{Sort: sort}); return err }
	}
	read["devices of a ring"] = func() error {
		_, err := r.RingDevices(t.Context(), tenant, RingDevicesQuery{Campaign: "c"})
		return err
	}
	read["failed devices of a ring"] = func() error {
		_, err := r.RingDevices(t.Context(), tenant, RingDevicesQuery{Campaign: "c", Bucket: "failed"})
		return err
	}
	read["devices of a patch"] = func() error {
		_, err := r.PatchDevices(t.Context(), tenant, PatchDevicesQuery{Patch: "p"})
		return err
	}
	read["register"] = func() error { _, err := r.Events(t.Context(), tenant, EventQuery{}); return err }
	read["register of a device"] = func() error { _, err := r.Events(t.Context(), tenant, EventQuery{Device: "d"}); return err }
	read["register of a campaign"] = func() error { _, err := r.Events(t.Context(), tenant, EventQuery{Campaign: "c"}); return err }
	read["groups"] = func() error { _, err := r.Groups(t.Context(), tenant, Paging{}); return err }
	read["campaigns"] = func() error { _, err := r.Campaigns(t.Context(), tenant, CampaignQuery{}); return err }
	read["impossible rollbacks"] = func() error { _, err := r.ImpossibleRollbacks(t.Context(), tenant, ImpossibleQuery{}); return err }
	read["a later page of a campaign's impossible rollbacks"] = func() error {
		later := cursor{Sort: "impossible", Provider: "c", Text: "d", ID: "p"}.String()
		_, err := r.ImpossibleRollbacks(t.Context(), tenant, ImpossibleQuery{Campaign: "c", Paging: Paging{Cursor: later}})
		return err
	}
	for _, which := range ExceptionFilters() {
		read["exceptions "+which] = func() error {
			_, err := r.Exceptions(t.Context(), tenant, ExceptionQuery{Which: which})
			return err
		}
	}
	for _, which := range TaskFilters() {
		later := Paging{Cursor: cursor{Sort: which, N: 1, ID: "1"}.String()}
		for name, q := range map[string]TaskQuery{"all": {}, "later": {Paging: later}, "mine": {Mine: []string{"it", "alice"}}, "of a device": {Device: "d"}, "of a campaign": {Campaign: "c"}} {
			q.Which = which
			read["tasks "+which+" "+name] = func() error { _, err := r.Tasks(t.Context(), tenant, q); return err }
		}
	}
	read["probes"] = func() error { _, err := r.Probes(t.Context(), tenant, ""); return err }
	read["probes of a group"] = func() error { _, err := r.Probes(t.Context(), tenant, "g"); return err }
	read["devices of a probe"] = func() error { _, err := r.ProbeDevices(t.Context(), tenant, ProbeQuery{Name: "web"}); return err }
	read["a later page of devices on which a probe is down"] = func() error {
		later := Paging{Cursor: cursor{Sort: "probe", Text: "down", ID: "d"}.String()}
		_, err := r.ProbeDevices(t.Context(), tenant, ProbeQuery{Name: "web", State: fleet.ProbeDown, Group: "g", Paging: later})
		return err
	}
	read["probes of a device"] = func() error { _, err := r.DeviceProbes(t.Context(), tenant, "d"); return err }
	read["the last sample"] = func() error { _, err := r.sample(t.Context(), tenant, "d"); return err }
	read["last samples of the fleet"] = func() error { _, err := r.Samples(t.Context(), tenant, "d"); return err }
	read["installs of a device"] = func() error { _, err := r.installs(t.Context(), tenant, "d", MeasureQuery{}); return err }
	read["measures of some devices"] = func() error {
		_, err := r.series(t.Context(), tenant, []string{"d", "e"}, series.Ask{FromUS: 1, ToUS: 2})
		return err
	}
	read["measures of a campaign"] = func() error {
		_, err := r.CompareMeasures(t.Context(), tenant, CompareQuery{Campaign: "c"})
		return err
	}
	for _, which := range IncidentFilters() {
		later := Paging{Cursor: cursor{Sort: which, N: 1, ID: "1"}.String()}
		for name, q := range map[string]IncidentQuery{"all": {}, "later": {Paging: later}, "of a device": {Device: "d"}, "of a campaign": {Campaign: "c"}} {
			q.Which = which
			read["incidents "+which+" "+name] = func() error { _, err := r.Incidents(t.Context(), tenant, q); return err }
		}
	}
	read["an incident"] = func() error { _, err := r.Incident(t.Context(), tenant, "i"); return ignored(err) }
	read["tests"] = func() error { _, err := r.Tests(t.Context(), tenant, TestsQuery{Campaign: "c"}); return err }
	for _, which := range TicketFilters() {
		read["tickets "+which] = func() error { _, err := r.Tickets(t.Context(), tenant, TicketQuery{Which: which}); return err }
	}
	read["what somebody said"] = func() error { _, err := r.FeedbackDetail(t.Context(), tenant, "f"); return ignored(err) }
	read["a task"] = func() error { _, err := r.Task(t.Context(), tenant, "t"); return ignored(err) }
	for name, f := range read {
		asked = nil
		if err := f(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(asked) == 0 {
			t.Errorf("%s: asked nothing", name)
		}
		for _, q := range asked {
			for _, step := range plan(t, db.Pool(), q) {
				if strings.HasPrefix(step, "SCAN ") || strings.Contains(step, "TEMP B-TREE FOR ORDER BY") {
					t.Errorf("%s: %s\n%s", name, step, q.text)
				}
			}
		}
	}
}

// ignored: what is not there was asked for as well as what is.
func ignored(err error) error {
	if fault.CodeOf(err) == fault.NotFound {
		return nil
	}
	return err
}

func plan(t *testing.T, db *sql.DB, q query) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+q.text, q.args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		out = append(out, detail)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}
