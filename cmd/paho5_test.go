package wyecmd_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/session/state"
	"github.com/google/go-cmp/cmp"
)

// dial5 connects paho.golang, MQTT 5, in one of the ways there are.
type dial5 func(t testing.TB, opts ...func(*mqttOptions)) *mqttPeer

// TestPaho5 uses paho.golang over TCP and WebSocket.
func TestPaho5(t *testing.T) {
	for name, open := range mqttWays("mqtt") {
		t.Run(name, func(t *testing.T) {
			b := start(t, nil)
			dial := func(t testing.TB, opts ...func(*mqttOptions)) *mqttPeer {
				t.Helper()
				return connectMQTT(t, open(t, b), opts...)
			}
			for name, check := range map[string]func(*testing.T, dial5){
				"connect": connects5, "qos": everyQoS5, "retained": retains5, "retain handling": retainHandling5, "will": wills5, "will delay": delayedWills5,
				"shared": shares5, "resume": resumes5, "exactly once": onlyOnce5, "manual": manual5, "options": options5, "take-over": takesOver5, "hand-over": handsOver5,
			} {
				t.Run(name, func(t *testing.T) { check(t, dial) })
			}
			last := dial(t)
			b.stop(syscall.SIGTERM)
			select {
			case d := <-last.gone:
				if d.ReasonCode != packets.DisconnectServerShuttingDown {
					t.Errorf("DISCONNECT %#02x at the end", d.ReasonCode)
				}
			case <-time.After(patience):
				t.Error("nothing is said at the end")
			}
		})
	}
}

// mqttWays are the connections that an MQTT client may have. tokens are those of the WebSocket.
func mqttWays(tokens ...string) map[string]func(testing.TB, *program) net.Conn {
	return map[string]func(testing.TB, *program) net.Conn{
		"tcp": func(t testing.TB, b *program) net.Conn {
			t.Helper()
			nc, err := net.Dial("tcp", b.addrs["mqtt"])
			if err != nil {
				t.Fatal(err)
			}
			return nc
		},
		"websocket": func(t testing.TB, b *program) net.Conn {
			t.Helper()
			return dialWS(t, b.addrs["websocket"], tokens...)
		},
	}
}

// kept asks for a session that stays.
func kept(id string) func(*mqttOptions) {
	return func(o *mqttOptions) {
		hour := uint32(3600)
		o.connect.ClientID, o.connect.CleanStart = id, false
		o.connect.Properties = &paho.ConnectProperties{SessionExpiryInterval: &hour}
	}
}

func connects5(t *testing.T, dial dial5) {
	p := dial(t)
	a := p.ack
	if a.SessionPresent || a.Properties == nil || a.Properties.AssignedClientID == "" {
		t.Errorf("got %+v", a)
	}
	if c := a.Properties; c.MaximumQoS != nil || !c.RetainAvailable || !c.WildcardSubAvailable || !c.SubIDAvailable || !c.SharedSubAvailable {
		t.Errorf("the broker offers %+v", c)
	}
	if p := dial(t, kept("named")); p.ack.SessionPresent || p.ack.Properties.AssignedClientID != "" {
		t.Errorf("got %+v", p.ack)
	}
}

func everyQoS5(t *testing.T, dial dial5) {
	pub := dial(t)
	for granted := range byte(3) {
		sub := dial(t)
		topic := fmt.Sprint("qos/", granted)
		sub.subscribe(topic, granted)
		for i := range 60 {
			left, utf8 := uint32(60), byte(1)
			pub.publish(&paho.Publish{Topic: topic, QoS: byte(i % 3), Payload: fmt.Append(nil, i), Properties: &paho.PublishProperties{
				ContentType: "text/plain", MessageExpiry: &left, PayloadFormat: &utf8, ResponseTopic: "re", CorrelationData: []byte{0, 255},
				User: paho.UserProperties{{Key: "a", Value: "1"}, {Key: "a", Value: "2"}},
			}})
		}
		for i := range 60 {
			got := sub.hear()
			pr := got.Properties
			if string(got.Payload) != fmt.Sprint(i) || got.QoS != min(byte(i%3), granted) || got.Duplicate() || got.Retain ||
				pr.ContentType != "text/plain" || pr.PayloadFormat == nil || *pr.PayloadFormat != 1 || pr.ResponseTopic != "re" || string(pr.CorrelationData) != "\x00\xff" ||
				pr.MessageExpiry == nil || *pr.MessageExpiry > 60 || fmt.Sprint(pr.User) != "[{a 1} {a 2}]" {
				t.Errorf("message %d: got %v with %+v", i, got, pr)
			}
		}
	}
}

