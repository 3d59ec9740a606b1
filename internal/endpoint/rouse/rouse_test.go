package rouse

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"testing"
)

var card = net.HardwareAddr{0x02, 0, 0x5e, 0x10, 0, 1}

func TestPacketIsMagic(t *testing.T) {
	p, err := Packet(card)
	if err != nil {
		t.Fatal(err)
	}
	if len(p) != 102 || !bytes.Equal(p[:6], []byte{255, 255, 255, 255, 255, 255}) {
		t.Fatalf("%d bytes that begin with % x", len(p), p[:6])
	}
	for i := 6; i < len(p); i += 6 {
		if !bytes.Equal(p[i:i+6], card) {
			t.Fatalf("at %d: % x", i, p[i:i+6])
		}
	}
	for _, bad := range []net.HardwareAddr{nil, {1, 2, 3}, make([]byte, 6), {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {1, 0, 0x5e, 0, 0, 1}} {
		if _, err := Packet(bad); err == nil {
			t.Errorf("%s was taken for one card", bad)
		}
	}
}

func TestBroadcast(t *testing.T) {
	for prefix, want := range map[string]string{
		"192.0.2.0/24": "192.0.2.255", "192.0.2.77/26": "192.0.2.127", "10.1.2.3/8": "10.255.255.255", "192.0.2.4/30": "192.0.2.7", "172.16.5.0/23": "172.16.5.255",
	} {
		if got := broadcast(netip.MustParsePrefix(prefix)); got.String() != want {
			t.Errorf("%s: %s, want %s", prefix, got, want)
		}
	}
}

func TestNothingIsSentToWhatIsNotOurs(t *testing.T) {
	for _, prefix := range []string{"203.0.113.0/24", "127.0.0.0/8", "0.0.0.0/0", "2001:db8::/64", "192.0.2.1/32", "192.0.2.0/31"} {
		if err := Send(t.Context(), card, netip.MustParsePrefix(prefix)); err == nil {
			t.Errorf("%s was sent to", prefix)
		}
	}
	if err := Send(t.Context(), card, netip.MustParsePrefix("203.0.113.0/24")); !errors.Is(err, ErrNotOurs) {
		t.Errorf("another network: %v", err)
	}
}
