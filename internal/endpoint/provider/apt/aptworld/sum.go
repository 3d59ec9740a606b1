//go:build linux

package aptworld

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func sum(content []byte) string {
	hash := sha256.Sum256(content)
	return hex.EncodeToString(hash[:])
}

// Need says why a real apt cannot be driven here. On Debian that fails the
// test, because there it must run; elsewhere there is nothing to drive.
func Need(t testing.TB) {
	t.Helper()
	var missing []string
	for _, name := range []string{"apt-get", "apt-cache", "dpkg", "dpkg-deb", "ldd"} {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, name)
		}
	}
	if os.Geteuid() != 0 {
		missing = append(missing, "root")
	}
	if len(missing) == 0 {
		return
	}
	why := "the real apt needs " + strings.Join(missing, ", ")
	if _, err := os.Stat("/etc/debian_version"); err == nil {
		t.Fatal(why)
	}
	t.Skip(why)
}
