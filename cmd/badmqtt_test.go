package wyecmd_test

import (
	"strings"

	"github.com/wyemq/wye/core"
)

const (
	badConnack    = "\x20\x00" // then the reason code
	badDisconnect = "\xe0"     // then the reason code
)

func badMQTT() []badCase {
	in := func(name string, reason *core.Reason, login bool, say, packet string, says ...string) badCase {
		return badCase{
			name: name, protocol: "mqtt", reason: reason, says: says, packet: packet, silent: packet == "",
			do: func(f *foe) {
				if login {
					f.login("")
				}
				f.say(say)
			},
		}
	}
	ws := func(c badCase) badCase { c.vias = []string{"ws"}; return c }
	const before, after = false, true
	connect := func(level byte, flags byte, rest ...string) string {
		return mqttFrame(0x10, mqttText("MQTT"), string([]byte{level, flags, 0, 0}), strings.Join(rest, ""))
	}
	large := mqttLength(badBody + 1)
	return []badCase{
		in("garbage", core.ErrInvalid, before, "\xde\xad\xbe\xef"+strings.Repeat("\x01\x02", 100), ""),
		in("HTTP", core.ErrInvalid, before, "GET /index.html HTTP/1.1\r\nHost: x\r\n\r\n", ""),
		in("STOMP", core.ErrInvalid, before, stompFrame("CONNECT", "accept-version:1.2"), ""),
		in("garbage after login", core.ErrInvalid, after, "\x00\x01\x02\x03", badDisconnect+"\x81"),
		in("PUBLISH before login", core.ErrInvalid, before, mqttPublish("a", 0, 0, "x"), ""),
		in("protocol name", core.ErrInvalid, before, mqttFrame(0x10, mqttText("MQXX"), "\x04\x02\x00\x00", mqttText("")), ""),
		in("level of the future", core.ErrInvalid, before, connect(9, 2, "\x00", mqttText("")), badConnack+"\x84", "level 9"),
		in("level of the past", core.ErrInvalid, before, connect(1, 2, mqttText("")), badConnack+"\x01"),
		in("reserved flag", core.ErrInvalid, before, connect(5, 3, "\x00", mqttText("")), badConnack+"\x81"),
		in("will of QoS 3", core.ErrInvalid, before, connect(5, 0x1e, "\x00", mqttText(""), "\x00", mqttText("w"), mqttText("")), badConnack+"\x81"),
		in("login cut short", core.ErrInvalid, before, mqttFrame(0x10, mqttText("MQTT"), "\x05\x02"), badConnack+"\x81"),
		in("two logins", core.ErrInvalid, after, mqttConnect(5, "", 0), badDisconnect+"\x82", "second CONNECT"),
		in("client id that is not UTF-8", core.ErrInvalid, before, mqttConnect(5, "\xc3\x28", 0), badConnack),
		in("length of five octets", core.ErrInvalid, before, "\x10\xff\xff\xff\xff\x7f", ""),
		in("length of five octets after login", core.ErrInvalid, after, "\x30\xff\xff\xff\xff\x7f", badDisconnect+"\x81", "remaining length"),
		in("packet too large before login", core.ErrTooBig, before, "\x10"+mqttLength(1<<20)+strings.Repeat("x", 60_000), ""),
		in("largest length announced", core.ErrTooBig, before, "\x10\xff\xff\xff\x7f", ""),
		in("packet too large", core.ErrTooBig, after, "\x30"+large, badDisconnect+"\x95", "4194304"),
		in("largest length announced after login", core.ErrTooBig, after, "\x30\xff\xff\xff\x7f", badDisconnect+"\x95", "4194304"),
		{name: "body bomb", protocol: "mqtt", reason: core.ErrTooBig, packet: badDisconnect + "\x95", do: func(f *foe) {
			f.login("")
			f.say("\x30" + mqttLength(200<<20))
			f.flood("b", 8<<20)
		}},
		ws(badCase{name: "message too large", protocol: "mqtt", reason: core.ErrTooBig, packet: badDisconnect + "\x95", do: func(f *foe) {
			f.login("")
			f.say(strings.Repeat(mqttPublish("a", 0, 0, strings.Repeat("x", 60_000)), 71))
		}}),
		ws(badCase{name: "text", protocol: "mqtt", reason: core.ErrUnsupported, silent: true, do: func(f *foe) {
			f.text(mqttConnect(4, "x", 0))
		}}),
		ws(badCase{name: "text after login", protocol: "mqtt", reason: core.ErrUnsupported, packet: badDisconnect + "\x82", do: func(f *foe) {
			f.login("")
			f.text("\xc0\x00"[1:])
		}, says: []string{"binary"}}),
		in("topic that is not UTF-8", core.ErrInvalid, after, mqttPublish("a/\xff", 0, 0, "x"), badDisconnect+"\x81"),
		in("topic with NUL", core.ErrInvalid, after, mqttPublish("a/\x00", 0, 0, "x"), badDisconnect+"\x81"),
		in("topic with a wildcard", core.ErrInvalid, after, mqttPublish("a/#", 0, 0, "x"), badDisconnect+"\x90"),
		in("topic alias 0", core.ErrInvalid, after, mqttFrame(0x30, mqttText("a"), "\x03\x23\x00\x00"), badDisconnect),
		in("topic alias too high", core.ErrInvalid, after, mqttFrame(0x30, mqttText("a"), "\x03\x23\xff\xff"), badDisconnect+"\x94"),
		in("QoS 3", core.ErrInvalid, after, mqttFrame(0x36, mqttText("a"), "\x00\x01\x00"), badDisconnect+"\x81"),
		in("SUBSCRIBE to nothing", core.ErrInvalid, after, mqttFrame(0x82, "\x00\x01\x00"), badDisconnect),
		in("SUBSCRIBE with wrong flags", core.ErrInvalid, after, mqttFrame(0x80, "\x00\x01\x00", mqttText("a"), "\x00"), badDisconnect+"\x81"),
		in("property that is none", core.ErrInvalid, after, mqttFrame(0x30, mqttText("a"), "\x02\xfe\x00"), badDisconnect),
		in("properties longer than the packet", core.ErrInvalid, after, mqttFrame(0x30, mqttText("a"), "\x7f"), badDisconnect+"\x81"),
		in("DISCONNECT with an unknown expiry", core.ErrInvalid, after, mqttFrame(0xe0, "\x00\x05\x11\x00\x00\x00\x09"), badDisconnect+"\x82"),
		{name: "nobody logs in", protocol: "mqtt", slow: true, reason: core.ErrLoginTimeout, silent: true, do: func(*foe) {}},
		{name: "slow login", protocol: "mqtt", slow: true, reason: core.ErrLoginTimeout, silent: true, do: func(f *foe) {
			f.loris(mqttConnect(5, strings.Repeat("i", 100), 0))
		}},
		{name: "packet that does not end", protocol: "mqtt", slow: true, reason: core.ErrHeartbeat, packet: badDisconnect + "\x8d", do: func(f *foe) {
			f.say(mqttConnect(5, "", 1))
			f.say("\x30" + mqttLength(badBody-10))
			f.loris(strings.Repeat("x", 100))
		}},
	}
}
