package wyecmd

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// Go collects garbage when the heap has grown by as much as lives in it. In a broker that keeps little that is a few megabytes,
// which a million messages a second fill fifty times a second. So a small heap may grow by more; one that is large enough
// grows by what Go makes of it.
const (
	growth      = 32 << 20 // that a heap may have at least
	mostPercent = 400      // but no more than this, so that a broker at rest stays small
)

// collector sets GOGC after each collection, by what has lived through it.
type collector struct {
	live    [1]metrics.Sample
	percent int
}

// collectLess starts a collector for the life of the process, unless the operator has set GOGC.
func collectLess() {
	if os.Getenv("GOGC") != "" {
		return
	}
	c := &collector{live: [1]metrics.Sample{{Name: "/gc/heap/live:bytes"}}, percent: 100}
	c.collected()
}

// collected is called after each collection, because what it is tied to is garbage from the beginning.
func (c *collector) collected() {
	metrics.Read(c.live[:])
	if p := percentFor(c.live[0].Value.Uint64()); p < c.percent*9/10 || p > c.percent*11/10 {
		c.percent = p
		debug.SetGCPercent(p) // stops the world, if only for a moment
	}
	runtime.AddCleanup(&collection{c}, (*collector).collected, c)
}

// collection is what a collection finds.
type collection struct{ of *collector }

// percentFor returns GOGC for a heap in which so many bytes live.
func percentFor(live uint64) int {
	return int(min(max(100, growth*100/max(live, 1)), mostPercent))
}
