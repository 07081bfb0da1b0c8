package wyecmd

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// heap sees to it that the broker takes what it needs of the machine's memory, in both directions. With little on the
// heap the collector would run fifty times a second under load: ballast, of which no page is ever touched, lets it wait
// until there is something to collect. And after a busy time, as when thousands log in at once, what the collector keeps
// for the next one goes back to the system. With GOGC in the environment the ballast is left out.
type heap struct{ ballast []byte }

const (
	// ballastSize is by how much the heap may grow, at least, before it is collected.
	ballastSize = 24 << 20
	// In quiet times no more than quietBytes are allocated in quietInterval.
	quietInterval = time.Second
	quietBytes    = 1 << 19
)

func newHeap() *heap {
	h := &heap{}
	if os.Getenv("GOGC") == "" {
		h.ballast = make([]byte, ballastSize)
	}
	return h
}

// tend gives memory back after busy times, until ctx ends.
func (h *heap) tend(ctx context.Context) {
	defer runtime.KeepAlive(h.ballast)
	tick := time.NewTicker(quietInterval)
	defer tick.Stop()
	now := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
	}
	var last, returned uint64 // what had been allocated at the last tick, and when memory was last given back
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(now)
		allocated, live, free := now[0].Value.Uint64(), now[1].Value.Uint64(), now[2].Value.Uint64()
		quiet := allocated-last < quietBytes
		last = allocated
		worth := max(live, ballastSize) / 2 // of a collection; free are also the stacks of goroutines that have ended
		if quiet && (allocated-returned > worth || free > worth) {
			debug.FreeOSMemory()
			returned = allocated
		}
	}
}
