package lang

import "patchring/internal/core/campaign"

// Limit says from how much on a part of the breaker holds a ring.
func (w Words) Limit(l campaign.Limit) string {
	kinds := []string{}
	for _, one := range []struct {
		id string
		n  int
	}{{"limit.servers", l.Servers}, {"limit.workstations", l.Workstations}} {
		if one.n > 0 {
			kinds = append(kinds, w.T(one.id, "count", w.Number(int64(one.n))))
		}
	}
	return w.T("limit."+string(l.Kind), "devices", w.Number(int64(l.Devices)), "percent", w.Decimal(l.Percent),
		"measures", w.Number(int64(l.Measures)), "kinds", w.List(kinds))
}
