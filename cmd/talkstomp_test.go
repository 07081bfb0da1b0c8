package wyecmd_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// FuzzSTOMPTalk holds conversations by STOMP with a running broker. The input decides what is said next: what the model knows to
// be right must be answered by RECEIPT, and the messages must come as they were sent; what it knows to be wrong, by ERROR with a
// reason and, where it must, the end; what it does not know, by one of them. Others must not notice. The seeds take every step there is.
func FuzzSTOMPTalk(f *testing.F) {
	var names []string
	for _, step := range stompTalkSteps() {
		names = append(names, step.name)
	}
	for _, w := range stompWrongs("") {
		names = append(names, w.name)
	}
	k := openTalks(f)
	k.fuzz(f, stompTalkSeeds(), names, k.talkSTOMP)
}

// stompTalk is one conversation, and what is known of it.
type stompTalk struct {
	*script

	t        *testing.T
	k        *talks
	id       string // part of all names
	way      int
	main     *stompTalkSide
	mal      *stompTalkSide // who may do little; nil: is not there
	n        int            // names
	sent     int            // messages
	queues   map[string]*talkQueue
	durables map[string]*stompTalkDurable
	tx       map[string]*stompTalkTx
}

// stompTalkDurable is a durable subscription.
type stompTalkDurable struct {
	name    string
	topic   int
	queue   *talkQueue
	matches func(destination string) bool
	sub     *stompTalkSub // that uses it now
}

// stompTalkTx is an open transaction.
type stompTalkTx struct {
	sends []*talkMessage
	acks  []stompTalkAck
}

type stompTalkAck struct {
	sub     *stompTalkSub
	held    *stompTalkHeld
	outcome string
}

// stompTopics is how many topics are talked about. mal may have the last, and nothing of the others.
const stompTopics = 4

func (k *stompTalk) topic(i int) string {
	if i == stompTopics-1 {
		return "/topic/" + k.id + ".open"
	}
	return fmt.Sprintf("/topic/%s.%d", k.id, i)
}

// queue returns one of two queues that stay, or a temporary one.
func (k *stompTalk) queue(i int) string {
	if i%3 == 2 {
		return "/temp-queue/" + k.id
	}
	return fmt.Sprintf("/queue/%s-%d", k.id, i%3)
}

// talkSTOMP returns what holds a conversation.
func (k *talks) talkSTOMP(t *testing.T) func(id string, s *script) {
	return func(id string, s *script) {
		talk := &stompTalk{
			script: s, t: t, k: k, id: id, queues: make(map[string]*talkQueue), durables: make(map[string]*stompTalkDurable),
			tx: make(map[string]*stompTalkTx),
		}
		s.step(1)
		version := s.pick(3)
		talk.way = s.pick(stompTalkWays)
		talk.begin(version)
		defer talk.leave()
		talk.run()
	}
}

// begin opens the connection of who may do everything.
func (k *stompTalk) begin(version int, headers ...string) {
	k.t.Helper()
	k.main = newStompSide(k.t, k.k, "talk", version, k.way)
	headers = append(headers, "login:talk", "passcode:"+talkPassword("talk"), "client-id:"+k.id)
	if f := k.main.login(headers...); f.command != "CONNECTED" {
		k.t.Fatalf("CONNECT is answered by %+v", f)
	}
}

// leave ends what is left.
func (k *stompTalk) leave() {
	_ = k.main.nc.Close()
	if k.mal != nil {
		_ = k.mal.nc.Close()
	}
}

