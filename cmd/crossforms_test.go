package wyecmd_test

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	"github.com/go-stomp/stomp/v3"
	"github.com/google/go-cmp/cmp"
)

// form is one way to write a destination: in the dialect of a STOMP listener and in MQTT.
type form struct {
	listener, stomp, mqtt string
	reply                 string // how a reply-to is told, if otherwise
}

// forms are all of them.
func forms() []form {
	return []form{
		{"stomp", "/topic/a.b.c", "a/b/c", ""},
		{"stomp", "/topic/a/b/c", "a/b/c", ""},
		{"stomp", "/topic/single", "single", ""},
		{"stomp", "/topic/spBv1%2E0.x", "spBv1.0/x", ""},
		{"stomp", "/topic/spBv1.0/x", "spBv1.0/x", ""},
		{"stomp", "topic/no.slash", "no/slash", ""},
		{"stomp", "topic/no/slash.2", "no/slash.2", ""},
		{"stomp", "/exchange/amq.topic/key.word", "key/word", ""},
		{"stomp", "/exchange/amq.topic/key/wo.rd", "key/wo.rd", ""},
		{"stomp", "/topic/a..b", "a//b", ""},
		{"stomp", "/topic/.lead", "/lead", ""},
		{"stomp", "/topic//lead", "/lead", ""},
		{"stomp", "/topic/trail.", "trail/", ""},
		{"stomp", "/topic/%2A.star", "*/star", ""},
		{"stomp", "/topic/a*b.c", "a*b/c", ""},
		{"stomp", "/topic/100%.of", "100%/of", ""},
		{"stomp", "/topic/100%2525.of", "100%25/of", ""},
		{"stomp", "/topic/a,b.c", "a,b/c", ""},
		{"stomp", "/topic/$own.x", "$own/x", ""},
		{"stomp", "/topic/grün.日本 語", "grün/日本 語", ""},
		{"stomp", "/queue/jobs/eu", "$queue/jobs/eu", ""},
		{"stomp", "/queue/dots.stay", "$queue/dots.stay", ""},
		{"stomp", "/queue/100%", "$queue/100%", ""},
		{"stomp", "queue/test", "$queue/test", "/queue/test"},
		{"stomp", "/amq/queue/there", "$queue/there", "/queue/there"},
		{"rabbitmq", "/topic/a.b.c", "a/b/c", ""},
		{"rabbitmq", "/topic/spBv1%2E0.x", "spBv1.0/x", ""},
		{"rabbitmq", "/topic/%2A.x", "*/x", ""},
		{"rabbitmq", "/exchange/amq.topic/key.word", "key/word", ""},
		{"rabbitmq", "/queue/jobs/eu", "$queue/jobs/eu", ""},
		{"rabbitmq", "/amq/queue/there", "$queue/there", "/queue/there"},
		{"activemq", "/topic/a.b.c", "a/b/c", ""},
		{"activemq", "/topic/spBv1/0.x", "spBv1.0/x", ""},
		{"activemq", "/topic/a+b.c", "a*b/c", ""},
		{"activemq", "/topic/a#b.c", "a>b/c", ""},
		{"activemq", "/topic/a%2Cb.c", "a,b/c", ""},
		{"activemq", "/queue/jobs/eu", "$queue/jobs/eu", ""},
		{"activemq", "/queue/a.b>c", "$queue/a.b>c", ""},
		{"slash", "/topic/a/b/c", "a/b/c", ""},
		{"slash", "/topic/spBv1.0/x", "spBv1.0/x", ""},
		{"slash", "/topic/%2A/x", "*/x", ""},
		{"slash", "/topic/a.b", "a.b", ""},
		{"slash", "/queue/jobs/eu", "$queue/jobs/eu", ""},
		{"plain", "/prices/eu", "prices/eu", ""},
		{"plain", "prices/us.x", "prices/us.x", ""},
		{"plain", "/queue/jobs/eu", "$queue/jobs/eu", ""},
		{"oldest", "jobs", "$queue/jobs", "/queue/jobs"},
		{"oldest", "/topic/a.b", "a/b", ""},
	}
}

