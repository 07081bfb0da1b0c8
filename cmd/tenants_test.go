package wyecmd_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/eclipse/paho.golang/paho"
	"github.com/gorilla/websocket"

	"github.com/wyemq/wye/plugins/users"
)

// tenantNames are the virtual hosts of the tests below. In each everything has the same name: users, client ids,
// destinations, groups.
func tenantNames() []string { return []string{"/", "a", "b"} }

// tenant is a virtual host with those who listen there. What is sent there begins with its name.
type tenant struct {
	*testing.T
	p    *program
	name string

	topics, queue, dead, temp *stompClient
	mqtt, shared              *mqtt5
}

// startTenants runs a broker with three virtual hosts.
func startTenants(t *testing.T, args ...string) *program {
	t.Helper()
	list := []users.User{{Name: "ali", VHost: "/"}, {Name: "ali", VHost: "a"}, {Name: "ali", VHost: "b"}}
	return start(t, slices.Concat([]string{
		"--set", "vhosts=[{name: a, hosts: [a.example.com]}, {name: b}]", "--set", "auth.users.file=" + usersFile(t, list...),
		"--set", `auth.acl.rules=[{id: all, allow: [all], on: ["#"], users: [ali]}]`, "--set", "protocols.stomp.close_on_error=false",
		"--set", "limits.login_delay=0s",
	}, args))
}

// stomp logs in by the host of STOMP.
func (n *tenant) stomp(headers ...string) *stompClient {
	n.Helper()
	c, f := stompConnect(n.T, dial(n.T, n.p.addrs["stomp"]), "ali", passwordOf("ali"), append(headers, "host:"+n.name)...)
	if f.command != "CONNECTED" {
		n.Fatalf("%s: %+v", n.name, f)
	}
	return c
}

// mqtt5 logs in by the name of the user.
func (n *tenant) mqtt5(change ...func(*paho.Connect)) (*mqtt5, net.Conn) {
	n.Helper()
	nc := dial(n.T, n.p.addrs["mqtt"])
	c, code := mqtt5Connect(n.T, nc, n.name+":ali", passwordOf("ali"), change...)
	if code != 0 {
		n.Fatalf("%s: code 0x%02x", n.name, code)
	}
	return c, nc
}

// subscribe is mqtt5.subscribe of what must be granted.
func (n *tenant) subscribe(c *mqtt5, filters ...string) {
	n.Helper()
	for _, filter := range filters {
		if code := c.subscribe(filter); code > 2 {
			n.Fatalf("%s: %s: code 0x%02x", n.name, filter, code)
		}
	}
}

func idOf(id string) func(*paho.Connect) { return func(c *paho.Connect) { c.ClientID = id } }

// listen subscribes to everything.
func listen(t *testing.T, p *program, name string) *tenant {
	t.Helper()
	n := &tenant{T: t, p: p, name: name}
	n.topics = n.stomp("client-id:topics")
	n.topics.ok("SUBSCRIBE", "", "id:1", "destination:/topic/#")
	n.queue = n.stomp("client-id:queue")
	n.queue.ok("SUBSCRIBE", "", "id:1", "destination:/queue/q")
	n.dead = n.stomp("client-id:dead")
	n.dead.ok("SUBSCRIBE", "", "id:1", "destination:/queue/DLQ.n")
	n.temp = n.stomp("client-id:temp")
	n.temp.ok("SUBSCRIBE", "", "id:1", "destination:/temp-queue/t")
	n.mqtt, _ = n.mqtt5(idOf("m"))
	n.subscribe(n.mqtt, "#")
	n.shared, _ = n.mqtt5(idOf("s"))
	n.subscribe(n.shared, "$share/g/#")
	return n
}

// body says where it comes from.
func (n *tenant) body(what string) string { return n.name + " " + what }

