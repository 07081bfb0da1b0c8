package wyecmd_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// stompTalkSide is one connection of a conversation by STOMP.
type stompTalkSide struct {
	t       *testing.T
	name    string // of the user
	nc      net.Conn
	in      *bufio.Reader
	version int // 0 to 2 for 1.0 to 1.2
	strict  bool
	n       int // receipts
	beats   int // heart-beats that came
	subs    map[string]*stompTalkSub
	ended   map[string]bool // subscriptions that were, of which a MESSAGE may be on its way
	last    stompAnswer     // MESSAGE
}

// stompTalkSub is a subscription: with a queue before it, or without.
type stompTalkSub struct {
	id      string
	matches func(destination string) bool // nil: a queue, which has its own messages
	accepts func(kind string) bool        // selector; nil: all
	flow    talkFlow
	queue   *talkQueue
	durable string // name of the durable subscription
	mode    string // ack header
	held    []*stompTalkHeld
	last    int  // newest message that came for the first time
	gone    bool // it has ended
}

// stompTalkHeld is a delivery to be acknowledged.
type stompTalkHeld struct {
	item   *talkItem
	id     string // what it is called: by the ack header, or before 1.2 by message-id
	within string // transaction that settles it
}

// stompTalkWays is how many ways there are to connect: strict and lenient, by TCP and WebSocket.
const stompTalkWays = 4

// newStompSide connects and does not log in yet.
func newStompSide(t *testing.T, k *talks, user string, version, way int) *stompTalkSide {
	t.Helper()
	s := &stompTalkSide{t: t, name: user, version: version, strict: way%2 == 0, subs: make(map[string]*stompTalkSub), ended: make(map[string]bool)}
	where := &k.running
	if !s.strict {
		where = &k.lenient
	}
	if way < 2 {
		s.nc = dial(t, hostOf(where.stomp))
	} else {
		s.nc = dialWS(t, hostOf(where.ws), fmt.Sprintf("v1%d.stomp", version))
	}
	s.in = bufio.NewReader(s.nc)
	return s
}

// login says CONNECT and returns the answer.
func (s *stompTalkSide) login(headers ...string) stompAnswer {
	s.t.Helper()
	headers = append(headers, "host:/")
	if s.version > 0 {
		headers = append(headers, "accept-version:"+[]string{"", "1.0,1.1", "1.1,1.2"}[s.version])
	}
	command := "CONNECT"
	if s.version == 2 {
		command = "STOMP"
	}
	s.write(stompFrame(command, headers...))
	f := s.read()
	if f.command != "CONNECTED" {
		return f
	}
	want := fmt.Sprintf("1.%d", s.version)
	if got := f.header("version"); got != want {
		s.t.Fatalf("version %q, want %q", got, want)
	}
	if beats := f.header("heart-beat"); (beats == "") != (s.version == 0) {
		s.t.Fatalf("heart-beat %q in version %s", beats, want)
	}
	if got := f.header("user-name"); got != s.name {
		s.t.Fatalf("logged in as %q, want %q", got, s.name)
	}
	return f
}

func (s *stompTalkSide) write(text string) { _, _ = io.WriteString(s.nc, text) }

// do says a frame with a receipt, and returns the answer: RECEIPT, ERROR, or nothing when the connection ends. An ERROR must say
// which frame it is about.
func (s *stompTalkSide) do(command, body string, headers ...string) stompAnswer {
	s.t.Helper()
	s.n++
	id := fmt.Sprint("r", s.n)
	f := strings.TrimSuffix(stompFrame(command, append(headers, "receipt:"+id)...), "\x00") + body + "\x00"
	if cut := len(f) / 2; s.n%3 == 0 { // in two pieces
		s.write(f[:cut])
		f = f[cut:]
	}
	s.write(f)
	a := s.await()
	if a.command != "" && a.header("receipt-id") != id {
		s.t.Fatalf("%s %q is answered by %+v", command, headers, a)
	}
	return a
}

// right says what must be answered by RECEIPT.
func (s *stompTalkSide) right(command, body string, headers ...string) {
	s.t.Helper()
	if f := s.do(command, body, headers...); f.command != "RECEIPT" {
		s.t.Fatalf("%s %q is answered by %+v", command, headers, f)
	}
}

// refused says what must be answered by ERROR with a reason, and reports whether that was the end of the connection: of one that
// is strict it must be.
func (s *stompTalkSide) refused(reason, command, body string, headers ...string) (ended bool) {
	s.t.Helper()
	f := s.do(command, body, headers...)
	if f.command != "ERROR" || f.header("reason") != reason {
		s.t.Fatalf("%s %q is answered by %+v, want ERROR %s", command, headers, f, reason)
	}
	if s.strict {
		s.over()
	}
	return s.strict
}

// over wants the connection to be at its end.
func (s *stompTalkSide) over() {
	s.t.Helper()
	if f := s.read(); f.command != "" {
		s.t.Fatalf("after the end: %+v", f)
	}
	_ = s.nc.Close()
}

