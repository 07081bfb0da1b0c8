package wyecmd_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// mostNacks is how often a message is refused: at ten it would become a dead letter.
const mostNacks = 8

// chosen picks a delivery that can be settled.
func (k *stompTalk) chosen(outcome string) (*stompTalkSub, *stompTalkHeld) {
	var ids []string
	for id, sub := range k.main.subs {
		if len(sub.free()) > 0 {
			ids = append(ids, id)
		}
	}
	id := k.any(ids)
	if id == "" || outcome != "ACK" && k.main.version == 0 {
		return nil, nil
	}
	sub := k.main.subs[id]
	free := sub.free()
	if outcome == "DEAD" && !strings.HasPrefix(sub.queue.name, "/queue/") {
		return nil, nil
	}
	if outcome == "NACK" && slices.ContainsFunc(free, func(h *stompTalkHeld) bool { return h.item.nacks >= mostNacks }) {
		return nil, nil
	}
	return sub, free[k.pick(len(free))]
}

// settlement returns the frame of an acknowledgement, in the words of the version.
func (k *stompTalk) settlement(sub *stompTalkSub, h *stompTalkHeld, outcome string) (command string, headers []string) {
	command = "ACK"
	if outcome != "ACK" {
		command = "NACK"
	}
	if outcome == "DEAD" {
		headers = append(headers, "requeue:false")
	}
	if k.main.version == 2 {
		return command, append(headers, "id:"+h.id)
	}
	headers = append(headers, "message-id:"+h.id)
	elsewhere := false // then 1.0 has to say, too, whose it is
	for _, other := range k.main.subs {
		elsewhere = elsewhere || other != sub && (other.mode == "auto" || slices.ContainsFunc(other.held, func(o *stompTalkHeld) bool { return o.id == h.id }))
	}
	if k.main.version == 1 || elsewhere {
		headers = append(headers, "subscription:"+talkEscape(k.main.version, sub.id))
	}
	return command, headers
}

// settle acknowledges or refuses what has come.
func (k *stompTalk) settle(outcome, _ string) bool {
	sub, h := k.chosen(outcome)
	if h == nil {
		return false
	}
	command, headers := k.settlement(sub, h, outcome)
	sub.settle(h, outcome) // before it comes again
	k.main.right(command, "", headers...)
	return true
}

// settleIn does it in a transaction.
func (k *stompTalk) settleIn(outcome string) bool {
	tx := k.any(slices.Collect(maps.Keys(k.tx)))
	if tx == "" {
		return false
	}
	sub, h := k.chosen(outcome)
	if h == nil {
		return false
	}
	command, headers := k.settlement(sub, h, outcome)
	k.main.right(command, "", append(headers, "transaction:"+tx)...)
	h.within = tx
	k.tx[tx].acks = append(k.tx[tx].acks, stompTalkAck{sub, h, outcome})
	return true
}

func (k *stompTalk) beginTx(i int) bool {
	tx := fmt.Sprintf("tx%d", i)
	if k.tx[tx] != nil {
		return false
	}
	k.tx[tx] = new(stompTalkTx)
	k.main.right("BEGIN", "", "transaction:"+tx)
	return true
}

func (k *stompTalk) sendIn(destination string) bool {
	tx := k.any(slices.Collect(maps.Keys(k.tx)))
	if tx == "" {
		return false
	}
	if strings.HasPrefix(destination, "/queue/") {
		k.known(destination)
	}
	m, headers := k.message(k.main, destination)
	k.tx[tx].sends = append(k.tx[tx].sends, m)
	k.main.right("SEND", m.body, append(headers, "transaction:"+tx)...)
	return true
}

// endTx commits or aborts. What is committed happens as a whole, or not at all when something that it acknowledges has gone back.
func (k *stompTalk) endTx(commit bool) bool {
	name := k.any(slices.Collect(maps.Keys(k.tx)))
	if name == "" {
		return false
	}
	tx := k.tx[name]
	delete(k.tx, name)
	void := func() {
		for _, a := range tx.acks {
			a.held.within = ""
		}
	}
	if !commit {
		void()
		k.main.right("ABORT", "", "transaction:"+name)
		return true
	}
	if slices.ContainsFunc(tx.acks, func(a stompTalkAck) bool { return a.sub.gone }) {
		void()
		if k.main.refused("not_found", "COMMIT", "", "transaction:"+name) {
			k.again(false)
		}
		return true
	}
	for _, a := range tx.acks {
		a.sub.settle(a.held, a.outcome)
	}
	for _, m := range tx.sends {
		k.publish(m)
	}
	k.main.right("COMMIT", "", "transaction:"+name)
	return true
}

// again goes on with another connection; rudely: the old one was left with deliveries on their way.
func (k *stompTalk) again(rudely bool, headers ...string) {
	k.t.Helper()
	old := k.main
	for _, sub := range old.subs {
		k.exit(sub, rudely)
	}
	for name, q := range k.queues {
		if !q.keeps {
			delete(k.queues, name)
		}
	}
	clear(k.tx)
	k.begin(k.pick(3), headers...)
}

