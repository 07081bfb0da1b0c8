package wyecmd_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/plugins/users"
)

// stranger is a client of a program, not logged in.
func stranger(t *testing.T, p *program, protocol string) *foe {
	t.Helper()
	nc, err := net.Dial("tcp", p.addrs[protocol])
	if err != nil {
		t.Fatal(err)
	}
	f := &foe{t: t, protocol: protocol, nc: nc, in: bufio.NewReader(nc)}
	t.Cleanup(f.close)
	f.patient(badPatience)
	return f
}

// entered is a client that is logged in.
func entered(t *testing.T, p *program, protocol string) *foe {
	t.Helper()
	f := stranger(t, p, protocol)
	f.login("")
	return f
}

// refusal is what the broker says no with: the reason of an ERROR, the reason code of a packet of the type.
func (f *foe) refusal(kind byte) string {
	f.t.Helper()
	if f.protocol == "stomp" {
		_, rest, _ := strings.Cut(f.stompHear("ERROR"), "\nreason:")
		reason, _, _ := strings.Cut(rest, "\n")
		return reason
	}
	p := f.mqttHear(kind)
	at := 2 // behind the packet identifier
	switch {
	case len(p.body) == 2: // the code is left out
		return "00"
	case kind == 0x20: // the flags of CONNACK
		at = 1
	case kind == 0x90: // behind the properties
		at = 3 + int(p.body[2])
	}
	return fmt.Sprintf("%02x", p.body[at])
}

// hello says who the client is, and hears the refusal.
func (f *foe) hello(id, user, password string, properties string) string {
	f.t.Helper()
	if f.protocol == "stomp" {
		f.say(stompFrame("CONNECT", "accept-version:1.2", "host:/", "client-id:"+id, "login:"+user, "passcode:"+password))
		if s, err := f.in.ReadString(0); err == nil && strings.HasPrefix(s, "CONNECTED") {
			return ""
		} else if err != nil {
			f.t.Fatal(err)
		} else {
			_, rest, _ := strings.Cut(s, "\nreason:")
			reason, _, _ := strings.Cut(rest, "\n")
			return reason
		}
	}
	flags, who := byte(2), mqttText(id)
	if user != "" {
		flags |= 0xC0
		who += mqttText(user) + mqttText(password)
	}
	f.say(mqttFrame(0x10, mqttText("MQTT"), string([]byte{5, flags, 0, 0, byte(len(properties))}), properties, who))
	return f.refusal(0x20)
}

// subscribe asks for something that is acknowledged.
func (f *foe) subscribe(topic string) {
	if f.protocol == "stomp" {
		f.say(stompFrame("SUBSCRIBE", "id:"+topic, "ack:client", "destination:/topic/"+topic))
	} else {
		f.say(mqttSubscribe(1, topic, 1))
	}
}

// publish sends to a topic or, with "$queue/", a queue.
func (f *foe) publish(topic string, headers int, retain bool) {
	if f.protocol == "stomp" {
		dest, isQueue := strings.CutPrefix(topic, "$queue/")
		kind := map[bool]string{true: "/queue/", false: "/topic/"}[isQueue]
		var all []string
		for i := range headers {
			all = append(all, fmt.Sprint("h", i, ":x"))
		}
		if retain {
			all = append(all, "retain:true")
		}
		f.say(stompSend(kind+dest, "x", append(all, "receipt:r")...))
		return
	}
	first := byte(0x32)
	if retain {
		first |= 1
	}
	properties := strings.Repeat("\x26"+mqttText("h")+mqttText("x"), headers)
	f.say(mqttFrame(first, mqttText(topic), "\x00\x07", string([]byte{byte(len(properties))}), properties, "x"))
}

// done hears that the last publish or subscription was accepted.
func (f *foe) done(kind byte) {
	f.t.Helper()
	if f.protocol == "stomp" {
		f.stompHear("RECEIPT")
	} else if got := f.refusal(kind); got >= "80" {
		f.t.Errorf("refused with %s", got)
	}
}

// toldLimit is a limit that is reached over a real socket.
type toldLimit struct {
	limit, args string
	stomp, mqtt string // the words of the protocols; empty: it has none
	do          reach
}

