package wyecmd_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// FuzzMQTTTalk is FuzzSTOMPTalk for MQTT 3.1, 3.1.1 and 5: acknowledgements of three qualities of service in both directions,
// kept back or not, sessions that are left, resumed, taken over and ended, wills, retained messages, shared subscriptions, topic
// aliases, what is denied, and what is wrong. The seeds take every step there is.
func FuzzMQTTTalk(f *testing.F) {
	var names []string
	for _, step := range mqttTalkSteps() {
		names = append(names, step.name)
	}
	for _, w := range mqttWrongs(5) {
		names = append(names, w.name)
	}
	k := openTalks(f)
	k.fuzz(f, mqttTalkSeeds(), names, k.talkMQTT)
}

// mqttTalk is one conversation, and what is known of it.
type mqttTalk struct {
	*script

	t        *testing.T
	k        *talks
	id       string
	v        byte
	way      int // TCP or WebSocket
	main     *mqttSide
	mate     *mqttSide // of the same user, nil: is not there
	mal      *mqttSide // who may do little
	sent     int
	retained map[string]mqttRetained // by topic
	shared   mqttShared
}

type mqttRetained struct {
	body string
	qos  byte
}

// mqttTopics is how many topics are talked about. mal may have the last, and nothing of the others.
const mqttTopics = 4

func (k *mqttTalk) topic(i int) string {
	return k.id + []string{"/0", "/1", "/2/x", "/open"}[i]
}

func (k *mqttTalk) willTopic() string   { return k.id + "-will" }
func (k *mqttTalk) sharedTopic() string { return k.id + "-shared/x" }

// filter returns one of the filters of the topics.
func (k *mqttTalk) filter(i int) *mqttSub {
	if i < mqttTopics {
		topic := k.topic(i)
		return &mqttSub{filter: topic, matches: func(t string) bool { return t == topic }}
	}
	one := func(t string) bool { return strings.Count(t, "/") == 1 && strings.HasPrefix(t, k.id+"/") }
	switch i {
	case mqttTopics:
		return &mqttSub{filter: k.id + "/+", matches: one}
	case mqttTopics + 1:
		return &mqttSub{filter: k.id + "/+/x", matches: func(t string) bool { return t == k.topic(2) }}
	default:
		return &mqttSub{filter: k.id + "/#", matches: func(t string) bool { return strings.HasPrefix(t, k.id+"/") }}
	}
}

// talkMQTT returns what holds a conversation.
func (k *talks) talkMQTT(t *testing.T) func(id string, s *script) {
	return func(id string, s *script) {
		talk := &mqttTalk{script: s, t: t, k: k, id: id, retained: make(map[string]mqttRetained)}
		s.step(1)
		talk.v, talk.way = []byte{5, 4, 3}[s.pick(3)], s.pick(2)
		talk.main = talk.side("talk", id, talk.v)
		talk.main.forget()
		if talk.main.connect(talk.lasting(nil)) {
			t.Fatal("there is a session of a new client")
		}
		defer func() {
			for _, s := range []*mqttSide{talk.main, talk.mate, talk.mal} {
				if s != nil {
					_ = s.nc.Close()
				}
			}
		}()
		talk.run()
	}
}

// lasting is for a session that outlives its connection.
func (k *mqttTalk) lasting(will *mqttWill) mqttLogin { return mqttLogin{expiry: 60, will: will} }

// run talks to the end.
func (k *mqttTalk) run() {
	steps := mqttTalkSteps()
	for {
		n, ok := k.step(len(steps) + 1)
		if !ok {
			break
		}
		i := k.pick(mqttTopics)
		if n == len(steps) {
			k.garbage()
			return
		}
		if steps[n].take(k, i) {
			k.k.took(steps[n].name)
		}
	}
	k.sum()
}

// mqttTalkStep is something to do, with one of the topics.
type mqttTalkStep struct {
	name string
	// take does it, with all that must come of it, and reports whether there was something to do.
	take func(k *mqttTalk, i int) bool
}

