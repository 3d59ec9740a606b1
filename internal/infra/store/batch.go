package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"

	"patchring/internal/infra/store/gen"
)

// Batch is everything the conductor reads of a set of devices, by device id:
// six queries however many devices there are.
type Batch struct {
	Devices map[string]gen.Device
	Missing map[string][]MissingPatch
	Items   map[string][]gen.CampaignDeviceItem
	Orders  map[string][]gen.DeviceOrder // open ones
	Groups  map[string][]string          // names
	Traits  map[string]string            // as they are kept
	// Software is read only where a condition asks for it: device → name → version.
	Software map[string]map[string]string
	// Limits are read only where the policy has some.
	Limits map[string][]gen.LimitMember
}

// IDs of its devices.
func (b Batch) IDs() []string { return slices.Sorted(maps.Keys(b.Devices)) }

// MissingPatch is a missing row with what the catalogue knows of its patch.
type MissingPatch struct {
	gen.Missing
	Of gen.Patch
}

const (
	batchDevices = `SELECT id, name, kind, tags, seen_us, scan_us, scan_status, scan_cause, reboot_pending, boot_id, booted_us, retired_us,
  capability, order_serial, checkpoint_size, scan_wanted
FROM device WHERE tenant = $1 AND id IN (`
	batchMissing = `SELECT m.device, m.patch, m.state, m.packages, m.exposed_us, p.provider, p.name, p.version, p.suite, p.class,
  p.origin, p.summary, p.download_bytes, p.first_seen_us, p.severity, p.cves, p.exploited
FROM missing m JOIN patch p ON p.tenant = m.tenant AND p.id = m.patch WHERE m.tenant = $1 AND m.device IN (`
	batchGroups = `SELECT device, group_name FROM fleet_group_member WHERE tenant = $1 AND device IN (`
	batchTraits = `SELECT device, traits FROM device_traits WHERE tenant = $1 AND device IN (`
	batchItems  = `SELECT device, campaign, item, amendment, state, reason, attempts, no_effects, rollback, packages, next_us, updated_us,
  rehearsal, rehearsal_back_us, rehearsal_again_us, rehearsal_why
FROM campaign_device_item WHERE tenant = $1 AND device IN (`
	batchOrders = `SELECT id, device, serial, campaign, amendment, kind, step, cause, next_us, issued_us, expires_us, envelope
FROM device_order WHERE tenant = $1 AND state = 'open' AND device IN (`
)

// Batch reads a set of devices of one tenant.
func (r Reads) Batch(ctx context.Context, tenant string, devices []string) (Batch, error) {
	b := Batch{
		Devices: make(map[string]gen.Device, len(devices)), Missing: map[string][]MissingPatch{},
		Items: map[string][]gen.CampaignDeviceItem{}, Orders: map[string][]gen.DeviceOrder{}, Groups: map[string][]string{},
		Traits: make(map[string]string, len(devices)),
	}
	return b, r.readBatch(ctx, tenant, devices, append(b.subjects(), []batchStep{
		{"missing patches", batchMissing, " ORDER BY m.device, m.patch", b.scanMissing},
		{"items", batchItems, " ORDER BY device, campaign, item", b.scanItem},
		{"orders", batchOrders, " ORDER BY device, serial", b.scanOrder},
	}...))
}

// SubjectBatch reads only what conditions on devices ask of a set of them,
// without their software.
func (r Reads) SubjectBatch(ctx context.Context, tenant string, devices []string) (Batch, error) {
	b := Batch{Devices: make(map[string]gen.Device, len(devices)), Groups: map[string][]string{}, Traits: make(map[string]string, len(devices))}
	return b, r.readBatch(ctx, tenant, devices, b.subjects())
}

// batchStep is one query of a batch.
type batchStep struct {
	what, text, order string
	scan              func(*sql.Rows) error
}

func (b Batch) subjects() []batchStep {
	return []batchStep{
		{"devices", batchDevices, "", b.scanDevice},
		{"groups", batchGroups, " ORDER BY device, group_name", b.scanGroup},
		{"traits", batchTraits, "", b.scanTraits},
	}
}

func (r Reads) readBatch(ctx context.Context, tenant string, devices []string, steps []batchStep) error {
	for _, s := range steps {
		if err := r.each(ctx, s.text, s.order, tenant, devices, s.scan); err != nil {
			return fmt.Errorf("read %s of %d devices: %w", s.what, len(devices), err)
		}
	}
	return nil
}

// each runs text, completed with one placeholder a device, and scans its rows.
func (r Reads) each(ctx context.Context, text, order, tenant string, devices []string, scan func(*sql.Rows) error) error {
	return r.eachWith(ctx, text, order, []any{tenant}, devices, scan)
}

