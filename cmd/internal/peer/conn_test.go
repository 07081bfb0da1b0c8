package peer_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/wyemq/wye/cmd/internal/peer"
)

// serve runs a WebSocket server that lets a client in and hands it to the test. It returns its URL.
func serve(t *testing.T, token string, use func(*websocket.Conn)) string {
	t.Helper()
	up := websocket.Upgrader{Subprotocols: []string{token}}
	done := make(chan struct{}, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { done <- struct{}{} }()
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer ws.Close()
		use(ws)
	}))
	t.Cleanup(func() {
		<-done
		s.Close()
	})
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

// receive reads a message that is to be there.
func receive(t *testing.T, ws *websocket.Conn) (kind int, data string) {
	t.Helper()
	kind, b, err := ws.ReadMessage()
	if err != nil {
		t.Errorf("the server reads: %v", err)
	}
	return kind, string(b)
}

func send(t *testing.T, ws *websocket.Conn, kind int, data string) {
	t.Helper()
	if err := ws.WriteMessage(kind, []byte(data)); err != nil {
		t.Errorf("the server writes: %v", err)
	}
}

func dial(t *testing.T, url string, p peer.Protocol) *peer.Conn {
	t.Helper()
	target, err := peer.Parse(url, p)
	if err != nil {
		t.Fatal(err)
	}
	c, err := peer.Dial(t.Context(), target, peer.Login{ClientID: "me", Clean: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestTemplate stamps messages of each size that a frame has another head for, and has them read by a server
// that knows the rules.
func TestTemplate(t *testing.T) {
	for _, size := range []int{peer.StampSize, 100, 200, 70_000} {
		body := strings.Repeat(".", size)
		stomp := serve(t, "v12.stomp", func(ws *websocket.Conn) {
			if kind, got := receive(t, ws); kind != websocket.TextMessage || !strings.HasPrefix(got, "CONNECT\n") {
				t.Errorf("kind %d, %q", kind, got)
			}
			send(t, ws, websocket.TextMessage, "CONNECTED\nversion:1.2\n\n\x00")
			for _, want := range []string{"0000000007", "0000065535"} {
				kind, got := receive(t, ws)
				stamp := "0002" + "0003" + "0000000" + want[9:]
				if want = "SEND\nreceipt:" + want + "\ndestination:/topic/a\n"; kind != websocket.TextMessage || !strings.HasPrefix(got, want) ||
					!strings.HasSuffix(got, "\n\n"+stamp+body[peer.StampSize:]+"\x00") {
					t.Errorf("kind %d, %.100q", kind, got)
				}
			}
			_, _, _ = ws.ReadMessage()
		})
		c := dial(t, stomp, peer.STOMP)
		m := c.Template(peer.Publication{Destination: "/topic/a", Body: []byte(body), Confirm: true})
		out := m.Append(nil, peer.Stamp{Run: 2, Publisher: 3, Seq: 7}, 7)
		out = m.Append(out, peer.Stamp{Run: 2, Publisher: 3, Seq: 5}, 65535)
		if err := c.Write(out); err != nil {
			t.Error(err)
		}
		c.Leave()
		mqtt := serve(t, "mqtt", func(ws *websocket.Conn) {
			_, got := receive(t, ws)
			if !strings.HasPrefix(got[2:], "\x00\x04MQTT\x05\x02") {
				t.Errorf("%q", got)
			}
			send(t, ws, websocket.BinaryMessage, "\x20\x03\x00\x00\x00")
			kind, got := receive(t, ws)
			if kind != websocket.BinaryMessage || got[0] != 0x32 || !strings.Contains(got, "\x00\x03a/b\x12\x34\x00000200030000000z"+body[peer.StampSize:]) {
				t.Errorf("kind %d, %.100q", kind, got)
			}
			_, _, _ = ws.ReadMessage()
		})
		c = dial(t, mqtt, peer.MQTT5)
		m = c.Template(peer.Publication{Destination: "a/b", Body: []byte(body), QoS: 1})
		if err := c.Write(m.Append(nil, peer.Stamp{Run: 2, Publisher: 3, Seq: 62}, 0x1234)); err != nil {
			t.Error(err)
		}
		c.Leave()
	}
}

// TestReadBatch gives frames in pieces, with pings between, of all sizes, and closes with a reason.
func TestReadBatch(t *testing.T) {
	large := strings.Repeat("x", 900_000)
	pongs := make(chan string, 1)
	url := serve(t, "v12.stomp", func(ws *websocket.Conn) {
		receive(t, ws)
		// A message right behind the answer is not lost.
		send(t, ws, websocket.TextMessage, "CONNECTED\nversion:1.2\n\n\x00MESSAGE\nn:1\n\none\x00")
		w, err := ws.NextWriter(websocket.BinaryMessage) // as several frames, in the midst of which is a ping
		if err != nil {
			t.Error(err)
			return
		}
		for _, part := range []string{"MESS", "AGE\nn:2\n", "\ntwo\x00\n\nMESSAGE\nn:3\n\nthr"} {
			_, _ = io.WriteString(w, part)
		}
		ws.SetPongHandler(func(s string) error {
			pongs <- s
			return nil
		})
		_ = ws.WriteControl(websocket.PingMessage, []byte("are you there"), time.Now().Add(time.Minute))
		w.Close()
		send(t, ws, websocket.TextMessage, "ee\x00")
		send(t, ws, websocket.TextMessage, "MESSAGE\nn:4\n\n"+large+"\x00")
		if _, got := receive(t, ws); got != "SEND\ndestination:d\ncontent-length:1\n\n!\x00" {
			t.Errorf("%q", got)
		}
		_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1008, "go away"), time.Now().Add(time.Minute))
		_, _, _ = ws.ReadMessage()
	})
	c := dial(t, url, peer.STOMP)
	var got []string
	var err error
	for err == nil {
		err = c.ReadBatch(func(p *peer.Packet) error {
			if p.Kind == peer.Message {
				got = append(got, p.Header("n")+string(p.Body))
				if len(got) == 4 {
					return c.Publish(peer.Publication{Destination: "d", Body: []byte("!")}, 0)
				}
			}
			return nil
		})
	}
	closed, ok := errors.AsType[*peer.CloseError](err)
	if !ok || closed.Code != 1008 || closed.Text != "go away" {
		t.Errorf("the end: %v", err)
	}
	if want := []string{"1one", "2two", "3three", "4" + large}; !slices.Equal(got, want) {
		t.Errorf("%d messages: %.100q", len(got), got)
	}
	if pong := <-pongs; pong != "are you there" {
		t.Errorf("pong %q", pong)
	}
	c.Abort()
}

// TestAcks acknowledges one by one, and at last up to one.
func TestAcks(t *testing.T) {
	acks := make(chan string, 3)
	url := serve(t, "v12.stomp", func(ws *websocket.Conn) {
		receive(t, ws)
		send(t, ws, websocket.TextMessage, "CONNECTED\nversion:1.2\n\n\x00")
		send(t, ws, websocket.TextMessage, "MESSAGE\nack:a\\c1\n\n\x00MESSAGE\nack:2\n\n\x00MESSAGE\nack:3\n\n\x00MESSAGE\nack:4\n\n\x00")
		for range cap(acks) {
			_, got := receive(t, ws)
			acks <- got
		}
	})
	c := dial(t, url, peer.STOMP)
	n := 0
	for n < 4 {
		if err := c.ReadBatch(func(p *peer.Packet) error {
			if n++; n < 3 {
				c.Ack(p)
			} else {
				c.AckUpTo(p)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"a\\c1", "2", "4"} {
		if got := <-acks; got != "ACK\nid:"+want+"\n\n\x00" {
			t.Errorf("%q, want the id %q", got, want)
		}
	}
	c.Abort()
}

// TestDialRefused looks at what is said when there is no way in.
func TestDialRefused(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	for _, c := range []struct {
		name, url string
		says      string
	}{
		{"no WebSocket", "ws" + strings.TrimPrefix(plain.URL, "http"), "404 Not Found"},
		{"another subprotocol", serve(t, "chat", func(*websocket.Conn) {}), ""},
		{"an ERROR", serve(t, "v12.stomp", func(ws *websocket.Conn) {
			receive(t, ws)
			send(t, ws, websocket.TextMessage, "ERROR\nmessage:bad\n\nbad password\nand more\x00")
		}), "the broker refuses: bad password"},
		{"something else", serve(t, "v12.stomp", func(ws *websocket.Conn) {
			receive(t, ws)
			send(t, ws, websocket.TextMessage, "MESSAGE\ncontent-length:x\n\n\x00")
		}), "what is not stomp"},
	} {
		t.Run(c.name, func(t *testing.T) {
			target, err := peer.Parse(c.url, peer.STOMP)
			if err != nil {
				t.Fatal(err)
			}
			if conn, err := peer.Dial(t.Context(), target, peer.Login{}); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, %v", conn, err)
			}
		})
	}
}

// TestDialGivesUp ends a login that is not answered with its context.
func TestDialGivesUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	url := serve(t, "mqtt", func(ws *websocket.Conn) {
		receive(t, ws)
		cancel()
		_, _, _ = ws.ReadMessage()
	})
	target, err := peer.Parse(url, peer.MQTT)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := peer.Dial(ctx, target, peer.Login{}); err == nil {
		t.Error("no error")
	}
}

// TestStamp reads what was written, and nothing else.
func TestStamp(t *testing.T) {
	url := serve(t, "mqtt", func(ws *websocket.Conn) {
		receive(t, ws)
		send(t, ws, websocket.BinaryMessage, "\x20\x02\x00\x00")
		for {
			_, got, err := ws.ReadMessage()
			if err != nil {
				return
			}
			send(t, ws, websocket.BinaryMessage, string(got)) // a broker that sends back
		}
	})
	c := dial(t, url, peer.MQTT)
	m := c.Template(peer.Publication{Destination: "a", Body: bytes.Repeat([]byte("."), 20)})
	for _, want := range []peer.Stamp{{}, {1, 2, 3}, {1<<24 - 1, 1<<24 - 1, 1<<48 - 1}} {
		if err := c.Write(m.Append(nil, want, 0)); err != nil {
			t.Fatal(err)
		}
		if err := c.ReadBatch(func(p *peer.Packet) error {
			if got, ok := peer.ReadStamp(p.Body); !ok || got != want {
				t.Errorf("%+v, %t, want %+v", got, ok, want)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	c.Leave()
	for _, body := range []string{"", "short", "not a stamp, no!", "000200030000000\x00"} {
		if s, ok := peer.ReadStamp([]byte(body)); ok {
			t.Errorf("%q is %+v", body, s)
		}
	}
}
