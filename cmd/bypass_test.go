package wyecmd_test

import (
	"strings"
	"testing"

	"github.com/eclipse/paho.golang/paho"

	"github.com/wyemq/wye/plugins/users"
)

// bypassRules let everybody do everything but with what is secret, and what belongs to others.
const bypassRules = `
rules:
  - {id: admin, allow: [all], on: ["#"], users: [admin]}
  - {id: secret, deny: [all], on: ["topic/secret/#", "queue/secret/#", "queue/secret", "topic/+/secret"]}
  - {id: own, allow: [read, write], on: ["topic/home/{user}/#", "queue/home/{user}"]}
  - {id: homes, deny: [all], on: ["topic/home/#", "queue/home/#"]}
  - {id: own-group, allow: [consume, delete], on: ["group/{user}-jobs", "group/{client}.sub"]}
  - {id: groups, deny: [consume, delete], on: ["group/#"]}
  - {id: open, allow: [all], on: ["topic/#", "queue/#"]}
`

// bypass is the broker of the tests below: mal tries, ali has what mal wants.
func bypass(t *testing.T) *matrix {
	t.Helper()
	return startMatrix(t, bypassRules, users.User{Name: "admin"}, users.User{Name: "ali"}, users.User{Name: "mal"},
		users.User{Name: "+"}, users.User{Name: "#"}, users.User{Name: "mal/x"}, users.User{Name: "$SYS"})
}

func (m *matrix) connected(listener, user string, headers ...string) *stompClient {
	m.Helper()
	c, f := m.stomp(listener, user, headers...)
	if f.command != "CONNECTED" {
		m.Fatalf("%s: %+v", user, f)
	}
	return c
}

func (m *matrix) mqtt(user string, change ...func(*paho.Connect)) (*mqtt5, byte) {
	m.Helper()
	return mqtt5Connect(m.T, dial(m.T, m.p.addrs["mqtt"]), user, passwordOf(user), change...)
}

// TestSpellings refuses what is secret however a dialect writes it.
func TestSpellings(t *testing.T) {
	m := bypass(t)
	m.watcher.ok("SUBSCRIBE", "", "id:t", "destination:/topic/secret/x")
	m.watcher.ok("SUBSCRIBE", "", "id:q", "destination:/queue/secret")
	m.watcher.ok("SUBSCRIBE", "", "id:r", "destination:/queue/secret/x")
	for listener, spellings := range map[string][]string{
		"stomp": {
			"/topic/secret.x", "/topic/secret/x", "topic/secret/x", "topic/secret.x", "/exchange/amq.topic/secret.x", "/topic/secret", "/topic/secret/",
			"/topic/secret.x.", "/topic/a.secret", "/queue/secret", "queue/secret", "/queue/secret/x", "/amq/queue/secret",
			"/topic/open,/topic/secret.x", "/queue/open,/queue/secret", "/topic/secret.%2Fx",
		},
		"rabbitmq": {"/topic/secret.x", "/exchange/amq.topic/secret.x", "/queue/secret", "/amq/queue/secret", "/queue/secret/x"},
		"activemq": {
			"/topic/secret.x", "/queue/secret", "/topic/open,secret.x", "/queue/open,secret", "/queue/open,queue/secret", "/topic/open,/queue/secret", "/queue/open, secret",
		},
		"slash": {"/topic/secret/x", "/queue/secret", "/queue/secret/x", "/topic/secret/x/"},
	} {
		for _, spelling := range spellings {
			for _, command := range []string{"SEND", "SUBSCRIBE"} {
				c := m.connected(listener, "mal")
				headers := []string{"destination:" + spelling}
				if command == "SUBSCRIBE" {
					headers = append(headers, "id:1")
				}
				body := ""
				if command == "SEND" {
					body = "stolen"
				}
				if f := c.do(command, body, headers...); f.command != "ERROR" {
					t.Errorf("%s: %s %s: %+v", listener, command, spelling, f)
				}
			}
		}
	}
	// Percent-encoding of what needs none stands for itself: another name, which is open.
	c := m.connected("stomp", "mal")
	c.ok("SEND", "stolen", "destination:/topic/%73ecret.x")
	c.ok("SEND", "stolen", "destination:/queue/%73ecret")
	for _, dest := range []string{"/topic/secret/x", "/queue/secret", "/queue/secret/x"} {
		if m.saw(dest, "stolen") {
			t.Errorf("%s was reached", dest)
		}
	}
}