// goOn says goodbye. With its receipt all has come that was settled by coming.
func (k *stompTalk) goOn(int) bool {
	k.main.right("DISCONNECT", "")
	k.main.over()
	k.again(false)
	return true
}

// hurry says goodbye right after messages without receipts, all of which count.
func (k *stompTalk) hurry(i int) bool {
	name := k.queue(i % 2)
	k.known(name)
	var all strings.Builder
	for range 3 {
		m, headers := k.message(k.main, name)
		k.publish(m)
		all.WriteString(strings.TrimSuffix(stompFrame("SEND", headers...), "\x00") + m.body + "\x00")
	}
	k.main.write(all.String() + stompFrame("DISCONNECT", "receipt:bye"))
	if f := k.main.await(); f.command != "RECEIPT" || f.header("receipt-id") != "bye" {
		k.t.Fatalf("DISCONNECT is answered by %+v", f)
	}
	k.main.over()
	k.again(false)
	return true
}

// vanish closes the connection. The next one has the same client id, and so comes after the end of the old one.
func (k *stompTalk) vanish(int) bool {
	_ = k.main.nc.Close()
	k.again(true)
	return true
}

// takeOver logs in a second time, which ends the first connection with a word.
func (k *stompTalk) takeOver(int) bool {
	old := k.main
	old.subs = maps.Clone(old.subs) // what comes on the way out is still held to them
	held := k.main
	side := newStompSide(k.t, k.k, "talk", k.pick(3), k.way)
	if f := side.login("login:talk", "passcode:"+talkPassword("talk"), "client-id:"+k.id); f.command != "CONNECTED" {
		k.t.Fatalf("take-over: %+v", f)
	}
	if f := held.await(); f.command != "ERROR" || f.header("reason") != "taken_over" {
		k.t.Fatalf("the old connection ends with %+v", f)
	}
	old.over()
	for _, sub := range old.subs {
		k.exit(sub, false)
	}
	for name, q := range k.queues {
		if !q.keeps {
			delete(k.queues, name)
		}
	}
	clear(k.tx)
	k.main = side
	return true
}

// ask sends a request with a temporary queue to answer to, which nobody else may read, and gets the answer.
func (k *stompTalk) ask(i int) bool {
	mal := k.friend()
	topic := k.topic(stompTopics - 1)
	var sub *stompTalkSub
	for _, s := range mal.subs {
		if s.accepts == nil {
			sub = s
		}
	}
	if sub == nil {
		sub = &stompTalkSub{id: k.name("open"), mode: "auto", matches: func(d string) bool { return d == topic }}
		mal.subs[sub.id] = sub
		mal.right("SUBSCRIBE", "", "id:"+sub.id, "destination:"+topic)
	}
	id := fmt.Sprint("/temp-queue/reply", i)
	if k.main.subs[id] == nil {
		k.main.subs[id] = &stompTalkSub{id: id, mode: "auto", matches: func(string) bool { return false }}
	}
	m, headers := k.message(k.main, topic)
	k.publish(m)
	k.main.right("SEND", m.body, append(headers, "reply-to:"+id)...)
	for mal.last.body != m.body {
		if f := mal.read(); f.command != "MESSAGE" {
			k.t.Fatalf("the request: %+v", f)
		}
	}
	reply := talkUnescape(mal.version, mal.last.header("reply-to"))
	if reply == "" || reply == id {
		k.t.Fatalf("the request has reply-to %q", reply)
	}
	answer, headers := k.message(mal, id)
	k.main.subs[id].flow.want = append(k.main.subs[id].flow.want, answer)
	headers[0] = "destination:" + reply
	mal.right("SEND", answer.body, headers...)
	if mal.refused("not_authorized", "SUBSCRIBE", "", "id:"+k.name("no"), "destination:"+reply) {
		k.mal = nil
	}
	return true
}

// listen wants heart-beats; 1.0 knows none.
func (k *stompTalk) listen(int) bool {
	if k.main.version == 0 {
		return false
	}
	k.main.right("DISCONNECT", "")
	k.main.over()
	k.again(false, "heart-beat:0,30")
	if k.main.version == 0 {
		return false
	}
	_ = k.main.nc.SetReadDeadline(time.Now().Add(patience))
	for range 2 {
		if b, err := k.main.in.ReadByte(); b != '\n' || err != nil {
			k.t.Fatalf("got %q, %v, want a heart-beat", b, err)
		}
	}
	return true
}

// silence promises heart-beats on a connection of its own and sends none.
func (k *stompTalk) silence(int) bool {
	s := newStompSide(k.t, k.k, "talk", 1+k.pick(2), k.way)
	begin := time.Now()
	if f := s.login("heart-beat:20,0", "login:talk", "passcode:"+talkPassword("talk")); f.command != "CONNECTED" {
		k.t.Fatalf("CONNECT is answered by %+v", f)
	}
	if f := s.read(); f.command != "ERROR" || f.header("reason") != "heartbeat_timeout" || time.Since(begin) < 40*time.Millisecond {
		k.t.Fatalf("after %v of silence: %+v", time.Since(begin), f)
	}
	s.over()
	return true
}
