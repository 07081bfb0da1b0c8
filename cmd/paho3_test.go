package wyecmd_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"testing"
	"time"

	paho3 "github.com/eclipse/paho.mqtt.golang"
	"github.com/google/go-cmp/cmp"
)

// v3Peer is a paho.mqtt.golang client, MQTT 3.1 or 3.1.1, that fails its test.
type v3Peer struct {
	paho3.Client

	t       testing.TB
	nc      net.Conn
	present bool // the broker had a session
	version uint
	in      chan paho3.Message
	lost    chan struct{}
}

// dial3 connects paho.mqtt.golang in one of the ways there are.
type dial3 func(t testing.TB, id string, opts ...func(*paho3.ClientOptions)) *v3Peer

// TestPaho3 uses paho.mqtt.golang in both of its versions, over TCP and over WebSocket by both tokens.
func TestPaho3(t *testing.T) {
	for _, v := range []struct {
		name    string
		version uint
		token   string
	}{{"3.1", 3, "mqttv3.1"}, {"3.1.1", 4, "mqtt"}} {
		for way, open := range mqttWays(v.token) {
			t.Run(v.name+" "+way, func(t *testing.T) {
				b := start(t, nil)
				dial := func(t testing.TB, id string, opts ...func(*paho3.ClientOptions)) *v3Peer {
					t.Helper()
					return connect3(t, v.version, id, func() net.Conn { return open(t, b) }, opts...)
				}
				for name, check := range map[string]func(*testing.T, dial3){
					"qos": everyQoS3, "retained": retains3, "will": wills3, "shared": shares3, "resume": resumes3, "manual": manual3, "take-over": takesOver3,
				} {
					t.Run(name, func(t *testing.T) { check(t, dial) })
				}
			})
		}
	}
	t.Run("its own WebSocket", func(t *testing.T) { // which asks for "mqtt", whatever it speaks
		b := start(t, nil)
		for v := uint(3); v <= 4; v++ {
			p := connect3(t, v, fmt.Sprint("own", v), nil, func(o *paho3.ClientOptions) { o.AddBroker("ws://" + b.addrs["websocket"] + "/mqtt") })
			p.subscribe("own", 1)
			p.say("own", 1, false, "x")
			if m := p.hear(); string(m.Payload()) != "x" {
				t.Errorf("got %s", m.Payload())
			}
		}
	})
}

func connect3(t testing.TB, version uint, id string, open func() net.Conn, opts ...func(*paho3.ClientOptions)) *v3Peer {
	t.Helper()
	p := &v3Peer{t: t, version: version, in: make(chan paho3.Message, 1<<14), lost: make(chan struct{})}
	o := paho3.NewClientOptions().SetProtocolVersion(version).SetClientID(id).SetAutoReconnect(false).SetConnectRetry(false)
	o.SetConnectTimeout(patience).SetKeepAlive(time.Minute).SetOrderMatters(true)
	if open != nil {
		o.AddBroker("tcp://custom").SetCustomOpenConnectionFn(func(*url.URL, paho3.ClientOptions) (net.Conn, error) {
			p.nc = lossy{open()}
			return p.nc, nil
		})
	}
	o.SetDefaultPublishHandler(func(_ paho3.Client, m paho3.Message) { p.in <- m })
	o.SetConnectionLostHandler(func(paho3.Client, error) { close(p.lost) })
	for _, opt := range opts {
		opt(o)
	}
	p.Client = paho3.NewClient(o)
	token := p.Connect()
	p.wait(token)
	p.present = token.(*paho3.ConnectToken).SessionPresent()
	t.Cleanup(p.leave)
	return p
}

func (p *v3Peer) wait(token paho3.Token) {
	p.t.Helper()
	if !token.WaitTimeout(patience) {
		p.t.Fatal("no answer")
	}
	if err := token.Error(); err != nil {
		p.t.Fatal(err)
	}
}

// wantSession compares what CONNACK has said. That of MQTT 3.1 does not say it.
func (p *v3Peer) wantSession(want bool) {
	p.t.Helper()
	if p.present != want && p.version > 3 {
		p.t.Errorf("session present: %v", p.present)
	}
}

func (p *v3Peer) leave() { p.Disconnect(1000) }

// lossy tells a client whose connection the test has closed that it is lost. Paho takes the other error
// for its own doing, and waits for a keep-alive.
type lossy struct{ net.Conn }

func (c lossy) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if errors.Is(err, net.ErrClosed) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// drop cuts the connection without a word.
func (p *v3Peer) drop() {
	p.t.Helper()
	p.nc.Close()
	p.isLost()
}

func (p *v3Peer) isLost() {
	p.t.Helper()
	select {
	case <-p.lost:
	case <-time.After(patience):
		p.t.Fatal("the connection stays")
	}
}

func (p *v3Peer) subscribe(filter string, qos byte) {
	p.t.Helper()
	p.wait(p.Subscribe(filter, qos, nil))
}

// say returns when the broker has the message, if its QoS says so.
func (p *v3Peer) say(topic string, qos byte, retain bool, body string) {
	p.t.Helper()
	p.wait(p.Publish(topic, qos, retain, body))
}

func (p *v3Peer) hear() paho3.Message {
	p.t.Helper()
	select {
	case m := <-p.in:
		return m
	case <-time.After(patience):
		p.t.Fatal("nothing came")
	}
	return nil
}