// TestFiltersBypass refuses every filter that would see something of what is secret.
func TestFiltersBypass(t *testing.T) {
	m := bypass(t)
	m.watcher.ok("SEND", "retained", "destination:/topic/secret/x", "retain:true")
	for listener, filters := range map[string][]string{
		"stomp": {
			"/topic/#", "/topic/*.x", "/topic/secret.*", "/topic/secret.#", "/topic/#.x", "/topic/*.*", "/topic/*/x", "/topic/+/x", "/topic/a.*", "/topic/#.secret",
			"/topic/home.mal.#.secret.#,/topic/#",
		},
		"activemq": {"/topic/>", "/topic/*.x", "/topic/secret.>", "/topic/open,>"},
		"slash":    {"/topic/**", "/topic/*/x", "/topic/secret/*", "/topic/#", "/topic/+/x"},
	} {
		for _, filter := range filters {
			c := m.connected(listener, "mal")
			if f := c.do("SUBSCRIBE", "", "id:1", "destination:"+filter); f.command != "ERROR" || f.header("reason") != "not_authorized" {
				t.Errorf("%s: %s: %+v", listener, filter, f)
			}
			c.ok("SUBSCRIBE", "", "id:2", "destination:/topic/open")
		}
	}
	c, _ := m.mqtt("mal")
	for _, filter := range []string{
		"#", "+/x", "+/#", "secret/#", "secret", "+", "+/+", "$share/mal-jobs/#", "$share/mal-jobs/secret/x", "$share/mal-jobs/+/x", "$queue/secret", "$queue/secret/x", "a/+", "home/+", "home/+/x",
		"home/#", "home/ali/#", "home/+/#",
	} {
		if code := c.subscribe(filter); code != 0x87 {
			t.Errorf("mqtt: %s: code 0x%02x", filter, code)
		}
	}
	for _, filter := range []string{"open/x", "home/mal/#", "home/mal/+/x", "$share/mal-jobs/open/x"} {
		if code := c.subscribe(filter); code > 2 {
			t.Errorf("mqtt: %s: code 0x%02x", filter, code)
		}
	}
	select {
	case body := <-c.heard:
		t.Errorf("heard %q", body)
	default:
	}
}

// TestMQTTBypass tries what only MQTT has: topic aliases, wills, delayed topics, and user names that are wildcards.
func TestMQTTBypass(t *testing.T) {
	m := bypass(t)
	m.watcher.ok("SUBSCRIBE", "", "id:t", "destination:/topic/secret/x")
	c, _ := m.mqtt("mal")
	alias := func(n uint16) func(*paho.Publish) {
		return func(p *paho.Publish) { p.Properties = &paho.PublishProperties{TopicAlias: &n} }
	}
	for i, try := range []struct {
		topic string
		alias uint16
		want  byte
	}{
		{"secret/x", 1, 0x87}, // refused, and the alias is there all the same
		{"", 1, 0x87},
		{"open/x", 1, 0x10},
		{"", 1, 0x10},
		{"secret/x", 1, 0x87},
		{"", 1, 0x87},
	} {
		if code := c.publish(try.topic, "stolen", alias(try.alias)); code != try.want && (try.want != 0x10 || code != 0) {
			t.Errorf("step %d: code 0x%02x, want 0x%02x", i, code, try.want)
		}
	}
	for _, topic := range []string{"$delayed/1/secret/x", "$delayed/0/secret/x", "$delayed/1/$queue/secret", "$queue/secret", "secret", "secret/", "home/ali/x"} {
		if code := c.publish(topic, "stolen"); code != 0x87 {
			t.Errorf("%s: code 0x%02x", topic, code)
		}
	}
	for _, topic := range []string{"secret/x", "$queue/secret", "home/ali/x"} {
		_, code := m.mqtt("mal", func(cp *paho.Connect) { cp.WillMessage = &paho.WillMessage{Topic: topic, Payload: []byte("stolen")} })
		if code != 0x87 {
			t.Errorf("will on %s: code 0x%02x", topic, code)
		}
	}
	for _, user := range []string{"+", "#", "mal/x", "$SYS"} {
		c, code := m.mqtt(user, func(cp *paho.Connect) { cp.ClientID = user })
		if code != 0 {
			t.Fatalf("%s: code 0x%02x", user, code)
		}
		for _, filter := range []string{"home/+/#", "home/#", "home/ali/#", "home/mal/x/#", "home/mal/x"} {
			if code := c.subscribe(filter); code != 0x87 {
				t.Errorf("user %s: %s: code 0x%02x", user, filter, code)
			}
		}
		if code := c.publish("home/ali/x", "stolen"); code != 0x87 {
			t.Errorf("user %s publishes: code 0x%02x", user, code)
		}
		_ = c.c.Disconnect(&paho.Disconnect{})
	}
	if m.saw("/topic/secret/x", "stolen") {
		t.Error("what is secret was reached")
	}
}

