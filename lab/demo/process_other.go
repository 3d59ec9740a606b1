//go:build !linux

package demo

import "syscall"

// endsWithUs has no equivalent here; the hosts need Linux anyway.
func endsWithUs() *syscall.SysProcAttr { return nil }