// sendAll sends by every way there is. What it returns are the bodies that are to come on topics, and on the queue.
func (n *tenant) sendAll() (topics, queue []string) {
	n.Helper()
	onTopic := func(what string) string { topics = append(topics, n.body(what)); return n.body(what) }
	onQueue := func(what string) string { queue = append(queue, n.body(what)); return n.body(what) }
	s := n.stomp("client-id:sender")
	s.ok("SEND", onTopic("send"), "destination:/topic/t.x")
	s.ok("SEND", onTopic("retain"), "destination:/topic/t.keep", "retain:true")
	s.ok("SEND", onTopic("later"), "destination:/topic/t.x", "AMQ_SCHEDULED_DELAY:50")
	s.ok("SEND", onQueue("queue"), "destination:/queue/q")
	s.ok("BEGIN", "", "transaction:t")
	s.send("SEND", onTopic("transaction"), "destination:/topic/t.x", "transaction:t")
	s.send("SEND", onQueue("transaction"), "destination:/queue/q", "transaction:t")
	s.ok("COMMIT", "", "transaction:t")
	s.ok("SEND", n.body("dead"), "destination:/queue/n")
	s.ok("SUBSCRIBE", "", "id:n", "destination:/queue/n", "ack:client-individual", "prefetch-count:1")
	f := s.read()
	s.ok("NACK", "", "id:"+f.header("ack"), "requeue:false")
	m, nc := n.mqtt5(func(c *paho.Connect) {
		c.ClientID = "willing"
		c.WillMessage = &paho.WillMessage{Topic: "t/will", Payload: []byte(onTopic("will")), QoS: 1}
	})
	for _, x := range []struct{ topic, body string }{
		{"t/x", onTopic("publish")}, {"$queue/q", onQueue("mqtt")}, {"$delayed/1/t/x", onTopic("delayed")},
	} {
		if code := m.publish(x.topic, x.body); code >= 0x80 {
			n.Fatalf("%s: publish %s: code 0x%02x", n.name, x.topic, code)
		}
	}
	m.publish("t/mkeep", onTopic("retained"), func(p *paho.Publish) { p.Retain = true })
	nc.Close()
	return topics, queue
}

// hearer is a client that somebody listens to.
type hearer interface{ next() string }

// hears reads until everything that is wanted has come, and then the mark. Nothing else may come.
func (n *tenant) hears(what string, c hearer, want []string, mark func(body string)) {
	n.Helper()
	left := slices.Clone(want)
	take := func(body string) {
		if strings.HasPrefix(body, n.name+" ") {
			left = slices.DeleteFunc(left, func(s string) bool { return s == body })
		} else {
			n.Errorf("%s: %s: heard %q", n.name, what, body)
		}
	}
	for len(left) > 0 {
		take(c.next())
	}
	end := n.body("mark of " + what)
	mark(end)
	for body := c.next(); body != end; body = c.next() {
		take(body)
	}
}

// hearsAll reads everywhere.
func (n *tenant) hearsAll(topics, queue, dead []string) {
	n.Helper()
	s := n.stomp()
	to := func(dest string) func(string) {
		return func(body string) { s.ok("SEND", body, "destination:"+dest) }
	}
	n.hears("topics", n.topics, topics, to("/topic/end.1"))
	n.hears("mqtt", n.mqtt, topics, to("/topic/end.2"))
	n.hears("shared", n.shared, topics, to("/topic/end.3"))
	n.hears("queue", n.queue, queue, to("/queue/q"))
	n.hears("dead", n.dead, dead, to("/queue/DLQ.n"))
}

// retained wants only what was kept here.
func (n *tenant) retained() {
	n.Helper()
	for _, c := range []*stompClient{n.stomp("client-id:late")} {
		c.ok("SUBSCRIBE", "", "id:1", "destination:/topic/t.*")
		c.ok("SUBSCRIBE", "", "id:2", "destination:/topic/#", "durable:true", "auto-delete:false")
		n.hears("retained", c, []string{n.body("retain"), n.body("retained")}, func(body string) { c.ok("SEND", body, "destination:/topic/end.4") })
		c.ok("UNSUBSCRIBE", "", "id:2", "durable:true", "auto-delete:false")
	}
	m, _ := n.mqtt5(idOf("late"))
	n.subscribe(m, "t/+", "+/mkeep")
	n.hears("retained", m, []string{n.body("retain"), n.body("retained")}, func(body string) { m.publish("t/end", body) })
}

