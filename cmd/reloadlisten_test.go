package wyecmd_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// addrOf waits for a listener to listen and returns where.
func (c *configured) addrOf(listener string) string {
	c.t.Helper()
	c.await(c.t, "msg=listening listener="+listener+" ")
	addr := ""
	for line := range strings.SplitSeq(c.all(), "\n") {
		if m := listening.FindStringSubmatch(line); m != nil && m[1] == listener {
			addr = m[2]
		}
	}
	return addr
}

// TestReloadListeners adds a listener, changes one under its clients, moves one and removes one: who is connected to what
// stays loses nothing, and who is connected to what goes is told.
func TestReloadListeners(t *testing.T) {
	p := startWith(t, "", "--set", "protocols.stomp.close_on_error=false")
	stays, _ := stompConnect(t, dial(t, p.addrs["stomp"]), "", "")
	stays.ok("SUBSCRIBE", "", "id:1", "destination:/topic/a")
	n := 0
	check := func(from *stompClient) {
		t.Helper()
		n++
		body := fmt.Sprint("message ", n)
		from.ok("SEND", body, "destination:/topic/a")
		if got := stays.next(); got != body {
			t.Errorf("heard %q, want %q", got, body)
		}
	}
	check(stays)

	r := p.must("listeners: {more: {uri: 'tcp://127.0.0.1:0', protocols: [stomp]}, stomp: {max_connections: 1}}\n")
	if r.change("listeners.more.uri") != ` -> "tcp://127.0.0.1:0"` || r.change("listeners.stomp.max_connections") != "100000 -> 1" || len(r.Changes) != 3 {
		t.Errorf("%+v", r.Changes)
	}
	first := p.addrOf("more")
	guest, _ := stompConnect(t, dial(t, first), "", "")
	check(guest)
	check(stays)
	if _, f := stompConnect(t, dial(t, p.addrs["stomp"]), "", ""); f.command != "ERROR" || f.header("reason") != "limit_exceeded" {
		t.Errorf("a second connection to a listener that may have one: %+v", f)
	}

	r = p.must("listeners: {more: {uri: 'tcp://127.0.0.2:0', protocols: [stomp]}}\n")
	if len(r.Changes) != 2 {
		t.Errorf("%+v", r.Changes)
	}
	f := guest.read()
	if f.command != "ERROR" || f.header("reason") != "server_shutdown" {
		t.Errorf("a client of a listener that has moved heard %+v", f)
	}
	p.await(t, "listener removed, its connections end")
	second := p.addrOf("more")
	if second == first {
		t.Fatal(second)
	}
	again, _ := stompConnect(t, dial(t, second), "", "")
	check(again)
	other, _ := stompConnect(t, dial(t, p.addrs["stomp"]), "", "")
	check(other)

	p.must("listeners: {stomp: {protocols: [mqtt, stomp]}}\n")
	if f := again.read(); f.header("reason") != "server_shutdown" {
		t.Errorf("a client of a listener that is gone heard %+v", f)
	}
	if nc, err := net.Dial("tcp", second); err == nil {
		nc.Close()
		t.Error("the listener that is gone still listens")
	}
	m, code := mqtt5Connect(t, dial(t, p.addrs["stomp"]), "", "")
	if code != 0 || m.publish("a", "by MQTT") != 0 || stays.next() != "by MQTT" {
		t.Error("a listener that serves one more protocol does not")
	}
	check(stays)
}

// TestReloadOfConnectionLimits: the limits of a listener, and those of connections of all, hold for whoever comes next.
func TestReloadOfConnectionLimits(t *testing.T) {
	p := startWith(t, "")
	connect := func() string {
		t.Helper()
		_, f := stompConnect(t, dial(t, p.addrs["stomp"]), "", "")
		return f.command + " " + f.header("reason")
	}
	connect()
	for set, want := range map[string]string{
		"listeners: {stomp: {max_connections: 1}}":                 "ERROR limit_exceeded",
		"listeners: {stomp: {max_connections_per_address: 1}}":     "ERROR limit_exceeded",
		"listeners: {stomp: {max_connection_rate: 1}}":             "ERROR rate_exceeded",
		"listeners: {stomp: {max_connection_rate_per_address: 1}}": "ERROR rate_exceeded",
		"limits: {user_connections: 1}":                            "ERROR limit_exceeded",
		"limits: {vhost_connections: 1}":                           "ERROR limit_exceeded",
	} {
		p.must(set)
		got := connect()
		if strings.HasSuffix(want, "rate_exceeded") { // one was free
			got = connect()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", set, got, want)
		}
		p.must("")
		if got := connect(); got != "CONNECTED " {
			t.Errorf("without %s: %s", set, got)
		}
	}
}

