package wyecmd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eclipse/paho.golang/paho"

	"github.com/wyemq/wye/plugins/users"
)

// matrixRules give each group one operation on what is called m, and keep groups and one client id to those who may.
const matrixRules = `
rules:
  - {id: admin, allow: [all], on: ["#"], users: [admin]}
  - {id: publish, allow: [publish], on: ["topic/m/#", "queue/m/#"], groups: [publish]}
  - {id: retain, allow: [retain], on: ["topic/m/#"], groups: [retain]}
  - {id: subscribe, allow: [subscribe], on: ["topic/m/#"], groups: [subscribe]}
  - {id: consume, allow: [consume], on: ["queue/m/#"], groups: [consume]}
  - {id: browse, allow: [browse], on: ["queue/m/#"], groups: [browse]}
  - {id: create, allow: [create], on: ["queue/m/#"], groups: [create]}
  - {id: join, allow: [consume], on: ["group/#"], groups: [join]}
  - {id: delete, allow: [delete], on: ["group/#"], groups: [delete]}
  - {id: closed, deny: [all], on: ["group/#"]}
  - {id: connect, allow: [connect], on: ["client/reserved"], groups: [connect]}
  - {id: reserved, deny: [connect], on: ["client/reserved"]}
`

// action is something a client does, and the operations that it needs: all of them, and no other.
type action struct {
	name, needs string
	// do tries, and reports whether it was allowed.
	do func(m *matrix, user string) bool
}

// matrix is a broker with a listener for each dialect, and somebody who sees everything.
type matrix struct {
	*testing.T
	p       *program
	watcher *stompClient
	n       int
}

func (m *matrix) unique(prefix string) string {
	m.n++
	return fmt.Sprint(prefix, m.n)
}

func (m *matrix) stomp(listener, user string, headers ...string) (*stompClient, stompAnswer) {
	m.Helper()
	return stompConnect(m.T, dial(m.T, m.p.addrs[listener]), user, passwordOf(user), headers...)
}

// saw reports whether body has reached dest, by sending a mark after it.
func (m *matrix) saw(dest, body string) bool {
	m.Helper()
	mark := m.unique("mark")
	m.watcher.ok("SEND", mark, "destination:"+dest)
	seen := false
	for {
		got := m.watcher.next()
		if got == mark {
			return seen
		}
		seen = seen || got == body
	}
}

// holds reports whether the first message in a queue is body.
func (m *matrix) holds(queue, body string) bool {
	m.Helper()
	c, _ := m.stomp("stomp", "admin")
	c.ok("SUBSCRIBE", "", "id:b", "destination:"+queue, "browser:true", "ack:client")
	return c.next() == body
}

const (
	topicA = "/topic/m/a"
	queueW = "/queue/m/w"
)

// stompActions are those of a dialect; topic and wild are how it writes m/a and m/+.
func stompActions(listener, topic, wild string) []action {
	try := func(command string, headers func(m *matrix) []string, seen func(m *matrix, body string) bool) func(*matrix, string) bool {
		return func(m *matrix, user string) bool {
			c, f := m.stomp(listener, user)
			if f.command != "CONNECTED" {
				m.Fatalf("%s: %+v", user, f)
			}
			body := ""
			if command == "SEND" {
				body = m.unique("body")
			}
			f = c.do(command, body, headers(m)...)
			allowed := f.command == "RECEIPT"
			if !allowed && (f.command != "ERROR" || f.header("reason") != "not_authorized") {
				m.Errorf("answered by %+v", f)
			}
			if seen != nil && seen(m, body) != allowed {
				m.Errorf("allowed %t, but that is not what was done", allowed)
			}
			return allowed
		}
	}
	plain := func(h ...string) func(*matrix) []string { return func(*matrix) []string { return h } }
	onTopic := func(m *matrix, body string) bool { return m.saw(topicA, body) }
	onQueue := func(m *matrix, body string) bool { return m.saw(queueW, body) }
	return []action{
		{"publish", "publish", try("SEND", plain("destination:"+topic), onTopic)},
		{"retain", "publish retain", try("SEND", plain("destination:"+topic, "retain:true"), onTopic)},
		{"send", "publish", try("SEND", plain("destination:"+queueW), onQueue)},
		{"create", "publish create", try("SEND", func(m *matrix) []string { return []string{"destination:/queue/m/" + m.unique("new")} }, nil)},
		{"create by consuming", "consume create", try("SUBSCRIBE", func(m *matrix) []string {
			return []string{"id:1", "destination:/queue/m/" + m.unique("new")}
		}, nil)},
		{"subscribe", "subscribe", try("SUBSCRIBE", plain("id:1", "destination:"+wild), nil)},
		{"subscribe with acks", "subscribe", try("SUBSCRIBE", plain("id:1", "destination:"+topic, "ack:client-individual"), nil)},
		{"consume", "consume", try("SUBSCRIBE", plain("id:1", "destination:/queue/m/q"), nil)},
		{"browse", "browse", try("SUBSCRIBE", plain("id:1", "destination:/queue/m/q", "browser:true", "ack:client"), nil)},
		{"join", "subscribe join", try("SUBSCRIBE", func(m *matrix) []string {
			return []string{"id:1", "destination:" + topic, "x-queue-name:" + m.unique("g")}
		}, nil)},
		{"delete", "subscribe delete", try("UNSUBSCRIBE", func(m *matrix) []string {
			group := m.unique("d")
			c, _ := m.stomp("stomp", "admin")
			c.ok("SUBSCRIBE", "", "id:1", "destination:"+topicA, "x-queue-name:"+group, "durable:true", "auto-delete:false")
			c.ok("UNSUBSCRIBE", "", "id:1")
			return []string{"id:1", "destination:" + topic, "x-queue-name:" + group, "durable:true", "auto-delete:false"}
		}, nil)},
		{"transaction", "publish", func(m *matrix, user string) bool {
			c, _ := m.stomp(listener, user)
			body := m.unique("body")
			c.ok("BEGIN", "", "transaction:t")
			c.send("SEND", body, "destination:"+topic, "transaction:t")
			c.send("SEND", body, "destination:"+queueW, "transaction:t")
			allowed := c.do("COMMIT", "", "transaction:t").command == "RECEIPT"
			if m.saw(topicA, body) != allowed {
				m.Errorf("allowed %t, but that is not what was done", allowed)
			}
			return allowed
		}},
		{"connect", "connect", func(m *matrix, user string) bool {
			c, f := m.stomp(listener, user, "client-id:reserved")
			if f.command == "CONNECTED" {
				c.ok("DISCONNECT", "")
				c.read() // the end: the next one finds the client id free
			}
			return f.command == "CONNECTED"
		}},
	}
}

