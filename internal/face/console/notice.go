package console

import (
	"strings"

	"patchring/internal/face/console/page"
	"patchring/internal/face/console/ui"
)

// flashKey is the session's word for what the last act led to: the key of a
// word, so that it is told in the language of the page that tells it.
const flashKey = "flash"

func (c *Console) flash(v visit) *ui.Flash {
	key := c.Sessions.PopString(v.Context(), flashKey)
	if key == "" || !v.words.Has(key) {
		return nil
	}
	return &ui.Flash{Good: true, Text: v.words.T(key)}
}

// named are the campaigns whose name holds a word.
func named(list []page.CampaignLine, word string) []page.CampaignLine {
	var out []page.CampaignLine
	for _, c := range list {
		if strings.Contains(strings.ToLower(c.Name), strings.ToLower(word)) && len(out) < found {
			out = append(out, c)
		}
	}
	return out
}
