package wyecmd_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// foe is a client in raw bytes, over TCP or WebSocket, that may misbehave. Writes that fail are no matter: the broker
// may have had enough.
type foe struct {
	t        testing.TB
	protocol string
	name     string // as the broker logs it: listener and address
	nc       net.Conn
	ws       *websocket.Conn // nil on TCP
	kind     int             // of the messages it writes
	in       *bufio.Reader
	r        io.Reader
	closed   *websocket.CloseError // what the broker closed with
}

// foe connects: via tcp or ws, or with tcp to the listener of that name.
func (h *badHouse) foe(t testing.TB, protocol, via string) *foe {
	t.Helper()
	if via == "ws" {
		token := "v12.stomp"
		if protocol == "mqtt" {
			token = "mqtt"
		}
		return h.foeAt(t, protocol, "/", http.Header{}, token)
	}
	name := protocol
	if via != "tcp" {
		name = via
	}
	nc, err := net.Dial("tcp", h.addrs[name])
	if err != nil {
		t.Fatal(err)
	}
	f := &foe{t: t, protocol: protocol, nc: nc, name: " listener=" + name + " remote=" + nc.LocalAddr().String()}
	f.in = bufio.NewReaderSize(nc, 512)
	t.Cleanup(f.close)
	f.patient(badPatience)
	return f
}

// foeAt connects by WebSocket to a path.
func (h *badHouse) foeAt(t testing.TB, protocol, path string, head http.Header, tokens ...string) *foe {
	t.Helper()
	f := &foe{t: t, protocol: protocol, kind: websocket.BinaryMessage}
	d := websocket.Dialer{
		Subprotocols: tokens, HandshakeTimeout: badPatience, ReadBufferSize: 512, WriteBufferSize: 4 << 10,
		EnableCompression: head.Get("Sec-Websocket-Extensions") != "",
		NetDial: func(network, addr string) (net.Conn, error) {
			nc, err := net.Dial(network, addr)
			f.nc = nc
			return nc, err
		},
	}
	head.Del("Sec-Websocket-Extensions")
	ws, res, err := d.DialContext(t.Context(), "ws://"+h.addrs["websocket"]+path, head)
	if err != nil {
		t.Fatalf("%v (%v)", err, res)
	}
	f.ws, f.name = ws, " listener=websocket remote="+f.nc.LocalAddr().String()
	f.in = bufio.NewReaderSize(foeStream{f}, 512)
	t.Cleanup(f.close)
	f.patient(badPatience)
	return f
}

// foeStream reads the messages of a WebSocket as one stream.
type foeStream struct{ *foe }

