package wyecmd_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	"github.com/go-stomp/stomp/v3"
	"github.com/go-stomp/stomp/v3/frame"
	"github.com/google/go-cmp/cmp"
)

// TestCrossFilters subscribes with wildcards of each dialect; the other protocol publishes. What a filter does
// not match is published before what it matches.
func TestCrossFilters(t *testing.T) {
	b := startDialects(t)
	for i, c := range []struct{ listener, filter, topic, not, printed string }{
		{"stomp", "/topic/$.*", "$/b", "$/b/c", "/topic/$.b"},
		{"stomp", "/topic/$.*.c", "$/v1.0/c", "$/b/d", "/topic/$.v1%2E0.c"},
		{"stomp", "/topic/$.#", "$/b/c", "x/y", "/topic/$.b.c"},
		{"stomp", "/topic/$.#", "$", "x", "/topic/$"},
		{"stomp", "/topic/$.#.z", "$/1/2/z", "$/1/2", "/topic/$.1.2.z"},
		{"stomp", "/topic/$/*/c", "$/v1.0/c", "$/b", "/topic/$/v1.0/c"},
		{"stomp", "/topic/$/+/c", "$/b/c", "$/b", "/topic/$/b/c"},
		{"stomp", "/topic/$/#", "$/b.b/c", "x", "/topic/$/b.b/c"},
		{"rabbitmq", "/topic/$.*.c", "$/v1.0/c", "$/c", "/topic/$.v1%2E0.c"},
		{"rabbitmq", "/topic/$.#", "$/b/c", "x", "/topic/$.b.c"},
		{"activemq", "/topic/$.*.c", "$/v1.0/c", "$/c", "/topic/$.v1/0.c"},
		{"activemq", "/topic/$.>", "$/b/c", "x", "/topic/$.b.c"},
		{"slash", "/topic/$/*", "$/v1.0", "$/b/c", "/topic/$/v1.0"},
		{"slash", "/topic/$/+/c", "$/b/c", "$/b", "/topic/$/b/c"},
		{"slash", "/topic/$/**", "$/b/c", "x", "/topic/$/b/c"},
	} {
		t.Run(c.listener+" "+c.filter, func(t *testing.T) {
			own := func(s string) string { return strings.ReplaceAll(s, "$", "f"+strconv.Itoa(i)) }
			s, m := dialSTOMP(t, b.addrs[c.listener]), dialMQTT(t, b.addrs["mqtt"])
			sub := s.subscribe(own(c.filter), stomp.AckAuto)
			m.say(own(c.not), "no")
			m.say(own(c.topic), "yes")
			if got := s.hear(sub); got.Destination != own(c.printed) || string(got.Body) != "yes" {
				t.Errorf("STOMP has %q %q, want %q", got.Destination, got.Body, own(c.printed))
			}
		})
	}
	t.Run("dollar", func(t *testing.T) {
		s, m := dialSTOMP(t, b.addrs["stomp"]), dialMQTT(t, b.addrs["mqtt"])
		sub := s.subscribe("/topic/*.hidden", stomp.AckAuto)
		m.subscribe("+/hidden", 1)
		s.send("/topic/$secret.hidden", "", []byte("no"))
		s.send("/topic/plain.hidden", "", []byte("yes"))
		if got := s.hear(sub); string(got.Body) != "yes" {
			t.Errorf("a leading wildcard of STOMP matches %s", got.Destination)
		}
		if got := m.hear(); string(got.Payload) != "yes" {
			t.Errorf("a leading wildcard of MQTT matches %s", got.Topic)
		}
	})
}

