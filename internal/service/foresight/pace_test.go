package foresight

import (
	"encoding/json"
	"testing"
	"time"

	"patchring/internal/core/register"
)

func TestPaceIsLearnedFromWhatTheGatewayRecorded(t *testing.T) {
	names := map[string]string{"a": "linux", "b": "curl"}
	result := func(rebooted, pending bool, seconds string, patches ...string) register.Entry {
		var outcomes []any
		for _, p := range patches {
			outcomes = append(outcomes, map[string]any{"patch": p, "state": "verified"})
		}
		return register.Entry{Detail: map[string]any{
			"kind": "install", "outcomes": outcomes, "rebooted": rebooted, "reboot_pending": pending, "duration_s": json.Number(seconds),
		}}
	}
	failed := result(false, false, "10", "a")
	failed.Detail["outcomes"].([]any)[0].(map[string]any)["state"] = "failed"
	undone := result(true, false, "10", "a")
	undone.Detail["kind"] = "rollback"
	var list []past
	for _, e := range []register.Entry{
		result(true, false, "120", "a", "b"), result(false, true, "60", "a"), result(false, false, "60", "b"), failed, undone, {Detail: map[string]any{"state": "refused"}},
	} {
		if p, ok := resultOf(e, names); ok {
			list = append(list, p)
		}
	}
	got := learn(list)
	if got.Learned != 3 || got.Reboots["linux"] != 1 || got.Reboots["curl"] != 0.5 || got.Otherwise != 2.0/3 {
		t.Errorf("learned %+v", got)
	}
	if got.Patch != time.Minute || got.Order != time.Minute {
		t.Errorf("an install takes %s and %s a patch, want a minute each", got.Order, got.Patch)
	}
	if none := learn(nil); none.Learned != 0 || none.Order != assumedOrder || none.Patch != assumedPatch || none.Otherwise != assumedShare {
		t.Errorf("without a past: %+v", none)
	}
}
