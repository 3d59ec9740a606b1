package notice

import (
	"net"

	"golang.org/x/sys/unix"
)

// peer is who is at the other end, as the kernel says.
func peer(conn *net.UnixConn) (uid uint32, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var asked error
	err = raw.Control(func(fd uintptr) {
		var c *unix.Ucred
		if c, asked = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); asked == nil {
			uid = c.Uid
		}
	})
	if err == nil {
		err = asked
	}
	return uid, err
}
