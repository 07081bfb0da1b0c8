package wyecmd_test

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// FuzzSTOMPTalk holds conversations by STOMP with a running broker. The input decides what is said next: what the model knows to
// be right must be answered by RECEIPT, and the messages must come as they were sent; what it knows to be wrong, by ERROR and the
// end; what it does not know, by one of them. Others must not notice.
func FuzzSTOMPTalk(f *testing.F) {
	for _, seed := range []string{
		"\x00\x01\x00\x00\x00\x00\x01\x00\x02\x00\x03\x0a",
		"\x00\x02\x00\x04\x00\x04\x00\x04\x00\x08\x00\x09\x00\x08\x01\x03\x00\x04\x00\x02\x00\x0a",
		"\x01\x01\x04\x05\x00\x0b\x00\x00\x0b\x00\x01\x06\x00\x05\x00\x0b\x00\x02\x07\x00\x0a",
		"\x01\x02\x00\x04\x00\x04\x00\x0e",
		"\x00\x0d\x00SEND\ndestination:/topic/a\n\nx\x00SUBSCRIBE\n\x00",
		"\x01\x0d\x00\x00\xff\n\n\x00",
	} {
		f.Add([]byte(seed))
	}
	for i := range len((&stompTalk{}).wrongs("x")) {
		f.Add([]byte{byte(i % 2), 1, 0, 5, 0, 12, 0, byte(i)})
	}
	k := openTalks(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		k.hold(t, data, func(id string, s *script) {
			talk := &stompTalk{t: t, id: id, s: s, subs: make(map[string]*stompTalkSub), tx: make(map[string][]stompTalkSend)}
			if s.pick(2) == 0 {
				talk.nc = dial(t, hostOf(k.running.stomp))
			} else {
				talk.nc = dialWS(t, hostOf(k.ws), "v12.stomp")
			}
			talk.run()
		})
	})
}

// stompTalk is one conversation, and what is known of it.
type stompTalk struct {
	t    *testing.T
	id   string // part of all names
	s    *script
	nc   net.Conn
	in   *bufio.Reader
	n    int // receipts
	sent int // messages
	subs map[string]*stompTalkSub
	gone map[string]*stompTalkSub
	tx   map[string][]stompTalkSend
	held []string // what can be acknowledged
}

// stompTalkSub is a subscription. Topics are acknowledged by themselves, and then all is known of what must come.
type stompTalkSub struct {
	topic     string // destination, or prefix of all; empty: a queue
	all       bool
	want, got []string
}

type stompTalkSend struct{ destination, body string }

// stompTopics is how many topics and queues are talked about.
const stompTopics = 4

func (k *stompTalk) topic(i int) string { return fmt.Sprintf("/topic/%s.%d", k.id, i) }
func (k *stompTalk) queue(i int) string { return fmt.Sprintf("/temp-queue/%s-%d", k.id, i) }

// run talks to the end.
func (k *stompTalk) run() {
	defer k.nc.Close()
	k.in = bufio.NewReader(k.nc)
	k.gone = make(map[string]*stompTalkSub)
	_ = k.nc.SetDeadline(time.Now().Add(patience))
	k.write(stompFrame("CONNECT", "accept-version:1.2", "host:/", "heart-beat:0,0"))
	if f := k.read(); f.command != "CONNECTED" {
		k.t.Fatalf("got %+v, want CONNECTED", f)
	}
	for {
		n, ok := k.s.step(15)
		if !ok {
			break
		}
		if !k.step(n) {
			return
		}
	}
	for id, sub := range k.subs {
		for sub.topic != "" && len(sub.got) < len(sub.want) {
			if f := k.read(); f.command != "MESSAGE" {
				k.t.Fatalf("%s lacks %d messages: %+v", id, len(sub.want)-len(sub.got), f)
			}
		}
	}
	k.right("DISCONNECT", "")
	if f := k.read(); f.command != "" {
		k.t.Fatalf("after DISCONNECT: %+v", f)
	}
}

