package wyecmd_test

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/session/state"
	"github.com/go-stomp/stomp/v3"
)

// manual leaves the acknowledgements to the test.
func manual(o *mqttOptions) { o.manual = true }

// receiveMaximum bounds what the client has unacknowledged.
func receiveMaximum(n uint16) func(*mqttOptions) {
	return func(o *mqttOptions) {
		o.connect.Properties = &paho.ConnectProperties{ReceiveMaximum: &n}
	}
}

// TestCrossQueueShares sends to one queue in both protocols and consumes it in both: nothing is lost, nothing
// comes twice, and while nobody acknowledges both get about the same.
func TestCrossQueueShares(t *testing.T) {
	b := start(t, nil)
	const n = 60
	sent := make(chan struct{}, n)
	s, m := dialSTOMP(t, b.addrs["stomp"]), dialMQTT(t, b.addrs["mqtt"], manual, func(o *mqttOptions) {
		o.session = acking{state.NewInMemory(), func() { sent <- struct{}{} }}
	})
	sub := s.subscribe("/queue/fair", stomp.AckClientIndividual, "prefetch-count", "50")
	m.subscribe("$queue/fair", 1)
	for i := range n {
		if i%2 == 0 {
			s.send("/queue/fair", "", strconv.AppendInt(nil, int64(i), 10))
		} else {
			m.say("$queue/fair", strconv.Itoa(i))
		}
	}
	seen := make(map[string]int)
	var byS []*stomp.Message
	var byM []*paho.Publish
	for range n {
		select {
		case msg := <-sub.in:
			if msg.Err != nil {
				t.Fatal(msg.Err)
			}
			seen[string(msg.Body)]++
			byS = append(byS, msg)
		case msg := <-m.in:
			seen[string(msg.Payload)]++
			byM = append(byM, msg)
		case <-time.After(patience):
			t.Fatalf("nothing comes after %v", seen)
		}
	}
	for i := range n {
		if c := seen[strconv.Itoa(i)]; c != 1 {
			t.Errorf("message %d came %d times", i, c)
		}
	}
	if len(byS) < n/3 || len(byM) < n/3 {
		t.Errorf("%d went to STOMP, %d to MQTT", len(byS), len(byM))
	}
	for _, msg := range byS {
		if err := s.Ack(msg); err != nil {
			t.Fatal(err)
		}
	}
	s.barrier()
	for _, msg := range byM {
		if err := m.Ack(msg); err != nil {
			t.Fatal(err)
		}
	}
	for range byM { // paho sends them when it likes
		<-sent
	}
	m.leave() // DISCONNECT follows the acknowledgements: nothing goes back
	s.send("/queue/fair", "", []byte("next"))
	if got := s.hear(sub); string(got.Body) != "next" || got.Header.Get("redelivered") != "" {
		t.Errorf("after all was acknowledged: %q %v", got.Body, got.Header)
	}
}

