package wire

import "testing"

// The goldens of clean-up orders are frozen, as those of people are.
func TestCleanUpIsFrozen(t *testing.T) {
	frozen(t, map[string]any{"order.clean_up.3.json": new(Order), "event.clean_up.3.json": new(Event)})
}
