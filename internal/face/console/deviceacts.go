package console

import (
	"maps"
	"slices"
	"strings"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/face/console/page"
	"patchring/internal/face/console/ui"
	"patchring/internal/face/lang"
)

// moveForm puts one device into another ring of a campaign that has it.
func (c *Console) moveForm(v visit) (ui.Form, error) {
	d, err := c.device(v)
	if err != nil {
		return ui.Form{}, err
	}
	number, err := v.amendment()
	if err != nil {
		return ui.Form{}, err
	}
	i := slices.IndexFunc(d.Campaigns, func(in page.DeviceCampaign) bool {
		return in.ID == v.FormValue("campaign") && in.Amendment == int64(number)
	})
	if i < 0 {
		return ui.Form{}, fault.New(fault.NotFound, "what", "campaign", "name", v.FormValue("campaign"))
	}
	in := d.Campaigns[i]
	b, err := c.Reader.Board(v.Context(), v.viewer(), in.ID)
	if err != nil {
		return ui.Form{}, err
	}
	choice := ui.Field{Name: "ring", Kind: ui.Select, Label: v.words.T("act_move.ring"), Hint: v.words.T("act_move.ring_hint", "ring", in.Ring), Required: true}
	for _, r := range ringsOf(b, in.Amendment) {
		if r.Name != in.Ring {
			choice.Options = append(choice.Options, ui.Option{Value: r.Name, Label: r.Name + " — " + v.words.Word(lang.RingState, string(r.State))})
		}
	}
	fm := v.blank("move", v.words.T("act_move.subject", "device", d.Name, "campaign", in.Name), ui.Path("devices", d.ID))
	fm.Fields = append(v.carried("campaign", "amendment"), choice, v.why())
	return fm, nil
}

func ringsOf(b page.Board, amendment int64) []page.Ring {
	for _, a := range b.Amendments {
		if a.Number == amendment {
			return a.Rings
		}
	}
	return b.Rings
}

func (c *Console) move(v visit) error {
	number, err := v.amendment()
	if err != nil {
		return err
	}
	return c.Acts.Expedite(v.Context(), v.who.Tenant, v.who.Actor(), campaign.Expedite{
		Campaign: v.PostFormValue("campaign"), Amendment: number, Ring: v.PostFormValue("ring"),
		Device: fleet.DeviceID(v.PathValue("id")), Reason: v.PostFormValue("reason"),
	})
}

// describeForm changes a device's name, kind and tags.
func (c *Console) describeForm(v visit) (ui.Form, error) {
	d, err := c.device(v)
	if err != nil {
		return ui.Form{}, err
	}
	kinds := ui.Field{Name: "kind", Kind: ui.Select, Label: v.words.T("col.kind"), Value: string(d.Kind), Required: true}
	for _, k := range fleet.Kinds() {
		kinds.Options = append(kinds.Options, ui.Option{Value: string(k), Label: v.words.Word(lang.Kind, string(k))})
	}
	tags := tagLines(d.Tags)
	fm := v.blank("describe", d.Name, ui.Path("devices", d.ID))
	fm.Fields = []ui.Field{
		hidden("seen", tags), // what the person saw: another's tag of meanwhile is not taken away
		{Name: "name", Kind: ui.Text, Label: v.words.T("col.name"), Value: d.Name, Required: true},
		kinds,
		{Name: "tags", Kind: ui.Area, Label: v.words.T("col.tags"), Hint: v.words.T("act_describe.tags_hint"), Value: tags},
		v.why(),
	}
	return fm, nil
}

func tagLines(tags fleet.Tags) string {
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		lines = append(lines, key+"="+tags[key])
	}
	return strings.Join(lines, "\n")
}

func readTags(text string) (fleet.Tags, error) {
	tags := fleet.Tags{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		key, value, err := fleet.ParseTag(line)
		if err != nil {
			return nil, invalid("tags", "not_a_tag", "key=value").Wrap(err)
		}
		tags[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	return tags, nil
}

func (c *Console) describe(v visit) error {
	if strings.TrimSpace(v.PostFormValue("reason")) == "" {
		return fault.New(fault.ReasonRequired)
	}
	seen, err := readTags(v.PostFormValue("seen"))
	if err != nil {
		return err
	}
	tags, err := readTags(v.PostFormValue("tags"))
	if err != nil {
		return err
	}
	ask := fleet.Describe{
		Name: strings.TrimSpace(v.PostFormValue("name")), Kind: fleet.Kind(v.PostFormValue("kind")), Tags: fleet.Tags{}, Reason: v.PostFormValue("reason"),
	}
	for key, value := range tags {
		if seen[key] != value {
			ask.Tags[key] = value
		}
	}
	for key := range seen {
		if _, kept := tags[key]; !kept {
			ask.Untag = append(ask.Untag, key)
		}
	}
	out, err := c.Roster.Describe(v.Context(), v.who.Tenant, v.who.Actor(), fleet.DeviceID(v.PathValue("id")), ask)
	if err != nil {
		return err
	}
	var stays []string
	for _, p := range out.Places {
		if !p.Follows {
			stays = append(stays, p.Name)
		}
	}
	if len(stays) > 0 {
		c.tell(v, "done.describe_stays", "campaigns", strings.Join(stays, ", "))
		return nil
	}
	c.tell(v, "done.describe")
	return nil
}
