// Package rouse sends the magic packet that starts a neighbour's card. It sends
// to the broadcast address of an IPv4 prefix that one of this device's own
// interfaces holds, from that interface's address, and to nothing else: what a
// server says cannot make it reach further. Who may ask is the executor's to say.
//
// Its functions are safe from any goroutine.
package rouse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// port is where magic packets go by habit: discard. Cards look at no port.
const port = 9

// ErrNotOurs says that no interface of this device holds the prefix.
var ErrNotOurs = errors.New("no interface of this device that is up holds the prefix")

// Send sends the packet for a card.
func Send(ctx context.Context, mac net.HardwareAddr, prefix netip.Prefix) error {
	packet, err := Packet(mac)
	if err != nil {
		return err
	}
	from, err := own(prefix)
	if err != nil {
		return err
	}
	dialer := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	conn, err := dialer.DialContext(ctx, "udp4", netip.AddrPortFrom(broadcast(prefix), port).String())
	if err != nil {
		return fmt.Errorf("open a socket on %s: %w", prefix, err)
	}
	_, err = conn.Write(packet)
	if err := errors.Join(err, conn.Close()); err != nil {
		return fmt.Errorf("send to %s: %w", prefix, err)
	}
	return nil
}

// Packet is six bytes of ones and sixteen times the card's address.
func Packet(mac net.HardwareAddr) ([]byte, error) {
	if len(mac) != 6 || mac[0]&1 == 1 || bytes.Equal(mac, make([]byte, 6)) {
		return nil, fmt.Errorf("%s is no address of one Ethernet card", mac)
	}
	return append(bytes.Repeat([]byte{0xff}, 6), bytes.Repeat(mac, 16)...), nil
}

// own is this device's address in the prefix, on an interface that can broadcast.
func own(prefix netip.Prefix) (netip.Addr, error) {
	if !prefix.Addr().Is4() || prefix.Bits() < 8 || prefix.Bits() > 30 {
		return netip.Addr{}, fmt.Errorf("%s has no broadcast address", prefix)
	}
	all, err := net.Interfaces()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("list interfaces: %w", err)
	}
	for _, i := range all {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagBroadcast == 0 || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		addresses, err := i.Addrs()
		if err != nil {
			continue // it went away between the two questions
		}
		for _, a := range addresses {
			have, err := netip.ParsePrefix(a.String())
			if err == nil && have.Masked() == prefix.Masked() {
				return have.Addr(), nil
			}
		}
	}
	return netip.Addr{}, fmt.Errorf("%s: %w", prefix, ErrNotOurs)
}

// broadcast is the prefix's last address.
func broadcast(prefix netip.Prefix) netip.Addr {
	last := prefix.Masked().Addr().As4()
	for bit := prefix.Bits(); bit < 32; bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(last)
}
