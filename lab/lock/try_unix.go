//go:build unix

package lock

import (
	"errors"
	"os"
	"syscall"
)

// try uses flock, whose locks belong to the open file and not to the process: two
// calls inside one process exclude each other as well.
func try(file *os.File) (bool, error) {
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, syscall.EINTR):
			return false, err
		}
	}
}
