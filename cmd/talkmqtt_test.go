package wyecmd_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// FuzzMQTTTalk is FuzzSTOMPTalk for MQTT 3.1.1 and 5: acknowledgements of three qualities of service in both directions, kept
// back or not, sessions that are left, resumed and taken over, retained messages, and what is wrong.
func FuzzMQTTTalk(f *testing.F) {
	for _, seed := range []string{
		"\x00\x01\x00\x02\x00\x00\x00\x02\x01\x00\x02\x02\x02\x05\x00\x09\x00",
		"\x01\x01\x01\x02\x00\x01\x01\x02\x00\x01\x01\x02\x07\x00\x06\x00",
		"\x02\x01\x02\x02\x00\x02\x02\x02\x00\x02\x02\x02\x08\x00\x00\x02\x02\x02",
		"\x03\x01\x02\x02\x06\x01\x00\x02\x01\x02\x07\x01\x00\x02\x02\x06\x00",
		"\x00\x01\x00\x02\x00\x00\x01\x0b\x00\x00\x00\x01",
		"\x01\x03\x00\x01\x03\x01\x01\x01\x00\x02\x01\x01\x02\x04\x00",
		"\x00\x0c\x00\x30\x03\x00\x01a",
		"\x03\x03\x00\x01\x06\x00\x00",
	} {
		f.Add([]byte(seed))
	}
	for v := range 4 {
		for i := range len((&mqttTalk{v: 5}).wrongs()) {
			f.Add([]byte{byte(v), 1, 0, 1, 0, 0, 1, 11, 0, byte(i)})
		}
	}
	k := openTalks(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		k.hold(t, data, func(id string, s *script) {
			kind := s.pick(4)
			talk := &mqttTalk{
				t: t, id: id, s: s, v: []byte{5, 4}[kind&1], subs: make(map[int]byte), retained: make(map[int]string), flows: make(map[string]*mqttFlow),
				dial: func() net.Conn {
					if kind&2 == 0 {
						return dial(t, hostOf(k.running.mqtt))
					}
					return dialWS(t, hostOf(k.ws), "mqtt")
				},
			}
			talk.run()
		})
	})
}

// mqttTalk is one conversation, and what is known of it.
type mqttTalk struct {
	t        *testing.T
	id       string
	s        *script
	v        byte
	dial     func() net.Conn
	nc       net.Conn
	in       *bufio.Reader
	pid      uint16
	sent     int
	subs     map[int]byte // topics and their qualities of service
	retained map[int]string
	flows    map[string]*mqttFlow
	held     []mqttDelivery // not acknowledged
	left     bool           // the connection was: what had QoS 0 may be lost
}

// mqttFlow is what comes of one topic with one quality of service, in order.
type mqttFlow struct{ want, got []string }

// mqttDelivery waits for what is said next about it: PUBACK, PUBREC or PUBCOMP.
type mqttDelivery struct {
	pid  uint16
	next byte
}

// mqttTopics is how many topics are talked about.
const mqttTopics = 4

func (k *mqttTalk) topic(i int) string { return k.id + "/" + strconv.Itoa(i) }

// properties returns those of MQTT 5.
func (k *mqttTalk) properties(p string) string {
	if k.v < 5 {
		return ""
	}
	return mqttLength(len(p)) + p
}

func mqttID(n uint16) string { return string(binary.BigEndian.AppendUint16(nil, n)) }

// connect begins a connection, of a session that lasts unless clean says otherwise, and returns whether it was there.
func (k *mqttTalk) connect(clean bool) (present bool) {
	k.t.Helper()
	k.nc = k.dial()
	k.in = bufio.NewReader(k.nc)
	_ = k.nc.SetDeadline(time.Now().Add(patience))
	flags, expiry := byte(0), "\x11\x00\x00\x00\x3c"
	if clean {
		flags, expiry = 2, ""
	}
	k.write(mqttFrame(0x10, mqttText("MQTT"), string([]byte{k.v, flags, 0, 0}), k.properties(expiry), mqttText(k.id)))
	p := k.read()
	if p.first != 0x20 || p.body[1] != 0 {
		k.t.Fatalf("CONNECT is answered by %x %x", p.first, p.body)
	}
	return p.body[0] == 1
}

