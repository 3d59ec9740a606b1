//go:build !unix

package lock

import (
	"errors"
	"os"
)

// try refuses: what the lab locks exists on Linux only.
func try(*os.File) (bool, error) { return false, errors.ErrUnsupported }
