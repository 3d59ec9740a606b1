package demo

import "syscall"

// endsWithUs: a demo that is killed leaves no server behind.
func endsWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }
