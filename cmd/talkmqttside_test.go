package wyecmd_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// mqttSide is a client in a conversation by MQTT: its connection, and what is known of its session.
type mqttSide struct {
	talk   *mqttTalk
	user   string
	client string
	v      byte
	nc     net.Conn
	in     *bufio.Reader
	pid    uint16
	will   *mqttWill // that the broker has

	subs    map[string]*mqttSub
	flows   map[string]*mqttFlow
	stored  map[string][]string // retained messages that must come, by topic
	perhaps map[string][]string // that may have been lost with a connection
	told    map[string][]string // that came, and come again if they were not acknowledged
	held    []mqttDelivery      // not acknowledged
	left    bool                // the connection was: what had QoS 0 may be lost
	aliases map[uint16]string
}

// mqttSub is a subscription that has no group. No two of a client match the same topic.
type mqttSub struct {
	filter  string
	qos     byte
	keeps   bool // Retain As Published
	matches func(topic string) bool
}

// mqttFlow is what comes of one topic with one quality of service, in order.
type mqttFlow struct {
	want []mqttSent
	got  []string
}

type mqttSent struct {
	body   string
	retain bool // it comes with the flag
}

// mqttDelivery waits for what is said next about it: PUBACK, PUBREC or PUBCOMP.
type mqttDelivery struct {
	pid  uint16
	next byte
}

// mqttWill is what is published when a connection ends without a word.
type mqttWill struct {
	topic, body string
	qos         byte
	delayed     bool
}

// mqttLogin is how a connection begins.
type mqttLogin struct {
	clean  bool
	expiry uint32 // MQTT 5
	will   *mqttWill
	// hello changes user name and password; nil: the right ones.
	hello func() (flags byte, credentials string)
}

func (k *mqttTalk) side(user, client string, v byte) *mqttSide {
	return &mqttSide{talk: k, user: user, client: client, v: v}
}

// forget makes the session a new one.
func (s *mqttSide) forget() {
	s.subs, s.flows = make(map[string]*mqttSub), make(map[string]*mqttFlow)
	s.stored, s.perhaps, s.told = make(map[string][]string), make(map[string][]string), make(map[string][]string)
	s.held, s.left = nil, false
}

// mqttProperties returns those of MQTT 5.
func mqttProperties(v byte, p string) string {
	if v < 5 {
		return ""
	}
	return mqttLength(len(p)) + p
}

func (s *mqttSide) properties(p string) string { return mqttProperties(s.v, p) }

func mqttID(n uint16) string { return string(binary.BigEndian.AppendUint16(nil, n)) }

// dial connects and says CONNECT. It returns CONNACK: whether there was a session, and the code.
func (s *mqttSide) dial(l mqttLogin) (present bool, code byte) {
	s.talk.t.Helper()
	if s.talk.way == 0 {
		s.nc = dial(s.talk.t, hostOf(s.talk.k.running.mqtt))
	} else {
		s.nc = dialWS(s.talk.t, hostOf(s.talk.k.ws), []string{"mqttv3.1", "mqtt", "mqtt"}[s.v-3])
	}
	s.in = bufio.NewReader(s.nc)
	flags, credentials := byte(0xC0), mqttText(s.user)+mqttText(talkPassword(s.user))
	if l.hello != nil {
		flags, credentials = l.hello()
	}
	if l.clean {
		flags |= 2
	}
	will := ""
	if w := l.will; w != nil {
		flags |= 4 | w.qos<<3
		p := ""
		if w.delayed {
			p = "\x18\x00\x00\x00\x3c"
		}
		will = s.properties(p) + mqttText(w.topic) + mqttText(w.body)
	}
	p := ""
	if l.expiry > 0 {
		p = "\x11" + string(binary.BigEndian.AppendUint32(nil, l.expiry))
	}
	name := "MQTT"
	if s.v == 3 {
		name = "MQIsdp"
	}
	s.write(mqttFrame(0x10, mqttText(name), string([]byte{s.v, flags, 0, 0}), s.properties(p), mqttText(s.client), will, credentials))
	a := s.read()
	if a.first != 0x20 || len(a.body) < 2 {
		s.talk.t.Fatalf("%s: CONNECT is answered by %x %x", s.client, a.first, a.body)
	}
	return a.body[0] == 1, a.body[1]
}

// connect begins a connection, of a session that lasts unless l says otherwise, and returns whether it was there.
func (s *mqttSide) connect(l mqttLogin) (present bool) {
	s.talk.t.Helper()
	s.aliases, s.held = make(map[uint16]string), nil
	present, code := s.dial(l)
	if code != 0 {
		s.talk.t.Fatalf("%s: CONNECT is answered by code %#x", s.client, code)
	}
	s.will = l.will
	return present
}

// refused wants a CONNECT to be answered by a code, one for MQTT 5 and one for before, and the end.
func (s *mqttSide) refused(l mqttLogin, code, before byte) {
	s.talk.t.Helper()
	if s.v < 5 {
		code = before
	}
	if _, got := s.dial(l); got != code {
		s.talk.t.Fatalf("CONNECT of %s as %s is answered by code %#x, want %#x", s.user, s.client, got, code)
	}
	s.over()
}

// over wants the connection to be at its end.
func (s *mqttSide) over() {
	s.talk.t.Helper()
	_ = s.nc.SetReadDeadline(time.Now().Add(patience))
	if rest, err := io.ReadAll(s.in); len(rest) > 0 || err != nil && strings.Contains(err.Error(), "timeout") {
		s.talk.t.Fatalf("%s: after the end: %x, %v", s.client, rest, err)
	}
	_ = s.nc.Close()
}

func (s *mqttSide) write(text string) { _, _ = io.WriteString(s.nc, text) }

// number returns a packet identifier that is not in use: all are acknowledged before the next.
func (s *mqttSide) number() uint16 {
	s.pid = s.pid%1000 + 1
	return s.pid
}

func (s *mqttSide) flow(topic string, qos byte) *mqttFlow {
	name := fmt.Sprintf("%s %d", topic, qos)
	if s.flows[name] == nil {
		s.flows[name] = &mqttFlow{}
	}
	return s.flows[name]
}

// sub returns the subscription that a message of a topic comes by.
func (s *mqttSide) sub(topic string) *mqttSub {
	for _, sub := range s.subs {
		if sub.matches(topic) {
			return sub
		}
	}
	return nil
}

// publish says it, to the last acknowledgement, and wants these to have the code; 0 is any success. written is the topic as it is
// said, which is empty with an alias.
func (s *mqttSide) publish(written, properties string, qos byte, retain bool, body string, code byte) {
	s.talk.t.Helper()
	first, id, n := 0x30|qos<<1, "", uint16(0)
	if retain {
		first |= 1
	}
	if qos > 0 {
		n = s.number()
		id = mqttID(n)
	}
	packet := mqttFrame(first, mqttText(written), id, s.properties(properties), body)
	s.write(packet[:2])
	s.write(packet[2:])
	if qos == 0 {
		if len(s.talk.sides()) > 1 { // before another one says something
			s.ping()
		}
		return
	}
	got := byte(0)
	if p := s.await([]byte{0, 0x40, 0x50}[qos], n); len(p.body) > 2 {
		got = p.body[2]
	}
	if s.v < 5 {
		code = 0
	}
	if got != code && (code != 0 || got >= 0x80) {
		s.talk.t.Fatalf("%s: PUBLISH to %q is answered by code %#x, want %#x", s.client, written, got, code)
	}
	if qos == 2 && code == 0 {
		s.write(mqttFrame(0x62, id))
		s.await(0x70, n)
	}
}

// subscribe says SUBSCRIBE and returns the code.
func (s *mqttSide) subscribe(filter string, options byte) byte {
	s.talk.t.Helper()
	n := s.number()
	s.write(mqttFrame(0x82, mqttID(n), s.properties(""), mqttText(filter), string([]byte{options})))
	p := s.await(0x90, n)
	return p.body[len(p.body)-1]
}

func (s *mqttSide) unsubscribe(filter string) {
	s.talk.t.Helper()
	n := s.number()
	s.write(mqttFrame(0xA2, mqttID(n), s.properties(""), mqttText(filter)))
	if p := s.await(0xB0, n); s.v == 5 && p.body[len(p.body)-1] != 0 {
		s.talk.t.Fatalf("%s: UNSUBSCRIBE from %q is answered by %x", s.client, filter, p.body)
	}
}

// settle says what comes next about n deliveries.
func (s *mqttSide) settle(n int) {
	for range min(n, len(s.held)) {
		d := s.held[0]
		s.held = s.held[1:]
		if d.next == 0x60 { // it is waited for
			s.held = append(s.held, d)
			continue
		}
		s.write(mqttFrame(d.next, mqttID(d.pid)))
		if d.next == 0x50 {
			s.held = append(s.held, mqttDelivery{d.pid, 0x60})
		}
	}
}

func (s *mqttSide) ping() {
	s.talk.t.Helper()
	s.write("\xc0\x00")
	s.await(0xD0, 0)
}

