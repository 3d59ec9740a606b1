package cli

import (
	"fmt"
	"strings"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
)

// rollback says what the campaign undoes, or what undoes it.
func (t boardText) rollback(out *strings.Builder, b view.Board) {
	w := t.words
	if r := b.Rollback; r != nil {
		fmt.Fprintf(out, "↩ %s — %s: %s\n", w.T("board.rollback", "name", r.Undoes.Name), w.Actor(r.By), r.Reason)
		if part := partOf(*r); part != "" {
			fmt.Fprintf(out, "  %s\n", w.T("board.rollback_part", "what", part))
		}
		if r.ByRing {
			fmt.Fprintf(out, "  %s\n", w.T("board.rollback_by_ring"))
		}
	}
	if len(b.Rollbacks) > 0 {
		var names []string
		for _, r := range b.Rollbacks {
			names = append(names, r.Name+" ("+w.Word(lang.CampaignState, r.State)+")")
		}
		fmt.Fprintf(out, "↩ %s\n", w.T("board.rollbacks", "names", w.List(names)))
	}
}

// partOf names what a rollback is limited to; empty: everything.
func partOf(r view.BoardRollback) string {
	var parts []string
	if r.Patch != nil {
		parts = append(parts, r.Patch.Name+" "+r.Patch.Version)
	}
	if r.Ring != "" {
		parts = append(parts, r.Ring)
	}
	if r.Device != nil {
		parts = append(parts, r.Device.Name)
	}
	return strings.Join(parts, ", ")
}

// wayBack is how ready an item is to go back; empty: not known yet.
func (t boardText) wayBack(i view.BoardItem) string {
	w := t.words
	switch i.Rollback {
	case campaign.RollbackRehearsed:
		return w.T("board.rollback_rehearsed", "length", w.Duration(time.Duration(i.RollbackS)*time.Second))
	case campaign.RollbackImpossible:
		return w.N("board.rollback_impossible", i.RollbackImpossible)
	case campaign.RollbackReady:
		return w.Word(lang.Rollback, string(i.Rollback))
	}
	return ""
}
