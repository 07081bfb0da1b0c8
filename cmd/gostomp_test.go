package wyecmd_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-stomp/stomp/v3"
	"github.com/gorilla/websocket"
)

// dialGo connects go-stomp in one of the ways there are.
type dialGo func(t testing.TB, opts ...func(*stomp.Conn) error) *stompPeer

// stompWays are the connections that a STOMP client may have.
func stompWays() map[string]func(testing.TB, *program) io.ReadWriteCloser {
	ws := func(kind int, tokens ...string) func(testing.TB, *program) io.ReadWriteCloser {
		return func(t testing.TB, b *program) io.ReadWriteCloser {
			t.Helper()
			c := dialWS(t, b.addrs["websocket"], tokens...)
			c.kind = kind
			return c
		}
	}
	return map[string]func(testing.TB, *program) io.ReadWriteCloser{
		"tcp": func(t testing.TB, b *program) io.ReadWriteCloser {
			t.Helper()
			nc, err := net.Dial("tcp", b.addrs["stomp"])
			if err != nil {
				t.Fatal(err)
			}
			return nc
		},
		"text messages":   ws(websocket.TextMessage, "v12.stomp", "v11.stomp", "v10.stomp"),
		"binary messages": ws(websocket.BinaryMessage, "v12.stomp"),
		"text, no token":  ws(websocket.TextMessage),
	}
}

// TestGoStompWays uses go-stomp over TCP and WebSocket.
func TestGoStompWays(t *testing.T) {
	for way, open := range stompWays() {
		t.Run(way, func(t *testing.T) {
			b := start(t, []string{"--set", "protocols.stomp.heart_beat.send=100ms", "--set", "protocols.stomp.heart_beat.receive=100ms", "--set", "protocols.stomp.heart_beat.floor=1800ms"})
			dial := func(t testing.TB, opts ...func(*stomp.Conn) error) *stompPeer {
				t.Helper()
				return connectSTOMP(t, open(t, b), opts...)
			}
			for name, check := range map[string]func(*testing.T, dialGo){
				"versions": versionsGo, "bodies": func(t *testing.T, dial dialGo) { bodiesGo(t, dial, !strings.Contains(way, "text")) }, "order": orderGo, "individual": individualGo, "cumulative": cumulativeGo,
				"transactions": transactionsGo, "durable": durableGo, "refused": refusedGo,
			} {
				t.Run(name, func(t *testing.T) { check(t, dial) })
			}
			if way == "tcp" || way == "text messages" { // takes its time
				t.Run("heart-beat", func(t *testing.T) { heartBeatGo(t, dial) })
			}
			last := dial(t)
			sub := last.subscribe("/topic/last", stomp.AckAuto)
			b.stop(syscall.SIGTERM)
			select {
			case m := <-sub.in:
				if m.Err == nil || !strings.Contains(m.Err.Error(), "shut") {
					t.Errorf("at the end: %+v", m)
				}
			case <-time.After(patience):
				t.Error("nothing is said at the end")
			}
		})
	}
}

func versionsGo(t *testing.T, dial dialGo) {
	for _, v := range []stomp.Version{stomp.V10, stomp.V11, stomp.V12} {
		s := dial(t, stomp.ConnOpt.AcceptVersion(v))
		if s.Version() != v || s.Server() == "" {
			t.Errorf("got %s of %q, want %s", s.Version(), s.Server(), v)
		}
		dest := "/topic/version/" + string(v)
		sub := s.subscribe(dest, stomp.AckAuto)
		s.send(dest, "text/plain", []byte("x"), "a", "b")
		if got := s.hear(sub); string(got.Body) != "x" || got.Destination != dest || got.Header.Get("a") != "b" || got.ContentType != "text/plain" {
			t.Errorf("version %s: got %q %v", v, got.Body, got.Header)
		}
	}
	if s := dial(t); s.Version() != stomp.V12 {
		t.Errorf("of all versions: %s", s.Version())
	}
}

// bodiesGo sends bodies of every kind; a text message holds UTF-8 only.
func bodiesGo(t *testing.T, dial dialGo, octets bool) {
	bodies := [][]byte{nil, []byte("x"), []byte("grüße, 世界 🐎\r\n"), []byte("a\x00b\x00"), bytes.Repeat([]byte("0123456789abcdef"), 1<<16)}
	if octets {
		bodies = append(bodies, []byte{0xff, 0xfe, 0, 0xc0}, bytes.Repeat([]byte{0, 255}, 1<<17))
	}
	s := dial(t)
	sub := s.subscribe("/queue/bodies", stomp.AckAuto)
	for _, body := range bodies {
		s.send("/queue/bodies", "application/octet-stream", body)
		if got := s.hear(sub); !bytes.Equal(got.Body, body) {
			t.Errorf("got %d octets, want %d", len(got.Body), len(body))
		}
	}
}

