package debian

import "syscall"

// syncDisks makes the files durable before the rename that declares them whole:
// the build runs without fsync.
func syncDisks() { syscall.Sync() }
