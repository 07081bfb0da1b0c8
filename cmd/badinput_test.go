package wyecmd_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/wyemq/wye/core"
)

// badCase is what a client does wrong, and what becomes of it.
type badCase struct {
	name     string
	protocol string
	vias     []string // none: tcp and ws
	slow     bool     // runs into a timeout: at the same time as all the others; do must not fail the test
	do       func(f *foe)
	reason   *core.Reason // why the connection ends, in the log and by its WebSocket close code
	says     []string     // of the ERROR frame, or of the reason string
	packet   string       // with which the last packet begins: type and what is before the properties
	silent   bool         // nothing is said: the broker does not know yet to whom it speaks
}

// TestBadInput has clients send what no client should. Each is told why, by its protocol and by the close code, and
// the log has one line about it; others do not notice, and memory stays bounded.
func TestBadInput(t *testing.T) {
	h := openBadHouse(t, nil)
	var slow []func(t *testing.T) // begin together, and are looked at one after the other
	var pending sync.WaitGroup
	defer pending.Wait()
	for _, c := range append(badSTOMP(), badMQTT()...) {
		vias := c.vias
		if len(vias) == 0 {
			vias = []string{"tcp", "ws"}
		}
		for _, via := range vias {
			name := c.protocol + "/" + via + "/" + c.name
			if c.slow {
				f, done := h.foe(t, c.protocol, via), make(chan struct{})
				pending.Go(func() {
					c.do(f)
					close(done)
				})
				slow = append(slow, func(t *testing.T) {
					t.Helper()
					t.Run(name, func(t *testing.T) {
						<-done
						c.check(t, h, f)
					})
				})
				continue
			}
			t.Run(name, func(t *testing.T) {
				h.undisturbed(t, badPeak)
				f := h.foe(t, c.protocol, via)
				c.do(f)
				c.check(t, h, f)
			})
		}
	}
	for _, look := range slow {
		look(t)
	}
}

// check reads what f hears, and what the log says about it.
func (c *badCase) check(t *testing.T, h *badHouse, f *foe) {
	t.Helper()
	f.t = t
	said := f.rest()
	f.close()
	switch {
	case c.silent:
		if len(said) > 0 {
			t.Errorf("the broker said %q", clipped(said))
		}
	case c.protocol == "stomp":
		f.wantError(said, c.reason, c.says...)
	default:
		f.wantPacket(said, c.packet, c.says...)
	}
	f.wantClose(c.reason)
	lines := h.of(f, 1)
	if len(lines) != 1 || !strings.Contains(lines[0], " reason="+c.reason.ID()+" ") || !strings.Contains(lines[0], "level=INFO") {
		t.Errorf("want one line with reason %s, the log has\n%s", c.reason.ID(), strings.Join(lines, "\n"))
	}
}

// wantError wants an ERROR frame as the last one.
func (f *foe) wantError(said []byte, reason *core.Reason, says ...string) {
	f.t.Helper()
	frames := strings.Split(strings.TrimRight(string(said), "\x00\n"), "\x00")
	last := strings.TrimLeft(frames[len(frames)-1], "\n")
	head, body, _ := strings.Cut(last, "\n\n")
	if !strings.HasPrefix(head, "ERROR\nmessage:") || !strings.Contains(head+"\n", "\nreason:"+reason.ID()+"\n") || len(body) < 5 {
		f.t.Errorf("got %q, want an ERROR with reason %s and a body", clipped([]byte(last)), reason.ID())
	}
	for _, s := range says {
		if !strings.Contains(last, s) {
			f.t.Errorf("%q is not in %q", s, clipped([]byte(last)))
		}
	}
}

// wantPacket wants a packet as the last one, that begins as said and has a reason string.
func (f *foe) wantPacket(said []byte, begin string, says ...string) {
	f.t.Helper()
	p, err := mqttLast(said)
	if err != nil {
		f.t.Error(err)
		return
	}
	if got := string([]byte{p.first}) + string(p.body); !strings.HasPrefix(got, begin) {
		f.t.Errorf("the last packet is %x %q, want one that begins with %x", p.first, clipped(p.body), begin)
	}
	for _, s := range says {
		if !strings.Contains(string(p.body), s) {
			f.t.Errorf("%q is not in %q", s, clipped(p.body))
		}
	}
}