// TestCrossQueueUnderLoad has consumers of both protocols acknowledge as they go, while publishers of both are
// ahead of them.
func TestCrossQueueUnderLoad(t *testing.T) {
	b := start(t, nil)
	const each = 500
	var mu sync.Mutex
	seen, count := make(map[string]int), make(map[string]int)
	all := make(chan struct{})
	note := func(who, body string) {
		mu.Lock()
		defer mu.Unlock()
		count[who]++
		if seen[body]++; len(seen) == 2*each {
			select {
			case <-all:
			default:
				close(all)
			}
		}
	}
	var consumers, publishers sync.WaitGroup
	defer consumers.Wait()
	end := make(chan struct{})
	defer close(end)
	for i := range 2 {
		s := dialSTOMP(t, b.addrs["stomp"])
		sub := s.subscribe("/queue/load", stomp.AckClientIndividual, "prefetch-count", "10")
		consumers.Go(func() {
			for {
				select {
				case msg := <-sub.in:
					if msg.Err != nil {
						t.Error(msg.Err)
						return
					}
					note(fmt.Sprint("stomp", i), string(msg.Body))
					if err := s.Ack(msg); err != nil {
						t.Error(err)
						return
					}
				case <-end:
					return
				}
			}
		})
		m := dialMQTT(t, b.addrs["mqtt"], receiveMaximum(10))
		m.subscribe("$queue/load", byte(i+1))
		consumers.Go(func() {
			for {
				select {
				case msg := <-m.in:
					note(fmt.Sprint("mqtt", i), string(msg.Payload))
				case <-end:
					return
				}
			}
		})
	}
	s, m := dialSTOMP(t, b.addrs["stomp"]), dialMQTT(t, b.addrs["mqtt"])
	publishers.Go(func() {
		for i := range each {
			if err := s.Send("/queue/load", "", fmt.Append(nil, "s", i)); err != nil {
				t.Error(err)
			}
		}
		s.barrier()
	})
	publishers.Go(func() {
		for i := range each {
			m.say("$queue/load", fmt.Sprint("m", i))
		}
	})
	publishers.Wait()
	select {
	case <-all:
	case <-time.After(patience):
		t.Error("some messages were lost")
	}
	mu.Lock()
	defer mu.Unlock()
	for body, c := range seen {
		if c != 1 {
			t.Errorf("%s came %d times", body, c)
		}
	}
	for _, who := range []string{"stomp0", "stomp1", "mqtt0", "mqtt1"} {
		if c := count[who]; c < 2*each/40 {
			t.Errorf("%s has %d of %d: %v", who, c, 2*each, count)
		}
	}
}

// TestCrossLostConnection loses an MQTT connection that has not acknowledged: the STOMP consumer gets the
// messages, in order, before newer ones, and is told that it is not the first.
func TestCrossLostConnection(t *testing.T) {
	b := start(t, nil)
	for _, c := range []struct {
		name   string
		qos    byte
		expiry uint32
	}{{"QoS 1", 1, 0}, {"QoS 2", 2, 0}, {"with a session that stays", 1, 3600}} {
		t.Run(c.name, func(t *testing.T) {
			q := fmt.Sprint("lost", c.qos, c.expiry)
			s := dialSTOMP(t, b.addrs["stomp"])
			m := dialMQTT(t, b.addrs["mqtt"], manual, func(o *mqttOptions) {
				o.connect.ClientID, o.connect.Properties = q, &paho.ConnectProperties{SessionExpiryInterval: &c.expiry}
			})
			m.subscribe("$queue/"+q, c.qos)
			for i := range 3 {
				s.send("/queue/"+q, "", fmt.Append(nil, i))
			}
			for i := range 3 {
				if got := m.hear(); string(got.Payload) != strconv.Itoa(i) {
					t.Errorf("MQTT has %q", got.Payload)
				}
			}
			sub := s.subscribe("/queue/"+q, stomp.AckClientIndividual)
			m.drop()
			for i := range 3 {
				got := s.hear(sub)
				if string(got.Body) != strconv.Itoa(i) || got.Header.Get("redelivered") != "true" || got.Header.Get("JMSXDeliveryCount") != "2" {
					t.Errorf("STOMP has %q %v", got.Body, got.Header)
				}
				if err := s.Ack(got); err != nil {
					t.Fatal(err)
				}
			}
			s.send("/queue/"+q, "", []byte("new"))
			got := s.hear(sub)
			if string(got.Body) != "new" || got.Header.Get("redelivered") != "" {
				t.Errorf("STOMP has %q %v", got.Body, got.Header)
			}
			if err := s.Ack(got); err != nil {
				t.Fatal(err)
			}
		})
	}
	t.Run("STOMP to MQTT", func(t *testing.T) {
		s, m := dialSTOMP(t, b.addrs["stomp"]), dialMQTT(t, b.addrs["mqtt"])
		sub := s.subscribe("/queue/back", stomp.AckClientIndividual)
		s.send("/queue/back", "", []byte("x"))
		s.hear(sub)
		m.subscribe("$queue/back", 1)
		if err := s.MustDisconnect(); err != nil {
			t.Fatal(err)
		}
		if got := m.hear(); string(got.Payload) != "x" {
			t.Errorf("MQTT has %q", got.Payload)
		}
	})
}