// startDialects runs the program with one more STOMP listener for each dialect, named for it; "stomp" is auto.
// In "plain" and "oldest" a destination needs no prefix.
func startDialects(t *testing.T) *program {
	t.Helper()
	var args []string
	for _, l := range []struct{ name, dialect, kind string }{
		{"rabbitmq", "rabbitmq", ""},
		{"activemq", "activemq", ""},
		{"slash", "slash", ""},
		{"plain", "slash", "topic"},
		{"oldest", "activemq", "queue"},
	} {
		args = append(args, "--set", "listeners."+l.name+".uri=tcp://127.0.0.1:0", "--set", "listeners."+l.name+".protocols=stomp",
			"--set", "protocols.stomp.listeners."+l.name+".dialect="+l.dialect)
		if l.kind != "" {
			args = append(args, "--set", "protocols.stomp.listeners."+l.name+".default_kind="+l.kind)
		}
	}
	return start(t, args)
}

// TestCrossNames sends to every form of destination in each protocol and receives it in the other: the name is
// spelled as its reader spells names.
func TestCrossNames(t *testing.T) {
	b := startDialects(t)
	for _, c := range forms() {
		t.Run(c.listener+" "+c.stomp, func(t *testing.T) {
			s, m := dialSTOMP(t, b.addrs[c.listener]), dialMQTT(t, b.addrs["mqtt"])
			// One after the other, because the consumers of a queue compete.
			m.subscribe(c.mqtt, 1)
			s.send(c.stomp, "text/plain", []byte("from STOMP"))
			if got := m.hear(); got.Topic != c.mqtt || string(got.Payload) != "from STOMP" {
				t.Errorf("MQTT has %q %q, want %q", got.Topic, got.Payload, c.mqtt)
			}
			m.unsubscribe(c.mqtt)
			sub := s.subscribe(c.stomp, stomp.AckAuto)
			m.say(c.mqtt, "from MQTT")
			if got := s.hear(sub); got.Destination != c.stomp || string(got.Body) != "from MQTT" {
				t.Errorf("STOMP has %q %q, want %q", got.Destination, got.Body, c.stomp)
			}
			s.send(c.stomp, "text/plain", []byte("to myself"))
			if got := s.hear(sub); got.Destination != c.stomp {
				t.Errorf("STOMP to STOMP: %q, want the string of the SEND", got.Destination)
			}
		})
	}
}

// whole is a message with everything that both protocols can say; its reply-to is its own destination.
type whole struct {
	form

	body    []byte
	user    [][2]string
	until   time.Time
	topical bool
}

func wholeOf(f form) *whole {
	return &whole{
		form: f, body: []byte("grüße\x00\r\n\xff\xfe"), user: [][2]string{{"k", "1"}, {"K", "with: \\ and\nline"}, {"k", "3"}},
		until: time.Now().Add(90 * time.Second).Truncate(time.Millisecond), topical: !strings.HasPrefix(f.mqtt, "$queue/"),
	}
}

func (w *whole) bySTOMP(s *stompPeer) {
	s.t.Helper()
	h := []string{"correlation-id", "c/1", "reply-to", w.stomp, "expires", strconv.FormatInt(w.until.UnixMilli(), 10)}
	for _, u := range w.user {
		h = append(h, u[0], u[1])
	}
	if w.topical {
		h = append(h, "retain", "true")
	}
	s.send(w.stomp, "text/x-cross; a=b", w.body, h...)
}

func (w *whole) byMQTT(m *mqttPeer) {
	m.t.Helper()
	left := uint32(90)
	p := &paho.PublishProperties{ContentType: "text/x-cross; a=b", ResponseTopic: w.mqtt, CorrelationData: []byte("c/1"), MessageExpiry: &left}
	for _, u := range w.user {
		p.User = append(p.User, paho.UserProperty{Key: u[0], Value: u[1]})
	}
	m.publish(&paho.Publish{Topic: w.mqtt, QoS: 1, Payload: w.body, Retain: w.topical, Properties: p})
}

