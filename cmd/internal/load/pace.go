package load

import (
	"context"
	"time"
)

// coarse waits by a timer of the runtime, or until ctx is done.
func coarse(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