const connack, puback, suback = 0x20, 0x40, 0x90 // types of packets

// reach does what reaches a limit, and returns the refusal.
type reach func(t *testing.T, p *program, protocol string) string

// second is refused what it has done once already.
func second(kind byte, do func(f *foe, n int)) reach {
	return func(t *testing.T, p *program, protocol string) string {
		t.Helper()
		f := entered(t, p, protocol)
		do(f, 1)
		if f.protocol != "stomp" || kind == puback {
			f.done(kind)
		}
		do(f, 2)
		return f.refusal(kind)
	}
}

// secondLogin comes while somebody is there.
func secondLogin(t *testing.T, p *program, protocol string) string {
	t.Helper()
	entered(t, p, protocol)
	return stranger(t, p, protocol).hello("", "", "", "")
}

// tooFast publishes three times, of which one is owed, on as many connections or one.
func tooFast(connections int) reach {
	return func(t *testing.T, p *program, protocol string) string {
		t.Helper()
		f := entered(t, p, protocol)
		for range 2 {
			f.publish("t", 0, false)
			f.done(puback)
			if connections > 1 {
				f = entered(t, p, protocol)
			}
		}
		f.publish("t", 0, false)
		return f.refusal(puback)
	}
}

// frames says frames of STOMP.
func frames(all ...string) reach {
	return func(t *testing.T, p *program, protocol string) string {
		t.Helper()
		f := entered(t, p, protocol)
		f.say(all...)
		return f.refusal(0)
	}
}