// orderGo sends without waiting for receipts.
func orderGo(t *testing.T, dial dialGo) {
	const n = 2000
	pub, s := dial(t), dial(t)
	topic := s.subscribe("/topic/order", stomp.AckAuto)
	queue := s.subscribe("/queue/order", stomp.AckAuto)
	for i := range n {
		for _, dest := range []string{"/topic/order", "/queue/order"} {
			if err := pub.Send(dest, "", fmt.Append(nil, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range n {
		for _, sub := range []*subscription{topic, queue} {
			if got := s.hear(sub); string(got.Body) != fmt.Sprint(i) {
				t.Fatalf("%s: got %s, want %d", sub.Destination(), got.Body, i)
			}
		}
	}
}

func individualGo(t *testing.T, dial dialGo) {
	pub, s := dial(t), dial(t)
	sub := s.subscribe("/queue/individual", stomp.AckClientIndividual, "prefetch-count", "3")
	for i := range 5 {
		pub.send("/queue/individual", "", fmt.Append(nil, i))
	}
	first, second, third := s.hear(sub), s.hear(sub), s.hear(sub)
	s.barrier()
	if len(sub.in) > 0 {
		t.Errorf("%s came, past the prefetch-count", (<-sub.in).Body)
	}
	if err := s.Ack(second); err != nil {
		t.Fatal(err)
	}
	if got := s.hear(sub); string(got.Body) != "3" {
		t.Errorf("got %s, want 3", got.Body)
	}
	if err := s.Nack(first); err != nil {
		t.Fatal(err)
	}
	if got := s.hear(sub); string(got.Body) != "0" || got.Header.Get("redelivered") != "true" {
		t.Errorf("after NACK: %s %v", got.Body, got.Header)
	}
	if err := s.Ack(third); err != nil {
		t.Fatal(err)
	}
	s.leave()
	s = dial(t)
	sub = s.subscribe("/queue/individual", stomp.AckAuto)
	for _, want := range []string{"0", "3", "4"} {
		if got := s.hear(sub); string(got.Body) != want {
			t.Errorf("left for the next: %s, want %s", got.Body, want)
		}
	}
}

func cumulativeGo(t *testing.T, dial dialGo) {
	for _, v := range []stomp.Version{stomp.V10, stomp.V11, stomp.V12} {
		s := dial(t, stomp.ConnOpt.AcceptVersion(v))
		dest := "/queue/cumulative/" + string(v)
		sub := s.subscribe(dest, stomp.AckClient)
		var got []*stomp.Message
		for i := range 5 {
			s.send(dest, "", fmt.Append(nil, i))
			got = append(got, s.hear(sub))
		}
		if err := s.Ack(got[2]); err != nil {
			t.Fatal(err)
		}
		s.leave()
		s = dial(t)
		sub = s.subscribe(dest, stomp.AckAuto)
		for _, want := range []string{"3", "4"} {
			if got := s.hear(sub); string(got.Body) != want || got.Header.Get("redelivered") != "true" {
				t.Errorf("version %s: left for the next: %s, want %s", v, got.Body, want)
			}
		}
	}
}

func transactionsGo(t *testing.T, dial dialGo) {
	s := dial(t)
	in := s.subscribe("/queue/in", stomp.AckClientIndividual)
	out := s.subscribe("/queue/out", stomp.AckAuto)
	s.send("/queue/in", "", []byte("task"))
	task := s.hear(in)
	for _, end := range []string{"abort", "commit"} {
		tx := s.Begin()
		for i := range 3 {
			if err := tx.Send("/queue/out", "", fmt.Append(nil, end, i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := tx.Ack(task); err != nil {
			t.Fatal(err)
		}
		s.send("/queue/out", "", []byte("before "+end))
		if got := s.hear(out); string(got.Body) != "before "+end {
			t.Errorf("got %s", got.Body)
		}
		finish := tx.Abort
		if end == "commit" {
			finish = tx.Commit
		}
		if err := finish(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		if got := s.hear(out); string(got.Body) != fmt.Sprint("commit", i) {
			t.Errorf("got %s", got.Body)
		}
	}
	s.leave()
	s = dial(t)
	in = s.subscribe("/queue/in", stomp.AckAuto)
	s.send("/queue/in", "", []byte("next"))
	if got := s.hear(in); string(got.Body) != "next" {
		t.Errorf("%s was acknowledged in a transaction and comes again", got.Body)
	}
}

func durableGo(t *testing.T, dial dialGo) {
	pub := dial(t)
	for i := range 3 {
		s := dial(t, clientID("go"))
		sub := s.subscribe("/topic/durable.*", stomp.AckClientIndividual, "durable-subscription-name", "d")
		for j := range 3 * min(i, 1) {
			got := s.hear(sub)
			if string(got.Body) != fmt.Sprint(i-1, " ", j) {
				t.Errorf("got %s, want %d %d", got.Body, i-1, j)
			}
			if err := s.Ack(got); err != nil {
				t.Fatal(err)
			}
		}
		s.leave()
		for j := range 3 {
			pub.send("/topic/durable.x", "", fmt.Append(nil, i, " ", j))
		}
	}
}

// heartBeatGo is silent for longer than both sides wait for each other.
func heartBeatGo(t *testing.T, dial dialGo) {
	s := dial(t, stomp.ConnOpt.HeartBeat(200*time.Millisecond, 200*time.Millisecond), stomp.ConnOpt.HeartBeatError(1600*time.Millisecond))
	sub := s.subscribe("/topic/beat", stomp.AckAuto)
	s.send("/topic/beat", "", []byte("later"), "AMQ_SCHEDULED_DELAY", "2500")
	if got := s.hear(sub); string(got.Body) != "later" {
		t.Errorf("got %s", got.Body)
	}
	s.send("/topic/beat", "", []byte("still there"))
	s.hear(sub)
}

// refusedGo is told why, and then the connection ends. Others do not notice.
func refusedGo(t *testing.T, dial dialGo) {
	other := dial(t)
	sub := other.subscribe("/topic/fine", stomp.AckAuto)
	s := dial(t)
	err := s.Send("/nowhere/x", "", []byte("x"), stomp.SendOpt.Receipt)
	var refused *stomp.Error
	if plain := new(stomp.Error); errors.As(err, plain) {
		refused = plain
	}
	if refused == nil || refused.Frame == nil || refused.Frame.Header.Get("reason") != "protocol_error" || !strings.Contains(string(refused.Frame.Body), "/topic/") {
		t.Errorf("got %v, %+v", err, refused)
	}
	other.send("/topic/fine", "", []byte("x"))
	other.hear(sub)
}
