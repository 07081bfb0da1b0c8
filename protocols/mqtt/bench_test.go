package mqtt_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
	"github.com/wyemq/wye/protocols/mqtt"
)

// memConn is a core.Conn that costs nothing: it reads what it is fed and counts what is written.
type memConn struct {
	in     chan []byte
	r      bytes.Reader
	closed chan struct{}
	once   sync.Once
	why    error
	info   core.ConnInfo
	writes atomic.Int64 // messages
	bytes  atomic.Int64
	onByte func(parts [][]byte)
}

func newMemConn() *memConn {
	a := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1883}
	return &memConn{in: make(chan []byte, 1), closed: make(chan struct{}), info: core.ConnInfo{ID: "mem", Local: a, Remote: a}}
}

func (c *memConn) NextReader() (core.Kind, io.Reader, error) {
	select {
	case b := <-c.in:
		c.r.Reset(b)
		return core.Binary, &c.r, nil
	case <-c.closed:
		return 0, nil, c.why
	}
}

func (c *memConn) WriteMessage(_ core.Kind, parts ...[]byte) error {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	c.bytes.Add(int64(n))
	c.writes.Add(1)
	if c.onByte != nil {
		c.onByte(parts)
	}
	return nil
}

func (*memConn) Flush() error                    { return nil }
func (*memConn) SetReadDeadline(time.Time) error { return nil }
func (*memConn) LoggedIn()                       {}
func (c *memConn) Close(err error) {
	c.once.Do(func() {
		if c.why = err; err == nil {
			c.why = io.EOF
		}
		close(c.closed)
	})
}

func (c *memConn) Info() *core.ConnInfo { return &c.info }

// await waits until n bytes more than before were written.
func (c *memConn) await(total int64) {
	for c.bytes.Load() < total {
		runtime.Gosched()
	}
}

func serve(t testing.TB, p *mqtt.Protocol, packets ...[]byte) *memConn {
	t.Helper()
	c := newMemConn()
	done := make(chan struct{})
	go func() { defer close(done); _ = p.ServeConn(t.Context(), c) }()
	t.Cleanup(func() { c.Close(nil); <-done })
	for i, b := range packets {
		before := c.bytes.Load()
		c.in <- b
		c.await(before + 1 + int64(min(i, 1)))
	}
	return c
}

