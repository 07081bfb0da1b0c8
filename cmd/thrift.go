package wyecmd

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/wyemq/wye/core"
)

// thrift sees to it that the broker takes what it needs of the machine's memory, in both directions. With little on the
// heap the collector would run a hundred times a second under load: ballast, of which no page is ever touched, lets it
// wait until there is something to collect. And after a busy time, as when thousands log in at once, what the collector
// keeps for the next one goes back to the system. With GOGC in the environment the ballast is left out.
type thrift struct{ ballast []byte }

var _ core.Runner = (*thrift)(nil)

const (
	// ballastSize is by how much the heap may grow, at least, before it is collected.
	ballastSize = 16 << 20
	// In quiet times no more than quietBytes are allocated in quietInterval.
	quietInterval = 2 * time.Second
	quietBytes    = 1 << 20
)

func newThrift() *thrift {
	t := &thrift{}
	if os.Getenv("GOGC") == "" {
		t.ballast = make([]byte, ballastSize)
	}
	return t
}

// Run implements core.Runner.
func (t *thrift) Run(ctx context.Context, ready func()) error {
	ready()
	defer runtime.KeepAlive(t.ballast)
	tick := time.NewTicker(quietInterval)
	defer tick.Stop()
	now := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}}
	var last, returned uint64 // what had been allocated at the last tick, and when memory was last given back
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		metrics.Read(now)
		allocated, heap := now[0].Value.Uint64(), now[1].Value.Uint64()
		quiet := allocated-last < quietBytes
		last = allocated
		if quiet && allocated-returned > max(heap, ballastSize)/2 { // else the collection is not worth its while
			debug.FreeOSMemory()
			returned = allocated
		}
	}
}
