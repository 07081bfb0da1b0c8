//go:build !race

package websocket_test

import (
	"context"
	"io"
	"runtime"
	"testing"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/transports/websocket"
)

// TestReadAllocations: a message that is read costs the reader it is read with, and its octets are not copied.
func TestReadAllocations(t *testing.T) {
	const n, round = 500, 20
	got := make(chan error, 1)
	s := serve(t, websocket.DefaultConfig(), handlerFunc(func(_ context.Context, c core.Conn) error {
		c.LoggedIn()
		buf := make([]byte, 64)
		for i := 1; ; i++ {
			_, r, err := c.NextReader()
			if err != nil {
				return err
			}
			for err == nil {
				_, err = r.Read(buf)
			}
			if i%n == 0 {
				if err == io.EOF { //nolint:errorlint // an io.Reader returns it as it is
					err = nil
				}
				got <- err
			}
		}
	}))
	p := connect(t, s.addr)
	var frames []byte
	for range n {
		frames = appendFrame(frames, 0x82, []byte("sixteen bytes..."))
	}
	send := func() {
		if _, err := p.nc.Write(frames); err != nil {
			t.Fatal(err)
		}
		if err := <-got; err != nil {
			t.Fatal(err)
		}
	}
	send()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range round {
		send()
	}
	runtime.ReadMemStats(&after)
	per, bytes := float64(after.Mallocs-before.Mallocs)/(n*round), float64(after.TotalAlloc-before.TotalAlloc)/(n*round)
	t.Logf("%.2f allocations, %.1f bytes", per, bytes)
	if per > 1.1 || bytes > 32 {
		t.Errorf("a message that is read costs %.2f allocations of %.1f bytes together, want one of a reader", per, bytes)
	}
}