// hearSome receives n messages in any order. A barrier behind retained messages would not do: SUBACK may come
// before the last of them.
func (p *mqttPeer) hearSome(n int) map[string]bool {
	p.t.Helper()
	got := make(map[string]bool)
	for range n {
		m := p.hear()
		got[string(m.Payload)+" "+m.Topic] = m.Retain
	}
	return got
}

func retains5(t *testing.T, dial dial5) {
	pub := dial(t)
	for qos := range byte(3) {
		pub.publish(&paho.Publish{Topic: fmt.Sprint("kept/", qos), QoS: qos, Retain: true, Payload: []byte("old")})
		pub.publish(&paho.Publish{Topic: fmt.Sprint("kept/", qos), QoS: qos, Retain: true, Payload: []byte("new")})
	}
	pub.say("kept/barrier", "unretained")
	sub := dial(t)
	sub.subscribe("kept/+", 2)
	if diff := cmp.Diff(map[string]bool{"new kept/0": true, "new kept/1": true, "new kept/2": true}, sub.hearSome(3)); diff != "" {
		t.Errorf("retained (-want +got):\n%s", diff)
	}
	pub.publish(&paho.Publish{Topic: "kept/1", QoS: 1, Retain: true})
	if got := sub.hear(); len(got.Payload) != 0 || got.Retain {
		t.Errorf("got %v, want the empty message as an ordinary one", got)
	}
	later := dial(t)
	later.subscribe("kept/#", 1)
	if diff := cmp.Diff(map[string]bool{"new kept/0": true, "new kept/2": true}, later.hearSome(2)); diff != "" {
		t.Errorf("after one was deleted (-want +got):\n%s", diff)
	}
	pub.say("kept/x", "end")
	if got := later.hear(); string(got.Payload) != "end" {
		t.Errorf("got %v", got)
	}
}

func retainHandling5(t *testing.T, dial dial5) {
	pub := dial(t)
	pub.publish(&paho.Publish{Topic: "handled", QoS: 1, Retain: true, Payload: []byte("kept")})
	for handling, want := range []string{"kept kept", "kept", ""} {
		sub := dial(t)
		for range 2 {
			sub.subscribeTo(&paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: "handled", QoS: 1, RetainHandling: byte(handling)}}})
		}
		pub.say("handled", "end")
		got := ""
		for m := sub.hear(); string(m.Payload) != "end"; m = sub.hear() {
			got += " " + string(m.Payload)
		}
		if strings.TrimSpace(got) != want {
			t.Errorf("retain handling %d: got %q, want %q", handling, got, want)
		}
	}
}

// willing gives a client a will.
func willing(topic string, delay uint32) func(*mqttOptions) {
	return func(o *mqttOptions) {
		o.connect.WillMessage = &paho.WillMessage{Topic: topic, QoS: 2, Retain: true, Payload: []byte("gone")}
		o.connect.WillProperties = &paho.WillProperties{WillDelayInterval: &delay, User: paho.UserProperties{{Key: "a", Value: "1"}}}
	}
}

