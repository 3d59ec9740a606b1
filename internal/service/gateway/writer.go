package gateway

import (
	"context"
	"errors"
	"fmt"

	"patchring/internal/infra/store"
)

// writer gathers what agents report at the same time into one transaction: a
// commit waits for the disk, and a thousand of them would wait a thousand
// times.
type writer struct {
	db   *store.DB
	jobs chan job
}

type job struct {
	write func(context.Context, *store.Tx) error
	done  chan error
}

const writerBatch = 500

func newWriter(db *store.DB) *writer {
	return &writer{db: db, jobs: make(chan job, writerBatch)}
}

// errClosed: the server is stopping; the agent tries again.
var errClosed = errors.New("the gateway is stopping")

// do waits until write is committed. write may run more than once, so it
// starts from nothing each time.
func (w *writer) do(ctx context.Context, write func(context.Context, *store.Tx) error) error {
	j := job{write: write, done: make(chan error, 1)}
	select {
	case w.jobs <- j:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
		return ctx.Err() // it may still be committed: the agent repeats, and repeating changes nothing
	}
}

func (w *writer) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			w.drain()
			return nil
		case first := <-w.jobs:
			w.commit(ctx, w.gather(first))
		}
	}
}

func (w *writer) drain() {
	for {
		select {
		case j := <-w.jobs:
			j.done <- errClosed
		default:
			return
		}
	}
}

// gather takes what is waiting already, and waits for nothing: under load
// batches grow by themselves.
func (w *writer) gather(first job) []job {
	batch := []job{first}
	for len(batch) < writerBatch {
		select {
		case j := <-w.jobs:
			batch = append(batch, j)
		default:
			return batch
		}
	}
	return batch
}

// commit writes the batch. If one of it fails, each is written alone, so that
// only the one at fault is refused.
//
// A batch that was begun is finished: ctx ending does not interrupt it, and no
// statement needs somebody who watches for that.
func (w *writer) commit(ctx context.Context, batch []job) {
	ctx = context.WithoutCancel(ctx)
	err := w.db.Write(ctx, func(tx *store.Tx) error {
		for _, j := range batch {
			if err := j.write(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil || len(batch) == 1 {
		for _, j := range batch {
			j.done <- err
		}
		return
	}
	for _, j := range batch {
		alone := w.db.Write(ctx, func(tx *store.Tx) error { return j.write(ctx, tx) })
		if alone != nil {
			alone = fmt.Errorf("write a report: %w", alone)
		}
		j.done <- alone
	}
}
