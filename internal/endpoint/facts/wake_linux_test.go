package facts

import (
	"testing"
	"unsafe"
)

// The layout is the kernel's: struct ethtool_wolinfo and struct ifreq.
func TestWakeRequestHasTheKernelsLayout(t *testing.T) {
	if size := unsafe.Sizeof(wakeInfo{}); size != 20 {
		t.Errorf("ethtool_wolinfo has %d bytes, want 20", size)
	}
	if at := unsafe.Offsetof(wakeInfo{}.Options); at != 8 {
		t.Errorf("wolopts is at %d, want 8", at)
	}
	if unsafe.Sizeof(uintptr(0)) == 8 {
		if size, at := unsafe.Sizeof(ifreq{}), unsafe.Offsetof(ifreq{}.Data); size != 40 || at != 16 {
			t.Errorf("ifreq has %d bytes and its pointer at %d, want 40 and 16", size, at)
		}
	}
}

func TestArmedIsSupportedAndSetForMagicPackets(t *testing.T) {
	for _, c := range []struct {
		supported, options uint32
		want               bool
	}{{0x2e, 0x20, true}, {0x2e, 0x02, false}, {0x2e, 0, false}, {0, 0x20, false}, {0x20, 0x3f, true}} {
		if got := (wakeInfo{Supported: c.supported, Options: c.options}).armed(); got != c.want {
			t.Errorf("supported %#x, set %#x: armed %v", c.supported, c.options, got)
		}
	}
}

// The kernel knows the request and that the loopback is no card.
func TestLoopbackIsNotArmed(t *testing.T) {
	if armed, err := wakes("lo"); armed || err != nil {
		t.Errorf("armed %v, error %v", armed, err)
	}
	if _, err := wakes("a-name-that-is-too-long"); err == nil {
		t.Error("a name that no interface can have was asked for")
	}
}
