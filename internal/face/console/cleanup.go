package console

import (
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/face/console/page"
	"patchring/internal/face/console/ui"
	"patchring/internal/service/cleaner"
)

func (c *Console) cleanUps(v visit) (page.CleanUps, error) {
	return c.Reader.CleanUps(v.Context(), v.viewer(), page.CleanUpQuery{
		Item: v.FormValue("item"), Device: v.FormValue("device"), State: v.FormValue("state"), After: v.FormValue("after"),
	})
}

// approveCleanUpForm says what the dry runs counted before it asks.
func (c *Console) approveCleanUpForm(v visit) (ui.Form, error) {
	item, print, device := v.FormValue("item"), v.FormValue("fingerprint"), v.FormValue("device")
	found, err := c.Reader.CleanUps(v.Context(), v.viewer(), page.CleanUpQuery{Item: item, Device: device})
	if err != nil {
		return ui.Form{}, err
	}
	bytes, devices, subject := int64(0), int64(0), item
	for _, s := range found.Sums {
		if s.Item == item && s.Fingerprint == print {
			bytes, devices = s.CountedBytes, s.Counted
		}
	}
	if device != "" && len(found.Rows) == 1 {
		bytes, devices, subject = found.Rows[0].CountedBytes, 1, item+" · "+found.Rows[0].Device.Name
	}
	if devices == 0 {
		return ui.Form{}, fault.New(fault.NotFound, "what", "clean_up", "name", item)
	}
	fm := v.blank("approve_clean_up", subject, "/clean-ups")
	fm.Consequence = v.words.N("act_approve_clean_up.plan", devices, "size", v.words.Bytes(bytes)) + " " + fm.Consequence
	fm.Danger, fm.Fields = true, append(fm.Fields, v.carried("item", "fingerprint", "device")...)
	return fm, nil
}

func (c *Console) approveCleanUp(v visit) error {
	return c.Cleaner.Approve(v.Context(), v.who.Tenant, v.who.Actor(), cleaner.Approve{
		Item: v.PostFormValue("item"), Fingerprint: v.PostFormValue("fingerprint"), Device: fleet.DeviceID(v.PostFormValue("device")),
	})
}

func (c *Console) revokeCleanUpForm(v visit) (ui.Form, error) {
	fm := v.blank("revoke_clean_up", v.FormValue("item"), "/clean-ups")
	fm.Fields = append(fm.Fields, v.carried("item")...)
	return fm, nil
}

func (c *Console) revokeCleanUp(v visit) error {
	return c.Cleaner.Revoke(v.Context(), v.who.Tenant, v.who.Actor(), v.PostFormValue("item"), "")
}
