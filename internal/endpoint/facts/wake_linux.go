package facts

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Of linux/ethtool.h: the request for a card's wake-on-LAN, and the bit that
// says that a magic packet wakes.
const (
	ethtoolGetWake = 0x05
	wakeMagic      = 1 << 5
)

// wakeInfo is struct ethtool_wolinfo.
type wakeInfo struct {
	Command, Supported, Options uint32
	Password                    [6]byte
	_                           [2]byte
}

// armed tells whether a magic packet would wake what it says it is of.
func (w wakeInfo) armed() bool { return w.Supported&w.Options&wakeMagic != 0 }

// ifreq is struct ifreq with a pointer in it.
type ifreq struct {
	Name [unix.IFNAMSIZ]byte
	Data unsafe.Pointer
	_    [24 - unsafe.Sizeof(uintptr(0))]byte
}

// wakes asks the card's driver whether it is armed. What is no card, or a card
// that cannot, says that it does not know the request.
func wakes(name string) (bool, error) {
	if len(name) >= unix.IFNAMSIZ {
		return false, fmt.Errorf("interface name %q is too long", name)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false, fmt.Errorf("open socket: %w", err)
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written to it
	info := wakeInfo{Command: ethtoolGetWake}
	request := ifreq{Data: unsafe.Pointer(&info)} // the kernel writes the answer there
	copy(request.Name[:], name)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	switch errno {
	case 0:
		return info.armed(), nil
	case unix.EOPNOTSUPP, unix.EPERM, unix.ENODEV: // cannot, may not be asked, or is gone
		return false, nil
	}
	return false, fmt.Errorf("ask %s for wake-on-LAN: %w", name, errno)
}
