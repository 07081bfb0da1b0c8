package load

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The range of what is recorded, in nanoseconds, and its precision in digits.
const (
	shortest  = 1000
	longest   = int64(time.Minute)
	precision = 3
)

// shards is how many histograms share the recording: one for each subscriber would take memory, one for all
// would be waited for.
const shards = 8

// recorder records times of what is due from a moment on.
type recorder struct {
	from  time.Time
	shard [shards]struct {
		mu sync.Mutex
		h  *hdrhistogram.Histogram
		_  [64]byte // a cache line apart
	}
}

func newRecorder(from time.Time) *recorder {
	r := &recorder{from: from}
	for i := range r.shard {
		r.shard[i].h = hdrhistogram.New(shortest, longest, precision)
	}
	return r
}

// note records that what was due has happened now; i spreads the callers.
func (r *recorder) note(i int, now, due time.Time) {
	if due.Before(r.from) {
		return
	}
	s := &r.shard[i%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.h.RecordValue(min(max(int64(now.Sub(due)), shortest), longest)) // cannot be out of range
}

// Latency are the percentiles of what took time, in milliseconds.
type Latency struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean_ms"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p999_ms"`
	Max   float64 `json:"max_ms"`
}

// result is nil when nothing was recorded.
func (r *recorder) result() *Latency {
	all := hdrhistogram.New(shortest, longest, precision)
	for i := range r.shard {
		r.shard[i].mu.Lock()
		all.Merge(r.shard[i].h)
		r.shard[i].mu.Unlock()
	}
	if all.TotalCount() == 0 {
		return nil
	}
	ms := func(ns int64) float64 { return float64(ns) / float64(time.Millisecond) }
	at := func(percent float64) float64 { return ms(all.ValueAtQuantile(percent)) }
	return &Latency{
		Count: all.TotalCount(), Mean: all.Mean() / float64(time.Millisecond),
		P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: ms(all.Max()),
	}
}