func (k *mqttTalk) run() {
	if k.connect(false) {
		k.t.Fatal("there is a session of a new client")
	}
	defer func() { _ = k.nc.Close() }()
	for {
		n, ok := k.s.step(13)
		if !ok {
			break
		}
		if !k.step(n) {
			k.forget()
			return
		}
	}
	for name, f := range k.flows {
		for (!k.left || !strings.HasSuffix(name, " 0")) && len(f.got) < len(f.want) {
			k.settle(len(k.held))
			if p := k.read(); p.first&0xF0 != 0x30 && p.first&0xF0 != 0x60 {
				k.t.Fatalf("%s lacks %d messages: %x", name, len(f.want)-len(f.got), p)
			}
		}
	}
	for i := range k.retained {
		if _, ok := k.subs[i]; ok {
			f := k.flow(i, 0)
			f.want = append(f.want, "")
		}
		k.publish(i, 0, true, "")
	}
	k.ping()
	k.forget()
}

// forget ends the session for good.
func (k *mqttTalk) forget() {
	_ = k.nc.Close()
	k.connect(true)
	k.write("\xe0\x00")
	if rest, err := io.ReadAll(k.in); len(rest) > 0 {
		k.t.Fatalf("after DISCONNECT: %x, %v", rest, err)
	}
}

// step says one thing. It returns false when that was the last.
func (k *mqttTalk) step(n int) bool {
	i := k.s.pick(mqttTopics)
	switch n {
	case 0, 1, 2:
		k.send(i, byte(n), false)
	case 3:
		k.send(i, byte(k.s.pick(3)), true)
	case 4:
		k.unsubscribe(i)
	case 5, 6:
		k.subscribe(i, byte(k.s.pick(3)))
	case 7:
		k.resume(false)
	case 8:
		k.resume(true)
	case 9, 10:
		k.settle(i)
		k.ping()
	case 11:
		k.wrong()
		return false
	default:
		k.write(k.s.rest())
		k.over()
		return false
	}
	return true
}

func (k *mqttTalk) write(s string) { _, _ = io.WriteString(k.nc, s) }

// number returns a packet identifier that is not in use: all are acknowledged before the next.
func (k *mqttTalk) number() uint16 {
	k.pid = k.pid%1000 + 1
	return k.pid
}

// send publishes a new message and notes who must get it.
func (k *mqttTalk) send(i int, qos byte, retain bool) {
	k.sent++
	body := strconv.Itoa(k.sent)
	if retain {
		k.retained[i] = body
	}
	if most, ok := k.subs[i]; ok {
		f := k.flow(i, min(qos, most))
		f.want = append(f.want, body)
	}
	k.publish(i, qos, retain, body)
}

func (k *mqttTalk) flow(i int, qos byte) *mqttFlow {
	name := fmt.Sprintf("%s %d", k.topic(i), qos)
	if k.flows[name] == nil {
		k.flows[name] = &mqttFlow{}
	}
	return k.flows[name]
}

// publish says it, to the last acknowledgement.
func (k *mqttTalk) publish(i int, qos byte, retain bool, body string) {
	k.t.Helper()
	first, id, n := 0x30|qos<<1, "", uint16(0)
	if retain {
		first |= 1
	}
	if qos > 0 {
		n = k.number()
		id = mqttID(n)
	}
	packet := mqttFrame(first, mqttText(k.topic(i)), id, k.properties(""), body)
	k.write(packet[:2])
	k.write(packet[2:])
	switch qos {
	case 1:
		k.await(0x40, n)
	case 2:
		k.await(0x50, n)
		k.write(mqttFrame(0x62, id))
		k.await(0x70, n)
	}
}

