//go:build !linux

package load

import (
	"context"
	"time"
)

// pause waits, or until ctx is done.
func pause(ctx context.Context, d time.Duration) { coarse(ctx, d) }
