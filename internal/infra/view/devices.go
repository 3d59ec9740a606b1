package view

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/lifecycle"
	"patchring/wire"
)

// stateOf is one state of a device with its condition in SQL. The states are
// tried in order and the first that fits is the device's, so that a filter
// needs the negations of those before it.
type stateOf struct {
	state fleet.State
	sql   string
	args  func(moment) []any
	fits  func(d deviceColumns, at moment) *fault.Reason // nil: does not
}

// moment is what states ask of the hour.
type moment struct {
	silentSince int64 // heard of before: unreachable
	now         int64
}

func (r *Reader) moment() moment { return moment{r.silentSince(), r.now().UnixMicro()} }

func noArgs(moment) []any { return nil }

// states decide what a device is on the whole. What is not known is never
// "compliant": a device that does not answer, was never scanned, or was
// scanned with stale lists comes before. Nor is what nobody mends any more: a
// system whose support has ended, or a device too small for it.
func states() []stateOf {
	return []stateOf{
		{fleet.Retired, "d.retired_us > 0", noArgs, func(d deviceColumns, _ moment) *fault.Reason {
			return when(d.retiredUS > 0, fault.Because(fault.DeviceRetired, "device", d.row.Name))
		}},
		{fleet.Unreachable, "d.seen_us < ?", func(at moment) []any { return []any{at.silentSince} }, func(d deviceColumns, at moment) *fault.Reason {
			return when(d.seenUS < at.silentSince, fault.Because(fault.DeviceUnreachable, "since", stamp(d.seenUS)))
		}},
		{fleet.NotReady, "(d.scan_status <> 'ok' OR d.system_ends_us > 0 AND d.system_ends_us <= ? OR d.hardware_short <> '')",
			func(at moment) []any { return []any{at.now} }, func(d deviceColumns, at moment) *fault.Reason {
				if why := d.unscanned(); why != nil {
					return why
				}
				return d.tooOld(at.now)
			}},
		{fleet.PendingReboot, "d.reboot_pending = 1", noArgs, func(d deviceColumns, _ moment) *fault.Reason {
			return when(d.row.RebootPending, fault.Because(fault.RebootPendingNow))
		}},
		{fleet.Overdue, "d.missing_security > 0", noArgs, func(d deviceColumns, _ moment) *fault.Reason {
			return when(d.row.MissingSecurity > 0, fault.Reason{})
		}},
		{fleet.Compliant, "d.missing_security = 0", noArgs, func(deviceColumns, moment) *fault.Reason { return &fault.Reason{} }},
	}
}

func when(is bool, r fault.Reason) *fault.Reason {
	if !is {
		return nil
	}
	return &r
}

func stamp(us int64) string { return instant(us).Format(time.RFC3339) }

// filters beside the states.
func plainFilters() map[string]string {
	return map[string]string{
		"failing":       "d.retired_us = 0 AND d.failing > 0",
		"never_scanned": "d.retired_us = 0 AND d.scan_us = 0",
		"duplicate":     "d.retired_us = 0 AND d.duplicate_of <> ''",
	}
}

func (r *Reader) filterDevices(b *builder, filter string) error {
	if filter == "" {
		b.and("d.retired_us = 0")
		return nil
	}
	if condition, ok := plainFilters()[filter]; ok {
		b.and(condition)
		return nil
	}
	if _, err := oneOf("filter", filter, DeviceFilters()); err != nil {
		return err
	}
	at := r.moment()
	for _, s := range states() {
		if string(s.state) == filter {
			b.and(s.sql, s.args(at)...)
			return nil
		}
		b.and("NOT ("+s.sql+")", s.args(at)...)
	}
	return nil
}

// deviceColumns is a row of deviceHead before its state is worked out.
type deviceColumns struct {
	row                        DeviceRow
	seenUS, scanUS, retiredUS  int64
	listsUS, bootedUS          int64
	scanCause, retiredWhy      string
	machineID, bootID, tagText string
	capability                 int64
	systemCycle, hardwareShort string
	systemEndsUS               int64
}

const deviceHead = `SELECT d.id, d.name, d.kind, d.tags, d.os_id, d.os_name, d.agent_version, d.seen_us, d.enrolled_us,
  d.reboot_pending, d.scan_us, d.scan_status, d.scan_cause, d.lists_us, d.missing, d.missing_security, d.failing,
  d.duplicate_of, d.retired_us, d.retired_why, d.machine_id, d.boot_id, d.booted_us, d.capability,
  d.system_cycle, d.system_ends_us, d.hardware_short FROM device d`

