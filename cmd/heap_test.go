package wyecmd_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	wyecmd "github.com/wyemq/wye/cmd"
)

// TestMemoryReturned: after a busy time memory is given back, once, and not while it lasts.
func TestMemoryReturned(t *testing.T) {
	t.Setenv("GOGC", "")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { // waited for below
			defer close(ended)
			wyecmd.TendHeap(ctx)
		}()
		collections := func() uint32 {
			synctest.Wait()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.NumForcedGC
		}
		before := collections()
		time.Sleep(time.Second / 2) // between the ticks
		for range 10 {
			busy = make([]byte, 4<<20)
			time.Sleep(time.Second)
		}
		if n := collections() - before; n != 0 {
			t.Errorf("memory was given back %d times in a busy time", n)
		}
		time.Sleep(5 * time.Second)
		if n := collections() - before; n != 1 {
			t.Errorf("memory was given back %d times after a busy time, want once", n)
		}
		time.Sleep(20 * time.Second)
		if n := collections() - before; n != 1 {
			t.Errorf("memory was given back %d times, the last time in quiet", n)
		}
		cancel()
		<-ended
	})
}

// busy keeps the compiler from leaving an allocation out.
var busy []byte
