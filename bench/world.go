//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/server"
	"patchring/wire"
)

// world is a server in this process, asked by its own functions: what it costs
// without a network.
type world struct {
	srv  *server.Server
	stop func() error
	ids  []fleet.DeviceID

	mu  sync.Mutex // guards now
	now time.Time
}

// newWorld opens a server on a new database with n devices. Its clock stands
// still unless it is moved.
func (b *bench) newWorld(ctx context.Context, name string, n int) (*world, error) {
	w := &world{now: time.Now()}
	srv, err := server.New(ctx, server.Options{
		Config: server.Config{
			Data: filepath.Join(b.temp, name), Listen: "127.0.0.1:0", Broker: "127.0.0.1:0", Names: []string{"127.0.0.1"},
			Checkin: server.Duration(time.Minute),
		},
		Version: "bench", Clock: w.clock, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	w.srv = srv
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- srv.Gateway.Run(running) }()
	w.stop = func() error { cancel(); return errors.Join(<-done, srv.Close()) }
	if err := w.addDevices(ctx, n); err != nil {
		return nil, errors.Join(err, w.stop())
	}
	return w, nil
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

const writeBatch = 1000

// batches runs f for each device in transactions of a thousand.
func (w *world) batches(ctx context.Context, ids []fleet.DeviceID, f func(tx *store.Tx, i int) error) error {
	for from := 0; from < len(ids); from += writeBatch {
		err := w.srv.DB.Write(ctx, func(tx *store.Tx) error {
			for i := from; i < min(from+writeBatch, len(ids)); i++ {
				if err := f(tx, i); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("fill the database: %w", err)
		}
	}
	return nil
}

func (w *world) addDevices(ctx context.Context, n int) error {
	for i := range n {
		w.ids = append(w.ids, fleet.DeviceID(fmt.Sprintf("01900000-0000-7000-8000-%012d", i)))
	}
	now := w.clock()
	return w.batches(ctx, w.ids, func(tx *store.Tx, i int) error {
		enrolled := now.Add(-time.Duration(n-i) * time.Second) // one after another, as a company grows
		name := fmt.Sprintf("PC-%06d", i)
		return tx.AddDevice(ctx, gen.AddDeviceParams{
			Tenant: string(tenant), ID: string(w.ids[i]), Name: name, MachineID: name, Kind: string(fleet.Workstation), Tags: "{}",
			CertSerial: name, EnrolledUs: enrolled.UnixMicro(), SeenUs: now.UnixMicro(),
		})
	})
}

// handle gives the gateway one report, as the bus does.
func (w *world) handle(ctx context.Context, device fleet.DeviceID, kind wire.ReportKind, payload []byte) error {
	answer, err := w.srv.Gateway.Handle(ctx, tenant, device, kind, payload)
	if err != nil {
		return err
	}
	return refused(answer)
}

func mustEncode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("bench: encode: %v", err)) // plain structs always encode
	}
	return text
}
