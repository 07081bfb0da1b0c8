package websocket_test

import (
	"net"
	"runtime"
	"testing"

	"go.uber.org/goleak"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/transporttest"
	"github.com/wyemq/wye/transports/websocket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func suite(change func(*websocket.Config)) transporttest.Suite {
	return transporttest.Suite{
		Rests: runtime.GOOS == "linux",
		New: func(t testing.TB, l transporttest.Limits) core.Transport {
			cfg := websocket.DefaultConfig()
			cfg.URI = "ws://127.0.0.1:0"
			cfg.PingInterval = 0
			cfg.Limits = websocket.Limits{
				MaxMessageSize: l.MaxMessageSize, MaxMessageSizeBeforeLogin: l.MaxMessageSizeBeforeLogin, LoginTimeout: l.LoginTimeout,
				WriteTimeout: l.WriteTimeout, Linger: l.Linger, ShutdownTimeout: l.ShutdownTimeout,
			}
			if change != nil {
				change(&cfg)
			}
			tr, err := websocket.New("kit", cfg, discard)
			if err != nil {
				t.Fatal(err)
			}
			return tr
		},
		Dial: func(t testing.TB, addr net.Addr) transporttest.Client { return connect(t, addr.String()) },
		Listen: func(t testing.TB) net.Listener {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			return l
		},
	}
}

func TestConformance(t *testing.T) { transporttest.Test(t, suite(nil)) }