// step says one thing. It returns false when that was the last.
func (k *stompTalk) step(n int) bool {
	i := k.s.pick(stompTopics)
	switch n {
	case 0:
		k.send(k.topic(i))
	case 1:
		k.subscribe(k.topic(i), i == 3)
	case 2:
		k.subscribeQueue(i)
	case 3:
		if id := k.any(slices.Collect(maps.Keys(k.subs))); id != "" {
			k.right("UNSUBSCRIBE", "", "id:"+id)
			k.gone[id] = k.subs[id]
			delete(k.subs, id)
		}
	case 4:
		k.send(k.queue(i))
	case 5:
		k.begin(i)
	case 6, 7:
		k.end(n == 6)
	case 8, 9:
		k.settle([]string{"ACK", "NACK"}[n-8])
	case 10:
		k.write(strings.Repeat("\n", i+1))
	case 11:
		if tx := k.any(slices.Collect(maps.Keys(k.tx))); tx != "" {
			k.sendIn(tx, k.topic(i))
		}
	case 12:
		k.wrong()
		return false
	case 13:
		k.write(k.s.rest())
		k.over()
		return false
	default:
		return false // without a word
	}
	return true
}

// any picks one, in a fixed order.
func (k *stompTalk) any(list []string) string {
	if len(list) == 0 {
		return ""
	}
	slices.Sort(list)
	return list[k.s.pick(len(list))]
}

func (k *stompTalk) body() string {
	k.sent++
	return fmt.Sprintf("%s-%d", k.id, k.sent)
}

// publish notes who must get a message.
func (k *stompTalk) publish(m stompTalkSend) {
	for _, sub := range k.subs {
		if sub.topic != "" && (sub.topic == m.destination || sub.all && strings.HasPrefix(m.destination, "/topic/")) {
			sub.want = append(sub.want, m.body)
		}
	}
}

func (k *stompTalk) send(destination string) {
	m := stompTalkSend{destination, k.body()}
	k.publish(m)
	k.right("SEND", m.body, "destination:"+m.destination)
}

func (k *stompTalk) sendIn(tx, destination string) {
	m := stompTalkSend{destination, k.body()}
	k.tx[tx] = append(k.tx[tx], m)
	k.right("SEND", m.body, "destination:"+m.destination, "transaction:"+tx)
}

func (k *stompTalk) subscribe(topic string, all bool) {
	id := fmt.Sprintf("t%d", k.n)
	sub := &stompTalkSub{topic: topic, all: all}
	if all {
		topic = "/topic/" + k.id + ".*"
	}
	k.right("SUBSCRIBE", "", "id:"+id, "destination:"+topic)
	k.subs[id] = sub
}

func (k *stompTalk) subscribeQueue(i int) {
	id := fmt.Sprintf("q%d", k.n)
	k.subs[id] = &stompTalkSub{}
	k.right("SUBSCRIBE", "", "id:"+id, "destination:"+k.queue(i), "ack:client-individual")
}

func (k *stompTalk) begin(i int) {
	tx := fmt.Sprintf("tx%d", i)
	if _, open := k.tx[tx]; !open {
		k.tx[tx] = nil
		k.right("BEGIN", "", "transaction:"+tx)
	}
}

func (k *stompTalk) end(commit bool) {
	tx := k.any(slices.Collect(maps.Keys(k.tx)))
	if tx == "" {
		return
	}
	command := "ABORT"
	if commit {
		command = "COMMIT"
		for _, m := range k.tx[tx] {
			k.publish(m)
		}
	}
	delete(k.tx, tx)
	k.right(command, "", "transaction:"+tx)
}

// settle acknowledges what has come and was not yet settled. What comes from a subscription that is gone cannot be.
func (k *stompTalk) settle(command string) {
	if len(k.held) == 0 {
		return
	}
	i := k.s.pick(len(k.held))
	id := k.held[i]
	k.held = slices.Delete(k.held, i, i+1)
	subscription, ack, _ := strings.Cut(id, " ")
	if k.subs[subscription] != nil {
		k.right(command, "", "id:"+ack)
	}
}

func (k *stompTalk) write(text string) { _, _ = io.WriteString(k.nc, text) }

// right says what must be answered by RECEIPT.
func (k *stompTalk) right(command, body string, headers ...string) {
	k.t.Helper()
	k.n++
	id := fmt.Sprint("r", k.n)
	f := strings.TrimSuffix(stompFrame(command, append(headers, "receipt:"+id)...), "\x00") + body + "\x00"
	if cut := len(f) / 2; k.n%3 == 0 { // in two pieces
		k.write(f[:cut])
		f = f[cut:]
	}
	k.write(f)
	for {
		switch f := k.read(); {
		case f.command == "MESSAGE":
		case f.command == "RECEIPT" && f.header("receipt-id") == id:
			return
		default:
			k.t.Fatalf("%s %v is answered by %+v", command, headers, f)
		}
	}
}

