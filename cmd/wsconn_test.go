package wyecmd_test

import (
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// wsConn is a WebSocket as the stream of octets that the Go clients want.
type wsConn struct {
	*websocket.Conn

	kind int
	r    io.Reader
	mu   sync.Mutex // held while a message is written: clients do that from several goroutines
}

var _ net.Conn = (*wsConn)(nil)

// dialWS connects by WebSocket: MQTT in binary messages, anything else in text.
func dialWS(t testing.TB, addr string, tokens ...string) *wsConn {
	t.Helper()
	d := websocket.Dialer{Subprotocols: tokens, HandshakeTimeout: patience}
	ws, res, err := d.DialContext(t.Context(), "ws://"+addr+"/", http.Header{})
	if err != nil {
		t.Fatalf("%v (%v)", err, res)
	}
	t.Cleanup(func() { ws.Close() })
	kind := websocket.TextMessage
	if len(tokens) > 0 && tokens[0][0] == 'm' {
		kind = websocket.BinaryMessage
	}
	return &wsConn{Conn: ws, kind: kind}
}

func (c *wsConn) Read(b []byte) (int, error) {
	for {
		if c.r == nil {
			_, r, err := c.NextReader()
			if err != nil {
				return 0, err
			}
			c.r = r
		}
		n, err := c.r.Read(b)
		if err == io.EOF { // the end of one message
			c.r, err = nil, nil
			if n == 0 {
				continue
			}
		}
		return n, err
	}
}

func (c *wsConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.WriteMessage(c.kind, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (c *wsConn) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}