// mqttActions are those of MQTT 5; what a refusal is called is part of it.
func mqttActions() []action {
	connect := func(m *matrix, user string, change ...func(*paho.Connect)) (*mqtt5, byte) {
		m.Helper()
		return mqtt5Connect(m.T, dial(m.T, m.p.addrs["mqtt"]), user, passwordOf(user), change...)
	}
	allowed := func(m *matrix, code byte) bool {
		m.Helper()
		if code >= 0x80 && code != 0x87 {
			m.Errorf("code 0x%02x, want 0x87", code)
		}
		return code < 0x80
	}
	publish := func(topic string, retain bool, seen func(m *matrix, body string) bool) func(*matrix, string) bool {
		return func(m *matrix, user string) bool {
			c, _ := connect(m, user)
			body := m.unique("body")
			ok := allowed(m, c.publish(topic, body, func(p *paho.Publish) { p.Retain = retain }))
			if seen(m, body) != ok {
				m.Errorf("allowed %t, but that is not what was done", ok)
			}
			return ok
		}
	}
	subscribe := func(filter string) func(*matrix, string) bool {
		return func(m *matrix, user string) bool {
			c, _ := connect(m, user)
			return allowed(m, c.subscribe(strings.ReplaceAll(filter, "NEW", m.unique("new"))))
		}
	}
	will := func(retain bool) func(*matrix, string) bool {
		return func(m *matrix, user string) bool {
			_, code := connect(m, user, func(c *paho.Connect) {
				c.WillMessage = &paho.WillMessage{Topic: "m/a", Payload: []byte("will"), Retain: retain}
			})
			return allowed(m, code)
		}
	}
	onTopic := func(m *matrix, body string) bool { return m.saw(topicA, body) }
	return []action{
		{"publish", "publish", publish("m/a", false, onTopic)},
		{"retain", "publish retain", publish("m/a", true, onTopic)},
		{"send", "publish", publish("$queue/m/w", false, func(m *matrix, body string) bool { return m.saw(queueW, body) })},
		{"create", "publish create", func(m *matrix, user string) bool {
			name := m.unique("new")
			return publish("$queue/m/"+name, false, func(m *matrix, body string) bool { return m.holds("/queue/m/"+name, body) })(m, user)
		}},
		{"create by consuming", "consume create", subscribe("$queue/m/NEW")},
		{"subscribe", "subscribe", subscribe("m/+")},
		{"consume", "consume", subscribe("$queue/m/q")},
		{"share", "subscribe join", subscribe("$share/NEW/m/+")},
		{"will", "publish", will(false)},
		{"retained will", "publish retain", will(true)},
		{"connect", "connect", func(m *matrix, user string) bool {
			c, code := connect(m, user, func(c *paho.Connect) { c.ClientID = "reserved" })
			if code == 0 {
				_ = c.c.Disconnect(&paho.Disconnect{})
			}
			return allowed(m, code)
		}},
	}
}

