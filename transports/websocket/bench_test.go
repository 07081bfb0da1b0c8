package websocket_test

import (
	"context"
	"io"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/transports/websocket"
)

// BenchmarkPush is one connection that is sent messages of 16 bytes, in batches as the broker delivers them, by a
// server to a client that looks at nothing.
func BenchmarkPush(b *testing.B) {
	for _, batch := range []int{1, 16, 256} {
		b.Run("batch="+strconv.Itoa(batch), func(b *testing.B) {
			total := make(chan int)
			s := serve(b, websocket.DefaultConfig(), handlerFunc(func(_ context.Context, c core.Conn) error {
				c.LoggedIn()
				parts := [][]byte{[]byte("sixteen "), []byte("bytes...")}
				for n := range total {
					for i := range n {
						if err := c.WriteMessage(core.Binary, parts...); err != nil {
							return err
						}
						if (i+1)%batch == 0 {
							if err := c.Flush(); err != nil {
								return err
							}
						}
					}
					if err := c.Flush(); err != nil {
						return err
					}
				}
				return nil
			}))
			p := connect(b, s.addr)
			b.ReportAllocs()
			b.SetBytes(16)
			b.ResetTimer()
			total <- b.N
			if _, err := io.CopyN(io.Discard, p.br, int64(b.N)*18); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			close(total)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}

// BenchmarkReceive is one connection that sends messages of 16 bytes as fast as it can.
func BenchmarkReceive(b *testing.B) {
	var got atomic.Int64
	done := make(chan struct{})
	want := int64(b.N)
	s := serve(b, websocket.DefaultConfig(), handlerFunc(func(_ context.Context, c core.Conn) error {
		c.LoggedIn()
		buf := make([]byte, 64)
		for {
			_, r, err := c.NextReader()
			if err != nil {
				return err
			}
			for err == nil {
				_, err = r.Read(buf)
			}
			if got.Add(1) == want {
				close(done)
			}
		}
	}))
	p := connect(b, s.addr)
	const chunk = 512
	var frames []byte
	for range chunk {
		frames = appendFrame(frames, 0x82, []byte("sixteen bytes..."))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; left -= chunk {
		if _, err := p.nc.Write(frames[:min(left, chunk)*len(frames)/chunk]); err != nil {
			b.Fatal(err)
		}
	}
	<-done
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// BenchmarkEcho is one message there and back at a time.
func BenchmarkEcho(b *testing.B) {
	s := serve(b, websocket.DefaultConfig(), echo{})
	p := connect(b, s.addr)
	frame := appendFrame(nil, 0x82, []byte("sixteen bytes..."))
	answer := make([]byte, 18)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.nc.Write(frame); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(p.br, answer); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkConnect is a connection from the request to the close.
func BenchmarkConnect(b *testing.B) {
	s := serve(b, websocket.DefaultConfig(), echo{})
	for b.Loop() {
		p := connect(b, s.addr)
		_ = p.Close()
		p.wantClose(1000, "")
	}
}
