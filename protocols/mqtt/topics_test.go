package mqtt_test

import (
	"strings"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/destination"
	"github.com/wyemq/wye/protocols/mqtt"
)

func TestTopics(t *testing.T) {
	for topic, want := range map[string]string{
		"a": "topic/a", "a/b": "topic/a/b", "/": "topic//", "/a": "topic//a", "a//b/": "topic/a//b/", "spBv1.0/x y": "topic/spBv1.0/x y",
		"topic/a": "topic/topic/a", "queue/a": "topic/queue/a", "$queue/jobs/eu": "queue/jobs/eu", "$reply/t/x": "temp/t/x",
		"$queue": "", "$queue/": "", "$reply/": "", "$share/g/a": "", "$share": "", "$delayed": "", "$queues/x": "topic/$queues/x", "$x/a": "topic/$x/a",
		"": "", "a/+": "", "#": "", "$queue/a+b": "", "a\x00": "", strings.Repeat("a/", 128): "",
	} {
		got, delay, err := mqtt.DestinationOf(topic)
		if got != want || (err == nil) != (want != "") || delay != 0 {
			t.Errorf("DestinationOf(%.40q) = %q, %v, %v, want %q", topic, got, delay, err, want)
		}
		if want == "" {
			continue
		}
		if prefix, rest, ok := mqtt.TopicOf(want); prefix+rest != topic || !ok {
			t.Errorf("TopicOf(%q) = %q, %v, want %q", want, prefix+rest, ok, topic)
		}
	}
	for topic, want := range map[string]time.Duration{"$delayed/0/a": 0, "$delayed/7/$queue/a": 7 * time.Second, "$delayed/4294967295/a": 4294967295 * time.Second} {
		if dest, delay, err := mqtt.DestinationOf(topic); err != nil || delay != want || !strings.HasSuffix(dest, "/a") {
			t.Errorf("DestinationOf(%q) = %q, %v, %v", topic, dest, delay, err)
		}
	}
	for _, dest := range []string{"queue/a+b", "temp/#", "topic/$queue/a", "topic/$share", "topic/$delayed/1/a", "topic/", "nonsense", ""} {
		if prefix, rest, ok := mqtt.TopicOf(dest); ok {
			t.Errorf("TopicOf(%q) = %q, want it refused: MQTT would read it as something else", dest, prefix+rest)
		}
	}
}

func TestFilterOf(t *testing.T) {
	for filter, want := range map[string][2]string{
		"a/+/#": {"topic/a/+/#"}, "#": {"topic/#"}, "$share/g/a/#": {"topic/a/#", "g"}, "$share/g//a": {"topic//a", "g"},
		"$share/g//": {"topic//", "g"}, "$queue/x": {"queue/x"}, "$reply/t/x": {"temp/t/x"}, "$SYS/#": {"topic/$SYS/#"}, "$shared/a": {"topic/$shared/a"},
	} {
		if dest, group, code := mqtt.FilterOf(filter); dest != want[0] || group != want[1] || code != 0 {
			t.Errorf("FilterOf(%q) = %q %q %#02x, want %q", filter, dest, group, code, want)
		}
	}
}

// Each topic name has one destination, each destination that MQTT can say has one topic name.
func FuzzTopics(f *testing.F) {
	for _, s := range []string{"a/b", "/", "$queue/x", "$reply/a/b", "$share/g/a", "$delayed/1/a", "$SYS/x", "a+", "topic/$queue/a", "queue/a#", "\xff", "a\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if dest, err := mqtt.PlainDestination(s); err == nil {
			prefix, rest, ok := mqtt.TopicOf(dest)
			if !ok || prefix+rest != s {
				t.Errorf("%q is %q is %q, %v", s, dest, prefix+rest, ok)
			}
			if err := destination.Check(dest); err != nil {
				t.Errorf("%q is %q: %v", s, dest, err)
			}
		}
		if prefix, rest, ok := mqtt.TopicOf(s); ok && destination.Check(s) == nil {
			if dest, err := mqtt.PlainDestination(prefix + rest); err != nil || dest != s {
				t.Errorf("%q is %q is %q, %v", s, prefix+rest, dest, err)
			}
		}
		if dest, _, code := mqtt.FilterOf(s); code == 0 {
			if err := destination.CheckFilter(dest); err != nil {
				t.Errorf("filter %q is %q: %v", s, dest, err)
			}
		}
		_, delay, err := mqtt.DestinationOf(s)
		if err == nil && delay < 0 {
			t.Errorf("%q waits %v", s, delay)
		}
	})
}

func TestSniff(t *testing.T) {
	p := new(mqtt.Protocol)
	for _, h := range []hello{{}, {v: 4, id: "abc"}, {v: 3, id: "abc"}, {v: 4, id: strings.Repeat("x", 20_000)}} {
		whole := h.packet()
		verdict := core.More
		for n := range whole {
			switch v := p.Sniff(whole[:n]); {
			case v == core.No, verdict == core.Yes && v != core.Yes:
				t.Fatalf("Sniff(%x) = %v", whole[:n], v)
			default:
				verdict = v
			}
		}
		if verdict != core.Yes {
			t.Errorf("Sniff(%.20x…) = %v", whole, verdict)
		}
	}
	for _, s := range []string{"CONNECT\n", "GET / HTTP/1.1", "\x10\xff\xff\xff\xff\x01", "\x10\x0c\x00\x04MQTX", "\x10\x0c\x00\x05", "\x20", "\x16\x03\x01", "\n"} {
		if v := p.Sniff([]byte(s)); v != core.No {
			t.Errorf("Sniff(%q) = %v, want no", s, v)
		}
	}
}

// A verdict does not change when more comes, but from More to Yes or No.
func FuzzSniff(f *testing.F) {
	f.Add(hello{}.packet())
	f.Add(hello{v: 3, id: "a"}.packet())
	f.Add([]byte("CONNECT\naccept-version:1.2\n\n\x00"))
	f.Add([]byte{0x10, 0xff, 0xff, 0xff, 0xff})
	p := new(mqtt.Protocol)
	f.Fuzz(func(t *testing.T, b []byte) {
		before := core.More
		for n := range len(b) + 1 {
			v := p.Sniff(b[:n])
			if before != core.More && v != before {
				t.Fatalf("Sniff(%x) = %v, one byte less %v", b[:n], v, before)
			}
			before = v
		}
	})
}