func wills5(t *testing.T, dial dial5) {
	sub := dial(t)
	sub.subscribe("will/#", 2)
	dial(t, willing("will/in-order", 0)).leave()
	asked := dial(t, willing("will/asked-for", 0))
	_ = asked.Disconnect(&paho.Disconnect{ReasonCode: packets.DisconnectDisconnectWithWillMessage})
	<-asked.Done()
	if got := sub.hear(); got.Topic != "will/asked-for" || string(got.Payload) != "gone" {
		t.Errorf("got %v", got)
	}
	dial(t, willing("will/dropped", 0)).drop()
	if got := sub.hear(); got.Topic != "will/dropped" || got.QoS != 2 || got.Retain || fmt.Sprint(got.Properties.User) != "[{a 1}]" {
		t.Errorf("got %v %+v", got, got.Properties)
	}
	later := dial(t)
	later.subscribe("will/dropped", 1)
	if got := later.hear(); !got.Retain || string(got.Payload) != "gone" {
		t.Errorf("retained: got %v", got)
	}
}

func delayedWills5(t *testing.T, dial dial5) {
	sub := dial(t)
	sub.subscribe("delayed/#", 2)
	dial(t, kept("back"), willing("delayed/back", 3600)).drop()
	dial(t, kept("back")) // is back in time: no will
	dial(t, kept("ends"), willing("delayed/ends", 3600)).drop()
	dial(t, func(o *mqttOptions) { o.connect.ClientID = "ends" }) // the session ends, and the delay with it
	if got := sub.hear(); got.Topic != "delayed/ends" || string(got.Payload) != "gone" {
		t.Errorf("got %v", got)
	}
	dial(t, kept("soon"), willing("delayed/soon", 1)).drop()
	if got := sub.hear(); got.Topic != "delayed/soon" {
		t.Errorf("got %v", got)
	}
}

func shares5(t *testing.T, dial dial5) {
	const n = 60
	pub, one, two, other := dial(t), dial(t), dial(t), dial(t)
	one.subscribe("$share/g/shared/#", 1)
	two.subscribe("$share/g/shared/#", 2)
	other.subscribe("$share/h/shared/+", 1)
	for i := range n {
		pub.publish(&paho.Publish{Topic: "shared/x", QoS: byte(i % 3), Payload: fmt.Append(nil, i)})
	}
	seen, byOne := make(map[string]int), 0
	for range n {
		select {
		case m := <-one.in:
			seen[string(m.Payload)]++
			byOne++
		case m := <-two.in:
			seen[string(m.Payload)]++
		case <-time.After(patience):
			t.Fatalf("nothing comes after %v", seen)
		}
	}
	if len(seen) != n || byOne < n/6 || byOne > n-n/6 {
		t.Errorf("%d different messages of %d, the first member had %d", len(seen), n, byOne)
	}
	for i := range n {
		if got := other.hear(); string(got.Payload) != fmt.Sprint(i) {
			t.Errorf("a group of one has %s, want %d", got.Payload, i)
		}
	}
	one.unsubscribe("$share/g/shared/#")
	two.unsubscribe("$share/g/shared/#")
	pub.say("shared/x", "to nobody of g")
	if got := other.hear(); string(got.Payload) != "to nobody of g" {
		t.Errorf("got %s", got.Payload)
	}
	two.subscribe("$share/g/shared/#", 1)
	pub.say("shared/x", "later")
	if got := two.hear(); string(got.Payload) != "later" {
		t.Errorf("who joins a group anew gets %s", got.Payload)
	}
}