// TestTenants does everything in three virtual hosts at once, in which all has the same name, and looks for what has come to
// another one.
func TestTenants(t *testing.T) {
	for _, engine := range []string{"disk", "memory"} {
		t.Run(engine, func(t *testing.T) {
			p := startTenants(t, "--set", "engine.kind="+engine)
			var all []*tenant
			for _, name := range tenantNames() {
				all = append(all, listen(t, p, name))
			}
			var topics, queue [3][]string
			for i, n := range all {
				topics[i], queue[i] = n.sendAll()
			}
			for i, n := range all {
				n.hearsAll(topics[i], queue[i], []string{n.body("dead")})
			}
			for _, n := range all {
				n.retained()
			}
			for _, n := range all {
				n.tricks(all)
			}
			for _, n := range all { // nobody has been taken over, and nothing has come meanwhile
				n.hearsAll(nil, nil, nil)
			}
		})
	}
}

// tricks tries to reach other virtual hosts by the names of destinations.
func (n *tenant) tricks(all []*tenant) {
	n.Helper()
	names := func(kind string) (list []string) {
		for _, other := range []string{"a", "%2F", "b", "", "..", "../a", "/vhosts/a", "a:", "@a", "%2E%2E/a", "./a", "\\a", "a%00"} {
			for _, sep := range []string{"/", ".", "%2F"} {
				list = append(list, kind+other+sep+"t.x", kind+other+sep+"q")
			}
		}
		return list
	}
	s := n.stomp("client-id:tricks-s")
	m, _ := n.mqtt5(idOf("tricks"))
	heard := n.stomp("client-id:trickster")
	for i, dest := range slices.Concat(names("/topic/"), names("/queue/"), names("/exchange/amq.topic/"), names("/amq/queue/"), names("/dsub/"), names("/temp-topic/"), names("/temp-queue/")) {
		dest = strings.ReplaceAll(dest, ":", `\c`)
		dest = strings.ReplaceAll(dest, `\a`, `\\a`)
		s.do("SEND", n.body("trick"), "destination:"+dest)
		heard.do("SUBSCRIBE", "", fmt.Sprint("id:", i), "destination:"+dest)
		heard.do("SUBSCRIBE", "", fmt.Sprint("id:g", i), "destination:"+dest, "x-queue-name:g", "durable:true", "auto-delete:false")
	}
	for _, topic := range slices.Concat(names(""), names("$queue/"), names("$share/g/"), names("$reply/"), names("$delayed/0/"), names("$SYS/")) {
		m.trick(topic, n.body("trick"))
	}
	for _, other := range all {
		if other == n {
			continue
		}
		// The temporary queue of another one is known by its name.
		token := other.stomp()
		token.ok("SUBSCRIBE", "", "id:1", "destination:/temp-queue/t")
		token.ok("SEND", other.body("x"), "destination:/topic/t.x", "reply-to:/temp-queue/r")
		s.do("SEND", n.body("trick"), "destination:"+other.tempOf(token))
		other.hears("temporary queue", token, nil, func(body string) { token.ok("SEND", body, "destination:/temp-queue/t") })
		c := other.stomp()
		c.ok("SEND", other.body("x"), "destination:/topic/t.x", "retain:true")
		c.ok("SEND", other.body("x"), "destination:/queue/q")
	}
	n.hears("tricks", heard, nil, func(body string) {
		heard.ok("SUBSCRIBE", "", "id:end", "destination:/queue/end")
		s.ok("SEND", body, "destination:/queue/end")
	})
}

// tempOf is what others call the temporary queue of c: it is told as the reply-to of a request.
func (n *tenant) tempOf(c *stompClient) string {
	n.Helper()
	l := n.stomp()
	l.ok("SUBSCRIBE", "", "id:1", "destination:/topic/ask")
	c.ok("SEND", n.body("x"), "destination:/topic/ask", "reply-to:/temp-queue/t")
	return l.read().header("reply-to")
}

