//go:build !linux

package holder

// Stage has no inner process to run: real hosts exist on Linux only.
func Stage([]string) (status int, inner bool) { return 0, false }
