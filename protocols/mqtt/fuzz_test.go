package mqtt_test

import (
	"errors"
	"io"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
	"github.com/wyemq/wye/core/protocoltest"
	"github.com/wyemq/wye/protocols/mqtt"
)

// seeds are the packets a client sends, as it sends them.
func seeds(v byte) [][]byte {
	c := raw{v: v}
	pid := u16(1)
	all := [][]byte{
		packet(0x30, str("a/b"), c.properties(), []byte("x")),
		packet(0x3B, str("$queue/q"), pid, c.properties(), []byte("x")),
		packet(0x34, str("a"), pid, c.properties(), []byte("x")),
		packet(tPUBREL, pid), packet(tPUBACK, pid), packet(tPUBREC, pid), packet(tPUBCOMP, pid),
		packet(0x82, pid, c.properties(), str("#"), []byte{2}, str("$share/g/a"), []byte{1}, str("$queue/q"), []byte{1}),
		packet(0xA2, pid, c.properties(), str("#"), str("b")),
		{0xC0, 0},
		{0xE0, 0},
	}
	if v == 5 {
		all = append(all,
			packet(0x32, str("a"), pid, list(props(prop8(1, 1), prop32(2, 9), propS(3, "t"), propS(8, "r"), propS(9, "c"), prop16(0x23, 1), propUser("k", "v"))), []byte("x")),
			packet(0x30, str(""), list(prop16(0x23, 1)), []byte("x")),
			packet(0x82, pid, list([]byte{0x0B, 7}), str("a/+"), []byte{0x1D}),
			packet(tPUBACK, pid, []byte{0x80}, list(propS(0x1F, "why"))),
			packet(0xE0, []byte{4}, list(expiry(5))), packet(0xF0, []byte{0x18}, list(propS(0x15, "m"))),
		)
	}
	return all
}

// Whatever comes after CONNECT, or instead of it, the connection ends with its input, the broker is undisturbed, and nothing is
// left.
func FuzzConn(f *testing.F) {
	for _, v := range []byte{3, 4, 5} {
		var all []byte
		for _, s := range seeds(v) {
			f.Add(v, s)
			all = append(all, s...)
		}
		f.Add(v, all)
		f.Add(v, []byte{0x82, 5, 0, 1, 0, 0, 0})
	}
	f.Add(byte(0), hello{will: &willOf{topic: "w", body: "b", qos: 1, props: prop32(0x18, 5)}, props: expiry(9)}.packet())
	f.Add(byte(0), hello{v: 4, id: "c", dirty: true}.packet())
	f.Fuzz(func(t *testing.T, v byte, data []byte) {
		if len(data) > 64<<10 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			b := coretest.Broker(t)
			p, err := mqtt.New(b, mqtt.DefaultConfig(), nil)
			if err != nil {
				t.Fatal(err)
			}
			s := &server{t, b, p}
			witness := s.client(hello{id: "witness"})
			peer := protocoltest.Serve(t.Context(), p, protocoltest.PipeOptions{Stream: len(data)%2 == 0})
			if v >= 3 && v <= 5 {
				if err := peer.Send(core.Binary, hello{v: v, id: "fuzz"}.packet()); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
			}
			if err := peer.Send(core.Binary, data); err != nil && !errors.Is(err, io.ErrClosedPipe) {
				t.Fatal(err)
			}
			synctest.Wait()
			peer.ReceiveAll()
			peer.CloseSend()
			if _, err, ok := peer.Closed(time.Minute); !ok || errors.Is(err, core.ErrInternal) {
				t.Fatalf("ended %v with %v", ok, err)
			}
			witness.write([]byte{0xC0, 0})
			witness.want(0xD0)
			if st := b.Stats(); st.Sessions != 1 {
				t.Fatalf("%d sessions", st.Sessions)
			}
		})
	})
}

// What is taken around the codec is the message that the codec would have made of it, with the same encodings, and takes nothing
// that the codec refuses. That it is taken at all is for TestPlain.
func FuzzPlain(f *testing.F) {
	for _, v := range []byte{3, 4, 5} {
		for _, s := range seeds(v) {
			f.Add(v, s)
		}
		f.Add(v, packet(0x31, str("a/b"), (&raw{v: v}).properties(), make([]byte, 200)))
	}
	f.Fuzz(func(t *testing.T, v byte, data []byte) {
		if v < 3 || v > 5 {
			return
		}
		codec, plain, codecID, plainID := mqtt.Published(v, data)
		if plain == nil {
			return
		}
		if codec == nil {
			t.Fatalf("version %d: the codec refuses %q", v, data)
		}
		if codecID != plainID || !reflect.DeepEqual(mqtt.Encodings(codec), mqtt.Encodings(plain)) {
			t.Fatalf("version %d: identifier %d, want %d; encodings %q, want %q", v, plainID, codecID, mqtt.Encodings(plain), mqtt.Encodings(codec))
		}
		if got, want := plain.Clone(), codec.Clone(); !reflect.DeepEqual(got, want) {
			t.Fatalf("version %d: %+v, want %+v", v, got, want)
		}
	})
}

// inspect must see everything that makes mochi's decoder panic, and panic at nothing itself.
func FuzzInspect(f *testing.F) {
	for _, v := range []byte{3, 4, 5} {
		for _, s := range append(seeds(v), hello{v: v, id: "c"}.packet()) {
			f.Add(v, s)
		}
	}
	f.Fuzz(func(_ *testing.T, v byte, data []byte) { mqtt.Inspect(v, data) })
}