// run talks to the end.
func (k *stompTalk) run() {
	steps := stompTalkSteps()
	for {
		n, ok := k.step(len(steps) + 1)
		if !ok {
			break
		}
		i := k.pick(stompTopics)
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

// stompTalkStep is something to do, with one of the topics or queues.
type stompTalkStep struct {
	name string
	// take does it, with all that must come of it, and reports whether there was something to do.
	take func(k *stompTalk, i int) bool
}

func stompTalkSteps() []stompTalkStep {
	return []stompTalkStep{
		{"send to a topic", func(k *stompTalk, i int) bool { return k.send(k.topic(i)) }},
		{"subscribe to a topic", func(k *stompTalk, i int) bool { return k.subscribe(i, "auto") }},
		{"say what is wrong", (*stompTalk).wrong},
		{"send to a queue", func(k *stompTalk, i int) bool { return k.sendQueue(i) }},
		{"subscribe to a queue", (*stompTalk).subscribeQueue},
		{"acknowledge", func(k *stompTalk, _ int) bool { return k.settle("ACK", "") }},
		{"refuse", func(k *stompTalk, _ int) bool { return k.settle("NACK", "") }},
		{"refuse for good", func(k *stompTalk, _ int) bool { return k.settle("DEAD", "") }},
		{"subscribe to a topic with acknowledgements", func(k *stompTalk, i int) bool { return k.subscribe(i, stompModes()[1+k.pick(2)]) }},
		{"subscribe for good", (*stompTalk).subscribeDurable},
		{"subscribe for good twice", (*stompTalk).durableTwice},
		{"unsubscribe", (*stompTalk).unsubscribe},
		{"delete a durable subscription", (*stompTalk).deleteDurable},
		{"begin a transaction", (*stompTalk).beginTx},
		{"send in a transaction", func(k *stompTalk, i int) bool { return k.sendIn(k.topic(i)) }},
		{"send to a queue in a transaction", func(k *stompTalk, i int) bool { return k.sendIn(k.queue(i % 2)) }},
		{"acknowledge in a transaction", func(k *stompTalk, i int) bool { return k.settleIn("ACK") }},
		{"refuse in a transaction", func(k *stompTalk, i int) bool { return k.settleIn("NACK") }},
		{"commit", func(k *stompTalk, _ int) bool { return k.endTx(true) }},
		{"abort", func(k *stompTalk, _ int) bool { return k.endTx(false) }},
		{"leave in order", (*stompTalk).goOn},
		{"leave in a hurry", (*stompTalk).hurry},
		{"leave without a word", (*stompTalk).vanish},
		{"take over", (*stompTalk).takeOver},
		{"ask and be answered", (*stompTalk).ask},
		{"listen for heart-beats", (*stompTalk).listen},
		{"be silent", (*stompTalk).silence},
		{"log in with a wrong password", (*stompTalk).stranger},
		{"be somebody else", (*stompTalk).steal},
		{"a denied SEND", (*stompTalk).deniedSend},
		{"a denied SUBSCRIBE", (*stompTalk).deniedSubscribe},
		{"a denied COMMIT", (*stompTalk).deniedCommit},
		{"mal sends", (*stompTalk).malSends},
		{"mal subscribes", (*stompTalk).malSubscribes},
	}
}

func stompModes() []string { return []string{"auto", "client", "client-individual"} }

// any picks one, in a fixed order.
func (s *script) any(list []string) string {
	if len(list) == 0 {
		return ""
	}
	slices.Sort(list)
	return list[s.pick(len(list))]
}

func (k *stompTalk) name(prefix string) string {
	k.n++
	return fmt.Sprint(prefix, k.n)
}

// message makes a new message, with the headers of its SEND.
func (k *stompTalk) message(s *stompTalkSide, destination string) (*talkMessage, []string) {
	k.sent++
	m := &talkMessage{
		destination: destination, body: fmt.Sprintf("%s-%d", k.id, k.sent), kind: string(rune('a' + k.sent%3)), version: s.version,
	}
	for _, note := range talkNotes()[k.sent%len(talkNotes()):] {
		if m.note = note; sayable(s.version, note) {
			break
		}
		m.note = talkNotes()[0]
	}
	return m, []string{"destination:" + destination, "kind:" + m.kind, "note:" + talkEscape(s.version, m.note)}
}

// publish notes who must get a message.
func (k *stompTalk) publish(m *talkMessage) {
	if q := k.queues[m.destination]; q != nil {
		q.add(m)
	}
	for _, d := range k.durables {
		if d.matches(m.destination) {
			d.queue.add(m)
		}
	}
	for _, s := range []*stompTalkSide{k.main, k.mal} {
		if s == nil {
			continue
		}
		for _, sub := range s.subs {
			switch {
			case sub.matches == nil || !sub.matches(m.destination) || sub.accepts != nil && !sub.accepts(m.kind):
			case sub.queue != nil:
				sub.queue.add(m)
			default:
				sub.flow.want = append(sub.flow.want, m)
			}
		}
	}
}

func (k *stompTalk) send(destination string) bool {
	m, headers := k.message(k.main, destination)
	k.publish(m)
	k.main.right("SEND", m.body, headers...)
	return true
}

// sendQueue makes the queue known. A temporary one must be there.
func (k *stompTalk) sendQueue(i int) bool {
	name := k.queue(i)
	if strings.HasPrefix(name, "/temp-queue/") && k.queues[name] == nil {
		return false
	}
	k.known(name)
	return k.send(name)
}

func (k *stompTalk) known(name string) *talkQueue {
	if k.queues[name] == nil {
		k.queues[name] = &talkQueue{name: name, keeps: !strings.HasPrefix(name, "/temp-queue/")}
	}
	return k.queues[name]
}

// subscribe subscribes to one topic or all, perhaps to some messages only.
func (k *stompTalk) subscribe(i int, mode string) bool {
	sub := &stompTalkSub{id: k.name("t:" + `\`), mode: mode} // an id that has to be escaped
	topic := k.topic(i)
	sub.matches = func(d string) bool { return d == topic }
	if wild := k.pick(4); wild > 1 {
		topic = "/topic/" + k.id + []string{".*", ".#"}[wild-2]
		sub.matches = func(d string) bool { return strings.HasPrefix(d, "/topic/"+k.id+".") }
	}
	if mode != "auto" {
		sub.queue = &talkQueue{name: "before " + topic}
	}
	k.enter(k.main, sub, topic)
	return true
}

// enter says SUBSCRIBE, with a selector or not.
func (k *stompTalk) enter(s *stompTalkSide, sub *stompTalkSub, destination string, headers ...string) {
	k.t.Helper()
	if k.pick(3) == 1 {
		headers = append(headers, "selector:"+talkEscape(s.version, "kind = 'a' OR kind IN ('c') AND NOT note LIKE 'x:%'"))
		sub.accepts = func(kind string) bool { return kind == "a" || kind == "c" }
	}
	s.subs[sub.id] = sub
	s.right("SUBSCRIBE", "", append(headers, "id:"+talkEscape(s.version, sub.id), "destination:"+destination, "ack:"+sub.mode)...)
}

func (k *stompTalk) subscribeQueue(i int) bool {
	name := k.queue(i)
	k.enter(k.main, &stompTalkSub{id: k.name("q"), mode: stompModes()[k.pick(3)], queue: k.known(name)}, name)
	return true
}

// subscribeDurable makes a durable subscription, or takes one up again.
func (k *stompTalk) subscribeDurable(i int) bool {
	name := fmt.Sprint("d", i%2)
	d := k.durables[name]
	if d == nil {
		topic := k.topic(i)
		d = &stompTalkDurable{
			name: name, topic: i, queue: &talkQueue{name: name, keeps: true},
			matches: func(destination string) bool { return destination == topic },
		}
		k.durables[name] = d
	}
	if d.sub != nil {
		return false
	}
	d.sub = &stompTalkSub{id: k.name("d"), mode: stompModes()[k.pick(3)], queue: d.queue, durable: name}
	k.main.subs[d.sub.id] = d.sub
	k.main.right("SUBSCRIBE", "", "id:"+d.sub.id, "destination:"+k.topic(d.topic), "ack:"+d.sub.mode, "activemq.subscriptionName:"+name)
	return true
}

// durableTwice wants a durable subscription to have one consumer at a time.
func (k *stompTalk) durableTwice(int) bool {
	for _, name := range slices.Sorted(maps.Keys(k.durables)) {
		if d := k.durables[name]; d.sub != nil {
			if k.main.refused("in_use", "SUBSCRIBE", "", "id:"+k.name("d"), "destination:"+k.topic(d.topic), "activemq.subscriptionName:"+name) {
				k.again(false)
			}
			return true
		}
	}
	return false
}

// unsubscribe ends a subscription; what is kept of a durable one stays.
func (k *stompTalk) unsubscribe(int) bool {
	id := k.any(slices.Collect(maps.Keys(k.main.subs)))
	if id == "" || strings.HasPrefix(id, "/") {
		return false
	}
	sub := k.main.subs[id]
	k.main.right("UNSUBSCRIBE", "", "id:"+talkEscape(k.main.version, id))
	k.exit(sub, false)
	return true
}

// exit is for a subscription that has ended.
func (k *stompTalk) exit(sub *stompTalkSub, rudely bool) {
	sub.end(rudely)
	delete(k.main.subs, sub.id)
	k.main.ended[sub.id] = true
	if d := k.durables[sub.durable]; d != nil {
		d.sub = nil
	}
}

// deleteDurable deletes a durable subscription, used or not, with all that is in it.
func (k *stompTalk) deleteDurable(int) bool {
	name := k.any(slices.Collect(maps.Keys(k.durables)))
	if name == "" {
		return false
	}
	d := k.durables[name]
	id := k.name("gone")
	if d.sub != nil {
		id = d.sub.id
	}
	k.main.right("UNSUBSCRIBE", "", "id:"+id, "destination:"+k.topic(d.topic), "activemq.subscriptionName:"+name)
	if d.sub != nil {
		k.exit(d.sub, false)
	}
	delete(k.durables, name)
	return true
}