func (k *mqttTalk) subscribe(i int, qos byte) {
	if _, ok := k.subs[i]; ok {
		return // what is under way would have either quality
	}
	n := k.number()
	k.write(mqttFrame(0x82, mqttID(n), k.properties(""), mqttText(k.topic(i)), string([]byte{qos})))
	k.subs[i] = qos
	if p := k.await(0x90, n); p.body[len(p.body)-1] != qos {
		k.t.Fatalf("SUBACK %x, want %d", p.body, qos)
	}
}

// unsubscribe is for topics all of which has come: what is under way may come or not.
func (k *mqttTalk) unsubscribe(i int) {
	qos, ok := k.subs[i]
	if !ok {
		return
	}
	for q := range qos + 1 {
		if f := k.flow(i, q); len(f.got) < len(f.want) {
			return
		}
	}
	n := k.number()
	k.write(mqttFrame(0xA2, mqttID(n), k.properties(""), mqttText(k.topic(i))))
	k.await(0xB0, n)
	delete(k.subs, i)
}

// resume goes on with the session on another connection, after the old one or, as a take-over, in its place.
func (k *mqttTalk) resume(over bool) {
	old, in := k.nc, k.in
	if !over {
		_ = old.Close()
	}
	k.left, k.held = true, nil
	if !k.connect(false) {
		k.t.Fatal("the session is not there")
	}
	if !over {
		return
	}
	_ = old.SetReadDeadline(time.Now().Add(patience))
	rest, err := io.ReadAll(in)
	_ = old.Close()
	if strings.Contains(fmt.Sprint(err), "timeout") {
		k.t.Fatalf("the old connection is still there: %x", rest)
	}
}

// settle says what comes next about n deliveries.
func (k *mqttTalk) settle(n int) {
	for range min(n, len(k.held)) {
		d := k.held[0]
		k.held = k.held[1:]
		first := d.next
		if first == 0x60 { // it is waited for
			k.held = append(k.held, d)
			continue
		}
		k.write(mqttFrame(first, mqttID(d.pid)))
		if first == 0x50 {
			k.held = append(k.held, mqttDelivery{d.pid, 0x60})
		}
	}
}

func (k *mqttTalk) ping() {
	k.write("\xc0\x00")
	k.await(0xD0, 0)
}

// await reads up to the packet, and notes messages.
func (k *mqttTalk) await(kind byte, n uint16) mqttPacket {
	k.t.Helper()
	for {
		p := k.read()
		switch p.first & 0xF0 {
		case 0x30, 0x60:
		case kind:
			if kind != 0xD0 && binary.BigEndian.Uint16(p.body) != n {
				k.t.Fatalf("packet %x is about %x, want %d", p.first, p.body, n)
			}
			if kind >= 0x40 && kind <= 0x70 && len(p.body) > 2 && p.body[2] >= 0x80 {
				k.t.Fatalf("packet %x refuses: %x", p.first, p.body)
			}
			return p
		default:
			k.t.Fatalf("got packet %x %x, want %x of %d", p.first, p.body, kind, n)
		}
	}
}

// read returns the next packet, and notes it if it is a message, or about one.
func (k *mqttTalk) read() mqttPacket {
	k.t.Helper()
	p, err := readMQTT(k.in)
	if err != nil {
		k.t.Fatalf("read: %v", err)
	}
	switch p.first & 0xF0 {
	case 0x30:
		k.note(p)
	case 0x60: // PUBREL: PUBCOMP is never kept back, or the same identifier would be two things
		id := binary.BigEndian.Uint16(p.body)
		for i, d := range k.held {
			if d.pid == id {
				k.held = append(k.held[:i:i], k.held[i+1:]...)
				break
			}
		}
		k.write(mqttFrame(0x70, mqttID(id)))
	}
	return p
}

