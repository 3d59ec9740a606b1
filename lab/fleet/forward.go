package fleet

import (
	"context"
	"fmt"
	"net"
	"sync"

	"patchring/lab/holder"
)

// Dial connects from this machine to a TCP address in the lab's network, such as a
// server started in Lan. It has the form that http.Transport wants.
func (f *Fleet) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if network != "tcp" {
		return nil, fmt.Errorf("dial %s: the lab carries tcp, not %s", address, network)
	}
	conn, _, err := f.converse(ctx, holder.Request{Op: holder.OpDial, Address: address})
	return conn, err
}

// Forward listens on an address of this machine, such as 127.0.0.1:8443, and carries
// each connection to an address in the lab's network. It returns the address it
// listens on and goes on until Close.
func (f *Fleet) Forward(listen, target string) (net.Addr, error) {
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("forward %s: %w", target, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.onClose(func() error {
		cancel()
		return listener.Close()
	})
	f.forwards.Go(func() {
		var conns sync.WaitGroup
		defer conns.Wait()
		for {
			near, err := listener.Accept()
			if err != nil {
				return // closed
			}
			conns.Go(func() { f.carry(ctx, near, target) })
		}
	})
	return listener.Addr(), nil
}

// carry serves one connection. A target that does not answer is seen by the client
// as a closed connection, as through any forward.
func (f *Fleet) carry(ctx context.Context, near net.Conn, target string) {
	defer near.Close()
	far, err := f.Dial(ctx, "tcp", target)
	if err != nil {
		return
	}
	defer far.Close()
	stop := context.AfterFunc(ctx, func() {
		near.Close()
		far.Close()
	})
	defer stop()
	holder.Join(near, far)
}
