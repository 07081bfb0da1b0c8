package wyecmd_test

import (
	"bufio"
	"compress/flate"
	"encoding/binary"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
)

// badUpgrade is what a handshake has beside its first line, Host and what a case adds.
const badUpgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// TestBadHandshake sends requests that are no WebSocket handshake, or one that must be refused. Each is answered with a
// status and a readable body, and logged once.
func TestBadHandshake(t *testing.T) {
	h := openBadHouse(t, nil)
	ask := func(more string) string { return "GET / HTTP/1.1\r\nHost: localhost\r\n" + badUpgrade + more + "\r\n" }
	early := map[string]*foe{"nothing": h.foe(t, "http", "websocket"), "half a request": h.foe(t, "http", "websocket")} // these take time
	early["half a request"].say("GET / HTTP/1.1\r\nHost: loc")
	for _, c := range []struct {
		name, say string
		status    int    // 0: closed without an answer
		reason    string // in the log
		says      []string
	}{
		{"unknown subprotocol", ask("Sec-WebSocket-Protocol: wamp.2.json, soap\r\n"), 400, "unknown_subprotocol", []string{"wamp.2.json, soap", "v12.stomp", "v10.stomp", "mqtt"}},
		{"foreign origin", ask("Origin: https://evil.example\r\n"), 403, "foreign_origin", []string{"https://evil.example", "allowed_origins"}},
		{"rebound name", "GET / HTTP/1.1\r\nHost: evil.example:61614\r\n" + badUpgrade + "Origin: http://evil.example:61614\r\n\r\n", 403, "foreign_origin", []string{"evil.example:61614", "localhost or an IP address", "allowed_origins"}},
		{"origin of a file", ask("Origin: null\r\n"), 403, "foreign_origin", []string{"null"}},
		{"absolute form of somebody else", "GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n" + badUpgrade + "Origin: http://evil.example\r\n\r\n", 403, "foreign_origin", []string{"evil.example"}},
		{"absolute form, origin of the Host header", "GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n" + badUpgrade + "Origin: http://localhost\r\n\r\n", 403, "foreign_origin", nil},
		{"no Host", "GET / HTTP/1.1\r\n" + badUpgrade + "\r\n", 400, "protocol_error", []string{"Host"}},
		{"two Hosts", "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n" + badUpgrade + "\r\n", 400, "protocol_error", nil},
		{"no name in Host", "GET / HTTP/1.1\r\nHost: a b\r\n" + badUpgrade + "\r\n", 400, "protocol_error", []string{"Host"}},
		{"HTTP/1.0", "GET / HTTP/1.0\r\nHost: localhost\r\n" + badUpgrade + "\r\n", 400, "protocol_error", []string{"HTTP/1.1"}},
		{"HTTP/1.0 without Host", "GET / HTTP/1.0\r\n" + badUpgrade + "\r\n", 400, "protocol_error", []string{"HTTP/1.1"}},
		{"HTTP/3.0", "GET / HTTP/3.0\r\nHost: localhost\r\n" + badUpgrade + "\r\n", 505, "protocol_error", nil},
		{"body by length", ask("Content-Length: 5\r\n") + "hello", 400, "protocol_error", []string{"body"}},
		{"body in chunks", ask("Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n0\r\n\r\n", 400, "protocol_error", []string{"body"}},
		{"two lengths", ask("Content-Length: 5\r\nContent-Length: 0\r\n") + "hello", 400, "protocol_error", nil},
		{"length and chunks", ask("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n", 400, "protocol_error", nil},
		{"unknown transfer encoding", ask("Transfer-Encoding: gzip, chunked\r\n"), 501, "protocol_error", nil},
		{"a blank before the colon", ask("Upgrade : websocket\r\n"), 400, "protocol_error", nil},
		{"a header without a colon", ask("nonsense\r\n"), 400, "protocol_error", nil},
		{"NUL in a header", ask("X-A: a\x00b\r\n"), 400, "protocol_error", nil},
		{"no key", "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n", 400, "protocol_error", []string{"Key"}},
		{"version 8", strings.Replace(ask(""), "Version: 13", "Version: 8", 1), 400, "protocol_error", []string{"13"}},
		{"huge header", ask("X-A: " + strings.Repeat("a", 1<<20) + "\r\n"), 431, "protocol_error", nil},
		{"many headers", ask(strings.Repeat("X-A: a\r\n", 20_000)), 431, "protocol_error", nil},
		{"long path", "GET /" + strings.Repeat("a", 1<<20) + " HTTP/1.1\r\n", 431, "protocol_error", nil},
		{"many subprotocols", ask("Sec-WebSocket-Protocol: " + manyTokens(4000) + "\r\n"), 400, "unknown_subprotocol", []string{"t0, t1", "…", "v12.stomp"}},
		{"long subprotocol", ask("Sec-WebSocket-Protocol: " + strings.Repeat("s", 30_000) + "\r\n"), 400, "unknown_subprotocol", []string{"ss…", "v12.stomp"}},
		{"long origin", ask("Origin: http://" + strings.Repeat("o", 30_000) + "\r\n"), 403, "foreign_origin", []string{"oo…"}},
		{"long method", strings.Repeat("M", 30_000) + ask("")[3:], 405, "protocol_error", []string{"MM…"}},
		{"garbage", "\xde\xad\xbe\xef\r\n\r\n", 400, "protocol_error", nil},
		{"STOMP without WebSocket", stompFrame("CONNECT", "accept-version:1.2") + "\r\n\r\n", 400, "protocol_error", nil},
		{"MQTT without WebSocket", mqttConnect(4, "", 0) + "\r\n\r\n", 400, "protocol_error", nil},
		{"TLS without TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "protocol_error", nil},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 405, "protocol_error", []string{"GET"}},
		{"POST", "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n", 405, "protocol_error", []string{"GET"}},
		{"nothing", "", 0, "login_timeout", nil},
		{"half a request", "", 0, "login_timeout", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.undisturbed(t, badPeak)
			f := early[c.name]
			if f == nil {
				f = h.foe(t, "http", "websocket")
				f.say(c.say)
			}
			f.t = t
			resp, err := http.ReadResponse(f.in, nil)
			if c.status == 0 {
				if err == nil {
					t.Errorf("answered with %s", resp.Status)
				}
			} else if err != nil {
				t.Fatal(err)
			} else {
				body, _ := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode != c.status || len(strings.TrimSpace(string(body))) == 0 && c.status != 505 {
					t.Errorf("got %s %q, want %d", resp.Status, clipped(body), c.status)
				}
				for _, s := range c.says {
					if !strings.Contains(string(body), s) {
						t.Errorf("%q is not in %q", s, clipped(body))
					}
				}
			}
			f.close()
			lines := h.of(f, 1)
			if len(lines[0]) > 1000 {
				t.Errorf("the line in the log has %d bytes", len(lines[0]))
			}
			if len(lines) != 1 || !strings.Contains(lines[0], " reason="+c.reason+" ") || !strings.Contains(lines[0], "level=INFO") {
				t.Errorf("want one line with reason %s, the log has\n%s", c.reason, clipped([]byte(strings.Join(lines, "\n"))))
			}
		})
	}
}

// manyTokens lists n names.
func manyTokens(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("t" + strconv.Itoa(i) + ", ")
	}
	return b.String()[:b.Len()-2]
}

// TestBadPath connects to paths that mean another protocol, or none, and begins with bytes of no protocol served.
func TestBadPath(t *testing.T) {
	h := openBadHouse(t, nil)
	for _, c := range []struct {
		path, say string
		reason    *core.Reason
		says      string // of what comes before the close frame
		close     string // of its text
	}{
		{"/nowhere", "\xde\xad\xbe\xef", core.ErrInvalid, "", "none of the protocols served (mqtt, stomp)"},
		{"/nowhere", "GET / HTTP/1.1\r\n\r\n", core.ErrInvalid, "", "none of the protocols served (mqtt, stomp)"},
		{"/stomp", mqttConnect(4, "", 0), core.ErrInvalid, "ERROR\n", "protocol_error: "},
		{"/ws/", mqttConnect(4, "", 0), core.ErrInvalid, "ERROR\n", "protocol_error: "},
		{"/mqtt", stompFrame("CONNECT", "accept-version:1.2"), core.ErrInvalid, "", "not CONNECT"},
		{"/..%2f..%2fetc/passwd", "\x00", core.ErrInvalid, "", "protocols served"},
		{"/?a=b#c", "\x00", core.ErrInvalid, "", "protocols served"},
	} {
		t.Run(c.path, func(t *testing.T) {
			h.undisturbed(t, badPeak)
			f := h.foeAt(t, "", c.path, http.Header{})
			f.say(c.say)
			said := string(f.rest())
			f.close()
			if !strings.HasPrefix(said, c.says) || c.says == "" && said != "" {
				t.Errorf("the broker said %q, want %q", said, c.says)
			}
			f.wantClose(c.reason)
			if f.closed != nil && !strings.Contains(f.closed.Text, c.close) {
				t.Errorf("closed with %q, want %q", f.closed.Text, c.close)
			}
			h.of(f, 1)
		})
	}
}

// TestBadFirstBytes sends to a TCP listener of every protocol what belongs to none.
func TestBadFirstBytes(t *testing.T) {
	h := openBadHouse(t, nil)
	early := map[string]*foe{"nothing": h.foe(t, "", "any"), "half a word": h.foe(t, "", "any")} // these take time
	early["half a word"].say("CONN")
	for _, c := range []struct {
		name, say string
		reason    *core.Reason
	}{
		{"garbage", "\xde\xad\xbe\xef", core.ErrInvalid},
		{"HTTP", "CONNECT example.com:443 HTTP/1.1\r\n\r\n", core.ErrInvalid},
		{"TLS", "\x16\x03\x01\x02\x00\x01", core.ErrInvalid},
		{"line ends", strings.Repeat("\n", 100_000), core.ErrInvalid},
		{"nothing", "", core.ErrLoginTimeout},
		{"half a word", "", core.ErrLoginTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.undisturbed(t, badPeak)
			f := early[c.name]
			if f == nil {
				f = h.foe(t, "", "any")
				f.say(c.say)
			}
			f.t = t
			if said := f.rest(); len(said) > 0 {
				t.Errorf("the broker said %q to nobody knows whom", said)
			}
			f.close()
			if lines := h.of(f, 1); !strings.Contains(lines[0], " reason="+c.reason.ID()+" ") {
				t.Errorf("want reason %s, the log has %s", c.reason.ID(), lines[0])
			}
		})
	}
}

