package peer_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/wyemq/wye/cmd/internal/peer"
)

// said is a packet in words.
func said(p *peer.Packet) string {
	switch p.Kind {
	case peer.Message:
		return fmt.Sprintf("message %q to %q qos %d retained %t dup %t %v", p.Body, p.Destination(), p.QoS, p.Retained, p.Dup, p.Headers())
	case peer.Other:
		return ""
	default:
		return fmt.Sprintf("kind %d id %d code %#x", p.Kind, p.ID, p.Code)
	}
}

// wire are streams of brokers and what they mean.
var wire = []struct {
	name     string
	protocol peer.Protocol
	stream   string
	want     []string
}{
	{"STOMP 1.2", peer.STOMP, "CONNECTED\nversion:1.2\n\n\x00MESSAGE\nsubscription:0\ndestination:/topic/a\\cb\nx:1\\\\\\n\nx:2\n\nhello\x00", []string{
		"kind 2 id 0 code 0x0",
		`message "hello" to "/topic/a:b" qos 0 retained false dup false [{subscription 0} {destination /topic/a:b} {x 1\` + "\n" + `} {x 2}]`,
	}},
	{"STOMP, line ends of two characters, heart-beats, no version", peer.STOMP, "CONNECTED\r\nserver:old\r\n\r\n\x00\r\n\n\nMESSAGE\r\ndestination:/queue/a\r\nx:a\\c\r\n\r\nbody\r\n\x00\n", []string{
		"kind 2 id 0 code 0x0",
		`message "body\r\n" to "/queue/a" qos 0 retained false dup false [{destination /queue/a} {x a\c}]`, // 1.0 escapes nothing
	}},
	{"STOMP, a body that holds NUL", peer.STOMP, "MESSAGE\ndestination:a\ncontent-length:3\n\n\x00\n\x00\x00", []string{
		`message "\x00\n\x00" to "a" qos 0 retained false dup false [{destination a} {content-length 3}]`,
	}},
	{"STOMP, receipts", peer.STOMP, "RECEIPT\nreceipt-id:0000000042\n\n\x00RECEIPT\nreceipt-id:sub-7\n\n\x00ERROR\nmessage:no\n\nbecause\x00", []string{
		"kind 4 id 42 code 0x0", "kind 3 id 7 code 0x0", "kind 7 id 0 code 0x0",
	}},
	{"STOMP, a frame without headers", peer.STOMP, "NEWS\n\n\x00RECEIPT\n\n\x00", []string{"kind 4 id 0 code 0x0"}},
	{"MQTT 3.1.1", peer.MQTT, "\x20\x02\x00\x00" + "\x90\x03\x00\x01\x01" + "\x33\x08\x00\x03a/bhey" + "\x3d\x0a\x00\x03a/b\x01\x02hey" + "\x40\x02\x00\x05" + "\x50\x02\x00\x06" + "\x62\x02\x00\x07" + "\x70\x02\x00\x08" + "\xd0\x00", []string{
		"kind 2 id 0 code 0x0", "kind 3 id 1 code 0x1",
		`message "y" to "a/b" qos 1 retained true dup false []`, // the first two bytes are the packet id
		`message "hey" to "a/b" qos 2 retained true dup true []`,
		"kind 4 id 5 code 0x0", "kind 5 id 6 code 0x0", "kind 6 id 7 code 0x0", "kind 4 id 8 code 0x0",
	}},
	{"MQTT 3.1.1 says no", peer.MQTT, "\x20\x02\x00\x05" + "\x90\x03\x00\x01\x80", []string{"kind 7 id 0 code 0x5", "kind 7 id 1 code 0x80"}},
	{"MQTT 5", peer.MQTT5, "\x20\x06\x00\x00\x03\x21\x00\x0a" +
		"\x30\x1b\x00\x01a\x14\x03\x00\x01t\x02\x00\x00\x00\x3c\x26\x00\x01k\x00\x02vv\x0b\x80\x01" + "hi!" +
		"\x40\x03\x00\x01\x10" + "\x40\x04\x00\x02\x97\x00" + "\xe0\x02\x8b\x00", []string{
		"kind 2 id 0 code 0x0",
		`message "hi!" to "a" qos 0 retained false dup false [{content-type t} {message-expiry 60} {k vv} {subscription-identifier 128}]`,
		"kind 4 id 1 code 0x10", "kind 7 id 2 code 0x97", "kind 7 id 0 code 0x8b",
	}},
}

// TestParse reads the streams whole, and cut in two at each byte: what is not all there is not read.
func TestParse(t *testing.T) {
	for _, c := range wire {
		t.Run(c.name, func(t *testing.T) {
			for cut := range len(c.stream) {
				var got []string
				note := func(p *peer.Packet) {
					if s := said(p); s != "" {
						got = append(got, s)
					}
				}
				taken, err := c.protocol.Parse([]byte(c.stream[:cut]), note)
				if err != nil {
					t.Fatalf("cut at %d: %v", cut, err)
				}
				if len(got) > len(c.want) || !reflect.DeepEqual(got, c.want[:len(got):len(got)]) && len(got) > 0 {
					t.Fatalf("cut at %d: %q", cut, got)
				}
				if c.protocol == peer.STOMP && taken > 0 {
					continue // the rest alone does not know the version
				}
				if _, err := c.protocol.Parse([]byte(c.stream[taken:]), note); err != nil || !slices.Equal(got, c.want) {
					t.Fatalf("cut at %d: %v\ngot  %q\nwant %q", cut, err, got, c.want)
				}
			}
		})
	}
}

// TestParseNonsense wants an error instead of a guess.
func TestParseNonsense(t *testing.T) {
	for _, c := range []struct {
		name     string
		protocol peer.Protocol
		stream   string
	}{
		{"a body longer than it says", peer.STOMP, "MESSAGE\ncontent-length:1\n\nab\x00"},
		{"a length that is none", peer.STOMP, "MESSAGE\ncontent-length:x\n\nab\x00"},
		{"a negative length", peer.STOMP, "MESSAGE\ncontent-length:-1\n\nab\x00"},
		{"a head without end", peer.STOMP, "MESSAGE\n" + strings.Repeat("x:y\n", 1<<19)},
		{"a length of five bytes", peer.MQTT, "\x30\xff\xff\xff\xff\x01"},
		{"a topic longer than the packet", peer.MQTT, "\x30\x03\x00\x09a"},
		{"properties longer than the packet", peer.MQTT5, "\x30\x04\x00\x01a\x09"},
		{"no packet id", peer.MQTT, "\x32\x03\x00\x01a"},
		{"an empty SUBACK", peer.MQTT, "\x90\x00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := c.protocol.Parse([]byte(c.stream), func(*peer.Packet) {}); err == nil {
				t.Error("no error")
			}
		})
	}
}

// FuzzParse wants no panic, and packets that can be asked anything.
func FuzzParse(f *testing.F) {
	for _, c := range wire {
		f.Add(string(c.protocol), []byte(c.stream))
	}
	f.Fuzz(func(t *testing.T, protocol string, stream []byte) {
		taken, _ := peer.Protocol(protocol).Parse(stream, func(p *peer.Packet) {
			_ = said(p)
			_ = p.Header("redelivered")
			_, _ = peer.ReadStamp(p.Body)
		})
		if taken < 0 || taken > len(stream) {
			t.Errorf("took %d of %d bytes", taken, len(stream))
		}
	})
}
