package console

import (
	"strconv"
	"strings"

	"patchring/internal/core/fault"
	"patchring/internal/core/lifecycle"
	"patchring/internal/core/readiness"
	"patchring/internal/face/console/page"
	"patchring/internal/face/console/ui"
)

func (c *Console) readiness(v visit) (page.Readiness, error) {
	return c.Reader.Readiness(v.Context(), v.viewer(), page.ReadinessQuery{
		Campaign: v.FormValue("campaign"), Kind: readiness.Kind(v.FormValue("kind")), After: v.FormValue("after"),
	})
}

func (c *Console) lifecycle(v visit) (page.Lifecycle, error) {
	return c.Reader.Lifecycle(v.Context(), v.viewer(), page.LifecycleQuery{State: lifecycle.State(v.FormValue("state")), After: v.FormValue("after")})
}

// maxPilots bounds what a page carries in its address; the command line takes
// larger rings.
const maxPilots = 200

func (c *Console) pilots(v visit) (page.Pilots, error) {
	size, err := whole(v.FormValue("size"), "size")
	if err != nil {
		return page.Pilots{}, err
	}
	each, err := whole(v.FormValue("per_department"), "per_department")
	if err != nil {
		return page.Pilots{}, err
	}
	q := page.PilotsQuery{
		Procedure: v.PathValue("name"), Ring: v.FormValue("ring"), Size: int(size), PerDepartment: int(each),
		Measure: v.FormValue("measure") == "1", Devices: v.Form["device"], Add: strings.TrimSpace(v.FormValue("add")),
	}
	if size > maxPilots || len(q.Devices) > maxPilots {
		return page.Pilots{}, invalid("size", "too_many", strconv.Itoa(maxPilots))
	}
	if text := v.FormValue("was"); text != "" {
		if q.Was, err = strconv.ParseFloat(text, 64); err != nil {
			return page.Pilots{}, invalid("was", "not_a_number", "0")
		}
	}
	return c.Reader.Pilots(v.Context(), v.viewer(), q)
}

// pilotsForm asks which group gets the chosen devices.
func (c *Console) pilotsForm(v visit) (ui.Form, error) {
	devices := chosenDevices(v)
	if len(devices) == 0 {
		return ui.Form{}, fault.New(fault.NothingToDo, "what", "no_device_chosen")
	}
	fm := v.blank("pilots", v.words.N("today.devices", int64(len(devices))), ui.Path("procedures", v.PathValue("name"), "pilots"))
	fm.Fields = append(v.carried("devices"), ui.Field{
		Name: "group", Kind: ui.Text, Label: v.words.T("pilots.group"), Hint: v.words.T("pilots.group_hint"), Required: true,
	})
	return fm, nil
}

func chosenDevices(v visit) []string {
	return strings.FieldsFunc(v.FormValue("devices"), func(r rune) bool { return r == ',' })
}

func (c *Console) givePilots(v visit) error {
	devices := chosenDevices(v)
	if len(devices) == 0 {
		return fault.New(fault.NothingToDo, "what", "no_device_chosen")
	}
	_, err := c.Roster.Set(v.Context(), v.who.Tenant, v.who.Actor(), strings.TrimSpace(v.PostFormValue("group")), devices)
	return err
}