// eachWith is each of a text that has the placeholders of args before those of
// the devices.
func (r Reads) eachWith(ctx context.Context, text, order string, args []any, devices []string, scan func(*sql.Rows) error) error {
	if len(devices) == 0 {
		return nil
	}
	var q strings.Builder
	q.WriteString(text)
	for i, id := range devices {
		if i > 0 {
			q.WriteString(", ")
		}
		args = append(args, id)
		fmt.Fprintf(&q, "$%d", len(args))
	}
	q.WriteString(")" + order)
	rows, err := r.sql.QueryContext(ctx, q.String(), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (b Batch) scanDevice(rows *sql.Rows) error {
	var d gen.Device
	err := rows.Scan(&d.ID, &d.Name, &d.Kind, &d.Tags, &d.SeenUs, &d.ScanUs, &d.ScanStatus, &d.ScanCause,
		&d.RebootPending, &d.BootID, &d.BootedUs, &d.RetiredUs, &d.Capability, &d.OrderSerial, &d.CheckpointSize, &d.ScanWanted)
	b.Devices[d.ID] = d
	return err
}

func (b Batch) scanGroup(rows *sql.Rows) error {
	var device, name string
	err := rows.Scan(&device, &name)
	b.Groups[device] = append(b.Groups[device], name)
	return err
}

func (b Batch) scanTraits(rows *sql.Rows) error {
	var device, traits string
	err := rows.Scan(&device, &traits)
	b.Traits[device] = traits
	return err
}

func (b Batch) scanMissing(rows *sql.Rows) error {
	var m MissingPatch
	err := rows.Scan(&m.Device, &m.Patch, &m.State, &m.Packages, &m.ExposedUs, &m.Of.Provider, &m.Of.Name, &m.Of.Version, &m.Of.Suite, &m.Of.Class,
		&m.Of.Origin, &m.Of.Summary, &m.Of.DownloadBytes, &m.Of.FirstSeenUs, &m.Of.Severity, &m.Of.Cves, &m.Of.Exploited)
	b.Missing[m.Device] = append(b.Missing[m.Device], m)
	return err
}

func (b Batch) scanItem(rows *sql.Rows) error {
	var i gen.CampaignDeviceItem
	err := rows.Scan(&i.Device, &i.Campaign, &i.Item, &i.Amendment, &i.State, &i.Reason, &i.Attempts, &i.NoEffects,
		&i.Rollback, &i.Packages, &i.NextUs, &i.UpdatedUs, &i.Rehearsal, &i.RehearsalBackUs, &i.RehearsalAgainUs, &i.RehearsalWhy)
	b.Items[i.Device] = append(b.Items[i.Device], i)
	return err
}

func (b Batch) scanOrder(rows *sql.Rows) error {
	var o gen.DeviceOrder
	err := rows.Scan(&o.ID, &o.Device, &o.Serial, &o.Campaign, &o.Amendment, &o.Kind, &o.Step, &o.Cause, &o.NextUs,
		&o.IssuedUs, &o.ExpiresUs, &o.Envelope)
	b.Orders[o.Device] = append(b.Orders[o.Device], o)
	return err
}

// GroupsOf reads the groups of a page of devices.
func (r Reads) GroupsOf(ctx context.Context, tenant string, page []gen.Device) (map[string][]string, error) {
	ids := make([]string, 0, len(page))
	for _, d := range page {
		ids = append(ids, d.ID)
	}
	b := Batch{Groups: map[string][]string{}}
	if err := r.each(ctx, batchGroups, " ORDER BY device, group_name", tenant, ids, b.scanGroup); err != nil {
		return nil, fmt.Errorf("read groups of %d devices: %w", len(page), err)
	}
	return b.Groups, nil
}

const batchLimits = `SELECT tenant, name, value, device, turn FROM limit_member WHERE tenant = $1 AND device IN (`

// LimitsOf reads the limits that a set of devices is under.
func (r Reads) LimitsOf(ctx context.Context, tenant string, devices []string) (map[string][]gen.LimitMember, error) {
	out := map[string][]gen.LimitMember{}
	err := r.each(ctx, batchLimits, " ORDER BY device, name", tenant, devices, func(rows *sql.Rows) error {
		var m gen.LimitMember
		err := rows.Scan(&m.Tenant, &m.Name, &m.Value, &m.Device, &m.Turn)
		out[m.Device] = append(out[m.Device], m)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read limits of %d devices: %w", len(devices), err)
	}
	return out, nil
}