// wantClose wants the close frame that says why, on WebSocket.
func (f *foe) wantClose(reason *core.Reason) {
	f.t.Helper()
	switch {
	case f.ws == nil:
	case f.closed == nil:
		f.t.Errorf("there was no close frame")
	case f.closed.Code != core.CloseCode(reason) || !strings.HasPrefix(f.closed.Text, reason.ID()+": "):
		f.t.Errorf("closed with %d %q, want %d and %s", f.closed.Code, f.closed.Text, core.CloseCode(reason), reason.ID())
	}
}

// loris begins to send s, so slowly that it would take for ever.
func (f *foe) loris(s string) {
	for i := range 25 {
		if f.write(s[i:i+1]) != nil {
			return
		}
		time.Sleep(100 * time.Millisecond) // this is what the case is about
	}
}

func (f *foe) text(s ...string) {
	f.kind = websocket.TextMessage
	f.say(s...)
}

const badBody = 4 << 20 // what protocols.stomp.max_body, max_message_size and protocols.mqtt.max_packet_size are

func badSTOMP() []badCase {
	in := func(name string, reason *core.Reason, login bool, say string, says ...string) badCase {
		return badCase{name: name, protocol: "stomp", reason: reason, says: says, do: func(f *foe) {
			if login {
				f.login("")
			}
			f.say(say)
		}}
	}
	ws := func(c badCase) badCase { c.vias = []string{"ws"}; return c }
	const before, after = false, true
	subscribe := func(dest string, more ...string) string {
		return stompFrame("SUBSCRIBE", append(more, "id:1", "destination:"+dest)...)
	}
	return []badCase{
		in("garbage", core.ErrInvalid, before, "\xde\xad\xbe\xef"+strings.Repeat("\x01\x02", 100), "no STOMP command"),
		in("garbage after login", core.ErrInvalid, after, strings.Repeat("\xfe\x01\x02", 100), "no STOMP command"),
		in("MQTT", core.ErrInvalid, before, mqttConnect(4, "x", 0), "NUL among the headers"),
		in("HTTP", core.ErrInvalid, before, "GET /index.html?with=a+long+query HTTP/1.1\r\nHost: x\r\n\r\n", "GET"),
		in("POST of a web page", core.ErrInvalid, before, "POST / HTTP/1.1\r\nHost: 127.0.0.1:61613\r\nContent-Type: text/plain\r\n\r\n"+
			stompFrame("CONNECT", "accept-version:1.2")+stompSend("/queue/witness", "by a page"), "POST / HTTP/1.1 before login"),
		in("SEND before login", core.ErrInvalid, before, stompSend("/queue/a", "x"), "SEND before login"),
		in("unknown version", core.ErrUnsupported, before, stompFrame("CONNECT", "accept-version:7.0"), "\nversion:1.0,1.1,1.2\n"),
		in("unknown command", core.ErrInvalid, after, stompFrame("JUMP", "receipt:r7"), "JUMP", "receipt-id:r7"),
		in("header bomb before login", core.ErrTooBig, before, "CONNECT\n"+strings.Repeat("a:b\n", 5000), "headers"),
		in("long header before login", core.ErrTooBig, before, "CONNECT\na:"+strings.Repeat("b", 60_000), "headers"),
		in("body bomb before login", core.ErrTooBig, before, "CONNECT\n\n"+strings.Repeat("b", 70_000)),
		in("body announced before login", core.ErrTooBig, before, "CONNECT\ncontent-length:9999999999\n\n"),
		in("header bomb", core.ErrTooBig, after, "SEND\n"+strings.Repeat("a:b\n", 1001)+"\n\x00", "1000"),
		in("long header", core.ErrTooBig, after, "SEND\na:"+strings.Repeat("b", 70_000)+"\n\n\x00", "65536"),
		in("body announced", core.ErrTooBig, after, "SEND\ndestination:/queue/a\ncontent-length:4194305\n\n", "4194304"),
		in("content-length that overflows", core.ErrInvalid, after, "SEND\ndestination:/queue/a\ncontent-length:18446744073709551617\n\n"),
		in("content-length that is none", core.ErrInvalid, after, "SEND\ndestination:/queue/a\ncontent-length:-1\n\n", "content-length"),
		in("content-length too short", core.ErrInvalid, after, "SEND\ndestination:/queue/a\ncontent-length:1\n\nabc\x00", "NUL"),
		{name: "body bomb", protocol: "stomp", reason: core.ErrTooBig, says: []string{"4194304"}, do: func(f *foe) {
			f.login("")
			f.say("SEND\ndestination:/topic/a\n\n")
			f.flood("b", badBody+1<<20)
		}},
		{name: "endless header", protocol: "stomp", reason: core.ErrTooBig, says: []string{"65536"}, do: func(f *foe) {
			f.login("")
			f.say("SEND\na:")
			f.flood("b", 8<<20)
		}},
		ws(badCase{name: "message too large before login", protocol: "stomp", reason: core.ErrTooBig, do: func(f *foe) {
			f.say(strings.Repeat("\n", 70_000))
		}, says: []string{"65536"}}),
		ws(badCase{name: "message too large", protocol: "stomp", reason: core.ErrTooBig, do: func(f *foe) {
			f.login("")
			f.say(strings.Repeat("\n", badBody+1))
		}, says: []string{"4194304"}}),
		in("header that is not UTF-8", core.ErrNotUTF8, after, "SEND\ndestination:/queue/\xff\n\n\x00"),
		in("login that is not UTF-8", core.ErrNotUTF8, before, "CONNECT\nlogin:\xc3\x28\n\n\x00"),
		ws(badCase{name: "text that is not UTF-8", protocol: "stomp", reason: core.ErrNotUTF8, do: func(f *foe) {
			f.login("")
			f.text(stompSend("/topic/a", "\xff\xfe"))
		}}),
		in("escape that is none", core.ErrInvalid, after, "SEND\ndestination:/queue/a\\x\n\n\x00", `\x`),
		in("filter", core.ErrInvalid, after, subscribe("/topic/a.b#"), "#"),
		in("deep filter", core.ErrInvalid, after, subscribe("/topic/"+strings.Repeat("a.", 5000)), "levels"),
		in("destination of no kind", core.ErrInvalid, after, subscribe("/nowhere/a"), "/topic/", "/queue/"),
		in("selector", core.ErrInvalid, after, subscribe("/topic/a", "selector:a = = 1"), "position", "SUBSCRIBE"),
		in("deep selector", core.ErrInvalid, after, subscribe("/topic/a", "selector:"+strings.Repeat("(", 10_000)), "selector"),
		in("long selector", core.ErrInvalid, after, subscribe("/topic/a", "selector:a = 1"+strings.Repeat(" OR a = 1", 6000)), "selector"),
		in("heart-beat", core.ErrInvalid, before, stompFrame("CONNECT", "accept-version:1.2", "heart-beat:-1,99999999999999999999"), "heart-beat"),
		in("transactions by the thousand", core.ErrLimit, after, manyFrames("BEGIN\ntransaction:", 5000), "16 transactions"),
		in("subscriptions by the thousand", core.ErrLimit, after, manyFrames("SUBSCRIBE\ndestination:/topic/a\nid:", 11_000), "10000"),
		in("large transaction", core.ErrLimit, after, stompFrame("BEGIN", "transaction:t")+strings.Repeat(stompSend("/topic/a", "", "transaction:t"), 11_000), "10000"),
		in("ACK of nothing", core.ErrNotFound, after, stompFrame("ACK", "id:7", "receipt:a"), "receipt-id:a"),
		{name: "nobody logs in", protocol: "stomp", slow: true, reason: core.ErrLoginTimeout, do: func(*foe) {}},
		{name: "slow login", protocol: "stomp", slow: true, reason: core.ErrLoginTimeout, do: func(f *foe) {
			f.loris(stompFrame("CONNECT", "accept-version:1.2", "host:"+strings.Repeat("h", 100)))
		}},
		{name: "line ends for a login", protocol: "stomp", slow: true, reason: core.ErrLoginTimeout, do: func(f *foe) {
			f.loris(strings.Repeat("\n", 25))
		}},
		{name: "no heart-beat", protocol: "stomp", slow: true, reason: core.ErrHeartbeat, do: func(f *foe) {
			f.say(stompFrame("CONNECT", "accept-version:1.2", "heart-beat:100,0"))
		}},
	}
}

func manyFrames(frame string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s%d\n\n\x00", frame, i)
	}
	return b.String()
}
