package rounds

import (
	"context"
	"log/slog"
	"time"
)

// Every takes a step at once and then again and again until ctx ends. A step that
// fails is said in the log, as what it does, and taken again at its time.
func Every(ctx context.Context, every time.Duration, log *slog.Logger, what string, step func(context.Context) error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := step(ctx); err != nil && ctx.Err() == nil {
			log.Error("step failed", "what", what, "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