func scanDevice(rows *sql.Rows) (deviceColumns, error) {
	var c deviceColumns
	var enrolledUS, reboot int64
	d := &c.row
	err := rows.Scan(&d.ID, &d.Name, &d.Kind, &c.tagText, &d.OSID, &d.OSName, &d.AgentVersion, &c.seenUS, &enrolledUS,
		&reboot, &c.scanUS, &d.ScanStatus, &c.scanCause, &c.listsUS, &d.Missing, &d.MissingSecurity, &d.Failing,
		&d.DuplicateOf, &c.retiredUS, &c.retiredWhy, &c.machineID, &c.bootID, &c.bootedUS, &c.capability,
		&c.systemCycle, &c.systemEndsUS, &c.hardwareShort)
	if err != nil {
		return c, err
	}
	d.Seen, d.Enrolled, d.Scanned, d.Retired = instant(c.seenUS), instant(enrolledUS), instant(c.scanUS), instant(c.retiredUS)
	d.RebootPending = reboot != 0
	d.Groups = []string{}
	d.Tags, err = tags(c.tagText)
	return c, err
}

func tags(text string) (fleet.Tags, error) {
	out := fleet.Tags{}
	if text == "" {
		return out, nil
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return nil, fmt.Errorf("decode tags: %w", err)
	}
	return out, nil
}

// unscanned says why the list of missing patches cannot be believed.
func (c deviceColumns) unscanned() *fault.Reason {
	switch {
	case c.scanUS == 0:
		return when(true, fault.Because(fault.NeverScanned))
	case c.row.ScanStatus == string(wire.ScanStale):
		return when(true, fault.Because(fault.ScanStale, "at", stamp(c.scanUS)))
	case c.row.ScanStatus != string(wire.ScanOK):
		cause := reason(c.scanCause)
		if cause == nil {
			cause = &fault.Reason{}
		}
		return when(true, fault.Because(fault.ScanRefused, "cause", string(cause.Code)))
	}
	return nil
}

// tooOld says that nobody mends its system any more, or that the device is too
// small for it.
func (c deviceColumns) tooOld(nowUS int64) *fault.Reason {
	if c.systemEndsUS > 0 && c.systemEndsUS <= nowUS {
		day := ""
		if over := instant(c.systemEndsUS); over.After(lifecycle.LongAgo) {
			day = over.AddDate(0, 0, -1).Format(time.DateOnly)
		}
		return when(true, fault.Because(fault.SystemEnded, "system", c.systemCycle, "day", day))
	}
	return reason(c.hardwareShort)
}

func (c deviceColumns) stated(at moment) DeviceRow {
	d := c.row
	for _, s := range states() {
		if why := s.fits(c, at); why != nil {
			d.State = s.state
			if !why.IsZero() {
				d.Reason = why
			}
			return d
		}
	}
	return d
}

// deviceOrder is one order of the list with its keyset.
type deviceOrder struct{ order, after string }

func deviceOrders() map[string]deviceOrder {
	return map[string]deviceOrder{
		"name":     {"d.name, d.id", "(d.name, d.id) > (?, ?)"},
		"enrolled": {"d.id", "d.id > ?"},
		"seen":     {"d.seen_us, d.id", "(d.seen_us, d.id) > (?, ?)"},
		"missing":  {"d.missing_security DESC, d.id DESC", "(d.missing_security, d.id) < (?, ?)"},
	}
}

// DeviceSorts are the values of DeviceQuery.Sort.
func DeviceSorts() []string { return []string{"name", "enrolled", "seen", "missing"} }

// sort is the order asked for, or the one an index serves best.
func (q DeviceQuery) sort() (string, error) {
	switch {
	case q.Sort != "":
		return oneOf("sort", q.Sort, DeviceSorts())
	case q.Filter == string(fleet.Unreachable):
		return "seen", nil
	case q.Filter == string(fleet.Overdue):
		return "missing", nil
	case q.Patch != "":
		return "enrolled", nil
	}
	return "name", nil
}

// Devices lists devices.
func (r *Reader) Devices(ctx context.Context, tenant fleet.TenantID, q DeviceQuery) (DevicePage, error) {
	sort, err := q.sort()
	if err != nil {
		return DevicePage{}, err
	}
	after, err := q.cursorFor(sort)
	if err != nil {
		return DevicePage{}, err
	}
	var b builder
	b.and("d.tenant = ?", tenant)
	if err := errFirst(r.filterDevices(&b, q.Filter), q.conditions(&b, tenant)); err != nil {
		return DevicePage{}, err
	}
	order := deviceOrders()[sort]
	if after != nil {
		b.and(order.after, after.deviceArgs()...)
	}
	rows, err := all(ctx, r, b.list("devices", deviceHead, order.order, q.limit()), scanDevice)
	if err != nil {
		return DevicePage{}, err
	}
	page := pageOf(rows, q.limit(), func(c deviceColumns) cursor { return c.cursor(sort) })
	return r.finishDevices(ctx, tenant, page)
}