// TestCrossPriority serves an MQTT consumer in the order of the priorities that STOMP has set.
func TestCrossPriority(t *testing.T) {
	b := start(t, nil)
	s, m := dialSTOMP(t, b.addrs["stomp"]), dialMQTT(t, b.addrs["mqtt"])
	for _, p := range []string{"1", "4", "9", "0", "9"} {
		s.send("/queue/urgent", "", []byte(p), "priority", p)
	}
	m.subscribe("$queue/urgent", 1)
	got := ""
	for range 5 {
		got += string(m.hear().Payload)
	}
	if got != "99410" {
		t.Errorf("order %s, want 99410", got)
	}
}

// TestCrossGroup has $share/G and x-queue-name:G be one group: each message goes to one of its members, and to
// all others.
func TestCrossGroup(t *testing.T) {
	b := startDialects(t)
	for i, c := range []struct{ listener, filter, dest string }{
		{"stomp", "/topic/work.#", "/topic/work.1"},
		{"stomp", "/topic/work/#", "/topic/work/1"},
		{"rabbitmq", "/topic/work.#", "/topic/work.1"},
		{"activemq", "/topic/work.>", "/topic/work.1"},
		{"slash", "/topic/work/**", "/topic/work/1"},
	} {
		t.Run(c.listener+" "+c.filter, func(t *testing.T) {
			shareGroup(t, b.addrs["mqtt"], b.addrs[c.listener], c.filter, c.dest, fmt.Sprint("G", i))
		})
	}
}

func shareGroup(t *testing.T, mqtt, addr, filter, dest, group string) {
	t.Helper()
	const n = 60
	s, m := dialSTOMP(t, addr), dialMQTT(t, mqtt)
	alone := dialMQTT(t, mqtt)
	sub := s.subscribe(filter, stomp.AckClientIndividual, "x-queue-name", group, "prefetch-count", "100")
	m.subscribe("$share/"+group+"/work/#", 1)
	alone.subscribe("work/+", 1)
	for i := range n {
		if i%2 == 0 {
			s.send(dest, "", fmt.Append(nil, i))
		} else {
			m.say("work/1", strconv.Itoa(i))
		}
	}
	seen, byS, byM := make(map[string]int), 0, 0
	for range n {
		select {
		case msg := <-sub.in:
			if msg.Err != nil {
				t.Fatal(msg.Err)
			}
			if msg.Destination != dest {
				t.Errorf("destination %s", msg.Destination)
			}
			seen[string(msg.Body)]++
			byS++
		case msg := <-m.in:
			if msg.Topic != "work/1" {
				t.Errorf("topic %s", msg.Topic)
			}
			seen[string(msg.Payload)]++
			byM++
		case <-time.After(patience):
			t.Fatalf("nothing comes after %v", seen)
		}
	}
	if len(seen) != n {
		t.Errorf("the group has %d of %d messages", len(seen), n)
	}
	if byS < n/6 || byM < n/6 {
		t.Errorf("%d went to STOMP, %d to MQTT", byS, byM)
	}
	for i := range n {
		if got := alone.hear(); string(got.Payload) != strconv.Itoa(i) {
			t.Errorf("who is in no group has %q, want %d", got.Payload, i)
		}
	}
}