func mqttTalkSteps() []mqttTalkStep {
	return []mqttTalkStep{
		{"publish with QoS 0", func(k *mqttTalk, i int) bool { return k.send(k.main, k.topic(i), 0, false) }},
		{"publish with QoS 1", func(k *mqttTalk, i int) bool { return k.send(k.main, k.topic(i), 1, false) }},
		{"publish with QoS 2", func(k *mqttTalk, i int) bool { return k.send(k.main, k.topic(i), 2, false) }},
		{"publish what is retained", func(k *mqttTalk, i int) bool { return k.send(k.main, k.topic(i), byte(k.pick(3)), true) }},
		{"publish by an alias", (*mqttTalk).alias},
		{"clear what is retained", (*mqttTalk).clear},
		{"subscribe", func(k *mqttTalk, i int) bool { return k.subscribe(i) }},
		{"subscribe by a wildcard", func(k *mqttTalk, i int) bool { return k.subscribe(mqttTopics + i%3) }},
		{"subscribe again", (*mqttTalk).subscribeAgain},
		{"unsubscribe", (*mqttTalk).unsubscribe},
		{"acknowledge", func(k *mqttTalk, i int) bool { return k.settle(i) }},
		{"share", (*mqttTalk).share},
		{"unshare", (*mqttTalk).unshare},
		{"publish what is shared", (*mqttTalk).sendShared},
		{"resume", func(k *mqttTalk, _ int) bool { return k.resume(leaveRudely) }},
		{"resume after a goodbye", func(k *mqttTalk, _ int) bool { return k.resume(leaveInOrder) }},
		{"leave with the will", func(k *mqttTalk, _ int) bool { return k.v == 5 && k.resume(leaveWithWill) }},
		{"take over", func(k *mqttTalk, _ int) bool { return k.resume(leaveByTakeOver) }},
		{"be away", (*mqttTalk).away},
		{"start anew", func(k *mqttTalk, _ int) bool { return k.anew(leaveInOrder) }},
		{"start anew after the worst", func(k *mqttTalk, _ int) bool { return k.anew(leaveRudely) }},
		{"start anew by taking over", func(k *mqttTalk, _ int) bool { return k.anew(leaveByTakeOver) }},
		{"have a short session", (*mqttTalk).short},
		{"end the session at goodbye", (*mqttTalk).shortened},
		{"say what is wrong", (*mqttTalk).wrong},
		{"log in with a wrong password", (*mqttTalk).stranger},
		{"be somebody else", (*mqttTalk).steal},
		{"a denied PUBLISH", (*mqttTalk).deniedPublish},
		{"a denied retained PUBLISH", (*mqttTalk).deniedRetain},
		{"a denied alias", (*mqttTalk).deniedAlias},
		{"a denied SUBSCRIBE", (*mqttTalk).deniedSubscribe},
		{"a denied will", (*mqttTalk).deniedWill},
		{"mal publishes", func(k *mqttTalk, _ int) bool { return k.send(k.enemy(), k.topic(mqttTopics-1), byte(k.pick(3)), false) }},
		{"mal subscribes", (*mqttTalk).malSubscribes},
	}
}

// sides returns who is there.
func (k *mqttTalk) sides() []*mqttSide {
	return slices.DeleteFunc([]*mqttSide{k.main, k.mate, k.mal}, func(s *mqttSide) bool { return s == nil })
}

// friend returns the mate, who listens for wills.
func (k *mqttTalk) friend() *mqttSide {
	k.t.Helper()
	if k.mate == nil {
		k.mate = k.side("talk", k.id+"-mate", k.v)
		k.mate.forget()
		k.mate.connect(mqttLogin{clean: true})
		topic := k.willTopic()
		k.mate.subs[topic] = &mqttSub{filter: topic, qos: 2, matches: func(t string) bool { return t == topic }}
		if code := k.mate.subscribe(topic, 2); code != 2 {
			k.t.Fatalf("SUBSCRIBE is answered by %#x", code)
		}
	}
	return k.mate
}

func (k *mqttTalk) body() string {
	k.sent++
	return strconv.Itoa(k.sent)
}

