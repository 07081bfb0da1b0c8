package peer_test

import (
	"strings"
	"testing"

	"github.com/wyemq/wye/cmd/internal/peer"
)

func TestParseURL(t *testing.T) {
	for _, c := range []struct {
		url       string
		spoken    peer.Protocol
		protocol  peer.Protocol
		addr      string
		transport string
		path      string
		user      string
		password  string
		err       string
	}{
		{"ws://h:1/ws?x=y", peer.STOMP, peer.STOMP, "h:1", "ws", "/ws?x=y", "", "", ""},
		{"wss://u:p@h", peer.MQTT, peer.MQTT, "h:443", "wss", "/", "u", "p", ""},
		{"ws://[::1]", peer.MQTT5, peer.MQTT5, "[::1]:80", "ws", "/", "", "", ""},
		{"stomp://h", "", peer.STOMP, "h:61613", "tcp", "/", "", "", ""},
		{"ssl://h:2", peer.MQTT, peer.MQTT, "h:2", "tls", "/", "", "", ""},
		{"stomps://h:2", peer.STOMP, peer.STOMP, "h:2", "tls", "/", "", "", ""},
		{"mqtt://h", "", peer.MQTT, "h:1883", "tcp", "/", "", "", ""},
		{"mqtts://h", peer.MQTT5, peer.MQTT5, "h:8883", "tls", "/", "", "", ""},
		{"tcp://h:5", peer.MQTT, peer.MQTT, "h:5", "tcp", "/", "", "", ""},
		{"tcp://h", peer.MQTT, "", "", "", "", "", "", "has no port"},
		{"ws://h", "", "", "", "", "", "", "", "add --stomp"},
		{"stomp://h", peer.MQTT, "", "", "", "", "", "", "not for mqtt"},
		{"http://h", peer.MQTT, "", "", "", "", "", "", "is not the URL of a broker"},
		{"h:1883", peer.MQTT, "", "", "", "", "", "", "is not the URL of a broker"},
		{"::", peer.MQTT, "", "", "", "", "", "", "missing protocol scheme"},
	} {
		t.Run(c.url+" "+string(c.spoken), func(t *testing.T) {
			got, err := peer.Parse(c.url, c.spoken)
			if err != nil || c.err != "" {
				if err == nil || c.err == "" || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want %q", err, c.err)
				}
				return
			}
			if got.Protocol != c.protocol || got.Addr != c.addr || got.Transport() != c.transport || got.Path != c.path || got.User != c.user || got.Password != c.password {
				t.Errorf("%+v", got)
			}
		})
	}
}
