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
		var c *unix.Xucred
		if c, asked = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED); asked == nil {
			uid = c.Uid
		}
	})
	if err == nil {
		err = asked
	}
	return uid, err
}
