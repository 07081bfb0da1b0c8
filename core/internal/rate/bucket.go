package rate

import (
	"math"
	"sync/atomic"
	"time"
)

// Bucket bounds a rate. The zero value permits everything; all methods may be called concurrently.
type Bucket struct {
	perUnit float64 // nanoseconds that one costs
	burst   int64   // nanoseconds that may be saved up
	busy    atomic.Int64
}

// New returns a bucket of n a second that lets through at once what comes in the time of burst. n of 0 or less permits
// everything.
func New(n float64, burst time.Duration) *Bucket {
	b := new(Bucket)
	if n > 0 {
		b.perUnit, b.burst = float64(time.Second)/n, int64(burst)
	}
	return b
}

// Limited reports whether there is a rate.
func (b *Bucket) Limited() bool { return b != nil && b.perUnit > 0 }

// Take takes n at a time, and returns how long the caller has to wait before it goes on. When that is more than most,
// nothing is taken, and ok is false. However large n is, it is let through when nothing is owed.
func (b *Bucket) Take(n int, now time.Time, most time.Duration) (wait time.Duration, ok bool) {
	if !b.Limited() {
		return 0, true
	}
	at := now.UnixNano()
	cost := int64(math.Min(float64(n)*b.perUnit, float64(24*time.Hour)))
	for {
		old := b.busy.Load()
		from := max(old, at)
		wait = time.Duration(from - at - b.burst)
		if wait > most {
			return wait, false
		}
		if b.busy.CompareAndSwap(old, from+cost) {
			return max(wait, 0), true
		}
	}
}

// Return gives back what was taken and not used.
func (b *Bucket) Return(n int) {
	if b.Limited() {
		b.busy.Add(-int64(math.Min(float64(n)*b.perUnit, float64(24*time.Hour))))
	}
}

// Idle reports whether nothing is owed: a bucket that is idle may be forgotten, and made anew.
func (b *Bucket) Idle(now time.Time) bool { return !b.Limited() || b.busy.Load() <= now.UnixNano() }
