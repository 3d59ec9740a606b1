package holder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// requestLimit bounds one request: a power cut and a boot under heavy load.
const requestLimit = 2 * time.Minute

// serveControl answers requests on the control socket, each on a connection of its
// own. Only root reaches it: the run's folder is root's.
func (k *keeper) serveControl(ctx context.Context, fail context.CancelCauseFunc) error {
	path := SocketFile(k.spec.Dir)
	listener, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(err, listener.Close())
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				fail(fmt.Errorf("serve control socket: %w", err))
				return
			}
			go k.converse(ctx, conn)
		}
	}()
	return nil
}

func (k *keeper) converse(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	line, err := readLine(conn)
	if err != nil {
		return // the caller left
	}
	var req Request
	if err := json.Unmarshal(line, &req); err != nil {
		k.answer(conn, Reply{Error: fmt.Sprintf("read request: %v", err)})
		return
	}
	if req.Op == OpDial {
		k.dial(ctx, conn, req.Address)
		return
	}
	limited, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	reply, err := k.act(limited, req)
	if err != nil {
		reply.Error = err.Error()
	}
	k.answer(conn, reply)
}

func (k *keeper) answer(conn net.Conn, reply Reply) {
	if err := json.NewEncoder(conn).Encode(reply); err != nil {
		k.log.Warn("answer request", "error", err)
	}
}

func (k *keeper) act(ctx context.Context, req Request) (Reply, error) {
	if req.Op == OpStatus && req.Host == "" {
		var all Reply
		for _, h := range k.order {
			all.Hosts = append(all.Hosts, h.snapshot())
		}
		return all, nil
	}
	h, ok := k.hosts[req.Host]
	if !ok {
		return Reply{}, fmt.Errorf("the lab has no host %q", req.Host)
	}
	var err error
	switch req.Op {
	case OpStatus:
	case OpCut:
		err = h.setCut(ctx, true)
	case OpHeal:
		err = h.setCut(ctx, false)
	case OpPowerCut:
		err = h.powerCut(ctx)
	case OpPowerOn:
		err = h.powerOn(ctx)
	case OpReset:
		err = h.reset(ctx)
	default:
		err = fmt.Errorf("the lab cannot %q", req.Op)
	}
	return Reply{Hosts: []HostStatus{h.snapshot()}}, err
}

// dial connects to an address in the lab's network and carries bytes both ways.
func (k *keeper) dial(ctx context.Context, conn net.Conn, address string) {
	var dialer net.Dialer
	limited, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	far, err := dialer.DialContext(limited, "tcp", address)
	if err != nil {
		k.answer(conn, Reply{Error: err.Error()})
		return
	}
	defer far.Close()
	k.answer(conn, Reply{})
	Join(conn, far)
}
