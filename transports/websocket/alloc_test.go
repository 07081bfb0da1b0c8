//go:build !race

package websocket_test

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/transports/websocket"
)

// idleConnections is how many there are in TestIdleAllocations, if IDLE_CONNECTIONS does not say.
const idleConnections = 2000

// idleGoal is what one may cost here, clients in the same process included.
const idleGoal = 7 << 10

// TestIdleAllocations measures what connections that have echoed once and are silent then keep in memory: at rest,
// where there is rest. The clients are in the same process, but are bare sockets: about 0.7 kB each.
func TestIdleAllocations(t *testing.T) {
	if testing.Short() {
		t.Skip("opens thousands of connections")
	}
	cfg := websocket.DefaultConfig()
	cfg.PingInterval, cfg.Limits.IdleTimeout = 0, 0
	var rested sync.WaitGroup
	s := serve(t, cfg, handlerFunc(func(_ context.Context, c core.Conn) error {
		var once sync.Once
		serve := func() error {
			err := sparing(c)
			if errors.Is(err, core.ErrResting) {
				once.Do(rested.Done)
			}
			return err
		}
		if runtime.GOOS == "linux" {
			core.MayRest(c, serve)
		} else {
			rested.Done()
		}
		return serve()
	}))
	connections := idleConnections
	if n, err := strconv.Atoi(os.Getenv("IDLE_CONNECTIONS")); err == nil {
		connections = n
	}
	open := func(n int) {
		rested.Add(n)
		for range n {
			idle(t, s.addr)
		}
		rested.Wait()
	}
	open(50) // what is made once
	before, rss := used(), resident()
	open(connections)
	per := (used() - before) / int64(connections)
	t.Logf("%d idle connections: %d bytes each in heap and stacks, %d resident", connections, per, (resident()-rss)/int64(connections))
	if per > idleGoal {
		t.Errorf("an idle connection costs %d bytes, want %d at most", per, idleGoal)
	}
}

// sparing is echo with as little of its own as possible.
func sparing(c core.Conn) error {
	c.LoggedIn()
	for {
		k, r, err := c.NextReader()
		if err != nil {
			return err
		}
		var b [64]byte
		n, _ := r.Read(b[:])
		if err := c.WriteMessage(k, b[:n]); err != nil {
			return err
		}
		if err := c.Flush(); err != nil {
			return err
		}
	}
}

func idle(t testing.TB, addr string) {
	t.Helper()
	p := connect(t, addr)
	p.roundtrip("hello")
	p.br, p.resp = nil, nil // of the client only the socket stays
}

func used() int64 {
	runtime.GC()
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// resident returns the memory of the process as the system counts it; 0 where that is not told.
func resident() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b))
	n, _ := strconv.ParseInt(f[1], 10, 64)
	return n * int64(os.Getpagesize())
}

// TestWriteAllocations: a message whose parts are there costs no memory.
func TestWriteAllocations(t *testing.T) {
	result := make(chan float64)
	s := serve(t, websocket.DefaultConfig(), handlerFunc(func(_ context.Context, c core.Conn) error {
		parts := [][]byte{[]byte("head"), make([]byte, 1000)}
		result <- testing.AllocsPerRun(1000, func() {
			for range 10 {
				if err := c.WriteMessage(core.Text, parts...); err != nil {
					t.Error(err)
				}
			}
			if err := c.Flush(); err != nil {
				t.Error(err)
			}
		})
		return nil
	}))
	p := connect(t, s.addr)
	go func() { // ends with the connection
		_, _ = io.Copy(io.Discard, p.br)
		_ = p.nc.Close()
	}()
	if n := <-result; n > 0 {
		t.Errorf("ten messages and a Flush cost %v allocations, want 0", n)
	}
}
