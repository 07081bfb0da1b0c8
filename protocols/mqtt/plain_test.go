package mqtt_test

import (
	"testing"

	"github.com/wyemq/wye/protocols/mqtt"
)

// Which packets are taken around the codec.
func TestPlain(t *testing.T) {
	for _, c := range []struct {
		name   string
		v      byte
		packet []byte
		want   bool
	}{
		{"QoS 0", 4, packet(0x30, str("a/b"), []byte("x")), true},
		{"3.1", 3, packet(0x30, str("a/b"), []byte("x")), true},
		{"empty", 4, packet(0x30, str("a/b")), true},
		{"long", 4, packet(0x30, str("a/b"), make([]byte, 1000)), true},
		{"QoS 1", 4, packet(0x32, str("a/b"), u16(7), []byte("x")), true},
		{"QoS 2, retained", 4, packet(0x35, str("a/b"), u16(7), []byte("x")), true},
		{"MQTT 5", 5, packet(0x30, str("a/b"), []byte{0}, []byte("x")), true},
		{"MQTT 5, QoS 1", 5, packet(0x32, str("a/b"), u16(7), []byte{0}, []byte("x")), true},
		{"properties", 5, packet(0x30, str("a/b"), list(prop8(1, 1)), []byte("x")), false},
		{"no properties", 5, packet(0x30, str("a/b")), false},
		{"sent again", 4, packet(0x3A, str("a/b"), u16(7), []byte("x")), false},
		{"identifier 0", 4, packet(0x32, str("a/b"), u16(0), []byte("x")), false},
		{"no identifier", 4, packet(0x32, str("a/b"), []byte("x")), false},
		{"QoS 3", 4, packet(0x36, str("a/b"), u16(7), []byte("x")), false},
		{"queue", 4, packet(0x30, str("$queue/a"), []byte("x")), false},
		{"wildcard", 4, packet(0x30, str("a/+"), []byte("x")), false},
		{"no topic", 4, packet(0x30, str(""), []byte("x")), false},
		{"no UTF-8", 4, packet(0x30, str("a\xFF"), []byte("x")), false},
		{"NUL", 4, packet(0x30, str("a\x00"), []byte("x")), false},
		{"a length in more bytes than it takes", 4, append([]byte{0x30, 0x86, 0x00}, append(str("a/b"), 'x')...), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, plain, _, _ := mqtt.Published(c.v, c.packet); (plain != nil) != c.want {
				t.Errorf("taken: %t, want %t", plain != nil, c.want)
			}
		})
	}
}
