package tcp_test

import (
	"io"
	"log/slog"
	"net"
	"runtime"
	"testing"

	"go.uber.org/goleak"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/transporttest"
	"github.com/wyemq/wye/transports/tcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client is a plain connection.
type client struct {
	net.Conn
	buf [64 << 10]byte
}

func (c *client) NetConn() net.Conn { return c.Conn }

func (c *client) Send(_ core.Kind, parts ...[]byte) error {
	for _, p := range parts {
		if _, err := c.Write(p); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) Receive() ([]byte, error) {
	n, err := c.Read(c.buf[:])
	return c.buf[:n], err
}

func (c *client) Close() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return io.ErrClosedPipe
}

func config(l transporttest.Limits) tcp.Config {
	cfg := tcp.DefaultConfig()
	cfg.URI = "tcp://127.0.0.1:0"
	cfg.Limits = tcp.Limits{
		MaxMessageSize: l.MaxMessageSize, MaxMessageSizeBeforeLogin: l.MaxMessageSizeBeforeLogin, LoginTimeout: l.LoginTimeout,
		WriteTimeout: l.WriteTimeout, Linger: l.Linger, ShutdownTimeout: l.ShutdownTimeout,
	}
	return cfg
}

func suite() transporttest.Suite {
	return transporttest.Suite{
		Rests:  runtime.GOOS == "linux",
		Stream: true,
		New: func(t testing.TB, l transporttest.Limits) core.Transport {
			tr, err := tcp.New("kit", config(l), slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			return tr
		},
		Dial: func(t testing.TB, addr net.Addr) transporttest.Client {
			nc, err := net.Dial("tcp", addr.String())
			if err != nil {
				t.Fatal(err)
			}
			return &client{Conn: nc}
		},
		Listen: func(t testing.TB) net.Listener {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			return l
		},
	}
}

func TestConformance(t *testing.T) { transporttest.Test(t, suite()) }