// TestTemporaryBypass keeps temporary queues and topics to those who made them, and lets anybody answer who was told.
func TestTemporaryBypass(t *testing.T) {
	m := bypass(t)
	ali, mal := m.connected("stomp", "ali"), m.connected("stomp", "mal")
	mal.ok("SUBSCRIBE", "", "id:1", "destination:/queue/rpc")
	ali.ok("SUBSCRIBE", "", "id:1", "destination:/temp-queue/r")
	ali.ok("SUBSCRIBE", "", "id:2", "destination:/temp-topic/r")
	replyTo := func(reply string) string {
		ali.ok("SEND", "ask", "destination:/queue/rpc", "reply-to:"+reply)
		for {
			if f := mal.read(); f.command == "MESSAGE" {
				return f.header("reply-to")
			}
		}
	}
	queue, topic := replyTo("/temp-queue/r"), replyTo("/temp-topic/r")
	if !strings.Contains(queue, "/") || !strings.Contains(topic, "/") {
		t.Fatalf("reply to %q and %q", queue, topic)
	}
	for _, dest := range []string{queue, topic, "/topic/$temp/#", "/topic/$temp/*/r", "/topic/%24temp/#"} {
		f := mal.do("SUBSCRIBE", "", "id:9", "destination:"+dest)
		if f.command != "ERROR" && dest != "/topic/%24temp/#" {
			t.Errorf("%s: %+v", dest, f)
		}
	}
	c, _ := m.mqtt("mal")
	for _, filter := range []string{"$temp/#", "$temp/+/r", "$reply/#", "$share/mal-jobs/$temp/#"} {
		if code := c.subscribe(filter); code < 0x80 {
			t.Errorf("%s: code 0x%02x", filter, code)
		}
	}
	admin, _ := m.mqtt("admin") // not even who may do everything
	if code := admin.subscribe("$temp/#"); code != 0x87 {
		t.Errorf("admin: code 0x%02x", code)
	}
	mal.ok("SEND", "answer 1", "destination:"+queue)
	mal.ok("SEND", "answer 2", "destination:"+topic)
	got := map[string]bool{ali.next(): true, ali.next(): true}
	if !got["answer 1"] || !got["answer 2"] {
		t.Errorf("answers %v", got)
	}
	// A reply-to is a name that is passed on, and gives no right to what it names.
	mal.ok("SEND", "ask", "destination:/topic/open", "reply-to:/queue/secret")
	mal.refused("SUBSCRIBE", "", "id:8", "destination:/queue/secret")
}

// TestStolenNames keeps client ids, kept sessions and durable subscriptions to their users.
func TestStolenNames(t *testing.T) {
	m := bypass(t)
	expiry := uint32(3600)
	phone := func(clean bool) func(*paho.Connect) {
		return func(cp *paho.Connect) {
			cp.ClientID, cp.CleanStart, cp.Properties = "phone", clean, &paho.ConnectProperties{SessionExpiryInterval: &expiry}
		}
	}
	ali, code := m.mqtt("ali", phone(true))
	if code != 0 {
		t.Fatalf("code 0x%02x", code)
	}
	if code := ali.subscribe("home/ali/#"); code > 2 {
		t.Fatalf("code 0x%02x", code)
	}
	steal := func(when string) {
		t.Helper()
		for _, clean := range []bool{true, false} {
			if _, code := m.mqtt("mal", phone(clean)); code != 0x87 {
				t.Errorf("%s, clean %t: code 0x%02x", when, clean, code)
			}
		}
		if _, f := m.stomp("stomp", "mal", "client-id:phone"); f.header("reason") != "not_authorized" {
			t.Errorf("%s, by STOMP: %+v", when, f)
		}
	}
	steal("while ali is there")
	if code := ali.publish("home/ali/x", "1"); code != 0 {
		t.Errorf("ali was disturbed: code 0x%02x", code)
	}
	if got := ali.next(); got != "1" {
		t.Errorf("got %q", got)
	}
	_ = ali.c.Disconnect(&paho.Disconnect{})
	<-ali.c.Done()
	m.watcher.ok("SEND", "2", "destination:/topic/home/ali/x")
	steal("while ali is away")
	again, _ := m.mqtt("ali", phone(false))
	got := again.next()
	if got == "1" { // its acknowledgement was still on the way when ali went
		got = again.next()
	}
	if got != "2" {
		t.Errorf("got %q", got)
	}
	// Durable subscriptions: their groups have rules of their own.
	sub := []string{"id:1", "destination:/topic/open.x", "activemq.subscriptionName:sub"}
	owner := m.connected("stomp", "ali", "client-id:pc")
	owner.ok("SUBSCRIBE", "", sub...)
	owner.ok("DISCONNECT", "")
	owner.read()
	mal := m.connected("stomp", "mal", "client-id:other")
	for _, headers := range [][]string{
		{"SUBSCRIBE", "id:1", "destination:/topic/open.x", "x-queue-name:pc.sub"},
		{"SUBSCRIBE", "id:1", "destination:/topic/open.x", "x-queue-name:pc.sub", "durable:true", "auto-delete:false"},
		{"SUBSCRIBE", "id:1", "destination:/dsub/pc.sub"},
		{"UNSUBSCRIBE", "id:1", "destination:/topic/open.x", "x-queue-name:pc.sub", "durable:true", "auto-delete:false"},
	} {
		mal.refused(headers[0], "", headers[1:]...)
	}
	c, _ := m.mqtt("mal")
	if code := c.subscribe("$share/pc.sub/open/x"); code != 0x87 {
		t.Errorf("$share: code 0x%02x", code)
	}
}

