package policy

import (
	"fmt"
	"slices"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/cleanup"
	"patchring/internal/core/manifest"
	"patchring/wire"
)

// AfterDryRun says what follows the dry run of a clean-up.
type AfterDryRun string

// What follows a dry run.
const (
	AskAfterDryRun     AfterDryRun = "ask"     // a person looks at the figures and approves
	ApproveAfterDryRun AfterDryRun = "approve" // the next window does it
)

// CleanUp is what the devices of a profile are cleaned up of. It has nothing to
// do with patches: its windows are its own, or those of its profile, and never
// a procedure's.
type CleanUp struct {
	Profile     string
	Items       []cleanup.Item
	Windows     []calendar.Window
	Every       time.Duration
	AfterDryRun AfterDryRun
	// Allowed is why browser history may go: who allowed it, on what ground.
	Allowed manifest.Text
}

// Limits of how often a device is cleaned up.
const (
	cleanUpDay   = 24 * time.Hour
	usualCleanUp = 7 * cleanUpDay
)

func (r *parser) cleanUp(o manifest.Object, profile Profile) *CleanUp {
	fields := []string{"every", "after_dry_run", "windows"}
	for _, k := range cleanup.Kinds() {
		fields = append(fields, string(k))
	}
	in := r.Object(o.Field("clean_up"), fields...)
	c := &CleanUp{
		Profile: profile.Name, Windows: r.windows(in, "windows"), Every: in.Duration("every", usualCleanUp),
		AfterDryRun: manifest.Choice(in, "after_dry_run", AskAfterDryRun, []AfterDryRun{AskAfterDryRun, ApproveAfterDryRun}),
	}
	if c.Every < cleanUpDay {
		r.Refuse(in.Or("every"), "is less than a day", "write 1d or more")
	}
	if len(c.Windows) == 0 {
		c.Windows = profile.Windows
	}
	if len(c.Windows) == 0 {
		r.Refuse(in.Or("windows"), "is missing, and the profile has no windows either: nothing would ever be cleaned up", "list the windows of the clean-up")
	}
	for _, k := range cleanup.Kinds() {
		if in.Has(string(k)) {
			c.Items = append(c.Items, r.cleanUpItem(in, k, c))
		}
	}
	if len(c.Items) == 0 {
		r.Refuse(in.At, "names nothing to clean up", fmt.Sprintf("write one or more of %s", choicesOf(cleanup.Kinds())))
	}
	if c.AfterDryRun == ApproveAfterDryRun && slices.ContainsFunc(c.Items, cleanup.Item.AlwaysAsks) {
		r.Warn(in.Field("after_dry_run"), "does not cover browser_history, which a person always approves", "approve it by hand after its dry run")
	}
	return c
}

func (r *parser) cleanUpItem(o manifest.Object, k cleanup.Kind, c *CleanUp) cleanup.Item {
	fields := []string{"older_than"}
	takesPaths := len(cleanup.Roots(k)) > 0
	if takesPaths {
		fields = append(fields, "paths")
	}
	if k == wire.CleanBrowserHistory {
		fields = append(fields, "allowed", "reason")
	}
	item := cleanup.Item{Kind: k, OlderThan: cleanup.Usual(k)}
	in := r.Object(o.Field(string(k)), fields...)
	item.OlderThan = in.Duration("older_than", item.OlderThan)
	if least := cleanup.Least(k); item.OlderThan < least {
		r.Refuse(in.Or("older_than"), fmt.Sprintf("is less than %dd", least/cleanUpDay), fmt.Sprintf("write %dd or more: what is younger may be in use", least/cleanUpDay))
	}
	if takesPaths {
		item.Paths = r.cleanUpPaths(in, k)
	}
	if k == wire.CleanBrowserHistory {
		r.allowed(in, c)
	}
	return item
}

// allowed: what people did in their browsers is theirs. Whoever lets it be
// removed says so, and why, and both are kept in the register.
func (r *parser) allowed(o manifest.Object, c *CleanUp) {
	o.Need("allowed", "write allowed: true, if your rules for personal data allow it")
	o.Need("reason", "say who allowed it and on what ground, for example reason: Charter of 2026, article 4")
	if o.Written("allowed") && !o.Boolean("allowed") {
		r.Refuse(o.Or("allowed"), "is not true", "take browser_history out, or write allowed: true")
	}
	c.Allowed = o.Words("reason")
}

func (r *parser) cleanUpPaths(o manifest.Object, k cleanup.Kind) []string {
	var out []string
	o.List("paths", func(at manifest.Place) {
		p := r.Text(at)
		if _, ok := cleanup.RootOf(k, p); p != "" && !ok {
			r.Refuse(at, fmt.Sprintf("%q is below none of the places of %s", p, k), fmt.Sprintf("name one below %s", choicesOf(cleanup.Roots(k))))
		}
		out = append(out, p)
	})
	if len(out) > cleanup.MaxPaths {
		r.Refuse(o.Field("paths"), fmt.Sprintf("has %d paths", len(out)), fmt.Sprintf("keep %d at most", cleanup.MaxPaths))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func choicesOf[T ~string](list []T) string {
	text := ""
	for i, v := range list {
		if i > 0 {
			text += ", "
		}
		text += string(v)
	}
	return text
}

// HaveCleanUps tells whether any profile has a clean-up.
func (p Policies) HaveCleanUps() bool {
	found := false
	p.each(func(_ place, _ int, policy *Policy) {
		found = found || slices.ContainsFunc(policy.Profiles, func(pr Profile) bool { return pr.CleanUp != nil })
	})
	return found
}