// TestCrossVirtualTopic shares a topic as ActiveMQ's clients name it, with an MQTT member.
func TestCrossVirtualTopic(t *testing.T) {
	b := startDialects(t)
	s, m := dialSTOMP(t, b.addrs["activemq"]), dialMQTT(t, b.addrs["mqtt"])
	sub := s.subscribe("/queue/Consumer.G.VirtualTopic.orders.>", stomp.AckAuto)
	m.say("orders/eu/1", "one")
	got := s.hear(sub)
	if got.Destination != "/queue/Consumer.G.VirtualTopic.orders.>" || got.Header.Get("original-destination") != "/topic/orders.eu.1" || string(got.Body) != "one" {
		t.Errorf("got %s %q %v", got.Destination, got.Body, got.Header)
	}
	m.subscribe("$share/G/orders/#", 1)
	for i := range 20 {
		m.say("orders/eu/1", strconv.Itoa(i))
	}
	seen, byM := make(map[string]bool), 0
	for range 20 {
		select {
		case msg := <-sub.in:
			seen[string(msg.Body)] = true
		case msg := <-m.in:
			seen[string(msg.Payload)] = true
			byM++
		case <-time.After(patience):
			t.Fatalf("nothing comes after %v", seen)
		}
	}
	if len(seen) != 20 || byM == 0 {
		t.Errorf("the group has %d of 20 messages, its MQTT member %d", len(seen), byM)
	}
}

// TestCrossRequestReply asks in one protocol and is answered in the other.
func TestCrossRequestReply(t *testing.T) {
	b := start(t, nil)
	t.Run("STOMP asks", func(t *testing.T) {
		for _, service := range []struct{ stomp, mqtt string }{{"/queue/rpc", "$queue/rpc"}, {"/topic/rpc.x", "rpc/x"}} {
			s, m := dialSTOMP(t, b.addrs["stomp"]), dialMQTT(t, b.addrs["mqtt"])
			m.subscribe(service.mqtt, 1)
			// As RabbitMQ: reply-to is the subscription, and its id.
			answers := s.subscribe("/temp-queue/answers", stomp.AckAuto, "reply-to", "/temp-queue/answers")
			for i := range 3 {
				s.send(service.stomp, "text/plain", fmt.Append(nil, "question ", i), "reply-to", "/temp-queue/answers", "correlation-id", fmt.Sprint("c", i))
				q := m.hear()
				m.publish(&paho.Publish{
					Topic: q.Properties.ResponseTopic, QoS: 1, Payload: []byte("answer to " + string(q.Payload)),
					Properties: &paho.PublishProperties{CorrelationData: q.Properties.CorrelationData},
				})
				a := s.hear(answers)
				if string(a.Body) != fmt.Sprint("answer to question ", i) || a.Header.Get("correlation-id") != fmt.Sprint("c", i) {
					t.Errorf("got %q %v", a.Body, a.Header)
				}
			}
		}
	})
	t.Run("MQTT asks", func(t *testing.T) {
		s, m := dialSTOMP(t, b.addrs["stomp"]), dialMQTT(t, b.addrs["mqtt"])
		sub := s.subscribe("/queue/calc", stomp.AckClientIndividual)
		m.subscribe("answers/me.1", 1)
		for i := range 3 {
			m.publish(&paho.Publish{Topic: "$queue/calc", QoS: 1, Payload: fmt.Append(nil, i), Properties: &paho.PublishProperties{
				ResponseTopic: "answers/me.1", CorrelationData: []byte{0xff, byte(i)},
			}})
			q := s.hear(sub)
			h := q.Header
			s.send(h.Get("reply-to"), "", append([]byte("got "), q.Body...),
				"correlation-id", h.Get("correlation-id"), "correlation-id-encoding", h.Get("correlation-id-encoding"))
			if err := s.Ack(q); err != nil {
				t.Fatal(err)
			}
			a := m.hear()
			if string(a.Payload) != fmt.Sprint("got ", i) || string(a.Properties.CorrelationData) != string([]byte{0xff, byte(i)}) || a.Topic != "answers/me.1" {
				t.Errorf("got %s %q %v", a.Topic, a.Payload, a.Properties)
			}
		}
	})
	t.Run("nobody else", func(t *testing.T) {
		asker, spy := dialSTOMP(t, b.addrs["stomp"]), dialMQTT(t, b.addrs["mqtt"])
		server := dialMQTT(t, b.addrs["mqtt"])
		server.subscribe("rpc/y", 1)
		spy.subscribe("#", 1)
		answers := asker.subscribe("/temp-queue/a", stomp.AckAuto, "reply-to", "/temp-queue/a")
		asker.send("/topic/rpc.y", "", []byte("q"), "reply-to", "/temp-queue/a")
		server.say(server.hear().Properties.ResponseTopic, "secret")
		asker.hear(answers)
		server.say("last", "one")
		for _, want := range []string{"q", "one"} {
			got := spy.hear()
			if got.Topic == "barrier" {
				got = spy.hear()
			}
			if string(got.Payload) != want {
				t.Errorf("a subscriber of # has %s %q, want %q", got.Topic, got.Payload, want)
			}
		}
	})
}