// TestReloadListenersRefused leaves nothing open when a listener cannot be opened, or anybody else refuses.
func TestReloadListenersRefused(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	p := startWith(t, "")
	for yaml, want := range map[string]string{
		"listeners: {a: {uri: 'tcp://" + addr + "'}, b: {uri: 'tcp://" + taken.Addr().String() + "'}}": "listeners.b.uri: listen on tcp://",
		"listeners: {a: {uri: 'tcp://" + addr + "'}}\nauth: {jwt: {key_file: /nowhere}}":               "auth.jwt.key_file: ",
		"listeners: {a: {uri: 'tls://" + addr + "', tls: {cert_file: /no, key_file: /no}}}":            "listeners.a.tls",
		"listeners: {a: {uri: 'tcp://" + addr + "', protocols: [stmp]}}":                               `listeners.a.protocols: unknown protocol "stmp"`,
		"listeners: {stomp: {enabled: false}, mqtt: {enabled: false}, websocket: {enabled: false}}":    "listeners: none is enabled",
	} {
		r := p.reload(yaml)
		if text := strings.Join(r.Errors, "\n"); r.status != http.StatusUnprocessableEntity || !strings.Contains(text, want) {
			t.Errorf("%s: status %d\n%s", yaml, r.status, text)
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Errorf("%s: the address is taken: %v", yaml, err)
			continue
		}
		l.Close()
	}
	c, f := stompConnect(t, dial(t, p.addrs["stomp"]), "", "")
	if f.command != "CONNECTED" {
		t.Fatalf("%+v", f)
	}
	c.ok("SEND", "x", "destination:/topic/a")
}

// TestReloadReachable opens a listener that others can reach, and says that nobody could log in from there: at the start it
// would have been refused, but here who could is perhaps what changes next.
func TestReloadReachable(t *testing.T) {
	p := startWith(t, "")
	const yaml = "listeners: {open: {uri: 'tcp://0.0.0.0:0'}}\n"
	p.must(yaml)
	p.await(t, `msg="nobody can log in" listener=open`)
	p.must(yaml + "auth: {anonymous: true}\n")
	p.await(t, `msg="anybody can log in: auth.anonymous is true" listener=open`)
}

// TestReloadUnderLoad reloads again and again, something else every time, while messages go from MQTT to STOMP and back by
// way of a queue: all arrive, once, in order.
func TestReloadUnderLoad(t *testing.T) {
	p := startWith(t, "", "--set", "protocols.stomp.close_on_error=false")
	const messages = 2000
	m, code := mqtt5Connect(t, dial(t, p.addrs["mqtt"]), "", "")
	if code != 0 || m.subscribe("back") != 1 {
		t.Fatal(code)
	}
	c, _ := stompConnect(t, dial(t, p.addrs["stomp"]), "", "")
	c.ok("SUBSCRIBE", "", "id:1", "destination:/queue/forth")
	var work sync.WaitGroup
	defer work.Wait()
	sent := make(chan struct{})
	work.Go(func() {
		defer close(sent)
		for i := range messages {
			if code := m.publish("$queue/forth", fmt.Sprint(i)); code != 0 {
				t.Errorf("message %d: code 0x%02x", i, code)
			}
		}
	})
	work.Go(func() {
		for i := range messages {
			if got := c.next(); got != fmt.Sprint(i) {
				t.Errorf("got %q, want %d", got, i)
				return
			}
			c.ok("SEND", fmt.Sprint(i), "destination:/topic/back")
		}
	})
	n := 0
	for running := true; running; n++ {
		select {
		case <-sent:
			running = false
		default:
			p.must(fmt.Sprintf("limits: {credit: %d, subscriptions: %d}\nlog: {level: %s}\nqueues: [{match: forth, max_length: %d}]\n"+
				"listeners: {stomp: {max_connections: %d, protocols: [stomp, mqtt]}, x%d: {uri: 'tcp://127.0.0.1:0'}}\n"+
				"auth: {acl: {rules: [{allow: [all], on: ['#', 'topic/x%d']}]}}\n", 10+n, 10+n, []string{"info", "debug"}[n%2], 5000+n, 10+n, n%3, n))
		}
	}
	work.Wait()
	for i := range messages {
		if got := m.next(); got != fmt.Sprint(i) {
			t.Fatalf("got %q back, want %d", got, i)
		}
	}
	if n < 5 {
		t.Errorf("%d reloads", n)
	}
}
