package desktop

import "io/fs"

// Battery tells whether the device runs on battery, and how full it is. root is
// the device's file system.
func Battery(root fs.FS) (inUse bool, percent int, err error) { return sysBattery(root) }
