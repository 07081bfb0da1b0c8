package wyecmd_test

import (
	"maps"
	"slices"
	"strings"
)

// sum ends a conversation in order, and wants all that was sent to have come, and nothing else.
func (k *stompTalk) sum() {
	for i := range stompTopics {
		k.send(k.topic(i)) // what was sent before and must not come would come before it
	}
	for _, s := range []*stompTalkSide{k.main, k.mal} {
		if s != nil {
			k.complete(s)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(k.main.subs)) {
		sub := k.main.subs[id]
		if strings.HasPrefix(id, "/") { // made for a reply-to header
			continue
		}
		k.main.right("UNSUBSCRIBE", "", "id:"+talkEscape(k.main.version, id))
		k.exit(sub, false)
	}
	for _, name := range slices.Sorted(maps.Keys(k.queues)) {
		q := k.queues[name]
		k.drain(q, name)
		if len(q.dead) > 0 {
			dead := &talkQueue{name: "/queue/DLQ." + strings.TrimPrefix(name, "/queue/")}
			for _, body := range q.dead {
				i := slices.IndexFunc(q.items, func(it *talkItem) bool { return it.body == body })
				m := *q.items[i].talkMessage
				m.destination = dead.name
				dead.add(&m)
			}
			k.drain(dead, dead.name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(k.durables)) {
		d := k.durables[name]
		k.drain(d.queue, k.topic(d.topic), "activemq.subscriptionName:"+name)
		k.main.right("UNSUBSCRIBE", "", "id:gone", "destination:"+k.topic(d.topic), "activemq.subscriptionName:"+name)
	}
	k.main.right("DISCONNECT", "")
	k.main.over()
}

// complete waits for what must come without an acknowledgement.
func (k *stompTalk) complete(s *stompTalkSide) {
	for _, id := range slices.Sorted(maps.Keys(s.subs)) {
		sub := s.subs[id]
		done := sub.flow.complete
		if sub.queue != nil && !sub.queue.keeps && sub.matches != nil {
			done = func() bool { return len(sub.queue.left()) == 0 }
		}
		for !done() {
			if f := s.read(); f.command != "MESSAGE" {
				k.t.Fatalf("%s: %s lacks messages: %+v", s.name, id, f)
			}
		}
	}
}

// drain takes all that is in a queue: what was sent and not settled, and at last a mark.
func (k *stompTalk) drain(q *talkQueue, destination string, headers ...string) {
	k.t.Helper()
	sub := &stompTalkSub{id: k.name("drain"), mode: "auto", queue: q}
	k.main.subs[sub.id] = sub
	k.main.right("SUBSCRIBE", "", append(headers, "id:"+sub.id, "destination:"+destination)...)
	mark, with := k.message(k.main, destination)
	q.add(mark)
	at := q.items[len(q.items)-1]
	k.main.right("SEND", mark.body, with...)
	for !at.settled {
		if f := k.main.read(); f.command != "MESSAGE" {
			k.t.Fatalf("%s: %+v", q.name, f)
		}
	}
	if left := q.left(); len(left) > 0 {
		k.t.Fatalf("%s: %q are lost", q.name, left)
	}
	k.main.right("UNSUBSCRIBE", "", "id:"+sub.id)
	delete(k.main.subs, sub.id)
}