// TestCrossUnsayable refuses at SEND what MQTT clients could not address.
func TestCrossUnsayable(t *testing.T) {
	b := startDialects(t)
	for _, c := range []struct{ listener, dest, because string }{
		{"stomp", "/topic/a%2Fb.c", "'/'"},
		{"stomp", "/topic/a+b.c", "'+'"},
		{"stomp", "/topic/a%23b.c", "'#'"},
		{"stomp", "/topic/a#b/c", "'#'"},
		{"stomp", "/topic/a.*.c", "wildcard"},
		{"rabbitmq", "/topic/a%2Fb.c", "'/'"},
		{"rabbitmq", "/topic/a/b", "'/'"},
		{"activemq", "/topic/a*b.c", "'+'"},
		{"activemq", "/topic/a>b.c", "'#'"},
		{"slash", "/topic/a%2Fb/c", "'/'"},
		{"slash", "/topic/a+b", "'+'"},
		{"stomp", "/nowhere/x", "/topic/"},
	} {
		t.Run(c.listener+" "+c.dest, func(t *testing.T) {
			nc := dial(t, b.addrs[c.listener])
			login(t, nc)
			in := bufio.NewReader(nc)
			frameOf(t, in) // the rest of CONNECTED
			fmt.Fprintf(nc, "SEND\ndestination:%s\nreceipt:r\n\nx\x00", c.dest)
			got := frameOf(t, in)
			for _, want := range []string{"ERROR\n", "\nreason:protocol_error\n", "\nreceipt-id:r\n", c.because, strings.TrimPrefix(c.dest, "/topic/")} {
				if !strings.Contains(got, want) {
					t.Errorf("got %q, want %q in it", got, want)
				}
			}
			if rest, err := io.ReadAll(in); err != nil || strings.TrimSpace(string(rest)) != "" {
				t.Errorf("after the ERROR: %q, %v", rest, err)
			}
		})
	}
}

// theirs are the headers of a MESSAGE that its sender wrote.
func theirs(h *frame.Header, names ...string) [][2]string {
	var got [][2]string
	for i := range h.Len() {
		k, v := h.GetAt(i)
		for _, n := range names {
			if k == n {
				got = append(got, [2]string{k, v})
			}
		}
	}
	return got
}

// TestCrossBodies hands over bodies of every kind unharmed.
func TestCrossBodies(t *testing.T) {
	b := start(t, nil)
	s, m := dialSTOMP(t, b.addrs["stomp"]), dialMQTT(t, b.addrs["mqtt"])
	w := connectMQTT(t, dialWS(t, b.addrs["websocket"], "mqtt"))
	sub := s.subscribe("/topic/bodies.*", stomp.AckAuto)
	m.subscribe("bodies/+", 2)
	w.subscribe("bodies/#", 0)
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for name, body := range map[string][]byte{
		"text": []byte("grüße, 世界 🐎\r\n"), "nul": []byte("a\x00b\x00\n\x00"), "not-utf8": {0xff, 0xfe, 0xc0, 0x80, 0x41},
		"all": all, "empty": nil, "line-ends": []byte("\n\n\r\n"), "large": bytes.Repeat(all, 4096),
	} {
		s.send("/topic/bodies."+name, "application/octet-stream", body)
		m.publish(&paho.Publish{Topic: "bodies/" + name, QoS: 1, Payload: body})
		for range 2 {
			if got := s.hear(sub); !bytes.Equal(got.Body, body) || got.Destination != "/topic/bodies."+name {
				t.Errorf("%s: STOMP has %d bytes of %s, want %d", name, len(got.Body), got.Destination, len(body))
			}
			for _, p := range []*mqttPeer{m, w} {
				if got := p.hear(); !bytes.Equal(got.Payload, body) || got.Topic != "bodies/"+name {
					t.Errorf("%s: MQTT has %d bytes of %s, want %d", name, len(got.Payload), got.Topic, len(body))
				}
			}
		}
	}
}

