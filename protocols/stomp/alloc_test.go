package stomp_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/engine/memory"
	"github.com/wyemq/wye/protocols/stomp"
	"github.com/wyemq/wye/protocols/stomp/frame"
)

// sink is a core.Conn that counts what is written to it.
type sink struct {
	info  core.ConnInfo
	bytes atomic.Int64 // any goroutine may write
}

func newSink() *sink {
	local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}
	return &sink{info: core.ConnInfo{Local: local, Remote: local}}
}

func (*sink) NextReader() (core.Kind, io.Reader, error) { return 0, nil, io.EOF }

func (s *sink) WriteMessage(_ core.Kind, parts ...[]byte) error {
	for _, p := range parts {
		s.bytes.Add(int64(len(p)))
	}
	return nil
}
func (*sink) Flush() error                    { return nil }
func (*sink) SetReadDeadline(time.Time) error { return nil }
func (*sink) LoggedIn()                       {}
func (*sink) Close(error)                     {}
func (s *sink) Info() *core.ConnInfo          { return &s.info }

func sample() *core.Message {
	return &core.Message{
		Destination: "topic/prices/eu/42", ContentType: "application/json", Body: []byte(`{"price":42}`), Seq: 7,
		Timestamp: time.Unix(1e9, 0), ReplyTo: "temp/T/x", Header: []core.Field{{Name: "x-color", Value: "red:blue"}},
	}
}

// A message is encoded once for all subscribers of a version and spelling; each more costs no allocation,
// whether it wrote the destination itself, has it spelled for it, or acknowledges.
func TestDeliveryAllocates(t *testing.T) {
	for _, c := range []struct {
		name, text string
		v          frame.Version
		ack        core.AckMode
		tag        uint64
	}{
		{"exact", "/topic/prices.eu.42", frame.V12, core.AckAuto, 0},
		{"wildcard", "/topic/prices.#", frame.V12, core.AckAuto, 0},
		{"slashes", "/topic/prices/**", frame.V11, core.AckAuto, 0},
		{"1.0", "/topic/prices.*.*", frame.V10, core.AckAuto, 0},
		{"acknowledged", "/topic/prices.#", frame.V12, core.AckIndividual, 17},
	} {
		t.Run(c.name, func(t *testing.T) {
			deliver := stomp.Deliverer(c.v, newSink(), c.text, c.ack)
			m := sample()
			if n := testing.AllocsPerRun(1000, func() {
				if err := deliver(m, c.tag); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("a delivery to one more subscriber costs %v allocations", n)
			}
		})
	}
}

func BenchmarkDeliver(b *testing.B) {
	for _, text := range []string{"/topic/prices.eu.42", "/topic/prices.#"} {
		b.Run("subscription="+text[1:], func(b *testing.B) {
			deliver := stomp.Deliverer(frame.V12, newSink(), text, core.AckAuto)
			m := sample()
			b.ReportAllocs()
			for b.Loop() {
				if err := deliver(m, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSend is a SEND from octets to the broker, to a topic that nobody reads.
func BenchmarkSend(b *testing.B) {
	for _, headers := range []int{0, 3} {
		b.Run("headers="+strconv.Itoa(headers), func(b *testing.B) {
			broker, err := core.NewBroker(core.Options{Engine: memory.New()})
			if err != nil {
				b.Fatal(err)
			}
			p, err := stomp.New(broker, stomp.DefaultConfig(), nil)
			if err != nil {
				b.Fatal(err)
			}
			feed, end := stomp.Feeder(p, newSink())
			text := "SEND\ndestination:/topic/prices.eu.42\ncontent-length:16\n"
			for i := range headers {
				text += "x-" + strconv.Itoa(i) + ":value\n"
			}
			send := []byte(text + "\n0123456789abcdef\x00")
			if err := feed([]byte("CONNECT\naccept-version:1.2\n\n\x00")); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := feed(send); err != nil {
					b.Fatal(err)
				}
			}
			end()
			if err := broker.Close(context.Background()); err != nil && !errors.Is(err, core.ErrClosed) {
				b.Fatal(err)
			}
		})
	}
}

// TestSendAllocates: a SEND with the headers of the one before costs its message and its body.
func TestSendAllocates(t *testing.T) {
	broker, err := core.NewBroker(core.Options{Engine: memory.New()})
	if err != nil {
		t.Fatal(err)
	}
	p, err := stomp.New(broker, stomp.DefaultConfig(), nil)
	if err != nil {
		t.Fatal(err)
	}
	feed, end := stomp.Feeder(p, newSink())
	send := []byte("SEND\ndestination:/topic/prices.eu.42\nx-color:blue\ncontent-length:16\n\n0123456789abcdef\x00")
	if err := feed([]byte("CONNECT\naccept-version:1.2\n\n\x00")); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(1000, func() {
		if err := feed(send); err != nil {
			t.Fatal(err)
		}
	}); n > 2 {
		t.Errorf("a SEND costs %v allocations, want 2", n)
	}
	end()
	if err := broker.Close(context.Background()); err != nil && !errors.Is(err, core.ErrClosed) {
		t.Fatal(err)
	}
}
