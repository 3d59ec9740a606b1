//go:build e2e

package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchring/lab/demo"
)

// The first command of the README runs to its end: the gates and the
// verification are signed, the campaign is closed, and every host has what was
// sealed.
func TestTheDemonstrationRunsToItsEnd(t *testing.T) {
	const root = ".."
	summary := filepath.Join(root, "demo", "out", "summary.json")
	if err := os.Remove(summary); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var said strings.Builder
	err := demo.Run(t.Context(), demo.Options{Root: root, Hosts: 4, Once: true, Day: 8 * time.Second, Listen: "127.0.0.1:0", Out: &said})
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	if !strings.Contains(said.String(), "signed the verification") {
		t.Errorf("nobody signed the verification:\n%s", said.String())
	}
	if _, err := os.Stat(summary); err != nil {
		t.Error(err)
	}
}
