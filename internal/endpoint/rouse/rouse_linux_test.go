package rouse

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The real thing: two networks in a namespace of their own. The packet is heard
// at the other end of the one that was named, and not of the other.
func TestThePacketGoesOutByTheNetworkThatIsNamed(t *testing.T) {
	inNamespace(t, func() error {
		for _, line := range []string{
			"link set lo up",
			"link add near type veth peer name near-end", "link add far type veth peer name far-end",
			"address add 192.0.2.1/24 dev near", "address add 198.51.100.1/24 dev far",
			"link set near up", "link set near-end up", "link set far up", "link set far-end up",
		} {
			if out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(line)...).CombinedOutput(); err != nil {
				return fmt.Errorf("ip %s: %w: %s", line, err, out)
			}
		}
		near, err := listen("near-end")
		if err != nil {
			return err
		}
		far, err := listen("far-end")
		if err != nil {
			return err
		}
		if err := Send(t.Context(), card, netip.MustParsePrefix("192.0.2.0/24")); err != nil {
			return err
		}
		if err := heard(near); err != nil {
			return fmt.Errorf("near: %w", err)
		}
		// What comes after it on the far network shows that it did not come before.
		other := net.HardwareAddr{0x02, 0, 0x5e, 0x10, 0, 2}
		if err := Send(t.Context(), other, netip.MustParsePrefix("198.51.100.0/24")); err != nil {
			return err
		}
		frame, err := magic(far)
		if err != nil {
			return fmt.Errorf("far: %w", err)
		}
		if !bytes.HasSuffix(frame, other) {
			return fmt.Errorf("the far network heard % x", frame)
		}
		if err := Send(t.Context(), card, netip.MustParsePrefix("192.0.2.0/25")); err == nil {
			return fmt.Errorf("a part of the network was taken for it")
		}
		return nil
	})
}

func heard(fd int) error {
	frame, err := magic(fd)
	if err != nil {
		return err
	}
	want, err := Packet(card)
	if err != nil {
		return err
	}
	to := bytes.Repeat([]byte{0xff}, 6)
	if !bytes.HasPrefix(frame, to) || !bytes.HasSuffix(frame, want) {
		return fmt.Errorf("heard % x", frame)
	}
	if ip := frame[14:]; !net.IP(ip[16:20]).Equal(net.IPv4(192, 0, 2, 255)) || !net.IP(ip[12:16]).Equal(net.IPv4(192, 0, 2, 1)) {
		return fmt.Errorf("from %s to %s", net.IP(ip[12:16]), net.IP(ip[16:20]))
	}
	return nil
}

// magic is the next frame that carries UDP to port 9.
func magic(fd int) ([]byte, error) {
	frame := make([]byte, 2048)
	for {
		n, _, err := unix.Recvfrom(fd, frame, 0)
		if err != nil {
			return nil, fmt.Errorf("listen: %w", err)
		}
		f := frame[:n]
		if n >= 42 && binary.BigEndian.Uint16(f[12:]) == unix.ETH_P_IP && f[23] == unix.IPPROTO_UDP && binary.BigEndian.Uint16(f[36:]) == 9 {
			return f, nil
		}
	}
}

// listen hears every frame on an interface, for ten seconds at most.
func listen(name string) (int, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return 0, err
	}
	all := int(binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL)))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all)
	if err != nil {
		return 0, fmt.Errorf("open packet socket: %w", err)
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(10 * time.Second / time.Second)}); err != nil {
		return 0, err
	}
	return fd, unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: uint16(all), Ifindex: i.Index})
}

// inNamespace runs f on a thread with a network of its own, which ends with it.
func inNamespace(t *testing.T, f func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("unshare: %w", err)
			return
		}
		done <- f()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