// note holds a message to what is known.
func (k *mqttTalk) note(p mqttPacket) {
	k.t.Helper()
	n := int(binary.BigEndian.Uint16(p.body))
	topic, b := string(p.body[2:2+n]), p.body[2+n:]
	qos, pid := p.first>>1&3, uint16(0)
	if qos > 0 {
		pid, b = binary.BigEndian.Uint16(b), b[2:]
		k.held = append(k.held, mqttDelivery{pid, []byte{0, 0x40, 0x50}[qos]})
	}
	if k.v == 5 {
		b = b[1+int(b[0]):] // few properties
	}
	i, err := strconv.Atoi(strings.TrimPrefix(topic, k.id+"/"))
	if err != nil || i >= mqttTopics {
		k.t.Fatalf("a message of %q", topic)
	}
	if p.first&1 != 0 { // the retained one, for a new subscription
		return
	}
	f := k.flow(i, qos)
	at := len(f.got)
	for g, body := range f.got {
		if body == string(b) && p.first&8 != 0 {
			at = g // again, and it says so
		}
	}
	switch {
	case at < len(f.got):
	case at < len(f.want) && f.want[at] == string(b):
		f.got = append(f.got, string(b))
	case qos == 0 && k.left && later(f, string(b)):
	default:
		k.t.Fatalf("%s with QoS %d (flags %x): got %s after %v, want %v", topic, qos, p.first&0xF, b, f.got, f.want)
	}
}

// later skips what was lost with a connection.
func later(f *mqttFlow, body string) bool {
	for i := len(f.got); i < len(f.want); i++ {
		if f.want[i] == body {
			f.got = append(f.got, f.want[len(f.got):i+1]...)
			return true
		}
	}
	return false
}

// wrongs lists what is wrong whatever was said before.
func (k *mqttTalk) wrongs() []string {
	none := k.properties("")
	return []string{
		mqttFrame(0x10, mqttText("MQTT"), string([]byte{k.v, 2, 0, 0}), none, mqttText("x")),
		"\x00\x00", "\x20\x02\x00\x00", "\xd0\x00", "\x90\x03\x00\x01\x00",
		mqttFrame(0x36, mqttText("a"), "\x00\x01", none),
		mqttFrame(0x30, mqttText("a/#"), none),
		mqttFrame(0x30, mqttText("a\x00"), none),
		mqttFrame(0x30, mqttText("\xc3\x28"), none),
		mqttFrame(0x32, mqttText("a"), "\x00\x00", none),
		mqttFrame(0x30, "\x00\x09a"),
		mqttFrame(0x82, "\x00\x01", none),
		mqttFrame(0x82, "\x00\x00", none, mqttText("a"), "\x00"),
		mqttFrame(0x80, "\x00\x01", none, mqttText("a"), "\x00"),
		mqttFrame(0x82, "\x00\x01", none, mqttText("a"), "\x03"),
		mqttFrame(0xA2, "\x00\x01", none),
		mqttFrame(0x60, "\x00\x01"),
		mqttFrame(0x40, "\x00"),
		mqttFrame(0xC1),
		"\x30\xff\xff\xff\xff\x7f",
		"\x30\xff\xff\xff\x7f",
	}
}

// wrong says something after which the connection must end.
func (k *mqttTalk) wrong() {
	all := k.wrongs()
	say := all[k.s.pick(len(all))]
	k.write(say)
	_ = k.nc.SetReadDeadline(time.Now().Add(patience))
	for {
		p, err := readMQTT(k.in)
		if err != nil {
			if strings.Contains(err.Error(), "timeout") {
				k.t.Fatalf("%x is no matter to the broker", say)
			}
			return
		}
		if p.first&0xF0 == 0xE0 && (k.v < 5 || len(p.body) > 0 && p.body[0] < 0x80 || len(p.body) == 0) {
			k.t.Fatalf("%x is answered by %x %x", say, p.first, p.body)
		}
	}
}

// over ends what nothing is known about.
func (k *mqttTalk) over() {
	if half, ok := k.nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
		if _, err := io.ReadAll(k.in); err != nil && strings.Contains(err.Error(), "timeout") {
			k.t.Fatalf("the end: %v", err)
		}
	}
}
