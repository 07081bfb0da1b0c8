package wyecmd_test

import (
	"strings"
	"time"
)

// enemy returns the connection of mal.
func (k *mqttTalk) enemy() *mqttSide {
	k.t.Helper()
	if k.mal == nil {
		k.mal = k.side("mal", k.id+"-mal", byte(3+k.pick(3)))
		k.mal.forget()
		k.mal.connect(mqttLogin{clean: true})
	}
	return k.mal
}

// stranger logs in with what is not right.
func (k *mqttTalk) stranger(int) bool {
	s := k.side("talk", k.id, byte(3+k.pick(3)))
	for _, hello := range []struct {
		flags       byte
		credentials string
		code        byte // of MQTT 5
		before      byte
	}{
		{0xC0, mqttText("talk") + mqttText("wrong"), 0x86, 4},
		{0xC0, mqttText("talk") + mqttText(""), 0x86, 4},
		{0xC0, mqttText("talk") + mqttText(talkPassword("mal")), 0x86, 4},
		{0x80, mqttText("talk"), 0x86, 4},
		{0, "", 0x87, 5},
	} {
		s.refused(mqttLogin{clean: true, hello: func() (byte, string) { return hello.flags, hello.credentials }}, hello.code, hello.before)
	}
	k.main.ping()
	return true
}

// steal uses the client id of somebody else, who is there and stays.
func (k *mqttTalk) steal(int) bool {
	s := k.side("mal", k.id, byte(3+k.pick(3)))
	s.refused(mqttLogin{clean: k.pick(2) == 0}, 0x87, 5)
	k.main.ping()
	return true
}

// deniedPublish publishes what must never come: whoever gets it fails, because nobody is to.
func (k *mqttTalk) deniedPublish(i int) bool {
	topics := []string{k.topic(0), k.topic(1), k.topic(2), k.willTopic(), k.sharedTopic(), "$queue/" + k.id}
	k.enemy().publish(topics[k.pick(len(topics))], "", byte(i%3), false, "denied", 0x87)
	return true
}

// deniedRetain wants what mal may publish to be retained, or what it may not.
func (k *mqttTalk) deniedRetain(i int) bool {
	k.enemy().publish(k.topic(i), "", byte(k.pick(3)), true, "denied", 0x87)
	return true
}

// deniedAlias tries it by an alias, which is there for all that.
func (k *mqttTalk) deniedAlias(i int) bool {
	mal := k.enemy()
	if mal.v < 5 {
		return false
	}
	mal.publish(k.topic(i%3), "\x23\x00\x01", 1, false, "denied", 0x87)
	mal.publish("", "\x23\x00\x01", 2, false, "denied", 0x87)
	mal.publish("", "\x23\x00\x01", 0, false, "denied", 0)
	return true
}

// deniedSubscribe asks for what mal must never get. MQTT 3.1 has no word for it.
func (k *mqttTalk) deniedSubscribe(int) bool {
	mal := k.enemy()
	filters := []string{
		k.topic(0), k.topic(1), k.id + "/+", k.id + "/#", "#", k.sharedFilter(), "$share/" + k.id + "/#", "$queue/" + k.id,
		k.willTopic(),
	}
	filter := filters[k.pick(len(filters))]
	want := []byte{1, 0x80, 0x87}[mal.v-3]
	if code := mal.subscribe(filter, 1); code != want {
		k.t.Fatalf("SUBSCRIBE of mal to %q is answered by %#x, want %#x", filter, code, want)
	}
	return true
}

// deniedWill wants to leave behind what mal may not publish.
func (k *mqttTalk) deniedWill(i int) bool {
	s := k.side("mal", k.id+"-heir", byte(3+k.pick(3)))
	s.refused(mqttLogin{clean: true, will: &mqttWill{topic: k.topic(i % 3), body: "denied", qos: byte(i % 3)}}, 0x87, 5)
	return true
}

func (k *mqttTalk) malSubscribes(int) bool {
	sub := k.filter(mqttTopics - 1)
	sub.qos = 1
	mal := k.enemy()
	if old := mal.subs[sub.filter]; old != nil {
		sub = old
	}
	k.enter(mal, sub, 0, false)
	return true
}

// mqttWrong is what is wrong whatever was said before, and the code of DISCONNECT in MQTT 5.
type mqttWrong struct {
	name, say string
	code      byte
}