// TestDeclarations does not send to a queue by declaring it the place of dead letters, nor by way of a virtual topic.
func TestDeclarations(t *testing.T) {
	m := bypass(t)
	m.watcher.ok("SUBSCRIBE", "", "id:q", "destination:/queue/secret")
	mal := m.connected("stomp", "mal")
	dead := []string{"x-dead-letter-exchange:", "x-dead-letter-routing-key:secret", "x-message-ttl:1"}
	mal.refused("SEND", "stolen", append([]string{"destination:/queue/d1"}, dead...)...)
	mal.refused("SUBSCRIBE", "", append([]string{"id:1", "destination:/queue/d2"}, dead...)...)
	mal.refused("SUBSCRIBE", "", append([]string{"id:2", "destination:/topic/open.x", "x-queue-name:mal-jobs"}, dead...)...)
	active := m.connected("activemq", "mal")
	active.refused("SUBSCRIBE", "", "id:3", "destination:/queue/Consumer.mal-jobs.VirtualTopic.secret.>")
	active.refused("SUBSCRIBE", "", "id:4", "destination:/queue/Consumer.ali-jobs.VirtualTopic.open")
	mal.ok("BEGIN", "", "transaction:t")
	mal.send("SEND", "open", "destination:/queue/open", "transaction:t")
	mal.send("SEND", "stolen", "destination:/queue/secret", "transaction:t")
	if f := mal.do("COMMIT", "", "transaction:t"); f.command != "ERROR" || f.header("reason") != "not_authorized" {
		t.Errorf("%+v", f)
	}
	if m.saw("/queue/secret", "stolen") {
		t.Error("what is secret was reached")
	}
	mal.ok("SEND", "only", "destination:/queue/open")
	if !m.holds("/queue/open", "only") {
		t.Error("a part of a refused transaction was done")
	}
}

// TestBrokersOwn lets nobody speak in the name of the broker, whoever may do everything.
func TestBrokersOwn(t *testing.T) {
	m := bypass(t)
	m.watcher.ok("SUBSCRIBE", "", "id:t", "destination:/topic/$SYS/bogus")
	m.watcher.ok("SUBSCRIBE", "", "id:e", "destination:/topic/end")
	for listener, dest := range map[string]string{"stomp": "/topic/$SYS/bogus", "rabbitmq": "/topic/$SYS.bogus", "activemq": "/topic/$SYS.bogus", "slash": "/topic/$SYS/bogus"} {
		c := m.connected(listener, "admin")
		c.refused("SEND", "forged", "destination:"+dest)
		c.refused("SEND", "forged", "destination:"+dest, "retain:true", "AMQ_SCHEDULED_DELAY:1")
	}
	c, _ := m.mqtt("admin")
	for _, topic := range []string{"$SYS/bogus", "$delayed/0/$SYS/bogus", "$delayed/1/$SYS/bogus", "$delayed/0/$auth/expiring"} {
		if code := c.publish(topic, "forged"); code < 0x80 {
			t.Errorf("%s: code 0x%02x", topic, code)
		}
	}
	m.watcher.ok("SEND", "end", "destination:/topic/end")
	if got := m.watcher.next(); got != "end" {
		t.Errorf("heard %q", got)
	}
}