// TestBadFrames sends what is no WebSocket frame, and messages that are small only while they are compressed.
func TestBadFrames(t *testing.T) {
	h := openBadHouse(t, []string{"--set", "listeners.websocket.compression=true"})
	login := stompFrame("CONNECT", "accept-version:1.2")
	for _, c := range []struct {
		name   string
		say    []string
		reason *core.Reason
	}{
		{"not masked", []string{"\x82\x05hello"}, core.ErrInvalid},
		{"reserved bit", []string{wsMasked(0xA2, "hello")}, core.ErrInvalid},
		{"unknown opcode", []string{wsMasked(0x83, "hello")}, core.ErrInvalid},
		{"large control frame", []string{wsMasked(0x89, strings.Repeat("p", 126))}, core.ErrInvalid},
		{"control frame in pieces", []string{wsMasked(0x09, "p")}, core.ErrInvalid},
		{"continuation of nothing", []string{wsMasked(0x80, "hello")}, core.ErrInvalid},
		{"message within a message", []string{wsMasked(0x02, "hello"), wsMasked(0x82, "hello")}, core.ErrInvalid},
		{"close code that is none", []string{wsMasked(0x88, "\x00\x01")}, core.ErrInvalid},
		{"close text that is not UTF-8", []string{wsMasked(0x88, "\x03\xe8\xff")}, core.ErrInvalid},
		{"length of 2^63", []string{"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00mask"}, core.ErrTooBig},
		{"length of 2^40", []string{"\x82\xff\x00\x00\x01\x00\x00\x00\x00\x00mask"}, core.ErrTooBig},
		{"length of 4 GiB after login", []string{wsMasked(0x82, login), "\x82\xff\x00\x00\x00\x01\x00\x00\x00\x00mask"}, core.ErrTooBig},
		{"compression bomb before login", []string{wsMasked(0xC2, deflated("\n", 16<<20))}, core.ErrTooBig},
		{"compression bomb", []string{wsMasked(0x82, login), wsMasked(0xC2, deflated("\n", 64<<20))}, core.ErrTooBig},
		{"compression bomb of a body", []string{wsMasked(0x82, login), wsMasked(0xC2, deflated("SEND\ndestination:/queue/a\n\n"+strings.Repeat("b", 1<<20), 16))}, core.ErrTooBig},
		{"not deflate", []string{wsMasked(0x82, login), wsMasked(0xC2, "\xff\xff\xff\xff\xff")}, core.ErrInvalid},
		{"fragments without end", []string{wsMasked(0x82, login), wsMasked(0x02, "\n") + strings.Repeat(wsMasked(0x00, strings.Repeat("\n", 60_000)), 80)}, core.ErrTooBig},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.undisturbed(t, badPeak)
			f := h.foe(t, "", "websocket")
			f.say("GET / HTTP/1.1\r\nHost: localhost\r\nSec-WebSocket-Protocol: v12.stomp\r\nSec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover\r\n" + badUpgrade + "\r\n")
			if resp, err := http.ReadResponse(f.in, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
				t.Fatalf("%v %v", resp, err)
			} else if !strings.Contains(resp.Header.Get("Sec-Websocket-Extensions"), "permessage-deflate") {
				t.Fatal("compression was not agreed on")
			}
			f.say(c.say...)
			code, text := closeFrame(t, f.in)
			f.close()
			if code != core.CloseCode(c.reason) || !strings.HasPrefix(text, c.reason.ID()+": ") {
				t.Errorf("closed with %d %q, want %d and %s", code, text, core.CloseCode(c.reason), c.reason.ID())
			}
			if lines := h.of(f, 1); !strings.Contains(lines[0], " reason="+c.reason.ID()+" ") {
				t.Errorf("want reason %s, the log has %s", c.reason.ID(), lines[0])
			}
		})
	}
}