// mqttWrongs lists it for a version.
func mqttWrongs(v byte) []mqttWrong {
	none := mqttProperties(v, "")
	list := []mqttWrong{
		{"CONNECT twice", mqttFrame(0x10, mqttText("MQTT"), string([]byte{v, 2, 0, 0}), none, mqttText("x")), 0x82},
		{"a packet of type 0", "\x00\x00", 0x81},
		{"CONNACK", "\x20\x02\x00\x00", 0x82},
		{"PINGRESP", "\xd0\x00", 0x82},
		{"SUBACK", "\x90\x03\x00\x01\x00", 0x82},
		{"QoS 3", mqttFrame(0x36, mqttText("a"), "\x00\x01", none), 0x81},
		{"PUBLISH to a wildcard", mqttFrame(0x30, mqttText("a/#"), none), 0x90},
		{"a topic with NUL", mqttFrame(0x30, mqttText("a\x00"), none), 0x81},
		{"a topic that is not UTF-8", mqttFrame(0x30, mqttText("\xc3\x28"), none), 0x81},
		{"a packet identifier of 0", mqttFrame(0x32, mqttText("a"), "\x00\x00", none), 0x82},
		{"a topic longer than its packet", mqttFrame(0x30, "\x00\x09a"), 0x81},
		{"SUBSCRIBE to nothing", mqttFrame(0x82, "\x00\x01", none), 0x82},
		{"SUBSCRIBE with identifier 0", mqttFrame(0x82, "\x00\x00", none, mqttText("a"), "\x00"), 0x82},
		{"SUBSCRIBE with wrong flags", mqttFrame(0x80, "\x00\x01", none, mqttText("a"), "\x00"), 0x81},
		{"SUBSCRIBE with QoS 3", mqttFrame(0x82, "\x00\x01", none, mqttText("a"), "\x03"), 0x81},
		{"UNSUBSCRIBE from nothing", mqttFrame(0xA2, "\x00\x01", none), 0x82},
		{"PUBREL with wrong flags", mqttFrame(0x60, "\x00\x01"), 0x81},
		{"half a PUBACK", mqttFrame(0x40, "\x00"), 0x81},
		{"PINGREQ with flags", mqttFrame(0xC1), 0x81},
		{"a length of five bytes", "\x30\xff\xff\xff\xff\x7f", 0x81},
		{"a packet too large", "\x30\xff\xff\xff\x7f", 0x95},
	}
	if v < 5 {
		return list
	}
	return append(list,
		mqttWrong{"alias 0", mqttFrame(0x30, mqttText("a"), "\x03\x23\x00\x00"), 0x94},
		mqttWrong{"an alias too high", mqttFrame(0x30, mqttText("a"), "\x03\x23\xff\xff"), 0x94},
		mqttWrong{"an alias that was not made", mqttFrame(0x30, mqttText(""), "\x03\x23\x00\x09"), 0x82},
		mqttWrong{"No Local on what is shared", mqttFrame(0x82, "\x00\x01\x00", mqttText("$share/g/a"), "\x05"), 0x82},
		mqttWrong{"Retain Handling 3", mqttFrame(0x82, "\x00\x01\x00", mqttText("a"), "\x31"), 0x82},
		mqttWrong{"a property that is none", mqttFrame(0x30, mqttText("a"), "\x02\xfe\x00"), 0x81},
		mqttWrong{"a subscription identifier in PUBLISH", mqttFrame(0x30, mqttText("a"), "\x02\x0b\x01"), 0x82},
		mqttWrong{"a response topic with a wildcard", mqttFrame(0x30, mqttText("a"), "\x04\x08\x00\x01#"), 0x82},
		mqttWrong{"AUTH out of nowhere", "\xf0\x02\x18\x00", 0x82},
		mqttWrong{"DISCONNECT with a reserved flag", "\xe1\x00", 0x81},
	)
}

// wrong says something after which the connection must end, in MQTT 5 with a reason. Then the session goes on.
func (k *mqttTalk) wrong(int) bool {
	all := mqttWrongs(k.v)
	w := all[k.pick(len(all))]
	k.main.write(w.say)
	_ = k.main.nc.SetReadDeadline(time.Now().Add(patience))
	last := mqttPacket{}
	for {
		p, err := readMQTT(k.main.in)
		if err != nil {
			if strings.Contains(err.Error(), "timeout") {
				k.t.Fatalf("%s is no matter to the broker", w.name)
			}
			break
		}
		last = p
		if p.first&0xF0 == 0x30 || p.first&0xF0 == 0x60 {
			k.main.heard(p)
		}
	}
	if k.v == 5 && (last.first != 0xE0 || len(last.body) == 0 || last.body[0] != w.code) {
		k.t.Fatalf("%s is answered by %x %x, want DISCONNECT %#x", w.name, last.first, last.body, w.code)
	}
	if k.v < 5 && last.first&0xF0 == 0xE0 {
		k.t.Fatalf("%s is answered by DISCONNECT, which MQTT %d does not have", w.name, k.v)
	}
	k.k.took(w.name)
	_ = k.main.nc.Close()
	k.back(leaveRudely)
	return true
}