// toldLimits are all limits for which something is refused that a client asks for.
func toldLimits() []toldLimit {
	const large = "a = 1 OR a = 2 OR a = 3 OR a = 4"
	selector := "SUBSCRIBE\nid:1\ndestination:/topic/a\nselector:" + strings.Repeat(large+" OR ", 20) + large + "\n\n\x00"
	inTransaction := stompSend("/topic/a", "0123456789", "transaction:1")
	return []toldLimit{
		{"subscriptions", "limits.subscriptions=1", "limit_exceeded", "97", second(suback, func(f *foe, n int) { f.subscribe(fmt.Sprint(n)) })},
		{"private_queues", "limits.private_queues=1", "limit_exceeded", "97", second(suback, func(f *foe, n int) { f.subscribe(fmt.Sprint(n)) })},
		{"queues", "limits.queues=1", "limit_exceeded", "97", second(puback, func(f *foe, n int) { f.publish(fmt.Sprint("$queue/", n), 0, false) })},
		{"user_durable_queues", "limits.user_durable_queues=1", "limit_exceeded", "97", second(puback, func(f *foe, n int) { f.publish(fmt.Sprint("$queue/", n), 0, false) })},
		{"retained_messages", "limits.retained_messages=1 protocols.mqtt.sys_interval=0s", "limit_exceeded", "97", second(puback, func(f *foe, n int) { f.publish(fmt.Sprint("t/", n), 0, true) })},
		{"retained_bytes", "limits.retained_bytes=1 protocols.mqtt.sys_interval=0s", "limit_exceeded", "97", second(puback, func(f *foe, n int) { f.publish(fmt.Sprint("t/", n), 0, true) })},
		{"max_queues", `vhosts=[{"name":"/","max_queues":1}]`, "limit_exceeded", "97", second(puback, func(f *foe, n int) { f.publish(fmt.Sprint("$queue/", n), 0, false) })},
		{"max_retained", `vhosts=[{"name":"/","max_retained":1}] protocols.mqtt.sys_interval=0s`, "limit_exceeded", "97", second(puback, func(f *foe, n int) { f.publish(fmt.Sprint("t/", n), 0, true) })},
		{"max_sessions", `vhosts=[{"name":"/","max_sessions":1}]`, "limit_exceeded", "97", secondLogin},
		{"vhost_connections", "limits.vhost_connections=1", "limit_exceeded", "97", secondLogin},
		{"selectors", "limits.selectors=10", "limit_exceeded", "", frames(selector)},
		{"selectors_in_all", "limits.selectors_in_all=10", "limit_exceeded", "", frames(selector)},
		{"headers", "limits.headers=4", "limit_exceeded", "97", second(puback, func(f *foe, n int) { f.publish("t", n*n+1, false) })},
		{"header_bytes", "limits.header_bytes=1100", "limit_exceeded", "97", second(puback, func(f *foe, n int) { f.publish(strings.Repeat("t", 600*n), 0, false) })},
		{"publish_rate", "limits.publish_rate=1 limits.publish_wait=1ms", "rate_exceeded", "97", tooFast(1)},
		{"publish_bytes", "limits.publish_bytes=1 limits.publish_wait=1ms", "rate_exceeded", "97", tooFast(1)},
		{"user_publish_rate", "limits.user_publish_rate=1 limits.publish_wait=1ms", "rate_exceeded", "97", tooFast(3)},
		{"user_publish_bytes", "limits.user_publish_bytes=1 limits.publish_wait=1ms", "rate_exceeded", "97", tooFast(3)},
		{"user_connections", "limits.user_connections=1", "limit_exceeded", "97", secondLogin},
		{"max_connections", "listeners.stomp.max_connections=1 listeners.mqtt.max_connections=1", "limit_exceeded", "97", secondLogin},
		{"max_connections_per_address", "listeners.stomp.max_connections_per_address=1 listeners.mqtt.max_connections_per_address=1", "limit_exceeded", "97", secondLogin},
		{"max_connection_rate", "listeners.stomp.max_connection_rate=1 listeners.mqtt.max_connection_rate=1", "rate_exceeded", "9f", secondLogin},
		{"max_connection_rate_per_address", "listeners.stomp.max_connection_rate_per_address=1 listeners.mqtt.max_connection_rate_per_address=1", "rate_exceeded", "9f", secondLogin},
		{"memory", "limits.memory=1MiB", "server_busy", "89", func(t *testing.T, p *program, protocol string) string {
			t.Helper()
			p.await(t, "memory is very short")
			return stranger(t, p, protocol).hello("", "", "", "")
		}},
		{"kept_sessions", "limits.kept_sessions=1", "", "97", func(t *testing.T, p *program, protocol string) string {
			t.Helper()
			expiry := "\x11\x00\x00\x01\x00"
			if got := stranger(t, p, protocol).hello("1", "", "", expiry); got != "00" {
				t.Errorf("the first: %s", got)
			}
			return stranger(t, p, protocol).hello("2", "", "", expiry)
		}},
		{"transactions", "limits.transactions=1", "limit_exceeded", "", frames(stompFrame("BEGIN", "transaction:1"), stompFrame("BEGIN", "transaction:2"))},
		{"transaction_ops", "limits.transaction_ops=1", "limit_exceeded", "", frames(stompFrame("BEGIN", "transaction:1"), inTransaction, inTransaction)},
		{"transaction_bytes", "limits.transaction_bytes=10", "limit_exceeded", "", frames(stompFrame("BEGIN", "transaction:1"), inTransaction, inTransaction)},
		{"login_tries", "auth.anonymous=false", "too_many_logins", "9f", func(t *testing.T, p *program, protocol string) string {
			t.Helper()
			for range 3 {
				stranger(t, p, protocol).hello("", "ali", "wrong", "")
			}
			time.Sleep(time.Millisecond)
			for range 3 { // one is held, perhaps two
				if got := stranger(t, p, protocol).hello("", "ali", "wrong", ""); got == "9f" || got == "too_many_logins" {
					return got
				}
			}
			return "let in"
		}},
	}
}

// TestLimitsAreTold reaches every limit over a real socket. It is refused in the protocol's own words, counted under its key,
// and logged.
func TestLimitsAreTold(t *testing.T) {
	for _, c := range toldLimits() {
		for protocol, want := range map[string]string{"stomp": c.stomp, "mqtt": c.mqtt} {
			if want == "" {
				continue
			}
			t.Run(c.limit+"/"+protocol, func(t *testing.T) {
				args := append([]string{"--set", "auth.users.file=" + usersFile(t)}, inMemory...)
				if c.limit == "login_tries" {
					t.Parallel() // it is made to wait
					args[1] = "auth.users.file=" + usersFile(t, users.User{Name: "ali"})
				}
				for set := range strings.FieldsSeq(c.args) {
					args = append(args, "--set", set)
				}
				p := start(t, args)
				if got := c.do(t, p, protocol); got != want {
					t.Errorf("refused with %q, want %q", got, want)
				}
				told(t, p, c.limit)
			})
		}
	}
}

