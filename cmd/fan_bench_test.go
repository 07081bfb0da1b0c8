package wyecmd_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"

	gorilla "github.com/gorilla/websocket"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/engine/memory"
	"github.com/wyemq/wye/protocols/mqtt"
	"github.com/wyemq/wye/protocols/stomp"
	"github.com/wyemq/wye/transports/websocket"
)

// BenchmarkFan publishes 16-byte messages over a real WebSocket to 1 and to 100 subscribers, and reports
// deliveries per second. Clients of its own, because a usual client library is slower than the broker.
func BenchmarkFan(b *testing.B) {
	for name, speak := range dialects {
		for _, subs := range []int{1, 100} {
			b.Run(fmt.Sprintf("%s/subs=%d", name, subs), func(b *testing.B) { benchFan(b, speak, subs) })
		}
	}
}

// dialect is what a raw client has to know of a protocol.
type dialect struct {
	token     string
	login     []byte // and the answer is one message
	subscribe []byte // and the answer is one message
	publish   []byte
	count     func(payload []byte) int // deliveries in a message of the broker
}

var dialects = map[string]dialect{
	"stomp": {
		token:     "v12.stomp",
		login:     []byte("CONNECT\naccept-version:1.2\nhost:/\nheart-beat:0,0\n\n\x00"),
		subscribe: []byte("SUBSCRIBE\nid:0\ndestination:/topic/bench\nreceipt:s\n\n\x00"),
		publish:   []byte("SEND\ndestination:/topic/bench\ncontent-length:16\n\n0123456789abcdef\x00"),
		count:     func(p []byte) int { return bytes.Count(p, []byte("MESSAGE\n")) },
	},
	"mqtt": {
		token:     "mqtt",
		login:     []byte("\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00"),
		subscribe: []byte("\x82\x0a\x00\x01\x00\x05bench\x00"),
		publish:   []byte("\x30\x17\x00\x05bench0123456789abcdef"),
		count: func(p []byte) (n int) {
			for len(p) > 1 {
				if p[0]>>4 == 3 {
					n++
				}
				size, used := binary.Uvarint(p[1:])
				p = p[1+used+int(size):]
			}
			return n
		},
	},
}

func serveBench(b *testing.B) string {
	b.Helper()
	log := slog.New(slog.DiscardHandler)
	broker, err := core.NewBroker(core.Options{Engine: memory.New(), Log: log})
	if err != nil {
		b.Fatal(err)
	}
	mux, err := core.NewMux(log, benchProtocols(b, broker, log)...)
	if err != nil {
		b.Fatal(err)
	}
	cfg := websocket.DefaultConfig()
	cfg.URI = "ws://127.0.0.1:0"
	tr, err := websocket.New("bench", cfg, log)
	if err != nil {
		b.Fatal(err)
	}
	addr, err := tr.Listen(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- tr.Serve(ctx, mux) }()
	b.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
		if err := broker.Close(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return "ws://" + addr.String()
}

func benchProtocols(b *testing.B, broker *core.Broker, log *slog.Logger) []core.Protocol {
	b.Helper()
	s, err := stomp.New(broker, stomp.DefaultConfig(), log)
	if err != nil {
		b.Fatal(err)
	}
	m, err := mqtt.New(broker, mqtt.DefaultConfig(), log)
	if err != nil {
		b.Fatal(err)
	}
	return []core.Protocol{s, m}
}

// masked returns a client's frame with the payload, masked with zeros.
func masked(payload []byte) []byte {
	head := []byte{0x82, 0x80 | byte(min(len(payload), 126))}
	if len(payload) >= 126 {
		head = binary.BigEndian.AppendUint16(head, uint16(len(payload)))
	}
	return append(append(head, 0, 0, 0, 0), payload...)
}

func benchClient(b *testing.B, url string, d dialect) net.Conn {
	b.Helper()
	ws, resp, err := (&gorilla.Dialer{Subprotocols: []string{d.token}}).Dial(url, nil)
	if err != nil {
		b.Fatal(err)
	}
	resp.Body.Close()
	if err := ws.WriteMessage(gorilla.BinaryMessage, d.login); err != nil {
		b.Fatal(err)
	}
	if _, _, err := ws.ReadMessage(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ws.Close() })
	return ws.NetConn()
}

// counter reads server frames from a connection and counts deliveries.
type counter struct {
	d    dialect
	rest []byte
	buf  []byte
}

func (c *counter) read(nc net.Conn) (int, error) {
	if c.buf == nil {
		c.buf = make([]byte, 256<<10)
	}
	n, err := nc.Read(c.buf)
	c.rest = append(c.rest, c.buf[:n]...)
	total, p := 0, c.rest
	for {
		size, head := frameSize(p)
		if head == 0 || len(p) < head+size {
			break
		}
		if p[0]&0xf <= 2 {
			total += c.d.count(p[head : head+size])
		}
		p = p[head+size:]
	}
	c.rest = append(c.rest[:0], p...)
	return total, err
}

func frameSize(p []byte) (size, head int) {
	if len(p) < 2 {
		return 0, 0
	}
	switch size = int(p[1] & 0x7f); {
	case size < 126:
		return size, 2
	case size == 126 && len(p) >= 4:
		return int(binary.BigEndian.Uint16(p[2:])), 4
	case size == 127 && len(p) >= 10:
		return int(binary.BigEndian.Uint64(p[2:])), 10
	}
	return 0, 0
}

func benchFan(b *testing.B, d dialect, subs int) {
	url := serveBench(b)
	var ready, done sync.WaitGroup
	counts := make(chan int, 1024)
	for range subs {
		nc := benchClient(b, url, d)
		ready.Add(1)
		done.Go(func() {
			if _, err := nc.Write(masked(d.subscribe)); err != nil {
				b.Error(err)
			}
			if _, err := nc.Read(make([]byte, 1024)); err != nil {
				b.Error(err)
			}
			ready.Done()
			c := &counter{d: d}
			for {
				n, err := c.read(nc)
				if n > 0 {
					counts <- n
				}
				if err != nil {
					return
				}
			}
		})
	}
	ready.Wait()
	pub := benchClient(b, url, d)
	const window = 2000 // publishes on their way: the outboxes must not overflow, this is not a test of dropping
	one := masked(d.publish)
	burst := bytes.Repeat(one, 50)
	b.ReportAllocs()
	b.ResetTimer()
	sent, got := 0, 0
	for got < b.N*subs {
		for sent < b.N && sent-got/subs < window {
			n := min(50, b.N-sent)
			if _, err := pub.Write(burst[:n*len(one)]); err != nil {
				b.Fatal(err)
			}
			sent += n
		}
		got += <-counts
	}
	b.StopTimer()
	b.ReportMetric(float64(got)/b.Elapsed().Seconds(), "deliveries/s")
}