// mqtt3Actions are those of MQTT 3.1.1, which cannot say that a PUBLISH was refused: only what was done tells.
func mqtt3Actions() []action {
	connect := func(m *matrix, user, client string) (*mqtt3, error) {
		m.Helper()
		return mqtt3Connect(m.T, dial(m.T, m.p.addrs["mqtt"]), user, passwordOf(user), client)
	}
	session := func(m *matrix, user string) *mqtt3 {
		m.Helper()
		c, err := connect(m, user, "")
		if err != nil {
			m.Fatal(err)
		}
		return c
	}
	publish := func(topic, dest string, retain bool) func(*matrix, string) bool {
		return func(m *matrix, user string) bool {
			body := m.unique("body")
			session(m, user).publish(topic, body, retain)
			return m.saw(dest, body)
		}
	}
	subscribe := func(filter string) func(*matrix, string) bool {
		return func(m *matrix, user string) bool {
			return session(m, user).subscribe(strings.ReplaceAll(filter, "NEW", m.unique("new"))) != 0x80
		}
	}
	return []action{
		{"publish", "publish", publish("m/a", topicA, false)},
		{"retain", "publish retain", publish("m/a", topicA, true)},
		{"send", "publish", publish("$queue/m/w", queueW, false)},
		{"create", "publish create", func(m *matrix, user string) bool {
			name, body := m.unique("new"), m.unique("body")
			session(m, user).publish("$queue/m/"+name, body, false)
			return m.holds("/queue/m/"+name, body)
		}},
		{"create by consuming", "consume create", subscribe("$queue/m/NEW")},
		{"subscribe", "subscribe", subscribe("m/+")},
		{"consume", "consume", subscribe("$queue/m/q")},
		{"share", "subscribe join", subscribe("$share/NEW/m/+")},
		{"connect", "connect", func(m *matrix, user string) bool {
			c, err := connect(m, user, "reserved")
			if err == nil {
				c.c.Disconnect(100)
			}
			return err == nil
		}},
	}
}

// userWith names the user who has these operations only.
func userWith(needs []string) string {
	if len(needs) == 0 {
		return "nothing"
	}
	return strings.Join(needs, "-")
}

// startMatrix runs a broker with these users, who are in the groups of their operations, rules, and a listener for each dialect.
func startMatrix(t *testing.T, rules string, list ...users.User) *matrix {
	t.Helper()
	file := filepath.Join(t.TempDir(), "acl.yaml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{
		"--set", "auth.users.file=" + usersFile(t, list...), "--set", "auth.acl.file=" + file, "--set", "protocols.stomp.close_on_error=false",
	}
	for _, dialect := range []string{"rabbitmq", "activemq", "slash"} {
		args = append(args, "--set", "listeners."+dialect+".uri=tcp://127.0.0.1:0", "--set", "listeners."+dialect+".protocols=stomp",
			"--set", "protocols.stomp.listeners={rabbitmq: {dialect: rabbitmq}, activemq: {dialect: activemq}, slash: {dialect: slash}}")
	}
	m := &matrix{T: t, p: start(t, args)}
	w, f := m.stomp("stomp", "admin")
	if f.command != "CONNECTED" {
		t.Fatalf("%+v", f)
	}
	m.watcher = w
	return m
}

// TestMatrix tries every operation in every protocol and dialect, with just what it needs and with each of that missing.
func TestMatrix(t *testing.T) {
	speakers := map[string][]action{
		"auto": stompActions("stomp", "/topic/m.a", "/topic/m.*"), "auto slashes": stompActions("stomp", "/topic/m/a", "/topic/m/*"),
		"rabbitmq": stompActions("rabbitmq", "/topic/m.a", "/topic/m.*"), "activemq": stompActions("activemq", "/topic/m.a", "/topic/m.>"),
		"slash": stompActions("slash", "/topic/m/a", "/topic/m/*"), "mqtt 5": mqttActions(), "mqtt 3.1.1": mqtt3Actions(),
	}
	names := make(map[string][]string) // users by name
	for _, actions := range speakers {
		for _, a := range actions {
			needs := strings.Fields(a.needs)
			names[userWith(needs)] = needs
			for i := range needs {
				less := slices.Delete(slices.Clone(needs), i, i+1)
				names[userWith(less)] = less
			}
		}
	}
	list := []users.User{{Name: "admin"}}
	for name, groups := range names {
		list = append(list, users.User{Name: name, Groups: groups})
	}
	m := startMatrix(t, matrixRules, list...)
	m.watcher.ok("SUBSCRIBE", "", "id:t", "destination:"+topicA)
	m.watcher.ok("SUBSCRIBE", "", "id:w", "destination:"+queueW)
	m.watcher.ok("SEND", "there", "destination:/queue/m/q")
	n := 0
	for name, actions := range speakers {
		for _, a := range actions {
			needs := strings.Fields(a.needs)
			t.Run(name+" "+a.name, func(t *testing.T) {
				m := &matrix{T: t, p: m.p, watcher: m.watcher, n: n * 1000}
				n++
				m.watcher.t = t
				if !a.do(m, userWith(needs)) {
					t.Errorf("with %s: refused", a.needs)
				}
				for i := range needs {
					less := slices.Delete(slices.Clone(needs), i, i+1)
					if a.do(m, userWith(less)) {
						t.Errorf("without %s: allowed", needs[i])
					}
				}
			})
		}
	}
	m.watcher.t = t
	m.p.await(t, "operation=publish destination=topic/m/a rule=default")
	m.p.await(t, "rule=reserved")
	m.p.await(t, "rule=closed")
}