// await reads up to the packet, and notes messages.
func (s *mqttSide) await(kind byte, n uint16) mqttPacket {
	s.talk.t.Helper()
	for {
		p := s.read()
		switch p.first & 0xF0 {
		case 0x30, 0x60:
		case kind:
			if kind != 0xD0 && binary.BigEndian.Uint16(p.body) != n {
				s.talk.t.Fatalf("%s: packet %x is about %x, want %d", s.client, p.first, p.body, n)
			}
			return p
		default:
			s.talk.t.Fatalf("%s: got packet %x %x, want %x of %d", s.client, p.first, p.body, kind, n)
		}
	}
}

// read returns the next packet, and notes it if it is a message, or about one.
func (s *mqttSide) read() mqttPacket {
	s.talk.t.Helper()
	_ = s.nc.SetReadDeadline(time.Now().Add(patience))
	p, err := readMQTT(s.in)
	if err != nil {
		s.talk.t.Fatalf("%s: read: %v", s.client, err)
	}
	s.heard(p)
	return p
}

func (s *mqttSide) heard(p mqttPacket) {
	s.talk.t.Helper()
	switch p.first & 0xF0 {
	case 0x30:
		s.note(p)
	case 0x60: // PUBREL: PUBCOMP is never kept back, or the same identifier would be two things
		id := binary.BigEndian.Uint16(p.body)
		s.held = slices.DeleteFunc(s.held, func(d mqttDelivery) bool { return d.pid == id })
		s.write(mqttFrame(0x70, mqttID(id)))
	}
}

// note holds a message to what is known.
func (s *mqttSide) note(p mqttPacket) {
	t := s.talk.t
	t.Helper()
	n := int(binary.BigEndian.Uint16(p.body))
	topic, b := string(p.body[2:2+n]), p.body[2+n:]
	qos, pid := p.first>>1&3, uint16(0)
	if qos > 0 {
		pid, b = binary.BigEndian.Uint16(b), b[2:]
		s.held = append(s.held, mqttDelivery{pid, []byte{0, 0x40, 0x50}[qos]})
	}
	if s.v == 5 {
		b = b[1+int(b[0]):] // few properties
	}
	body, retain, again := string(b), p.first&1 != 0, p.first&8 != 0
	if topic == s.talk.sharedTopic() {
		if err := s.talk.shared.take(s, body, again); err != nil {
			t.Fatalf("%s: %v", s.client, err)
		}
		return
	}
	sub := s.sub(topic)
	if sub == nil {
		t.Fatalf("%s: a message of %q, which it has not subscribed to: %q", s.client, topic, body)
	}
	if retain && (s.takeStored(s.stored, topic, body) || s.takeStored(s.perhaps, topic, body)) {
		s.told[topic] = append(s.told[topic], body)
		return
	}
	if retain && again && slices.Contains(s.told[topic], body) {
		return
	}
	f := s.flow(topic, qos)
	at := len(f.got)
	if i := slices.Index(f.got, body); i >= 0 && again {
		return // again, and it says so
	}
	if qos == 0 && s.left {
		f.skip(body)
		at = len(f.got)
	}
	if at >= len(f.want) || f.want[at] != (mqttSent{body, retain}) {
		t.Fatalf("%s: %s with QoS %d (flags %x): got %q after %q, want %v; retained %q", s.client, topic, qos, p.first&0xF, body, f.got, f.want, s.stored[topic])
	}
	f.got = append(f.got, body)
}

// takeStored crosses a retained message out.
func (*mqttSide) takeStored(list map[string][]string, topic, body string) bool {
	i := slices.Index(list[topic], body)
	if i >= 0 {
		list[topic] = slices.Delete(list[topic], i, i+1)
	}
	return i >= 0
}

// skip passes over what was lost with a connection.
func (f *mqttFlow) skip(body string) {
	for i := len(f.got); i < len(f.want); i++ {
		if f.want[i].body == body {
			for _, lost := range f.want[len(f.got):i] {
				f.got = append(f.got, lost.body)
			}
			return
		}
	}
}

// lacks says what has not come, or nothing.
func (s *mqttSide) lacks() string {
	for name, f := range s.flows {
		if (!s.left || !strings.HasSuffix(name, " 0")) && len(f.got) < len(f.want) {
			return name + ": message " + strconv.Itoa(len(f.got)) + " of " + strconv.Itoa(len(f.want))
		}
	}
	for topic, list := range s.stored {
		if len(list) > 0 {
			return topic + ": retained " + strings.Join(list, " ")
		}
	}
	return ""
}

// complete waits for all that must come.
func (s *mqttSide) complete() {
	s.talk.t.Helper()
	for {
		lacks := s.lacks()
		if lacks == "" {
			return
		}
		s.settle(len(s.held))
		if p := s.read(); p.first&0xF0 != 0x30 && p.first&0xF0 != 0x60 {
			s.talk.t.Fatalf("%s lacks %s: %x", s.client, lacks, p)
		}
	}
}