// TestCrossWill tells STOMP that an MQTT client was lost, with everything its will says.
func TestCrossWill(t *testing.T) {
	b := start(t, nil)
	s := dialSTOMP(t, b.addrs["stomp"])
	sub := s.subscribe("/topic/status.*", stomp.AckAuto)
	jobs := s.subscribe("/queue/wills", stomp.AckAuto)
	dialMQTT(t, b.addrs["mqtt"], func(o *mqttOptions) {
		o.connect.WillMessage = &paho.WillMessage{Topic: "status/silent", QoS: 1, Payload: []byte("no")}
	}).leave() // in order: no will
	lose(t, b.addrs["mqtt"], "status/dev")
	got := s.hear(sub)
	h := got.Header
	if got.Destination != "/topic/status.dev" || string(got.Body) != "gone" || got.ContentType != "text/plain" || h.Get("reply-to") != "/topic/wake.dev" ||
		h.Get("correlation-id") != "w1" || fmt.Sprint(theirs(h, "a")) != "[[a 1] [a 2]]" {
		t.Errorf("got %s %q %v", got.Destination, got.Body, h)
	}
	late := dialSTOMP(t, b.addrs["stomp"])
	if got := late.hear(late.subscribe("/topic/status/dev", stomp.AckAuto)); got.Header.Get("retained") != "true" || string(got.Body) != "gone" {
		t.Errorf("retained: %q %v", got.Body, got.Header)
	}
	lose(t, b.addrs["mqtt"], "$queue/wills")
	if got := s.hear(jobs); got.Destination != "/queue/wills" || string(got.Body) != "gone" {
		t.Errorf("into a queue: %s %q", got.Destination, got.Body)
	}
}

// lose connects with a retained will and breaks the connection. It writes CONNECT itself: paho.golang leaves
// most properties of a will out.
func lose(t *testing.T, addr, topic string) {
	t.Helper()
	text := func(b []byte, s string) []byte { return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...) }
	props := (&packets.Properties{
		ContentType: "text/plain", ResponseTopic: "wake/dev", CorrelationData: []byte("w1"),
		User: []packets.User{{Key: "a", Value: "1"}, {Key: "a", Value: "2"}},
	}).Pack(packets.PUBLISH)
	const clean, will, qos1, retain = 0x02, 0x04, 0x08, 0x20
	b := append(text(nil, "MQTT"), 5, clean|will|qos1|retain, 0, 60, 0)
	b = text(b, "") // the broker assigns a client identifier
	b = append(append(b, byte(len(props))), props...)
	b = text(text(b, topic), "gone")
	nc := dial(t, addr)
	if _, err := nc.Write(append([]byte{packets.CONNECT << 4, byte(len(b))}, b...)); err != nil {
		t.Fatal(err)
	}
	if p, err := packets.ReadPacket(nc); err != nil || p.Type != packets.CONNACK || p.Content.(*packets.Connack).ReasonCode != 0 {
		t.Fatalf("got %v, %v", p, err)
	}
	nc.Close()
}
