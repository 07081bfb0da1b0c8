//go:build !race

package core_test

import (
	"runtime"
	"testing"
)

// TestPublishAllocs: one more subscriber costs no allocation.
func TestPublishAllocs(t *testing.T) {
	allocs := func(subs int) float64 {
		f := newFan(t, subs, 0)
		for range 100 {
			f.publish(t)
		}
		return testing.AllocsPerRun(500, func() {
			before := f.got.Load()
			f.publish(t)
			for f.got.Load() < before+int64(subs) {
				runtime.Gosched() // AllocsPerRun has one processor
			}
		})
	}
	few, many := allocs(10), allocs(110)
	if per := (many - few) / 100; per > 0.05 {
		t.Errorf("%.2f allocations for each additional subscriber (%.1f for 10, %.1f for 110)", per, few, many)
	}
}