// TestEveryLimit wants every limit of the configuration to be reached by somebody: by TestLimitsAreTold, or as is said here.
func TestEveryLimit(t *testing.T) {
	const waits = "nobody is refused what he asks for: TestLimitsThatWait of core"
	other := map[string]string{
		"limits.outbox_messages": waits, "limits.outbox_bytes": waits, "limits.unacked": waits, "limits.unacked_publishes": waits,
		"limits.session_queue": waits, "limits.session_queue_bytes": waits,

		"limits.refusal_rate":     "slows who is refused too often: TestRefusalRate of core",
		"limits.outbox_overflow":  "says what outbox_messages and outbox_bytes do",
		"limits.publish_wait":     "is the wait for the rates",
		"limits.login_delay":      "is that of login_tries",
		"limits.login_delay_most": "is that of login_tries",
		"limits.login_forget":     "is that of login_tries",
		"limits.credit":           "is what a client gets that does not say: TestReloadOfLimits of core",
		"limits.session_expiry":   "is what a client gets that asks for more: TestReloadOfLimits of core",

		"listeners.stomp.max_message_size":              "ends the connection: TooBig of transporttest",
		"listeners.stomp.max_message_size_before_login": "ends the connection: TooBigBeforeLogin of transporttest",
	}
	reached := make(map[string]bool)
	for _, c := range toldLimits() {
		reached[c.limit] = true
	}
	keys, _ := settings(t, "")
	for field := range reflect.TypeFor[core.VHost]().Fields() {
		keys = append(keys, "vhosts.*."+field.Tag.Get("koanf"))
	}
	n := 0
	for _, key := range keys {
		name := key[strings.LastIndexByte(key, '.')+1:]
		isLimit := strings.HasPrefix(key, "limits.") || strings.HasPrefix(name, "max_") &&
			(strings.HasPrefix(key, "listeners.stomp.") || strings.HasPrefix(key, "vhosts."))
		if !isLimit {
			continue
		}
		n++
		if why := other[key]; reached[name] == (why != "") {
			t.Errorf("%s: reached %v, else %q", key, reached[name], why)
		}
	}
	if want := len(reached) + len(other); n != want {
		t.Errorf("%d limits are configured, %d are told of", n, want)
	}
}

// told wants a limit to be counted, and in the log.
func told(t *testing.T, p *program, limit string) {
	t.Helper()
	page, _ := ask(t, p, http.MethodGet, "/metrics", "")
	if !regexp.MustCompile(`wye_limit_refused_total\{limit="` + limit + `"\} [1-9]`).MatchString(page) {
		t.Errorf("not counted:\n%s", strings.Join(regexp.MustCompile("wye_limit.*").FindAllString(page, -1), "\n"))
	}
	if strings.HasPrefix(limit, "max_connection") { // the transport says it
		p.await(t, "("+limit+")")
		return
	}
	p.await(t, "limit="+limit+" ")
}

// ask asks the admin server.
func ask(t *testing.T, p *program, method, path, authorization string) (body string, resp *http.Response) {
	t.Helper()
	admin := regexp.MustCompile(`address=(http://\S+)`).FindStringSubmatch(strings.Join(p.lines, "\n"))[1]
	req, err := http.NewRequestWithContext(t.Context(), method, admin+path, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", authorization)
	req.Close = true
	resp, err = http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), resp
}