// trick publishes and subscribes to a name that may be none.
func (m *mqtt5) trick(topic, body string) {
	m.t.Helper()
	if strings.ContainsAny(topic, "+#") || topic == "" {
		return
	}
	if !strings.HasPrefix(topic, "$share/") {
		m.publish(topic, body)
	}
	m.subscribe(topic)
}

// TestTenantsAgain finds everything in its virtual host after a restart.
func TestTenantsAgain(t *testing.T) {
	dir := t.TempDir()
	p := startTenants(t, "--set", "engine.dir="+dir)
	keep := func(c *paho.Connect) {
		c.ClientID, c.CleanStart = "keeps", false
		c.Properties = &paho.ConnectProperties{SessionExpiryInterval: new(uint32(600))}
	}
	for _, name := range tenantNames() {
		n := &tenant{T: t, p: p, name: name}
		m, _ := n.mqtt5(keep)
		n.subscribe(m, "t/#")
		if err := m.c.Disconnect(&paho.Disconnect{}); err != nil {
			t.Fatal(err)
		}
		s := n.stomp("client-id:d")
		s.ok("SUBSCRIBE", "", "id:d", "destination:/topic/t.#", "durable-subscription-name:d")
		s.ok("DISCONNECT", "")
	}
	for _, name := range tenantNames() {
		n := &tenant{T: t, p: p, name: name}
		s := n.stomp()
		s.ok("SEND", n.body("kept"), "destination:/topic/t.x")
		s.ok("SEND", n.body("kept"), "destination:/queue/q")
		s.ok("SEND", n.body("retained"), "destination:/topic/r.x", "retain:true")
		s.ok("SEND", n.body("later"), "destination:/topic/t.x", "AMQ_SCHEDULED_DELAY:1500")
	}
	p.stop(syscall.SIGTERM)
	if code := p.exit(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	p = startTenants(t, "--set", "engine.dir="+dir)
	for _, name := range tenantNames() {
		n := &tenant{T: t, p: p, name: name}
		s := n.stomp("client-id:x")
		to := func(dest string) func(string) { return func(body string) { s.ok("SEND", body, "destination:"+dest) } }
		m, _ := n.mqtt5(keep)
		n.hears("MQTT session", m, []string{n.body("kept"), n.body("later")}, to("/topic/t.end"))
		d := n.stomp("client-id:d")
		d.ok("SUBSCRIBE", "", "id:d", "destination:/topic/t.#", "durable-subscription-name:d")
		n.hears("durable subscription", d, []string{n.body("kept"), n.body("later")}, to("/topic/t.end"))
		q := n.stomp()
		q.ok("SUBSCRIBE", "", "id:q", "destination:/queue/q")
		n.hears("queue", q, []string{n.body("kept")}, to("/queue/q"))
		r := n.stomp()
		r.ok("SUBSCRIBE", "", "id:r", "destination:/topic/r.#")
		n.hears("retained", r, []string{n.body("retained")}, to("/topic/r.end"))
	}
}

// TestTenantEntrances logs in by every way that leads to a virtual host, and by those that do not.
func TestTenantEntrances(t *testing.T) {
	p := startTenants(t, "--set", "listeners.b.uri=tcp://127.0.0.1:0", "--set", "listeners.b.vhost=b", "--set", "listeners.b.vhosts=[b]")
	b := &tenant{T: t, p: p, name: "a"}
	witness := b.stomp()
	witness.ok("SUBSCRIBE", "", "id:1", "destination:/topic/in")
	for _, c := range []struct {
		name, listener, path, host, user string
		headers                          []string
		in                               bool
	}{
		{name: "host", listener: "stomp", user: "ali", headers: []string{"host:a"}, in: true},
		{name: "name of the server", listener: "stomp", user: "ali", headers: []string{"host:a.example.com"}, in: true},
		{name: "user", listener: "stomp", user: "a:ali", headers: []string{"host:localhost"}, in: true},
		{name: "path", listener: "websocket", path: "/vhosts/a/ws", user: "ali", headers: []string{"host:127.0.0.1"}, in: true},
		{name: "encoded path", listener: "websocket", path: "/%76hosts/%61/ws", user: "ali", headers: []string{"host:127.0.0.1"}, in: true},
		{name: "Host", listener: "websocket", path: "/ws", host: "a.example.com", user: "ali", headers: []string{"host:a.example.com"}, in: true},
		{name: "path of another", listener: "websocket", path: "/vhosts/b/", user: "ali", headers: []string{"host:a"}},
		{name: "path back", listener: "websocket", path: "/vhosts/b/../a/", user: "ali", headers: []string{"host:localhost"}},
		{name: "encoded path back", listener: "websocket", path: "/vhosts/b%2f..%2fa/", user: "ali", headers: []string{"host:localhost"}},
		{name: "listener of another", listener: "b", user: "ali", headers: []string{"host:a"}},
		{name: "listener of another, by the user", listener: "b", user: "a:ali", headers: []string{"host:localhost"}},
		{name: "unknown", listener: "stomp", user: "ali", headers: []string{"host:c"}},
		{name: "capital", listener: "stomp", user: "ali", headers: []string{"host:A"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var nc net.Conn
			if c.listener == "websocket" {
				d := websocket.Dialer{Subprotocols: []string{"v12.stomp"}}
				h := http.Header{}
				if c.host != "" {
					h.Set("Host", c.host)
				}
				ws, _, err := d.DialContext(t.Context(), "ws://"+p.addrs["websocket"]+c.path, h)
				if err != nil {
					t.Fatal(err)
				}
				defer ws.Close()
				nc = &wsConn{Conn: ws, kind: websocket.TextMessage}
			} else {
				nc = dial(t, p.addrs[c.listener])
			}
			s, f := stompConnect(t, nc, c.user, passwordOf("ali"), c.headers...)
			if (f.command == "CONNECTED") != c.in {
				t.Fatalf("%+v", f)
			}
			if c.in {
				s.ok("SEND", "a "+c.name, "destination:/topic/in")
				if body := witness.next(); body != "a "+c.name {
					t.Errorf("heard %q", body)
				}
			} else if f.header("reason") != "not_authorized" && f.header("reason") != "bad_credentials" {
				t.Errorf("%+v", f)
			}
		})
	}
	if _, code := mqtt5Connect(t, dial(t, p.addrs["b"]), "a:ali", passwordOf("ali")); code != 0x87 && code != 0x86 {
		t.Errorf("listener of another, MQTT: code 0x%02x", code)
	}
	if _, err := mqtt3Connect(t, dial(t, p.addrs["b"]), "/:ali", passwordOf("ali"), "x"); err == nil {
		t.Error("listener of another, MQTT 3.1.1: let in")
	}
}

// TestTenantCounts counts every virtual host for itself: in $SYS, and in the metrics.
func TestTenantCounts(t *testing.T) {
	p := startTenants(t, "--set", "protocols.mqtt.sys_interval=1s", "--set", "engine.kind=memory")
	for i, name := range tenantNames() {
		n := &tenant{T: t, p: p, name: name}
		c, _ := n.mqtt5()
		for range i {
			n.mqtt5()
		}
		n.subscribe(c, "$SYS/broker/clients/connected")
		for want := fmt.Sprint(i + 1); c.next() != want; { // within a second
		}
	}
	res, err := http.Get("http://" + p.addrs["admin"] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range tenantNames() {
		for _, want := range []string{
			fmt.Sprintf(`wye_sessions{protocol="mqtt",vhost=%q} %d`, name, i+1), fmt.Sprintf(`wye_subscriptions{vhost=%q} 1`, name),
		} {
			if !strings.Contains(string(body), "\n"+want+"\n") {
				t.Errorf("no line %s", want)
			}
		}
	}
}