// resumes5 leaves without acknowledging everything and comes back.
func resumes5(t *testing.T, dial dial5) {
	pub, session, sent := dial(t), state.NewInMemory(), make(chan struct{}, 100)
	mine := []func(*mqttOptions){kept("resumes"), manual, func(o *mqttOptions) { o.session = acking{session, func() { sent <- struct{}{} }} }}
	sub := dial(t, mine...)
	sub.subscribe("resume/#", 2)
	var got []*paho.Publish
	for i := range 4 {
		pub.publish(&paho.Publish{Topic: "resume/x", QoS: 1 + byte(i%2), Payload: fmt.Append(nil, i)})
		got = append(got, sub.hear())
	}
	if err := sub.Ack(got[0]); err != nil {
		t.Fatal(err)
	}
	<-sent
	sub.leave() // the acknowledgement is read before DISCONNECT
	for i := 4; i < 6; i++ {
		pub.publish(&paho.Publish{Topic: "resume/x", QoS: byte(i % 3), Payload: fmt.Append(nil, i)})
	}
	sub = dial(t, mine...)
	if !sub.ack.SessionPresent {
		t.Error("no session present")
	}
	for i := 1; i < 6; i++ {
		m := sub.hear()
		if string(m.Payload) != fmt.Sprint(i) || m.QoS != 1+byte(i%2) && i < 4 || m.QoS != byte(i%3) && i > 3 {
			t.Errorf("got %v, want %d", m, i)
		}
		if i < 4 && !m.Duplicate() { // the others may have been sent while it left
			t.Errorf("%d comes again, which it does not say", i)
		}
		if err := sub.Ack(m); err != nil {
			t.Fatal(err)
		}
		<-sent
	}
	pub.say("resume/x", "end")
	if got := sub.hear(); string(got.Payload) != "end" {
		t.Errorf("got %s", got.Payload)
	}
	sub.leave()
	if again := dial(t, func(o *mqttOptions) { o.connect.ClientID = "resumes" }); again.ack.SessionPresent { // Clean Start
		t.Error("a session is present after Clean Start")
	}
}

// cutting breaks its connection instead of handing over the first packet of a type.
type cutting struct {
	net.Conn

	at byte // as a first octet; no body begins like this
}