// TestCrossHeaders compares what the one protocol has said with what the other one hears.
func TestCrossHeaders(t *testing.T) {
	b := start(t, nil)
	s, m := dialSTOMP(t, b.addrs["stomp"]), dialMQTT(t, b.addrs["mqtt"])
	sub := s.subscribe("/topic/heads.*", stomp.AckAuto)
	m.subscribe("heads/+", 2)
	user := [][2]string{{"zeta", "1"}, {"alpha", "two: with a colon"}, {"zeta", "3\nlines\\"}, {"größe", "日本"}, {"empty", ""}}
	names := []string{"zeta", "alpha", "größe", "empty"}
	soon := time.Now().Add(90 * time.Second).UnixMilli()

	for _, c := range []struct {
		name, correlation, encoding, reply, response string
		raw                                          []byte
	}{
		{"text", "c-1", "", "/topic/re.ply", "re/ply", []byte("c-1")},
		{"unicode", "ключ 🐎", "", "/queue/answers/x.y", "$queue/answers/x.y", []byte("ключ 🐎")},
		{"binary", "AAH//g==", "base64", "/topic/v1%2E0", "v1.0", []byte{0, 1, 0xff, 0xfe}},
	} {
		t.Run("STOMP "+c.name, func(t *testing.T) {
			var h []string
			for _, f := range user {
				h = append(h, f[0], f[1])
			}
			h = append(h, "correlation-id", c.correlation, "reply-to", c.reply, "expires", strconv.FormatInt(soon, 10), "priority", "7")
			if c.encoding != "" {
				h = append(h, "correlation-id-encoding", c.encoding)
			}
			s.send("/topic/heads."+c.name, "text/x-test; charset=utf-8", []byte("body"), h...)
			got, now := m.hear(), time.Now().UnixMilli()
			p := got.Properties
			var props [][2]string
			for _, u := range p.User {
				props = append(props, [2]string{u.Key, u.Value})
			}
			if diff := cmp.Diff(user, props); diff != "" {
				t.Errorf("user properties (-want +got):\n%s", diff)
			}
			if p.ContentType != "text/x-test; charset=utf-8" || p.ResponseTopic != c.response || !bytes.Equal(p.CorrelationData, c.raw) || got.QoS != 1 {
				t.Errorf("got QoS %d, %+v", got.QoS, p)
			}
			// The interval is what is left, rounded up: it had begun before it was read.
			if left := p.MessageExpiry; left == nil || int64(*left)*1000 < soon-now || int64(*left)*1000 > soon-now+10_000 {
				t.Errorf("expiry interval %v, %d ms are left", left, soon-now)
			}
			echo := s.hear(sub).Header
			if diff := cmp.Diff(user, theirs(echo, names...)); diff != "" {
				t.Errorf("STOMP to STOMP (-want +got):\n%s", diff)
			}
			if echo.Get("priority") != "7" || echo.Get("persistent") != "true" || echo.Get("reply-to") != c.reply {
				t.Errorf("STOMP to STOMP: %v", echo)
			}
		})
		t.Run("MQTT "+c.name, func(t *testing.T) {
			left := uint32(90)
			p := &paho.PublishProperties{ContentType: "text/x-test", ResponseTopic: c.response, CorrelationData: c.raw, MessageExpiry: &left}
			for _, u := range user {
				p.User = append(p.User, paho.UserProperty{Key: u[0], Value: u[1]})
			}
			before := time.Now()
			m.publish(&paho.Publish{Topic: "heads/" + c.name, QoS: 1, Payload: []byte("body"), Properties: p})
			after := time.Now()
			got := s.hear(sub)
			if diff := cmp.Diff(user, theirs(got.Header, names...)); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
			h := got.Header
			if got.ContentType != "text/x-test" || h.Get("reply-to") != c.reply || h.Get("correlation-id") != c.correlation ||
				h.Get("correlation-id-encoding") != c.encoding || h.Get("persistent") != "true" || h.Get("zeta") != "1" {
				t.Errorf("got %v", h)
			}
			at, err := strconv.ParseInt(h.Get("expires"), 10, 64)
			if err != nil || at < before.Add(90*time.Second).UnixMilli() || at > after.Add(90*time.Second).UnixMilli() {
				t.Errorf("expires:%s, want %d", h.Get("expires"), before.Add(90*time.Second).UnixMilli())
			}
			if echo := m.hear(); string(echo.Payload) != "body" || len(echo.Properties.User) != len(user) {
				t.Errorf("MQTT to MQTT: %+v", echo)
			}
		})
	}
}

