package console

import (
	"strings"

	"patchring/internal/face/console/page"
	"patchring/internal/face/console/ui"
)

// flashKey is the session's word for what the last act led to: the key of a
// word and its arguments, so that it is told in the language of the page that
// tells it.
const flashKey, flashComma = "flash", "\x1f"

func (c *Console) tell(v visit, key string, pairs ...string) {
	c.Sessions.Put(v.Context(), flashKey, strings.Join(append([]string{key}, pairs...), flashComma))
}

func (c *Console) flash(v visit) *ui.Flash {
	told := strings.Split(c.Sessions.PopString(v.Context(), flashKey), flashComma)
	if !v.words.Has(told[0]) {
		return nil
	}
	return &ui.Flash{Good: true, Text: v.words.T(told[0], told[1:]...)}
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