func everyQoS3(t *testing.T, dial dial3) {
	pub := dial(t, "pub")
	for granted := range byte(3) {
		sub := dial(t, fmt.Sprint("qos", granted))
		topic := fmt.Sprint("qos/", granted)
		sub.subscribe(topic, granted)
		for i := range 60 {
			pub.say(topic, byte(i%3), false, fmt.Sprint(i))
		}
		for i := range 60 {
			m := sub.hear()
			if string(m.Payload()) != fmt.Sprint(i) || m.Qos() != min(byte(i%3), granted) || m.Duplicate() || m.Retained() {
				t.Errorf("message %d: got %s with QoS %d", i, m.Payload(), m.Qos())
			}
		}
	}
}

func retains3(t *testing.T, dial dial3) {
	pub := dial(t, "pub")
	for qos := range byte(3) {
		pub.say(fmt.Sprint("kept/", qos), qos, true, "old")
		pub.say(fmt.Sprint("kept/", qos), qos, true, "new")
	}
	pub.say("kept/1", 1, true, "")
	sub := dial(t, "sub")
	sub.subscribe("kept/+", 2)
	got := make(map[string]bool)
	for range 2 {
		m := sub.hear()
		got[m.Topic()+" "+string(m.Payload())] = m.Retained()
	}
	if diff := cmp.Diff(map[string]bool{"kept/0 new": true, "kept/2 new": true}, got); diff != "" {
		t.Errorf("retained (-want +got):\n%s", diff)
	}
	pub.say("kept/x", 1, false, "end")
	if m := sub.hear(); string(m.Payload()) != "end" {
		t.Errorf("got %s", m.Payload())
	}
}

func wills3(t *testing.T, dial dial3) {
	sub := dial(t, "sub")
	sub.subscribe("will/#", 2)
	will := func(topic string) func(*paho3.ClientOptions) {
		return func(o *paho3.ClientOptions) { o.SetWill(topic, "gone", 2, true) }
	}
	dial(t, "leaves", will("will/in-order")).leave()
	dial(t, "drops", will("will/dropped")).drop()
	if m := sub.hear(); m.Topic() != "will/dropped" || string(m.Payload()) != "gone" || m.Qos() != 2 || m.Retained() {
		t.Errorf("got %s %s with QoS %d", m.Topic(), m.Payload(), m.Qos())
	}
	later := dial(t, "later")
	later.subscribe("will/dropped", 1)
	if m := later.hear(); !m.Retained() || string(m.Payload()) != "gone" {
		t.Errorf("retained: %s %s", m.Topic(), m.Payload())
	}
	first := dial(t, "twin", will("will/taken-over"))
	dial(t, "twin")
	first.isLost()
	if m := sub.hear(); m.Topic() != "will/taken-over" {
		t.Errorf("got %s", m.Topic())
	}
}

func shares3(t *testing.T, dial dial3) {
	const n = 60
	pub, one, two := dial(t, "pub"), dial(t, "one"), dial(t, "two")
	one.subscribe("$share/g/shared/#", 2)
	two.subscribe("$share/g/shared/#", 1)
	for i := range n {
		pub.say("shared/x", byte(i%3), false, fmt.Sprint(i))
	}
	seen, byOne := make(map[string]bool), 0
	for range n {
		select {
		case m := <-one.in:
			seen[string(m.Payload())] = true
			byOne++
		case m := <-two.in:
			seen[string(m.Payload())] = true
		case <-time.After(patience):
			t.Fatalf("nothing comes after %v", seen)
		}
	}
	if len(seen) != n || byOne < n/6 || byOne > n-n/6 {
		t.Errorf("%d different messages of %d, the first member had %d", len(seen), n, byOne)
	}
}

// lasting asks for a session that stays.
func lasting(o *paho3.ClientOptions) { o.SetCleanSession(false) }

func resumes3(t *testing.T, dial dial3) {
	pub, sub := dial(t, "pub"), dial(t, "resumes", lasting)
	sub.subscribe("resume/#", 2)
	sub.leave()
	for i := range 20 {
		pub.say("resume/x", 1+byte(i%2), false, fmt.Sprint(i))
	}
	sub = dial(t, "resumes", lasting)
	sub.wantSession(true)
	for i := range 20 {
		if m := sub.hear(); string(m.Payload()) != fmt.Sprint(i) || m.Qos() != 1+byte(i%2) {
			t.Errorf("got %s with QoS %d, want %d", m.Payload(), m.Qos(), i)
		}
	}
	sub.leave()
	dial(t, "resumes").wantSession(false)
}

// manual3 acknowledges by hand; what it has not is repeated when it comes back.
func manual3(t *testing.T, dial dial3) {
	byHand := func(o *paho3.ClientOptions) { o.SetAutoAckDisabled(true) }
	pub, sub := dial(t, "pub"), dial(t, "manual", lasting, byHand)
	sub.subscribe("manual", 2)
	for i := range 4 {
		pub.say("manual", 1+byte(i%2), false, fmt.Sprint(i))
		if m := sub.hear(); i == 0 {
			m.Ack()
		}
	}
	sub.say("after", 1, false, "the acknowledgement")
	sub.drop()
	sub = dial(t, "manual", lasting, byHand)
	pub.say("manual", 1, false, "4")
	for i := 1; i < 5; i++ {
		m := sub.hear()
		if string(m.Payload()) != fmt.Sprint(i) || m.Duplicate() != (i < 4) {
			t.Errorf("got %s, duplicate %v, want %d", m.Payload(), m.Duplicate(), i)
		}
		m.Ack()
	}
}

func takesOver3(t *testing.T, dial dial3) {
	first := dial(t, "twin", lasting)
	first.subscribe("twin", 1)
	second := dial(t, "twin", lasting)
	first.isLost()
	second.wantSession(true)
	second.say("twin", 1, false, "x")
	if m := second.hear(); string(m.Payload()) != "x" {
		t.Errorf("got %s", m.Payload())
	}
}
