package rate_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wyemq/wye/core/internal/rate"
)

var start = time.Unix(1_000_000, 0)

func TestBucket(t *testing.T) {
	b := rate.New(10, time.Second) // ten at once, then one in 100 ms
	take := func(n int, at, want time.Duration) {
		t.Helper()
		if wait, ok := b.Take(n, start.Add(at), time.Hour); !ok || wait != want {
			t.Errorf("at %v: %v %v, want %v", at, wait, ok, want)
		}
	}
	for range 11 { // the one that goes over is owed
		take(1, 0, 0)
	}
	take(1, 0, 100*time.Millisecond)
	take(1, 0, 200*time.Millisecond)
	take(1, 300*time.Millisecond, 0)
	if b.Idle(start) {
		t.Error("idle while something is owed")
	}
	take(1000, time.Minute, 0) // more than the burst, and let through
	if wait, ok := b.Take(1, start.Add(time.Minute), time.Second); ok || wait != 99*time.Second {
		t.Errorf("behind a large one: %v %v", wait, ok)
	}
	take(1, time.Minute, 99*time.Second) // what was refused has taken nothing
	b.Return(1001)
	take(1, time.Minute, 0)
	if !b.Idle(start.Add(time.Hour)) {
		t.Error("not idle after an hour")
	}
}

func TestUnlimited(t *testing.T) {
	for name, b := range map[string]*rate.Bucket{"nil": nil, "zero": {}, "0": rate.New(0, time.Second)} {
		if b.Limited() {
			t.Errorf("%s: limited", name)
		}
		if wait, ok := b.Take(1<<40, start, 0); wait != 0 || !ok {
			t.Errorf("%s: %v %v", name, wait, ok)
		}
	}
}

// However many take at once, no more gets through than the rate permits.
func TestBucketTogether(t *testing.T) {
	b := rate.New(100, time.Second)
	var through atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				if _, ok := b.Take(1, start, 0); ok {
					through.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if got := through.Load(); got != 101 {
		t.Errorf("%d got through, want 101", got)
	}
}

func BenchmarkTake(b *testing.B) {
	k := rate.New(1e9, time.Second)
	b.ReportAllocs()
	for b.Loop() {
		k.Take(1, start, time.Second)
	}
}

// Five requests at once where two a second are permitted, one of them in advance.
func Example() {
	b := rate.New(2, 500*time.Millisecond)
	for range 5 {
		fmt.Println(b.Take(1, start, time.Second))
	}
	// Output:
	// 0s true
	// 0s true
	// 500ms true
	// 1s true
	// 1.5s false
}
