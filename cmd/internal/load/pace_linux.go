package load

import (
	"context"
	"syscall"
	"time"
)

// fine is the last part of a pause, which the timers of the runtime would round up to a millisecond when
// nothing else is going on.
const fine = 1500 * time.Microsecond

// pause waits, to within some 50 µs, or until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	if d > fine {
		coarse(ctx, d-fine)
		return // the caller looks at the clock again
	}
	t := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&t, nil) // who is woken early looks at the clock again
}