// await returns the next frame that is no MESSAGE.
func (s *stompTalkSide) await() stompAnswer {
	s.t.Helper()
	for {
		if f := s.read(); f.command != "MESSAGE" {
			return f
		}
	}
}

// read returns the next frame, none at the end of the connection, and holds messages to what is known.
func (s *stompTalkSide) read() stompAnswer {
	s.t.Helper()
	f := s.frame()
	if f.command == "MESSAGE" {
		s.message(f)
		s.last = f
	}
	if f.command == "ERROR" && (f.header("reason") == "" || f.header("reason") == "internal_error") {
		s.t.Fatalf("got %+v", f)
	}
	return f
}

// frame reads up to NUL. What is before the command are heart-beats.
func (s *stompTalkSide) frame() stompAnswer {
	s.t.Helper()
	_ = s.nc.SetReadDeadline(time.Now().Add(patience))
	text, err := s.in.ReadString(0)
	frame := strings.TrimLeft(text, "\n")
	s.beats += len(text) - len(frame)
	if frame == "" && (errors.Is(err, io.EOF) || errors.As(err, new(*websocket.CloseError)) || errors.Is(err, io.ErrUnexpectedEOF)) {
		return stompAnswer{}
	}
	if err != nil {
		s.t.Fatalf("%s: read: %v after %q", s.name, err, text)
	}
	head, body, _ := strings.Cut(frame, "\n\n")
	command, head, _ := strings.Cut(head, "\n")
	return stompAnswer{command, head, strings.TrimSuffix(body, "\x00")}
}

// message holds a MESSAGE to what is known.
func (s *stompTalkSide) message(f stompAnswer) {
	s.t.Helper()
	id := talkUnescape(s.version, f.header("subscription"))
	sub := s.subs[id]
	if s.ended[id] {
		return // it has gone back to its queue, and comes again
	}
	if sub == nil {
		s.t.Fatalf("%s: a message of no subscription: %+v", s.name, f)
	}
	m, err := s.taken(sub, f)
	if err != nil {
		s.t.Fatalf("%s: %s: %v: %+v", s.name, sub.id, err, f)
	}
	if got := talkUnescape(s.version, f.header("destination")); got != m.destination {
		s.t.Fatalf("%s: %q was sent to %q and comes from %q", s.name, m.body, m.destination, got)
	}
	if got := talkUnescape(s.version, f.header("note")); sayable(s.version, m.note) && got != m.note {
		s.t.Fatalf("%s: %q: header %q became %q, from version 1.%d to 1.%d", s.name, m.body, m.note, got, m.version, s.version)
	}
	if sub.accepts != nil && !sub.accepts(m.kind) {
		s.t.Fatalf("%s: %q, of kind %s, is not what the selector of %s asks for", s.name, m.body, m.kind, sub.id)
	}
}

// taken finds the message of a delivery.
func (s *stompTalkSide) taken(sub *stompTalkSub, f stompAnswer) (*talkMessage, error) {
	if sub.queue == nil {
		return sub.flow.take(f.body)
	}
	it, err := sub.queue.take(sub, f.body, f.header("redelivered") == "true")
	if err != nil {
		return nil, err
	}
	if sub.mode == "auto" {
		it.settled = true
		return it.talkMessage, nil
	}
	id := f.header("message-id")
	if s.version == 2 {
		id = f.header("ack")
	}
	if id == "" {
		return nil, errors.New("nothing to acknowledge it by")
	}
	it.holder = sub
	sub.held = append(sub.held, &stompTalkHeld{item: it, id: id})
	return it.talkMessage, nil
}

// end is for a subscription that ends, in order or not: what it holds goes back.
func (sub *stompTalkSub) end(rudely bool) {
	sub.gone = true
	for _, h := range sub.held {
		h.item.holder = nil
	}
	sub.held = nil
	if rudely && sub.queue != nil && sub.mode == "auto" {
		sub.queue.doubt()
	}
}

// free returns what can be acknowledged outside of transactions. Of a cumulative subscription nothing can while a transaction
// holds a part of it: that would be settled twice.
func (sub *stompTalkSub) free() []*stompTalkHeld {
	if sub.mode == "client" && slices.ContainsFunc(sub.held, func(h *stompTalkHeld) bool { return h.within != "" }) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(sub.held), func(h *stompTalkHeld) bool { return h.within != "" })
}

// settle is for an acknowledgement of h that the broker has taken. outcome is ACK, NACK, or DEAD for a NACK that wants no other try.
func (sub *stompTalkSub) settle(h *stompTalkHeld, outcome string) {
	i := slices.Index(sub.held, h)
	from := i
	if sub.mode == "client" {
		from = 0
	}
	for _, h := range sub.held[from : i+1] {
		it := h.item
		it.holder = nil
		switch outcome {
		case "ACK":
			it.settled = true
		case "NACK":
			it.nacks++
		default:
			it.settled = true
			sub.queue.dead = append(sub.queue.dead, it.body)
		}
	}
	sub.held = slices.Delete(sub.held, from, i+1)
}
