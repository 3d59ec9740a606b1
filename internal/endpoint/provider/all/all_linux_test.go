package all_test

import (
	"os"
	"testing"
	"time"

	"patchring/internal/endpoint/provider/all"
)

func TestPresentFollowsThePackageDatabase(t *testing.T) {
	_, err := os.Stat("/var/lib/dpkg/status")
	names := map[string]bool{}
	for _, p := range all.Present(t.TempDir(), time.Now) {
		names[p.Name()] = true
	}
	if want := err == nil; names["apt"] != want {
		t.Errorf("apt is present: %v, want %v", names["apt"], want)
	}
}