// TestCrossHeadersOfOne looks at single headers.
func TestCrossHeadersOfOne(t *testing.T) {
	b := start(t, nil)
	s, m := dialSTOMP(t, b.addrs["stomp"]), dialMQTT(t, b.addrs["mqtt"])
	sub := s.subscribe("/topic/heads.*", stomp.AckAuto)
	m.subscribe("heads/+", 2)
	t.Run("reply-to as its reader spells", func(t *testing.T) {
		slashes := s.subscribe("/topic/spelled/x", stomp.AckAuto)
		m.publish(&paho.Publish{Topic: "spelled/x", QoS: 1, Properties: &paho.PublishProperties{ResponseTopic: "re/v1.0"}})
		if got := s.hear(slashes); got.Header.Get("reply-to") != "/topic/re/v1.0" {
			t.Errorf("reply-to:%s", got.Header.Get("reply-to"))
		}
	})
	t.Run("persistent", func(t *testing.T) {
		s.send("/topic/heads.p", "", []byte("s"), "persistent", "false")
		if got := m.hear(); got.QoS != 0 {
			t.Errorf("STOMP persistent:false arrives with QoS %d", got.QoS)
		}
		s.hear(sub)
		for qos := range byte(3) {
			m.publish(&paho.Publish{Topic: "heads/p", QoS: qos, Payload: []byte("m")})
			if got := s.hear(sub); (got.Header.Get("persistent") == "true") != (qos > 0) {
				t.Errorf("QoS %d arrives with %v", qos, got.Header)
			}
			if got := m.hear(); got.QoS != qos {
				t.Errorf("QoS %d arrives with QoS %d", qos, got.QoS)
			}
		}
	})
	t.Run("expired", func(t *testing.T) {
		s.send("/topic/heads.e", "", []byte("old"), "expires", strconv.FormatInt(time.Now().Add(-time.Second).UnixMilli(), 10))
		s.send("/topic/heads.e", "", []byte("new"), "ttl", "60000")
		if got := m.hear(); string(got.Payload) != "new" || got.Properties.MessageExpiry == nil || *got.Properties.MessageExpiry > 60 {
			t.Errorf("MQTT has %+v", got)
		}
		if got := s.hear(sub); string(got.Body) != "new" {
			t.Errorf("STOMP has %q", got.Body)
		}
	})
}

// TestCrossRetained keeps messages for later subscribers of the other protocol, and forgets them.
func TestCrossRetained(t *testing.T) {
	b := start(t, nil)
	s, m := dialSTOMP(t, b.addrs["stomp"]), dialMQTT(t, b.addrs["mqtt"])
	s.send("/topic/kept.stomp.1", "text/plain", []byte("by STOMP"), "retain", "true", "color", "red")
	m.publish(&paho.Publish{Topic: "kept/mqtt/1", QoS: 1, Retain: true, Payload: []byte("by MQTT"), Properties: &paho.PublishProperties{
		ContentType: "text/plain", User: paho.UserProperties{{Key: "color", Value: "blue"}},
	}})
	later := func(t *testing.T, want ...string) {
		t.Helper()
		s, m := dialSTOMP(t, b.addrs["stomp"]), dialMQTT(t, b.addrs["mqtt"])
		sub := s.subscribe("/topic/kept.*.1", stomp.AckAuto)
		m.subscribe("kept/+/1", 1)
		sHas, mHas := make(map[string]bool), make(map[string]bool)
		for range want {
			got := s.hear(sub)
			sHas[string(got.Body)+" "+got.Header.Get("color")] = got.Header.Get("retained") == "true"
			p := m.hear()
			mHas[string(p.Payload)+" "+p.Properties.User.Get("color")] = p.Retain
		}
		s.send("/topic/kept.live.1", "", []byte("live"))
		if got := s.hear(sub); string(got.Body) != "live" {
			t.Errorf("STOMP has %q", got.Body)
		}
		if got := m.hear(); string(got.Payload) != "live" {
			t.Errorf("MQTT has %q", got.Payload)
		}
		wanted := make(map[string]bool)
		for _, w := range want {
			wanted[w] = true
		}
		if diff := cmp.Diff(wanted, sHas); diff != "" {
			t.Errorf("STOMP (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(wanted, mHas); diff != "" {
			t.Errorf("MQTT (-want +got):\n%s", diff)
		}
	}
	later(t, "by STOMP red", "by MQTT blue")
	m.publish(&paho.Publish{Topic: "kept/stomp/1", QoS: 1, Retain: true}) // MQTT clears what STOMP has set
	later(t, "by MQTT blue")
	s.send("/topic/kept.mqtt.1", "", nil, "retained", "true") // and the other way round
	later(t)
	for i := range 3 {
		s.send("/topic/kept.one.1", "", fmt.Append(nil, i), "retain", "true")
	}
	later(t, "2 ")
}