// TestUpgradeRefused: over HTTP a limit is told by the status, and when to come again.
func TestUpgradeRefused(t *testing.T) {
	for set, want := range map[string]int{
		"limits.memory=1MiB":                                    http.StatusServiceUnavailable,
		"listeners.websocket.max_connections=1":                 http.StatusServiceUnavailable,
		"listeners.websocket.max_connection_rate=1":             http.StatusServiceUnavailable,
		"listeners.websocket.max_connections_per_address=1":     http.StatusTooManyRequests,
		"listeners.websocket.max_connection_rate_per_address=1": http.StatusTooManyRequests,
	} {
		t.Run(set, func(t *testing.T) {
			p := start(t, append([]string{"--set", set}, inMemory...))
			if strings.HasPrefix(set, "limits.memory") {
				p.await(t, "memory is very short")
			} else {
				wsDial(t, "ws://"+p.addrs["websocket"], "mqtt", nil)
			}
			nc, err := net.Dial("tcp", p.addrs["websocket"])
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			_, _ = io.WriteString(nc, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
				"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n")
			resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != want || resp.Header.Get("Retry-After") == "" {
				t.Errorf("%s, Retry-After %q, want %d", resp.Status, resp.Header.Get("Retry-After"), want)
			}
		})
	}
}

// TestKeyIsNotGuessed: routes of the admin server that take credentials wait as logins do, and count with them.
func TestKeyIsNotGuessed(t *testing.T) {
	const key = "the application's key"
	for path, wrong := range map[string]string{"/tickets": "Bearer wrong", "/vhosts": "Basic YWxpOndyb25n"} { // ali:wrong
		t.Run(path, func(t *testing.T) {
			t.Parallel() // it is made to wait
			p := start(t, append([]string{
				"--set", "auth.tickets.key=" + key, "--set", "auth.users.file=" + usersFile(t, users.User{Name: "ali"}),
			}, inMemory...))
			if _, resp := ask(t, p, http.MethodPost, "/tickets", "Bearer "+key); resp.StatusCode != http.StatusBadRequest {
				t.Errorf("the right key: %s", resp.Status)
			}
			method := map[bool]string{true: http.MethodPost, false: http.MethodGet}[path == "/tickets"]
			guessUntilRefused(t, p, method, path, wrong)
			told(t, p, "login_tries")
		})
	}
}

// guessUntilRefused wants wrong credentials to be turned away unseen before long.
func guessUntilRefused(t *testing.T, p *program, method, path, wrong string) {
	t.Helper()
	refused := false
	for range 7 {
		_, resp := ask(t, p, method, path, wrong)
		if refused = resp.StatusCode == http.StatusTooManyRequests; refused {
			if resp.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			break
		}
		if resp.StatusCode != http.StatusUnauthorized {
			t.Fatalf("a wrong key: %s", resp.Status)
		}
	}
	if !refused {
		t.Error("seven wrong keys were looked at")
	}
}

// TestSlowedPublisher: who is too fast is read from more slowly, loses nothing, and is not taken for silent.
func TestSlowedPublisher(t *testing.T) {
	for _, protocol := range []string{"stomp", "mqtt"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel() // it is made to wait
			p := start(t, append([]string{
				"--set", "limits.publish_rate=20", "--set", "protocols.stomp.heart_beat.receive=500ms", "--set", "protocols.stomp.heart_beat.floor=1s",
			}, inMemory...))
			f := stranger(t, p, protocol)
			if protocol == "stomp" {
				f.say(stompFrame("CONNECT", "accept-version:1.2", "host:/", "heart-beat:500,0"))
				f.stompHear("CONNECTED")
			} else {
				f.say(mqttConnect(5, "", 1))
				f.mqttHear(0x20)
			}
			begun := time.Now()
			const n = 80
			for range n { // all in one read, or two
				f.publish("t", 0, false)
			}
			last, longest := time.Now(), time.Duration(0)
			for range n {
				f.done(0x40)
				longest, last = max(longest, time.Since(last)), time.Now()
			}
			if longest > 1500*time.Millisecond {
				t.Errorf("nothing was said for %v: answers have waited for those of later publishes", longest)
			}
			if took := time.Since(begun); took < 2500*time.Millisecond || took > 8*time.Second {
				t.Errorf("%d publishes at 20 a second, 20 of them at once, took %v", n, took)
			}
			page, _ := ask(t, p, http.MethodGet, "/metrics", "")
			if !regexp.MustCompile(`wye_limit_slowed_total\{limit="publish_rate"\} [1-9]`).MatchString(page) {
				t.Error("not counted")
			}
		})
	}
}
