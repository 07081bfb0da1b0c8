package wyecmd

import (
	"log/slog"

	"go.uber.org/fx"

	"github.com/wyemq/wye/core/corefx"
	"github.com/wyemq/wye/core/engine/memory"
	"github.com/wyemq/wye/plugins/disk"
	"github.com/wyemq/wye/protocols/mqtt"
	"github.com/wyemq/wye/protocols/stomp"
	"github.com/wyemq/wye/transports/tcp"
	"github.com/wyemq/wye/transports/websocket"
)

// defaults are what runs when nothing is configured.
func defaults() corefx.Defaults {
	return corefx.Defaults{
		Engine: "disk", Authenticators: authenticators(),
		Listeners: map[string]string{
			"websocket.uri":   "ws://127.0.0.1:61614",
			"stomp.uri":       "tcp://127.0.0.1:61613",
			"stomp.protocols": "stomp",
			"mqtt.uri":        "tcp://127.0.0.1:1883",
			"mqtt.protocols":  "mqtt",
		},
	}
}

// shipped are the plugins compiled in.
func shipped() fx.Option {
	return fx.Options(
		corefx.Engine("memory", func() noSettings { return noSettings{} },
			func(noSettings, *slog.Logger) (*memory.Engine, error) { return memory.New(), nil }),
		corefx.Engine("disk", disk.DefaultConfig, disk.Open),
		corefx.Transport(websocket.DefaultConfig, websocket.New, "ws", "wss"),
		corefx.Transport(tcp.DefaultConfig, tcp.New, "tcp", "tls"),
		corefx.Config("protocols.stomp", stomp.DefaultConfig), corefx.Protocol(stomp.New),
		corefx.Config("protocols.mqtt", mqtt.DefaultConfig), corefx.Protocol(mqtt.New),
		auth(), adminServer(), auditing(),
	)
}

// noSettings is the configuration of what has none.
type noSettings struct{}