// published notes who must get a message, and whether it is retained.
func (k *mqttTalk) published(topic, body string, qos byte, retain bool) {
	if retain {
		k.retained[topic] = mqttRetained{body, qos}
		if body == "" {
			delete(k.retained, topic)
		}
	}
	for _, s := range k.sides() {
		if sub := s.sub(topic); sub != nil {
			f := s.flow(topic, min(qos, sub.qos))
			f.want = append(f.want, mqttSent{body, retain && sub.keeps})
		}
	}
}

func (k *mqttTalk) send(s *mqttSide, topic string, qos byte, retain bool) bool {
	body := k.body()
	k.published(topic, body, qos, retain)
	s.publish(topic, "", qos, retain, body, 0)
	return true
}

// clear removes a retained message, or one that is not there.
func (k *mqttTalk) clear(i int) bool {
	qos := byte(k.pick(3))
	k.published(k.topic(i), "", qos, true)
	k.main.publish(k.topic(i), "", qos, true, "", 0)
	return true
}

// alias publishes by an alias, which is made when it is new or stands for another topic.
func (k *mqttTalk) alias(i int) bool {
	if k.v < 5 {
		return false
	}
	n, topic, body, qos := uint16(1+k.pick(3)), k.topic(i), k.body(), byte(k.pick(3))
	written := topic
	if k.main.aliases[n] == topic {
		written = ""
	}
	k.main.aliases[n] = topic
	k.published(topic, body, qos, false)
	k.main.publish(written, "\x23"+mqttID(n), qos, false, body, 0)
	return true
}

// subscribe subscribes by a filter that matches nothing of what another one does.
func (k *mqttTalk) subscribe(i int) bool {
	sub := k.filter(i)
	for _, other := range k.main.subs {
		for t := range mqttTopics {
			if topic := k.topic(t); other.matches(topic) && sub.matches(topic) {
				return false // what is under way would have either quality
			}
		}
	}
	sub.qos = byte(k.pick(3))
	handling := 0
	if k.v == 5 {
		sub.keeps, handling = k.pick(2) == 1, k.pick(3)
	}
	k.enter(k.main, sub, handling, true)
	return true
}

// enter says SUBSCRIBE. The retained messages come as Retain Handling says.
func (k *mqttTalk) enter(s *mqttSide, sub *mqttSub, handling int, first bool) {
	k.t.Helper()
	for _, other := range k.sides() {
		if other != s { // what it has published with QoS 0 may still be on its way, and come to this subscription
			other.ping()
		}
	}
	s.subs[sub.filter] = sub
	if handling == 0 || handling == 1 && first {
		for topic, r := range k.retained {
			if sub.matches(topic) {
				s.stored[topic] = append(s.stored[topic], r.body)
			}
		}
	}
	options := sub.qos | byte(handling)<<4
	if sub.keeps {
		options |= 8
	}
	if code := s.subscribe(sub.filter, options); code != sub.qos {
		k.t.Fatalf("SUBSCRIBE to %q is answered by %#x, want %d", sub.filter, code, sub.qos)
	}
}

// subscribeAgain says the same again, with another Retain Handling perhaps.
func (k *mqttTalk) subscribeAgain(int) bool {
	filter := k.any(slices.Collect(maps.Keys(k.main.subs)))
	if filter == "" {
		return false
	}
	handling := 0
	if k.v == 5 {
		handling = k.pick(3)
	}
	k.enter(k.main, k.main.subs[filter], handling, false)
	return true
}

// unsubscribe is for what all has come of: what is under way may come or not.
func (k *mqttTalk) unsubscribe(int) bool {
	filter := k.any(slices.Collect(maps.Keys(k.main.subs)))
	if filter == "" {
		return false
	}
	k.main.complete()
	k.main.unsubscribe(filter)
	delete(k.main.subs, filter)
	return true
}

// settle acknowledges what came, or a part.
func (k *mqttTalk) settle(n int) bool {
	some := len(k.main.held) > 0
	k.main.settle(n + 1)
	k.main.ping()
	return some
}