func benchServer(t testing.TB) (*core.Broker, *mqtt.Protocol) {
	t.Helper()
	b := coretest.Broker(t)
	p, err := mqtt.New(b, mqtt.DefaultConfig(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return b, p
}

func subscribePacket(v byte, filter string, qos byte) []byte {
	c := raw{v: v}
	return packet(0x82, u16(1), c.properties(), str(filter), []byte{qos})
}

// One encoding serves all: a further QoS 0 subscriber costs no allocation, nor does one with the time that is left.
func TestAllocsPerSubscriber(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	_, p := benchServer(t)
	for _, expires := range []time.Time{{}, time.Now().Add(time.Hour)} {
		for _, v := range []byte{3, 4, 5} {
			const n = 100
			m := &core.Message{Destination: "topic/a/b", Body: []byte("0123456789abcdef"), Expires: expires, ContentType: "text/plain"}
			var delivers []func()
			for range n {
				deliver, sub := mqtt.Deliverer(t.Context(), p, newMemConn(), v)
				ds := []core.Delivery{{Message: m, Sub: sub, Attempt: 1}}
				delivers = append(delivers, func() {
					if err := deliver(ds); err != nil {
						t.Error(err)
					}
				})
			}
			per := testing.AllocsPerRun(200, func() {
				for _, deliver := range delivers {
					deliver()
				}
			}) / n
			if per >= 0.05 { // a collection may empty the pools
				t.Errorf("version %d, expires %v: %.2f allocations for a subscriber", v, expires, per)
			}
		}
	}
}

// A publish costs the message and nothing else, from the read to the subscriber's write: in any version, of QoS 0; with QoS 1 what
// waits for the acknowledgement as well.
func TestAllocsPerPublish(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, c := range []struct {
		v, qos byte
		most   float64
	}{{3, 0, 1}, {4, 0, 1}, {5, 0, 1}, {4, 1, 3}, {5, 1, 3}} {
		t.Run(fmt.Sprintf("version=%d/qos=%d", c.v, c.qos), func(t *testing.T) {
			_, p := benchServer(t)
			sub := serve(t, p, hello{v: c.v, id: "sub"}.packet(), subscribePacket(c.v, "a/b", 0))
			pub := serve(t, p, hello{v: c.v, id: "pub"}.packet())
			const burst = 100
			batch := publishes(c.v, c.qos, burst)
			size := int64(len(publishes(c.v, 0, burst)))
			publish := func() {
				want := sub.bytes.Load() + size
				pub.in <- batch
				sub.await(want)
			}
			for range 10 {
				publish()
			}
			if per := testing.AllocsPerRun(200, publish) / burst; per > c.most+0.05 { // a collection may empty the pools
				t.Errorf("%.2f allocations for a publish, want %.0f", per, c.most)
			}
		})
	}
}

// publishes returns n PUBLISH packets.
func publishes(v, qos byte, n int) []byte {
	c := raw{v: v}
	var batch []byte
	for id := range uint16(n) {
		var pid []byte
		if qos > 0 {
			pid = u16(id + 1)
		}
		batch = append(batch, packet(0x30|qos<<1, str("a/b"), pid, c.properties(), []byte("0123456789abcdef"))...)
	}
	return batch
}

func BenchmarkEncode(b *testing.B) {
	for _, v := range []byte{4, 5} {
		m := func() *core.Message {
			return &core.Message{
				Destination: "topic/sensors/12/temperature", Body: []byte("21.5"), ContentType: "text/plain",
				Header: []core.Field{{Name: "site", Value: "north"}},
			}
		}
		b.Run(fmt.Sprintf("version=%d/first", v), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mqtt.Encode(m(), v)
			}
		})
		b.Run(fmt.Sprintf("version=%d/further", v), func(b *testing.B) {
			b.ReportAllocs()
			one := m()
			for b.Loop() {
				mqtt.Encode(one, v)
			}
		})
	}
}

// BenchmarkPublish sends PUBLISH packets through the protocol to one subscriber, a read at a time.
func BenchmarkPublish(b *testing.B) {
	for _, v := range []byte{4, 5} {
		for _, qos := range []byte{0, 1} {
			b.Run(fmt.Sprintf("version=%d/qos=%d", v, qos), func(b *testing.B) {
				_, p := benchServer(b)
				sub := serve(b, p, hello{v: v}.packet(), subscribePacket(v, "a/b", qos))
				if qos == 1 {
					sub.onByte = acker(sub)
				}
				pub := serve(b, p, hello{v: v}.packet())
				const burst = 100
				batch := publishes(v, qos, burst)
				size := int64(len(batch))
				b.ReportAllocs()
				for b.Loop() {
					want := sub.bytes.Load() + size
					pub.in <- batch
					sub.await(want)
				}
				b.ReportMetric(float64(b.N)*burst/b.Elapsed().Seconds(), "msgs/s")
			})
		}
	}
}

// acker answers the PUBLISH packets of QoS 1 that are written, off the writing goroutine.
func acker(c *memConn) func([][]byte) {
	return func(parts [][]byte) {
		var acks []byte
		for b := slices.Concat(parts...); len(b) > 0; {
			total, header := 2+int(b[1]), 2 // all are short
			if b[0] == 0x32 {
				id := header + 2 + int(b[3]) // and so are the topics
				acks = append(acks, 0x40, 2, b[id], b[id+1])
			}
			b = b[total:]
		}
		if acks != nil {
			go func() {
				select {
				case c.in <- acks:
				case <-c.closed:
				}
			}()
		}
	}
}

// BenchmarkIdle reports the memory of a connection that is logged in and subscribed.
func BenchmarkIdle(b *testing.B) {
	_, p := benchServer(b)
	const n = 2000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		conns := make([]*memConn, n)
		for i := range conns {
			conns[i] = serve(b, p, hello{id: fmt.Sprint("idle", i)}.packet(), subscribePacket(5, "a/b", 0))
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapInuse-before.HeapInuse+after.StackInuse-before.StackInuse)/n, "B/conn")
		runtime.KeepAlive(conns)
		for _, c := range conns {
			c.Close(nil)
		}
	}
}