func errFirst(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (c deviceColumns) cursor(sort string) cursor {
	at := cursor{Sort: sort, ID: string(c.row.ID)}
	switch sort {
	case "name":
		at.Text = c.row.Name
	case "seen":
		at.N = c.seenUS
	case "missing":
		at.N = c.row.MissingSecurity
	}
	return at
}

func (c cursor) deviceArgs() []any {
	switch c.Sort {
	case "name":
		return []any{c.Text, c.ID}
	case "enrolled":
		return []any{c.ID}
	}
	return []any{c.N, c.ID}
}

func (q DeviceQuery) conditions(b *builder, tenant fleet.TenantID) error {
	if q.Text != "" {
		b.and("lower(d.name) LIKE ? ESCAPE '!'", contains(q.Text))
	}
	if q.Kind != "" {
		if _, err := fleet.ParseKind(string(q.Kind)); err != nil {
			return fault.New(fault.InvalidField, "field", "kind", "problem", "not_a_choice", "fix", "workstation, server, critical")
		}
		b.and("d.kind = ?", q.Kind)
	}
	if q.Group != "" {
		b.and("d.id IN (SELECT g.device FROM fleet_group_member g WHERE g.tenant = ? AND g.group_name = ?)", tenant, q.Group)
	}
	if q.Tag != "" {
		name, value, err := fleet.ParseTag(q.Tag)
		if err != nil {
			return fault.New(fault.InvalidField, "field", "tag", "problem", "not_a_tag", "fix", "key=value")
		}
		b.and("d.id IN (SELECT t.device FROM device_tag t WHERE t.tenant = ? AND t.name = ? AND t.value = ?)", tenant, name, value)
	}
	if q.Patch != "" {
		b.and("EXISTS (SELECT 1 FROM missing m WHERE m.tenant = ? AND m.patch = ? AND m.device = d.id)", tenant, q.Patch)
	}
	return nil
}

// finishDevices adds what the page's own devices need: states and groups.
func (r *Reader) finishDevices(ctx context.Context, tenant fleet.TenantID, page Page[deviceColumns]) (DevicePage, error) {
	out := DevicePage{Rows: make([]DeviceRow, len(page.Rows)), Next: page.Next}
	at := r.moment()
	ids := make([]string, len(page.Rows))
	for i, c := range page.Rows {
		out.Rows[i], ids[i] = c.stated(at), string(c.row.ID)
	}
	groups, err := r.groupsOf(ctx, tenant, ids)
	if err != nil {
		return DevicePage{}, err
	}
	for i := range out.Rows {
		if in := groups[out.Rows[i].ID]; in != nil {
			out.Rows[i].Groups = in
		}
	}
	return out, nil
}

func (r *Reader) groupsOf(ctx context.Context, tenant fleet.TenantID, devices []string) (map[fleet.DeviceID][]string, error) {
	out := map[fleet.DeviceID][]string{}
	if len(devices) == 0 {
		return out, nil
	}
	var b builder
	b.and("g.tenant = ?", tenant)
	b.in("g.device", devices)
	_, err := all(ctx, r, b.every("groups of devices", "SELECT g.device, g.group_name FROM fleet_group_member g", "g.device, g.group_name"),
		func(rows *sql.Rows) (struct{}, error) {
			var device fleet.DeviceID
			var group string
			err := rows.Scan(&device, &group)
			out[device] = append(out[device], group)
			return struct{}{}, err
		})
	return out, err
}

// FindDevice finds a device by its id or, when only one carries it and is not
// retired, by its name.
func (r *Reader) FindDevice(ctx context.Context, tenant fleet.TenantID, nameOrID string) (DeviceRef, error) {
	found, err := all(ctx, r, ask("device",
		`SELECT d.id, d.name FROM device d WHERE d.tenant = $1 AND d.id = $2
UNION SELECT d.id, d.name FROM device d WHERE d.tenant = $1 AND d.name = $2 AND d.retired_us = 0 LIMIT 2`, tenant, nameOrID), scanDeviceRef)
	switch {
	case err != nil:
		return DeviceRef{}, err
	case len(found) == 0:
		return DeviceRef{}, fault.New(fault.NotFound, "what", "device", "name", nameOrID)
	case len(found) > 1:
		return DeviceRef{}, fault.New(fault.InvalidField, "field", "device", "problem", "several_devices", "fix", "use_id")
	}
	return found[0], nil
}

func scanDeviceRef(rows *sql.Rows) (DeviceRef, error) {
	var d DeviceRef
	err := rows.Scan(&d.ID, &d.Name)
	return d, err
}

// Groups lists groups by name.
func (r *Reader) Groups(ctx context.Context, tenant fleet.TenantID, p Paging) (GroupPage, error) {
	after, err := p.cursorFor("name")
	if err != nil {
		return GroupPage{}, err
	}
	var b builder
	b.and("g.tenant = ?", tenant)
	if after != nil {
		b.and("g.name > ?", after.Text)
	}
	rows, err := all(ctx, r, b.list("groups", `SELECT g.name, g.title, g.created_us,
  (SELECT count(*) FROM fleet_group_member m WHERE m.tenant = g.tenant AND m.group_name = g.name) FROM fleet_group g`, "g.name", p.limit()),
		func(rows *sql.Rows) (GroupRow, error) {
			var g GroupRow
			var createdUS int64
			err := rows.Scan(&g.Name, &g.Title, &createdUS, &g.Devices)
			g.Created = instant(createdUS)
			return g, err
		})
	if err != nil {
		return GroupPage{}, err
	}
	return pageOf(rows, p.limit(), func(g GroupRow) cursor { return cursor{Sort: "name", Text: g.Name} }), nil
}