// mqttShared is what is known of the messages of a shared subscription: each comes to one of its members.
type mqttShared struct {
	members map[*mqttSide]bool
	late    map[*mqttSide]bool // has left, and may still get what was on its way [MQTT-3.10.4-5]
	items   map[string]*mqttItem
}

type mqttItem struct {
	seen bool
	gone bool // with the last member
	old  bool // it was there when a member left
}

func (g *mqttShared) take(s *mqttSide, body string, again bool) error {
	it := g.items[body]
	switch {
	case it != nil && it.old && g.late[s]:
	case it == nil || !g.members[s]:
		return fmt.Errorf("%q is not for it", body)
	case it.gone:
		return fmt.Errorf("%q comes after the group was left by all", body)
	case it.seen && !again:
		return fmt.Errorf("%q comes again and does not say so", body)
	}
	it.seen = true
	return nil
}

// leave is for a member that goes for good.
func (g *mqttShared) leave(s *mqttSide) {
	if !g.members[s] {
		return
	}
	delete(g.members, s)
	g.late[s] = true
	for _, it := range g.items {
		it.old = true
	}
	if len(g.members) == 0 {
		for _, it := range g.items {
			it.gone = true
		}
	}
}

func (g *mqttShared) waiting() bool {
	for _, it := range g.items {
		if !it.seen && !it.gone {
			return true
		}
	}
	return false
}

func (k *mqttTalk) sharedFilter() string { return "$share/" + k.id + "/" + k.id + "-shared/+" }

// share makes the client, or its mate, a member.
func (k *mqttTalk) share(i int) bool {
	s := k.main
	if i%2 == 1 {
		s = k.friend()
	}
	if k.shared.members[s] {
		return false
	}
	if k.shared.members == nil {
		k.shared = mqttShared{make(map[*mqttSide]bool), make(map[*mqttSide]bool), make(map[string]*mqttItem)}
	}
	k.shared.members[s] = true
	if code := s.subscribe(k.sharedFilter(), 1); code != 1 {
		k.t.Fatalf("SUBSCRIBE to %q is answered by %#x", k.sharedFilter(), code)
	}
	return true
}

// unshare ends a membership. What the member has not acknowledged goes to another.
func (k *mqttTalk) unshare(i int) bool {
	s := k.main
	if i%2 == 1 {
		s = k.mate
	}
	if s == nil || !k.shared.members[s] {
		return false
	}
	s.unsubscribe(k.sharedFilter())
	k.shared.leave(s)
	return true
}

func (k *mqttTalk) sendShared(i int) bool {
	if len(k.shared.members) == 0 {
		return false
	}
	body := k.body()
	k.shared.items[body] = &mqttItem{}
	k.main.publish(k.sharedTopic(), "", 1+byte(i%2), false, body, 0)
	return true
}

// sum wants all that was published to have come, and leaves nothing.
func (k *mqttTalk) sum() {
	if k.mal != nil {
		k.malSubscribes(0)
	}
	for i := range mqttTopics {
		k.send(k.main, k.topic(i), 2, false) // what was sent before and must not come would come before it
	}
	for _, s := range k.sides() {
		s.complete()
	}
	for end := time.Now().Add(patience); k.shared.waiting(); {
		if time.Now().After(end) {
			k.t.Fatalf("what is shared has not come: %v", k.shared.items)
		}
		for _, s := range k.sides() {
			s.settle(len(s.held))
			s.ping()
		}
	}
	for topic := range k.retained {
		k.published(topic, "", 0, true)
		k.main.publish(topic, "", 0, true, "", 0)
	}
	k.main.ping()
	k.leave(leaveInOrder)
	k.forget()
	if k.mate != nil { // a will that must not be would come before this
		k.send(k.mate, k.willTopic(), 2, false)
		k.mate.complete()
	}
}

// forget ends the session for good.
func (k *mqttTalk) forget() {
	_ = k.main.nc.Close()
	k.main.forget()
	k.main.connect(mqttLogin{clean: true})
	k.main.write("\xe0\x00")
	k.main.over()
}