// heardBySTOMP receives the message and compares all of it.
func (w *whole) heardBySTOMP(s *stompPeer, sub *subscription, retained bool) {
	s.t.Helper()
	got := s.hear(sub)
	h := got.Header
	if !bytes.Equal(got.Body, w.body) || got.Destination != w.stomp || got.ContentType != "text/x-cross; a=b" {
		s.t.Errorf("STOMP has %q of %s, %s", got.Body, got.Destination, got.ContentType)
	}
	if diff := cmp.Diff(w.user, theirs(h, "k", "K")); diff != "" {
		s.t.Errorf("headers (-want +got):\n%s", diff)
	}
	reply := w.stomp
	if w.reply != "" {
		reply = w.reply
	}
	if h.Get("reply-to") != reply || h.Get("correlation-id") != "c/1" || (h.Get("retained") == "true") != retained || h.Get("persistent") != "true" {
		s.t.Errorf("STOMP has %v", h)
	}
	at, err := strconv.ParseInt(h.Get("expires"), 10, 64)
	if most := w.until.Add(patience).UnixMilli(); err != nil || at < w.until.UnixMilli() || at > most {
		s.t.Errorf("expires:%s, want %d to %d", h.Get("expires"), w.until.UnixMilli(), most)
	}
}

// heardByMQTT is heardBySTOMP in the other language.
func (w *whole) heardByMQTT(m *mqttPeer, retained bool) {
	m.t.Helper()
	got := m.hear()
	p := got.Properties
	if !bytes.Equal(got.Payload, w.body) || got.Topic != w.mqtt || p.ContentType != "text/x-cross; a=b" || got.QoS != 1 || got.Retain != retained {
		m.t.Errorf("MQTT has %q of %s, %s, QoS %d, retained %v", got.Payload, got.Topic, p.ContentType, got.QoS, got.Retain)
	}
	var user [][2]string
	for _, u := range p.User {
		user = append(user, [2]string{u.Key, u.Value})
	}
	if diff := cmp.Diff(w.user, user); diff != "" {
		m.t.Errorf("user properties (-want +got):\n%s", diff)
	}
	if p.ResponseTopic != w.mqtt || string(p.CorrelationData) != "c/1" {
		m.t.Errorf("MQTT has %+v", p)
	}
	if p.MessageExpiry == nil || *p.MessageExpiry > 90 || *p.MessageExpiry < 80 {
		m.t.Errorf("expiry interval %v", p.MessageExpiry)
	}
}

// TestCrossForms hands a message with everything over, from each protocol to the other and back to itself, at
// every form of destination: live, and to topics as a retained message.
func TestCrossForms(t *testing.T) {
	b := startDialects(t)
	for _, f := range forms() {
		t.Run(f.listener+" "+f.stomp, func(t *testing.T) {
			s, m := dialSTOMP(t, b.addrs[f.listener]), dialMQTT(t, b.addrs["mqtt"])
			w := wholeOf(f)
			for _, c := range []struct{ say, forget func() }{
				{func() { w.bySTOMP(s) }, func() { m.publish(&paho.Publish{Topic: f.mqtt, QoS: 1, Retain: true}) }},
				{func() { w.byMQTT(m) }, func() { s.send(f.stomp, "", nil, "retain", "true") }},
			} {
				m.subscribe(f.mqtt, 2)
				c.say()
				w.heardByMQTT(m, false)
				m.unsubscribe(f.mqtt)
				if w.topical {
					m.subscribe(f.mqtt, 2)
					w.heardByMQTT(m, true)
					m.unsubscribe(f.mqtt)
				}
				// Another client for each subscription: go-stomp may miss the receipt of UNSUBSCRIBE.
				r := dialSTOMP(t, b.addrs[f.listener])
				sub := r.subscribe(f.stomp, stomp.AckAuto)
				if w.topical {
					w.heardBySTOMP(r, sub, true)
				}
				c.say()
				w.heardBySTOMP(r, sub, false)
				r.leave()
				if w.topical {
					c.forget()
				}
			}
			sub := s.subscribe(f.stomp, stomp.AckAuto)
			s.send(f.stomp, "", []byte("live"))
			if got := s.hear(sub); string(got.Body) != "live" {
				t.Errorf("what was forgotten is still there: %q %v", got.Body, got.Header)
			}
		})
	}
}
