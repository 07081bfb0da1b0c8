package wyecmd_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
	"github.com/go-stomp/stomp/v3"
	"github.com/google/go-cmp/cmp"
)

// clientID names a STOMP client, for its durable subscriptions.
func clientID(id string) func(*stomp.Conn) error { return stomp.ConnOpt.Header("client-id", id) }

// TestCrossDurable keeps what MQTT publishes for a STOMP client that is away, and what STOMP sends for an MQTT
// session.
func TestCrossDurable(t *testing.T) {
	b := start(t, nil)
	for _, c := range []struct {
		name string
		h    []string
	}{
		{"by client-id", []string{"durable-subscription-name", "news"}},
		{"by activemq", []string{"activemq.subscriptionName", "news"}},
		{"by id", []string{"id", "keeps", "durable", "true", "auto-delete", "false"}},
		{"by queue name", []string{"x-queue-name", "keeper", "durable", "true"}},
	} {
		t.Run("STOMP "+c.name, func(t *testing.T) {
			own := strings.ReplaceAll(c.name, " ", "-")
			m := dialMQTT(t, b.addrs["mqtt"])
			s := dialSTOMP(t, b.addrs["stomp"], clientID(own))
			s.subscribe("/topic/"+own+".#", stomp.AckClientIndividual, c.h...)
			s.leave()
			for i := range 6 {
				m.publish(&paho.Publish{Topic: own + "/eu", QoS: byte(i % 3), Retain: i == 5, Payload: fmt.Append(nil, i), Properties: &paho.PublishProperties{
					User: paho.UserProperties{{Key: "n", Value: strconv.Itoa(i)}},
				}})
			}
			m.say(own, "end")
			s = dialSTOMP(t, b.addrs["stomp"], clientID(own))
			sub := s.subscribe("/topic/"+own+".#", stomp.AckClientIndividual, c.h...)
			for _, want := range []string{"0", "1", "2", "3", "4", "5", "end"} {
				got := s.hear(sub)
				if string(got.Body) != want || want != "end" && (got.Header.Get("n") != want || got.Destination != "/topic/"+own+".eu") || got.Header.Get("retained") != "" {
					t.Errorf("got %q %v, want %s", got.Body, got.Header, want)
				}
				if err := s.Ack(got); err != nil {
					t.Fatal(err)
				}
			}
			s.leave()
			m.say(own+"/eu", "later")
			s = dialSTOMP(t, b.addrs["stomp"], clientID(own))
			if got := s.hear(s.subscribe("/topic/"+own+".#", stomp.AckAuto, c.h...)); string(got.Body) != "later" {
				t.Errorf("got %q again", got.Body)
			}
		})
	}
	t.Run("MQTT session", func(t *testing.T) {
		s, m := dialSTOMP(t, b.addrs["stomp"]), dialMQTT(t, b.addrs["mqtt"], kept("away"))
		m.subscribe("away/+", 1)
		m.unsubscribe("away/nothing") // answered after the session has its subscription
		m.leave()
		tx := s.Begin()
		for i := range 3 {
			if err := tx.Send("/topic/away.x", "text/plain", fmt.Append(nil, i), stomp.SendOpt.Header("n", strconv.Itoa(i))); err != nil {
				t.Fatal(err)
			}
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		s.send("/topic/away.x", "", []byte("3"), "n", "3")
		m = dialMQTT(t, b.addrs["mqtt"], kept("away"))
		for i := range 4 {
			if got := m.hear(); string(got.Payload) != strconv.Itoa(i) || got.Properties.User.Get("n") != strconv.Itoa(i) || got.QoS != 1 {
				t.Errorf("got %v, want %d", got, i)
			}
		}
	})
}

// TestCrossTimeLeft counts the time that a message waits in a queue, and leaves out what is too old.
func TestCrossTimeLeft(t *testing.T) {
	b := start(t, nil)
	s, m := dialSTOMP(t, b.addrs["stomp"]), dialMQTT(t, b.addrs["mqtt"])
	tick := s.subscribe("/topic/tick", stomp.AckAuto)
	until := time.Now().Add(30 * time.Second).Truncate(time.Millisecond)
	left := uint32(30)
	for _, q := range []string{"/queue/to-mqtt", "/queue/to-stomp"} {
		s.send(q, "", []byte("old"), "ttl", "500")
		s.send(q, "", []byte("STOMP"), "expires", strconv.FormatInt(until.UnixMilli(), 10))
		m.publish(&paho.Publish{Topic: "$" + q[1:], QoS: 1, Payload: []byte("MQTT"), Properties: &paho.PublishProperties{MessageExpiry: &left}})
	}
	s.send("/topic/tick", "", nil, "AMQ_SCHEDULED_DELAY", "1100") // and so the broker keeps the time
	s.hear(tick)
	m.subscribe("$queue/to-mqtt", 1)
	for _, want := range []string{"STOMP", "MQTT"} {
		got := m.hear()
		if p := got.Properties.MessageExpiry; string(got.Payload) != want || p == nil || *p > 29 || *p < 15 {
			t.Errorf("MQTT has %q, expiry interval %v", got.Payload, p)
		}
	}
	sub := s.subscribe("/queue/to-stomp", stomp.AckAuto)
	for _, want := range []string{"STOMP", "MQTT"} {
		got := s.hear(sub)
		at, err := strconv.ParseInt(got.Header.Get("expires"), 10, 64)
		if string(got.Body) != want || err != nil || at < until.UnixMilli() || at > until.Add(patience).UnixMilli() || want == "STOMP" && at != until.UnixMilli() {
			t.Errorf("STOMP has %q %v", got.Body, got.Header)
		}
	}
}

// TestCrossDelayed has each protocol send later what the other receives.
func TestCrossDelayed(t *testing.T) {
	b := start(t, nil)
	s, m := dialSTOMP(t, b.addrs["stomp"]), dialMQTT(t, b.addrs["mqtt"])
	sub := s.subscribe("/topic/late.*", stomp.AckAuto)
	m.subscribe("late/+", 1)
	before := time.Now()
	m.publish(&paho.Publish{Topic: "$delayed/1/late/mqtt", QoS: 1, Payload: []byte("MQTT"), Properties: &paho.PublishProperties{
		User: paho.UserProperties{{Key: "a", Value: "1"}},
	}})
	s.send("/topic/late.stomp", "", []byte("STOMP"), "AMQ_SCHEDULED_DELAY", "1100", "a", "1")
	for _, want := range []string{"MQTT", "STOMP"} {
		got, p := s.hear(sub), m.hear()
		if string(got.Body) != want || got.Header.Get("a") != "1" || string(p.Payload) != want || p.Properties.User.Get("a") != "1" || p.Topic != "late/"+strings.ToLower(want) {
			t.Errorf("STOMP has %q %v, MQTT %v, want %s", got.Body, got.Header, p, want)
		}
		if early := time.Second - time.Since(before); early > 0 {
			t.Errorf("%s came %v too early", want, early)
		}
	}
}

// TestCrossTransaction shows MQTT what STOMP commits, all at once and in order, and nothing of what it aborts.
func TestCrossTransaction(t *testing.T) {
	b := start(t, nil)
	s, m := dialSTOMP(t, b.addrs["stomp"]), dialMQTT(t, b.addrs["mqtt"])
	m.subscribe("tx/#", 2)
	m.subscribe("$queue/tx", 1)
	m.say("$queue/work", "task")
	work := s.subscribe("/queue/work", stomp.AckClientIndividual)
	task := s.hear(work)

	sends := func(tx *stomp.Transaction, what string) {
		t.Helper()
		for i := range 3 {
			for _, dest := range []string{"/topic/tx.a", "/queue/tx"} {
				if err := tx.Send(dest, "", fmt.Append(nil, what, i)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := tx.Ack(task); err != nil {
			t.Fatal(err)
		}
	}
	tx := s.Begin()
	sends(tx, "aborted")
	if err := tx.Abort(); err != nil {
		t.Fatal(err)
	}
	tx = s.Begin()
	sends(tx, "")
	s.send("/topic/tx.outside", "", []byte("outside"), "retain", "true")
	if got := m.hear(); string(got.Payload) != "outside" {
		t.Errorf("before COMMIT: %s %q", got.Topic, got.Payload)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for range 6 {
		p := m.hear()
		got[p.Topic] += string(p.Payload)
	}
	if diff := cmp.Diff(map[string]string{"tx/a": "012", "$queue/tx": "012"}, got); diff != "" {
		t.Errorf("committed (-want +got):\n%s", diff)
	}
	s.leave()
	m.subscribe("$queue/work", 1) // its one message was acknowledged by COMMIT
	m.say("$queue/work", "next")
	if p := m.hear(); string(p.Payload) != "next" {
		t.Errorf("got %q", p.Payload)
	}
}

// TestCrossMessageGroup has each JMSXGroupID that MQTT says as a user property be served by one consumer, in order.
func TestCrossMessageGroup(t *testing.T) {
	b := start(t, nil)
	const groups, each = 9, 10
	one, two := dialSTOMP(t, b.addrs["stomp"]), dialSTOMP(t, b.addrs["stomp"])
	m, pub := dialMQTT(t, b.addrs["mqtt"]), dialMQTT(t, b.addrs["mqtt"])
	by1 := one.subscribe("/queue/grouped", stomp.AckClientIndividual, "prefetch-count", "1000")
	by2 := two.subscribe("/queue/grouped", stomp.AckClientIndividual, "prefetch-count", "1000")
	m.subscribe("$queue/grouped", 1)
	for i := range each {
		for g := range groups {
			pub.publish(&paho.Publish{Topic: "$queue/grouped", QoS: 1, Payload: fmt.Append(nil, i), Properties: &paho.PublishProperties{
				User: paho.UserProperties{{Key: "JMSXGroupID", Value: strconv.Itoa(g)}},
			}})
		}
	}
	order, served := make(map[string]string), make(map[string]string)
	note := func(group, who, body string) {
		if served[group] == "" {
			served[group] = who
		}
		if served[group] != who {
			t.Errorf("group %s is served by %s and %s", group, served[group], who)
		}
		order[group] += body
	}
	for range groups * each {
		select {
		case got := <-by1.in:
			note(got.Header.Get("JMSXGroupID"), "one", string(got.Body))
		case got := <-by2.in:
			note(got.Header.Get("JMSXGroupID"), "two", string(got.Body))
		case got := <-m.in:
			note(got.Properties.User.Get("JMSXGroupID"), "mqtt", string(got.Payload))
		case <-time.After(patience):
			t.Fatalf("nothing comes after %v", order)
		}
	}
	had := make(map[string]int)
	for g := range groups {
		k := strconv.Itoa(g)
		had[served[k]]++
		if order[k] != "0123456789" {
			t.Errorf("group %s: order %s", k, order[k])
		}
	}
	if len(had) != 3 {
		t.Errorf("groups per consumer: %v", had)
	}
}

// TestCrossDeadLetters has each protocol read what the other one has refused, with the reason.
func TestCrossDeadLetters(t *testing.T) {
	b := start(t, nil)
	s, m := dialSTOMP(t, b.addrs["stomp"]), dialMQTT(t, b.addrs["mqtt"], manual)
	t.Run("refused by STOMP", func(t *testing.T) {
		m.subscribe("$queue/DLQ.bad/jobs", 1)
		sub := s.subscribe("/queue/bad/jobs", stomp.AckClientIndividual, "x-delivery-limit", "3")
		m.publish(&paho.Publish{Topic: "$queue/bad/jobs", QoS: 1, Payload: []byte("poison"), Properties: &paho.PublishProperties{
			ContentType: "text/plain", CorrelationData: []byte("c"), ResponseTopic: "re/ply", User: paho.UserProperties{{Key: "a", Value: "1"}, {Key: "a", Value: "2"}},
		}})
		for i := range 3 {
			got := s.hear(sub)
			if n := got.Header.Get("JMSXDeliveryCount"); i > 0 && n != strconv.Itoa(i+1) {
				t.Errorf("delivery count %s, want %d", n, i+1)
			}
			if err := s.Nack(got); err != nil {
				t.Fatal(err)
			}
		}
		got := m.hear()
		p := got.Properties
		if got.Topic != "$queue/DLQ.bad/jobs" || string(got.Payload) != "poison" || p.ContentType != "text/plain" || p.ResponseTopic != "re/ply" || string(p.CorrelationData) != "c" ||
			fmt.Sprint(p.User.GetAll("a")) != "[1 2]" || p.User.Get("dead-letter-reason") != "max_deliveries" || p.User.Get("dead-letter-attempts") != "3" || p.User.Get("dead-letter-queue") != "queue/bad/jobs" {
			t.Errorf("got %v %+v", got, p)
		}
	})
	t.Run("refused by MQTT", func(t *testing.T) {
		sub := s.subscribe("/queue/DLQ.worse", stomp.AckAuto)
		m.subscribe("$queue/worse", 1)
		s.send("/queue/worse", "text/plain", []byte("poison"), "a", "1", "reply-to", "/topic/re.ply")
		no := packets.NewControlPacket(packets.PUBACK)
		no.Content.(*packets.Puback).PacketID, no.Content.(*packets.Puback).ReasonCode = m.hear().PacketID, packets.PubackNotAuthorized
		if _, err := no.WriteTo(m.nc); err != nil {
			t.Fatal(err)
		}
		got := s.hear(sub)
		h := got.Header
		if got.Destination != "/queue/DLQ.worse" || string(got.Body) != "poison" || got.ContentType != "text/plain" || h.Get("a") != "1" || h.Get("reply-to") != "/topic/re.ply" ||
			h.Get("dead-letter-reason") != "rejected" || h.Get("dead-letter-queue") != "queue/worse" {
			t.Errorf("got %q %v", got.Body, h)
		}
	})
}

// TestCrossFull refuses what does not fit into a queue, in the words of its publisher.
func TestCrossFull(t *testing.T) {
	b := start(t, nil)
	s, m := dialSTOMP(t, b.addrs["stomp"]), dialMQTT(t, b.addrs["mqtt"])
	sub := s.subscribe("/queue/small", stomp.AckClientIndividual, "x-max-length", "2", "x-overflow", "reject-publish", "prefetch-count", "1")
	m.say("$queue/small", "0")
	m.say("$queue/small", "1")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := m.Publish(ctx, &paho.Publish{Topic: "$queue/small", QoS: 1, Payload: []byte("2")})
	if err == nil || r == nil || r.ReasonCode != packets.PubackQuotaExceeded {
		t.Errorf("MQTT: %+v, %v", r, err)
	}
	other := dialSTOMP(t, b.addrs["stomp"])
	err = other.Send("/queue/small", "", []byte("2"), stomp.SendOpt.Receipt)
	if err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("STOMP: %v", err)
	}
	for i := range 2 {
		got := s.hear(sub)
		if string(got.Body) != strconv.Itoa(i) {
			t.Errorf("got %q, want %d", got.Body, i)
		}
		if err := s.Ack(got); err != nil {
			t.Fatal(err)
		}
	}
	s.barrier()
	m.say("$queue/small", "room again")
	if got := s.hear(sub); string(got.Body) != "room again" {
		t.Errorf("got %q", got.Body)
	}
}

// TestCrossSelector selects by what MQTT says in properties, on a topic, in a queue and among retained messages.
func TestCrossSelector(t *testing.T) {
	b := start(t, nil)
	s, m := dialSTOMP(t, b.addrs["stomp"]), dialMQTT(t, b.addrs["mqtt"])
	say := func(topic, body, color, size string) {
		t.Helper()
		m.publish(&paho.Publish{Topic: topic, QoS: 1, Retain: true, Payload: []byte(body), Properties: &paho.PublishProperties{
			CorrelationData: []byte("c-" + body), User: paho.UserProperties{{Key: "color", Value: color}, {Key: "size", Value: size}},
		}})
	}
	say("sel/1", "kept red", "red", "12")
	say("sel/2", "kept blue", "blue", "12")
	const selector = "color = 'red' AND size > 10 AND JMSCorrelationID LIKE 'c-%'"
	sub := s.subscribe("/topic/sel.*", stomp.AckAuto, "selector", selector)
	if got := s.hear(sub); string(got.Body) != "kept red" || got.Header.Get("retained") != "true" {
		t.Errorf("got %q %v", got.Body, got.Header)
	}
	say("sel/3", "small", "red", "9")
	say("sel/3", "live", "red", "11")
	if got := s.hear(sub); string(got.Body) != "live" {
		t.Errorf("got %q", got.Body)
	}
	// What does not match does not block what does, and is there for MQTT.
	picky := s.subscribe("/queue/sel", stomp.AckAuto, "selector", selector)
	say("$queue/sel", "small", "red", "9")
	say("$queue/sel", "matches", "red", "11")
	if got := s.hear(picky); string(got.Body) != "matches" {
		t.Errorf("got %q", got.Body)
	}
	m.subscribe("$queue/sel", 1)
	if got := m.hear(); string(got.Payload) != "small" {
		t.Errorf("got %q", got.Payload)
	}
}

// TestCrossComposite sends one frame to a topic and a queue; MQTT has both.
func TestCrossComposite(t *testing.T) {
	b := startDialects(t)
	for listener, dest := range map[string]string{"stomp": "/topic/both.x,/queue/stomp", "activemq": "topic/both.x,queue/activemq"} {
		t.Run(listener, func(t *testing.T) {
			s, m := dialSTOMP(t, b.addrs[listener]), dialMQTT(t, b.addrs["mqtt"])
			m.subscribe("both/x", 1)
			m.subscribe("$queue/"+listener, 1)
			s.send(dest, "text/plain", []byte("x"), "a", "1")
			got := make(map[string]string)
			for range 2 {
				p := m.hear()
				got[p.Topic] = string(p.Payload) + p.Properties.User.Get("a")
			}
			if diff := cmp.Diff(map[string]string{"both/x": "x1", "$queue/" + listener: "x1"}, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", dest, diff)
			}
		})
	}
}

// TestCrossTemporary answers to temporary queues and topics of STOMP from MQTT and from other STOMP clients, who
// write them in ways of their own.
func TestCrossTemporary(t *testing.T) {
	b := startDialects(t)
	for _, c := range []struct{ listener, temp, told, mqtt string }{
		{"stomp", "/temp-queue/a", "/reply-queue/", "$reply/"},
		{"rabbitmq", "/temp-queue/a", "/reply-queue/", "$reply/"},
		{"slash", "/temp-queue/a", "/reply-queue/", "$reply/"},
		{"activemq", "/temp-queue/a", "/remote-temp-queue/", "$reply/"},
		{"stomp", "/temp-topic/a.b", "/topic/$temp.", "$temp/"},
		{"activemq", "/temp-topic/a.b", "/topic/$temp.", "$temp/"},
	} {
		t.Run(c.listener+" "+c.temp, func(t *testing.T) {
			asker, server := dialSTOMP(t, b.addrs[c.listener]), dialSTOMP(t, b.addrs[c.listener])
			m := dialMQTT(t, b.addrs["mqtt"])
			answers := asker.subscribe(c.temp, stomp.AckAuto)
			questions := server.subscribe("/topic/asked", stomp.AckAuto)
			m.subscribe("asked", 1)
			asker.send("/topic/asked", "", []byte("q"), "reply-to", c.temp)
			p := m.hear()
			if !strings.HasPrefix(p.Properties.ResponseTopic, c.mqtt) {
				t.Errorf("response topic %s", p.Properties.ResponseTopic)
			}
			m.say(p.Properties.ResponseTopic, "by MQTT")
			if got := asker.hear(answers); string(got.Body) != "by MQTT" || got.Destination != c.temp {
				t.Errorf("got %q of %s", got.Body, got.Destination)
			}
			q := server.hear(questions)
			if !strings.HasPrefix(q.Header.Get("reply-to"), c.told) {
				t.Errorf("reply-to:%s", q.Header.Get("reply-to"))
			}
			server.send(q.Header.Get("reply-to"), "", []byte("by STOMP"))
			if got := asker.hear(answers); string(got.Body) != "by STOMP" || got.Destination != c.temp {
				t.Errorf("got %q of %s", got.Body, got.Destination)
			}
		})
	}
}

// TestCrossBrokersWords lets no user property pass for what only the broker says of a MESSAGE.
func TestCrossBrokersWords(t *testing.T) {
	b := start(t, nil)
	s, m := dialSTOMP(t, b.addrs["stomp"]), dialMQTT(t, b.addrs["mqtt"])
	sub := s.subscribe("/topic/forged", stomp.AckAuto)
	words := []string{
		"destination", "subscription", "message-id", "ack", "redelivered", "JMSXDeliveryCount", "retained", "browser", "timestamp",
		"expires", "priority", "persistent", "correlation-id-encoding", "content-length", "receipt-id",
	}
	p := &paho.PublishProperties{User: paho.UserProperties{{Key: "first", Value: "kept"}}}
	for _, w := range words {
		p.User = append(p.User, paho.UserProperty{Key: w, Value: "forged"})
	}
	p.User = append(p.User, paho.UserProperty{Key: "last", Value: "kept"})
	m.publish(&paho.Publish{Topic: "forged", Payload: []byte("body"), Properties: p})
	got := s.hear(sub)
	if string(got.Body) != "body" || fmt.Sprint(theirs(got.Header, "first", "last")) != "[[first kept] [last kept]]" {
		t.Errorf("got %q %v", got.Body, got.Header)
	}
	for _, w := range words {
		for _, h := range theirs(got.Header, w) {
			if h[1] == "forged" {
				t.Errorf("%s:%s", w, h[1])
			}
		}
	}
}

// TestCrossClientID uses one client id in both protocols: the later one takes over, and leaves alone what is kept for
// the other.
func TestCrossClientID(t *testing.T) {
	b := start(t, nil)
	pub := dialMQTT(t, b.addrs["mqtt"])
	m := dialMQTT(t, b.addrs["mqtt"], kept("same"))
	m.subscribe("same/+", 1)
	s := dialSTOMP(t, b.addrs["stomp"], clientID("same"))
	select {
	case d := <-m.gone:
		if d.ReasonCode != packets.DisconnectSessionTakenOver {
			t.Errorf("MQTT is told %#02x", d.ReasonCode)
		}
	case <-time.After(patience):
		t.Fatal("the MQTT client stays")
	}
	sub := s.subscribe("/topic/same.*", stomp.AckClientIndividual, "durable-subscription-name", "d")
	pub.say("same/x", "1")
	if got := s.hear(sub); string(got.Body) != "1" { // not acknowledged
		t.Errorf("STOMP has %q", got.Body)
	}
	m = dialMQTT(t, b.addrs["mqtt"], kept("same"))
	if last := <-sub.in; last == nil || last.Err == nil || !strings.Contains(last.Err.Error(), "another connection") {
		t.Errorf("STOMP is told %+v", last)
	}
	if got := m.hear(); !m.ack.SessionPresent || string(got.Payload) != "1" {
		t.Errorf("MQTT has %v, session present %v", got, m.ack.SessionPresent)
	}
	s = dialSTOMP(t, b.addrs["stomp"], clientID("same"))
	if got := s.hear(s.subscribe("/topic/same.*", stomp.AckAuto, "durable-subscription-name", "d")); string(got.Body) != "1" || got.Header.Get("redelivered") != "true" {
		t.Errorf("STOMP has %q %v", got.Body, got.Header)
	}
}

// TestUnsubscribed hears nothing of a subscription behind the receipt of its end, however much is on its way; of a queue,
// all that was not heard comes again.
func TestUnsubscribed(t *testing.T) {
	const most = 5000
	p := start(t, inMemory)
	for _, dest := range []string{"/topic/a", "/queue/a"} {
		t.Run(dest[1:6], func(t *testing.T) {
			c, _ := stompConnect(t, dial(t, p.addrs["stomp"]), "", "")
			sender, _ := stompConnect(t, dial(t, p.addrs["stomp"]), "", "")
			sent := make(chan struct{})
			go func() { // until all was sent
				defer close(sent)
				for i := range most {
					if _, err := fmt.Fprintf(sender.nc, "SEND\ndestination:%s\n\n%d\x00", dest, i); err != nil {
						t.Error(err)
						return
					}
				}
			}()
			heard := make(map[string]bool)
			collect := func() {
				for _, body := range c.heard {
					heard[body] = true
				}
				c.heard = nil
			}
			for more := true; more; {
				select {
				case <-sent:
					more = false
				default:
				}
				c.ok("SUBSCRIBE", "", "id:1", "destination:"+dest)
				c.ok("UNSUBSCRIBE", "", "id:1")
				collect()
				c.ok("SEND", "", "destination:/topic/nobody")
				if len(c.heard) > 0 {
					t.Fatalf("%q came behind the receipt", c.heard[0])
				}
			}
			if dest == "/topic/a" {
				return
			}
			for c.ok("SUBSCRIBE", "", "id:1", "destination:"+dest); len(heard) < most; collect() {
				c.heard = append(c.heard, c.next())
			}
		})
	}
}