// wsMasked returns a frame of a client.
func wsMasked(first byte, payload string) string {
	head := []byte{first, 0x80}
	switch n := len(payload); {
	case n < 126:
		head[1] |= byte(n)
	case n < 1<<16:
		head[1] |= 126
		head = binary.BigEndian.AppendUint16(head, uint16(n))
	default:
		head[1] |= 127
		head = binary.BigEndian.AppendUint64(head, uint64(n))
	}
	return string(head) + "\x00\x00\x00\x00" + payload // masked with zeros
}

// deflated returns piece n times, as permessage-deflate sends it.
func deflated(piece string, n int) string {
	var b strings.Builder
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		panic(err)
	}
	block := strings.Repeat(piece, max(1, min(n, (1<<20)/len(piece))))
	for left := n * len(piece); left > 0; left -= len(block) {
		_, _ = io.WriteString(w, block[:min(left, len(block))])
	}
	_ = w.Flush()
	return strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
}

// closeFrame reads frames up to the close frame and returns its code and text.
func closeFrame(t *testing.T, in *bufio.Reader) (code int, text string) {
	t.Helper()
	for {
		var head [2]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			t.Fatalf("no close frame: %v", err)
		}
		n := int64(head[1])
		if n == 126 {
			var b [2]byte
			_, _ = io.ReadFull(in, b[:])
			n = int64(binary.BigEndian.Uint16(b[:]))
		}
		payload := make([]byte, n)
		if _, err := io.ReadFull(in, payload); err != nil {
			t.Fatal(err)
		}
		if head[0] == 0x88 {
			return int(binary.BigEndian.Uint16(payload)), string(payload[2:])
		}
	}
}

// TestSlowHandshake has a hundred clients send their handshakes octet by octet. None of them is waited for longer than
// the login timeout.
func TestSlowHandshake(t *testing.T) {
	h := openBadHouse(t, nil)
	h.undisturbed(t, badPeak)
	begun := time.Now()
	foes := make([]*foe, 100)
	for i := range foes {
		foes[i] = h.foe(t, "", "websocket")
	}
	for i := 0; time.Since(begun) < 1400*time.Millisecond; i++ {
		for _, f := range foes {
			f.say(badUpgrade[i%8 : i%8+1])
		}
		time.Sleep(50 * time.Millisecond) // this is what it is about
	}
	for i, f := range foes {
		if said, _ := io.ReadAll(f.in); len(said) > 0 && !strings.HasPrefix(string(said), "HTTP/1.1 400 ") {
			t.Errorf("%d: got %q", i, clipped(said))
		}
		f.close()
		if lines := h.of(f, 1); !strings.Contains(lines[0], " reason=login_timeout ") {
			t.Errorf("%d: the log has %s", i, lines[0])
		}
	}
	if took := time.Since(begun); took > 6*time.Second {
		t.Errorf("took %v", took)
	}
}
