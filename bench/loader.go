//go:build linux

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"patchring/wire"
)

// agent is a bare connection with an enrolled identity: it says what it is
// given to say, as fast as it is answered.
type agent struct {
	conn *nats.Conn
	id   string
}

type agents []agent

func (a agents) close() {
	for _, one := range a {
		one.conn.Close()
	}
}

// connect opens a connection for each identity in the file.
func connect(file string) (list agents, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read identities: %w", err)
	}
	defer f.Close()
	defer func() {
		if err != nil {
			list.close()
		}
	}()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var one struct {
			Key   []byte
			Reply wire.EnrollReply
		}
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			return list, fmt.Errorf("read identities: %w", err)
		}
		key, err := x509.ParseECPrivateKey(one.Key)
		if err != nil {
			return list, fmt.Errorf("read identities: %w", err)
		}
		block, _ := pem.Decode([]byte(one.Reply.Certificate))
		if block == nil {
			return list, errors.New("read identities: a certificate is not PEM")
		}
		roots, err := pool(one.Reply.CA)
		if err != nil {
			return list, err
		}
		conn, err := nats.Connect(one.Reply.Brokers[0], nats.Timeout(30*time.Second), nats.CustomInboxPrefix(wire.InboxPrefix(one.Reply.Device)),
			nats.Secure(&tls.Config{RootCAs: roots, Certificates: []tls.Certificate{{Certificate: [][]byte{block.Bytes}, PrivateKey: key}}}))
		if err != nil {
			return list, fmt.Errorf("connect: %w", err)
		}
		list = append(list, agent{conn, one.Reply.Device})
	}
	return list, lines.Err()
}

// each sends n reports of a kind, every agent one at a time, and refuses an
// answer that is an error.
func (a agents) each(ctx context.Context, n int, kind wire.ReportKind, payload func(i int) []byte) error {
	return crowd(n, len(a), func(worker, i int) error {
		m, err := a[worker].conn.RequestWithContext(ctx, wire.ReportSubject(a[worker].id, kind), payload(i))
		if err != nil {
			return fmt.Errorf("send %s: %w", kind, err)
		}
		return refused(m.Data)
	})
}

func refused(answer []byte) error {
	var r struct{ Error *wire.Error }
	if err := json.Unmarshal(answer, &r); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if r.Error != nil {
		return fmt.Errorf("refused: %s %v", r.Error.Code, r.Error.Args)
	}
	return nil
}

// crowd does n things with so many workers, and ends at the first error.
func crowd(n, workers int, do func(worker, i int) error) error {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for failed.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(worker, i); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}