func (s foeStream) Read(b []byte) (int, error) {
	for {
		if s.r == nil {
			_, r, err := s.ws.NextReader()
			if err != nil {
				errors.As(err, &s.closed)
				return 0, err
			}
			s.r = r
		}
		n, err := s.r.Read(b)
		if errors.Is(err, io.EOF) {
			s.r, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (f *foe) close() { _ = f.nc.Close() }

// patient sets how long reads wait; 0: for ever.
func (f *foe) patient(d time.Duration) {
	at := time.Time{}
	if d > 0 {
		at = time.Now().Add(d)
	}
	_ = f.nc.SetDeadline(at)
}

func (f *foe) write(s string) error {
	var err error
	if f.ws != nil {
		err = f.ws.WriteMessage(f.kind, []byte(s))
	} else {
		_, err = io.WriteString(f.nc, s)
	}
	return err
}

func (f *foe) say(s ...string) {
	for _, s := range s {
		if f.write(s) != nil {
			return
		}
	}
}

// flood says piece n times, in writes of a bounded size.
func (f *foe) flood(piece string, n int) {
	per := max(1, (32<<10)/len(piece))
	block := strings.Repeat(piece, per)
	for ; n > 0; n -= per {
		if f.write(block[:min(n, per)*len(piece)]) != nil {
			return
		}
	}
}

// deaf says that f is not going to read: the system takes little for it, and so the broker notices soon.
func (f *foe) deaf() { _ = f.nc.(*net.TCPConn).SetReadBuffer(4 << 10) }

// login says hello, and hears hello.
func (f *foe) login(id string) {
	f.t.Helper()
	if f.protocol == "stomp" {
		f.say(stompFrame("CONNECT", "accept-version:1.2", "host:/", "client-id:"+id))
		f.stompHear("CONNECTED")
		return
	}
	f.say(mqttConnect(5, id, 0))
	if p := f.mqttHear(0x20); p.body[1] != 0 {
		f.t.Fatalf("CONNACK %x", p.body)
	}
}

// stompHear reads a frame, which must be of the command.
func (f *foe) stompHear(command string) string {
	f.t.Helper()
	s, err := f.in.ReadString(0)
	if s = strings.TrimLeft(s, "\r\n"); err != nil || !strings.HasPrefix(s, command+"\n") {
		f.t.Fatalf("got %q, %v, want %s", s, err, command)
	}
	return s
}

// mqttHear reads a packet, which must be of the type.
func (f *foe) mqttHear(kind byte) mqttPacket {
	f.t.Helper()
	p, err := readMQTT(f.in)
	if err != nil || p.first&0xF0 != kind {
		f.t.Fatalf("got packet %x %x, %v, want %x", p.first, p.body, err, kind)
	}
	return p
}

// rest reads all that the broker still says, to the end, which must be an orderly one.
func (f *foe) rest() []byte {
	f.t.Helper()
	b, err := io.ReadAll(f.in)
	if f.ws != nil && f.closed != nil {
		err = nil
	}
	if err != nil {
		f.t.Errorf("the connection did not end in order: %v after %q", err, clipped(b))
	}
	return b
}

func clipped(b []byte) []byte { return b[:min(len(b), 300)] }

// stompFrame returns a frame without a body.
func stompFrame(command string, headers ...string) string {
	return command + "\n" + strings.Join(append(headers, ""), "\n") + "\n\x00"
}

// stompSend returns a SEND.
func stompSend(destination, body string, headers ...string) string {
	return strings.TrimSuffix(stompFrame("SEND", append(headers, "destination:"+destination)...), "\x00") + body + "\x00"
}

// mqttPacket is one control packet.
type mqttPacket struct {
	first byte
	body  []byte
}

func readMQTT(in *bufio.Reader) (mqttPacket, error) {
	first, err := in.ReadByte()
	if err != nil {
		return mqttPacket{}, err
	}
	n := 0
	for shift := 0; ; shift += 7 {
		b, err := in.ReadByte()
		if err != nil {
			return mqttPacket{}, err
		}
		if n |= int(b&0x7F) << shift; b < 0x80 {
			break
		}
	}
	p := mqttPacket{first, make([]byte, n)}
	_, err = io.ReadFull(in, p.body)
	return p, err
}

// publish returns identifier and payload of a PUBLISH of MQTT 5 with QoS 1 or 2 and without properties.
func (p mqttPacket) publish() (id uint16, payload string, ok bool) {
	b := p.body
	if p.first&0x06 == 0 || len(b) < 2 {
		return 0, "", false
	}
	n := int(b[0])<<8 | int(b[1])
	if len(b) < 2+n+3 || b[2+n+2] != 0 {
		return 0, "", false
	}
	b = b[2+n:]
	return uint16(b[0])<<8 | uint16(b[1]), string(b[3:]), true
}

// mqttFrame puts first byte and remaining length before the parts.
func mqttFrame(first byte, parts ...string) string {
	body := strings.Join(parts, "")
	return string([]byte{first}) + mqttLength(len(body)) + body
}

func mqttLength(n int) string {
	var b []byte
	for {
		d := byte(n & 0x7F)
		if n >>= 7; n > 0 {
			d |= 0x80
		}
		if b = append(b, d); n == 0 {
			return string(b)
		}
	}
}

func mqttText(s string) string { return string([]byte{byte(len(s) >> 8), byte(len(s))}) + s }

// mqttConnect is a CONNECT with Clean Start.
func mqttConnect(level byte, id string, keepAlive byte) string {
	props := ""
	if level == 5 {
		props = "\x00"
	}
	return mqttFrame(0x10, mqttText("MQTT"), string([]byte{level, 2, 0, keepAlive}), props, mqttText(id))
}

func mqttSubscribe(packet byte, filter string, qos byte) string {
	return mqttFrame(0x82, string([]byte{0, packet, 0}), mqttText(filter), string([]byte{qos}))
}

func mqttPublish(topic string, qos byte, packet uint16, body string) string {
	id := ""
	if qos > 0 {
		id = string([]byte{byte(packet >> 8), byte(packet)})
	}
	return mqttFrame(0x30|qos<<1, mqttText(topic), id, "\x00", body)
}

// mqttLast returns the last packet among b.
func mqttLast(b []byte) (last mqttPacket, err error) {
	for in := bufio.NewReader(bytes.NewReader(b)); ; {
		p, err := readMQTT(in)
		if errors.Is(err, io.EOF) {
			return last, nil
		}
		if err != nil {
			return last, fmt.Errorf("%w in %x", err, clipped(b))
		}
		last = p
	}
}
