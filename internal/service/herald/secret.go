package herald

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"patchring/internal/core/alert"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
)

const maxSecret = 64 << 10

// secret reads what a reference names. A tenant's document names files of that
// tenant's own directory only, and the environment is the site's, so the first
// tenant's: what one tenant writes can never send another's secret anywhere.
func (h *Herald) secret(tenant fleet.TenantID, ref alert.Secret) (string, *fault.Error) {
	kind, name, _ := strings.Cut(string(ref), ":")
	missing := func(problem string) (string, *fault.Error) {
		return "", fault.Again(fault.SecretMissing, "where", string(ref), "problem", problem)
	}
	if kind == "env" {
		if tenant != fleet.DefaultTenant {
			return missing("of_site")
		}
		value, ok := h.Env(name)
		if !ok || value == "" {
			return missing("not_set")
		}
		return value, nil
	}
	dir := h.Secrets
	if tenant != fleet.DefaultTenant {
		dir = filepath.Join(dir, string(tenant))
	}
	root, err := os.OpenRoot(dir) // a link that leads out of it is refused
	if err != nil {
		return missing("no_directory")
	}
	defer root.Close()
	info, err := root.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return missing("no_file")
	case err != nil || !info.Mode().IsRegular() || info.Size() > maxSecret:
		return missing("not_a_file")
	}
	text, err := root.ReadFile(name)
	if err != nil {
		return missing("unreadable")
	}
	if value := strings.TrimSpace(string(text)); value != "" {
		return value, nil
	}
	return missing("empty")
}
