// Package e2e holds the tests of the whole system: the built binaries on real
// Debian hosts with real apt, killed, cut off and rebooted for real. They need
// root and the build tag e2e; `make e2e` runs them.
package e2e