// read returns the next frame, and notes messages.
func (k *stompTalk) read() stompAnswer {
	k.t.Helper()
	c := stompClient{t: k.t, nc: k.nc, r: k.in}
	f := c.read()
	if f.command != "MESSAGE" {
		return f
	}
	id := f.header("subscription")
	sub := k.subs[id]
	if sub == nil {
		k.t.Fatalf("of no subscription: %+v", f)
	}
	if ack := f.header("ack"); ack != "" {
		k.held = append(k.held, id+" "+ack)
	}
	sub.got = append(sub.got, f.body)
	if n := len(sub.got); sub.topic != "" && (n > len(sub.want) || sub.want[n-1] != f.body) {
		k.t.Fatalf("%s gets %v, want %v", id, sub.got, sub.want)
	}
	return f
}

// wrongs lists what is wrong whatever was said before; open is a subscription and a transaction that there are.
func (k *stompTalk) wrongs(open string) []string {
	return []string{
		stompFrame("CONNECT", "accept-version:1.2", "host:/"),
		stompFrame("STOMP", "accept-version:1.2", "host:/"),
		stompFrame("FROB"),
		stompFrame("MESSAGE", "destination:/topic/a", "message-id:1", "subscription:1"),
		stompFrame("SEND"),
		stompFrame("SEND", "destination:nowhere"),
		stompFrame("SEND", "destination:"),
		stompFrame("SEND", "destination:/topic/a", "transaction:never-begun"),
		stompFrame("SEND", "destination:/topic/a.*"),
		stompFrame("SEND", "destination:/topic/a", "content-length:x"),
		stompFrame("SEND", "destination:/topic/a", "content-length:-1"),
		"SEND\ndestination:/topic/a\ncontent-length:1\n\nlonger\x00",
		"SEND\ndestination:/topic/a\nno colon\n\n\x00",
		"SEND\ndestination:/topic/a\nx:\\q\n\n\x00",
		stompFrame("SUBSCRIBE", "id:new"),
		stompFrame("SUBSCRIBE", "destination:/topic/a"),
		stompFrame("SUBSCRIBE", "id:new", "destination:/topic/a", "selector:a b c"),
		stompFrame("SUBSCRIBE", "id:new", "destination:/topic/a", "ack:sometimes"),
		stompFrame("SUBSCRIBE", "id:"+open, "destination:/topic/a"),
		stompFrame("UNSUBSCRIBE", "id:never-there"),
		stompFrame("UNSUBSCRIBE"),
		stompFrame("BEGIN"),
		stompFrame("BEGIN", "transaction:"+open),
		stompFrame("COMMIT", "transaction:never-begun"),
		stompFrame("ABORT", "transaction:never-begun"),
		stompFrame("ACK", "id:never-sent"),
		stompFrame("NACK", "id:never-sent"),
		stompFrame("ACK"),
		stompFrame("ACK", "id:"+strings.Repeat("9", 300)),
		strings.Repeat("X", 100),
		stompFrame("SEND", "destination:/topic/a", "x:"+strings.Repeat("y", 70<<10)),
		stompFrame("SEND", strings.Repeat("h:v\n", 2000)+"destination:/topic/a"),
	}
}

// wrong says something that must be answered by ERROR and the end.
func (k *stompTalk) wrong() {
	const open = "open"
	k.right("SUBSCRIBE", "", "id:"+open, "destination:/topic/"+k.id+".none")
	k.subs[open] = &stompTalkSub{}
	k.right("BEGIN", "", "transaction:"+open)
	all := k.wrongs(open)
	say := all[k.s.pick(len(all))]
	k.write(say)
	for {
		switch f := k.read(); f.command {
		case "MESSAGE":
			continue
		case "ERROR":
			if reason := f.header("reason"); reason == "" || reason == "internal_error" {
				k.t.Fatalf("%q is answered by %+v", say, f)
			}
			if f := k.read(); f.command != "" {
				k.t.Fatalf("%q: after ERROR comes %+v", say, f)
			}
			return
		default:
			k.t.Fatalf("%q is answered by %+v", say, f)
		}
	}
}

// over ends what nothing is known about: it is answered somehow, and then over.
func (k *stompTalk) over() {
	if half, ok := k.nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	} else {
		return // a WebSocket ends at once
	}
	text, err := io.ReadAll(k.in)
	if err != nil {
		k.t.Fatalf("the end: %v", err)
	}
	if strings.Contains(string(text), "internal_error") {
		k.t.Fatalf("got %q", text)
	}
}
