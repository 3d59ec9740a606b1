package console

import (
	"strconv"

	"patchring/internal/core/fault"
	"patchring/internal/face/console/page"
)

func (c *Console) measures(v visit) (page.Measures, error) {
	chosen := v.URL.Query().Get("days")
	for _, s := range page.Spans {
		if chosen == "" || chosen == strconv.Itoa(s.Days) {
			return c.Reader.Measures(v.Context(), v.viewer(), v.PathValue("id"), s.Days)
		}
	}
	return page.Measures{}, fault.New(fault.InvalidField, "field", "days", "problem", "not_a_choice", "fix", "1, 7, 35")
}

func (c *Console) campaignMeasures(v visit) (page.CampaignMeasures, error) {
	return c.Reader.CampaignMeasures(v.Context(), v.viewer(), v.PathValue("id"), v.URL.Query().Get("ring"))
}

func (c *Console) probes(v visit) (page.Probes, error) {
	q := v.URL.Query()
	return c.Reader.Probes(v.Context(), v.viewer(), page.ProbeQuery{Name: q.Get("probe"), State: q.Get("state"), After: q.Get("after")})
}
