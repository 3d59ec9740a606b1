//go:build !linux

package debian

// syncDisks has nothing to do where no image can be built.
func syncDisks() {}