func (c *cutting) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && b[0] == c.at {
		c.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// onlyOnce5 loses the connection in every state of QoS 2 and 1: paho goes on after the reconnect, and QoS 2 comes once.
func onlyOnce5(t *testing.T, dial dial5) {
	sub := dial(t)
	sub.subscribe("once/#", 2)
	for _, c := range []struct {
		name    string
		qos, at byte
		copies  int
	}{{"PUBREC", 2, packets.PUBREC << 4, 1}, {"PUBCOMP", 2, packets.PUBCOMP << 4, 1}, {"PUBACK", 1, packets.PUBACK << 4, 2}} {
		session := state.NewInMemory()
		mine := func(o *mqttOptions) { o.session = session }
		pub := dial(t, kept("once-"+c.name), mine, func(o *mqttOptions) {
			o.wrap = func(nc net.Conn) net.Conn { return &cutting{nc, c.at} }
		})
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_, err := pub.PublishWithOptions(ctx, &paho.Publish{Topic: "once/" + c.name, QoS: c.qos, Payload: []byte("x")}, paho.PublishOptions{Method: paho.PublishMethod_AsyncSend})
		cancel()
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		<-pub.Done()
		pub = dial(t, kept("once-"+c.name), mine)
		if !pub.ack.SessionPresent {
			t.Errorf("%s: no session present", c.name)
		}
		pub.publish(&paho.Publish{Topic: "once/" + c.name, QoS: 2, Payload: []byte("end")})
		copies := 0
		for m := sub.hear(); string(m.Payload) != "end"; m = sub.hear() {
			copies++
		}
		if copies != c.copies {
			t.Errorf("without the %s: came %d times, want %d", c.name, copies, c.copies)
		}
	}
}

// manual5 acknowledges by hand: never more than Receive Maximum come before.
func manual5(t *testing.T, dial dial5) {
	pub, sub := dial(t), dial(t, manual, receiveMaximum(3))
	sub.subscribe("manual", 2)
	const n = 10
	for i := range n {
		pub.publish(&paho.Publish{Topic: "manual", QoS: 1 + byte(i%2), Payload: fmt.Append(nil, i)})
	}
	pub.publish(&paho.Publish{Topic: "manual", Payload: []byte("free")}) // QoS 0 is not counted, and waits for its turn
	var unacked []*paho.Publish
	for i := range n {
		m := sub.hear()
		if string(m.Payload) != fmt.Sprint(i) {
			t.Errorf("got %s, want %d", m.Payload, i)
		}
		if unacked = append(unacked, m); len(unacked) < 3 {
			continue
		}
		// The broker has had its turn when another client was served.
		pub.say("nobody", "")
		if len(sub.in) > 0 {
			t.Errorf("%s came before an acknowledgement", (<-sub.in).Payload)
		}
		// Out of order: paho waits for the first.
		for len(unacked) > 0 {
			if err := sub.Ack(unacked[len(unacked)-1]); err != nil {
				t.Fatal(err)
			}
			unacked = unacked[:len(unacked)-1]
		}
	}
	if got := sub.hear(); string(got.Payload) != "free" {
		t.Errorf("got %s", got.Payload)
	}
}

// options5 has two overlapping subscriptions with identifiers, No Local and Retain As Published.
func options5(t *testing.T, dial dial5) {
	p, other := dial(t), dial(t)
	for id, o := range []paho.SubscribeOptions{{Topic: "opt/+", QoS: 1}, {Topic: "opt/x", QoS: 2, NoLocal: true, RetainAsPublished: true}} {
		id++
		p.subscribeTo(&paho.Subscribe{Properties: &paho.SubscribeProperties{SubscriptionIdentifier: &id}, Subscriptions: []paho.SubscribeOptions{o}})
	}
	p.publish(&paho.Publish{Topic: "opt/x", QoS: 2, Payload: []byte("mine")})
	if got := p.hear(); string(got.Payload) != "mine" || *got.Properties.SubscriptionIdentifier != 1 || got.QoS != 1 {
		t.Errorf("got %v %+v", got, got.Properties)
	}
	other.publish(&paho.Publish{Topic: "opt/x", QoS: 2, Retain: true, Payload: []byte("other")})
	seen := make(map[int]bool)
	for range 2 {
		got := p.hear()
		id := *got.Properties.SubscriptionIdentifier
		if seen[id] = true; string(got.Payload) != "other" || got.Retain != (id == 2) || got.QoS != byte(id) {
			t.Errorf("got %v %+v", got, got.Properties)
		}
	}
	if !seen[1] || !seen[2] {
		t.Errorf("subscriptions %v were served", seen)
	}
}

func takesOver5(t *testing.T, dial dial5) {
	first := dial(t, kept("twin"))
	dial(t, kept("twin"))
	select {
	case d := <-first.gone:
		if d.ReasonCode != packets.DisconnectSessionTakenOver {
			t.Errorf("DISCONNECT %#02x", d.ReasonCode)
		}
	case <-time.After(patience):
		t.Error("the first one stays")
	}
}

// handsOver5 loses members of a group in the middle of QoS 2. Whoever has sent PUBREC has the message, and nobody else
// gets it [MQTT-4.8.2-5]; before that it goes to another member.
func handsOver5(t *testing.T, dial dial5) {
	for i, filter := range []string{"$share/g2/hand/x", "$queue/hand"} {
		topic := []string{"hand/x", "$queue/hand"}[i]
		pub := dial(t)
		taker := dial(t, func(o *mqttOptions) {
			o.wrap = func(nc net.Conn) net.Conn { return &cutting{nc, packets.PUBREL<<4 | 2} }
		})
		taker.subscribe(filter, 2)
		pub.publish(&paho.Publish{Topic: topic, QoS: 2, Payload: []byte("taken")})
		if got := taker.hear(); string(got.Payload) != "taken" {
			t.Errorf("got %v", got)
		}
		<-taker.Done()
		loser := dial(t, manual)
		loser.subscribe(filter, 2)
		pub.publish(&paho.Publish{Topic: topic, QoS: 2, Payload: []byte("lost")})
		if got := loser.hear(); string(got.Payload) != "lost" {
			t.Errorf("%s: got %v, which another one has taken", filter, got)
		}
		heir := dial(t)
		heir.subscribe(filter, 2)
		loser.drop()
		if got := heir.hear(); string(got.Payload) != "lost" {
			t.Errorf("%s: got %v", filter, got)
		}
	}
}
