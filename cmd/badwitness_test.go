package wyecmd_test

import (
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// badPace is how often a witness sends, badAhead how many of its messages may be under way: on a machine that is too
// slow for the pace it waits, so that what is measured is the broker.
const (
	badPace  = 2 * time.Millisecond
	badAhead = 100
)

// badWitness is a pair of clients that do nothing wrong: one sends numbered messages, the other must receive each of
// them, in order and soon.
type badWitness struct {
	protocol string
	from, to *foe
	stopping chan struct{}
	work     sync.WaitGroup
	sent     atomic.Int64 // the last number
	got      atomic.Int64
	worst    atomic.Int64 // latency, since it was set to 0, beyond what the machine is to blame for
	held     atomic.Int64 // the time that the sender was not woken when it was due, in all: so busy is the machine

	mu   sync.Mutex
	more sync.Cond
	err  error // of the one that receives, or sends
}

// newBadWitness logs the pair in. STOMP talks over a queue, MQTT over a topic with QoS 1.
func newBadWitness(t *testing.T, h *badHouse, protocol, from, to string) *badWitness {
	t.Helper()
	w := &badWitness{protocol: protocol, stopping: make(chan struct{})}
	w.more.L = &w.mu
	w.from, w.to = h.foe(t, protocol, from), h.foe(t, protocol, to)
	w.from.login("witness-" + protocol + "-from")
	w.to.login("witness-" + protocol + "-to")
	if protocol == "stomp" {
		w.to.say(stompFrame("SUBSCRIBE", "id:w", "destination:/queue/witness", "ack:auto", "receipt:w"))
		w.to.stompHear("RECEIPT")
	} else {
		w.to.say(mqttSubscribe(1, "witness/+", 1))
		w.to.mqttHear(0x90)
	}
	w.from.patient(0)
	w.to.patient(0)
	w.work.Go(w.send)
	w.work.Go(w.receive)
	w.work.Go(func() { _, _ = io.Copy(io.Discard, w.from.in) }) // PUBACK
	return w
}

func (w *badWitness) fail(err error) {
	w.mu.Lock()
	if w.err == nil {
		w.err = err
	}
	w.mu.Unlock()
	w.more.Broadcast()
}

func (w *badWitness) send() {
	tick := time.NewTicker(badPace)
	defer tick.Stop()
	for {
		begun := time.Now()
		select {
		case <-w.stopping:
			return
		case <-tick.C:
			runtime.Gosched() // who is woken by a timer goes first: the others wait longer
			if late := time.Since(begun) - badPace; late > badPace {
				w.held.Add(int64(late))
			}
		}
		if w.sent.Load()-w.got.Load() >= badAhead {
			continue
		}
		n := w.sent.Add(1)
		body := fmt.Sprintf("%d %d", n, time.Now().UnixNano()-w.held.Load())
		frame := mqttPublish("witness/"+strconv.Itoa(int(n%7)), 1, uint16(n%10_000)+1, body)
		if w.protocol == "stomp" {
			frame = stompSend("/queue/witness", body)
		}
		if err := w.from.write(frame); err != nil {
			w.fail(fmt.Errorf("the sender: %w", err))
			return
		}
	}
}

func (w *badWitness) receive() {
	for {
		body, err := w.next()
		if err != nil {
			select {
			case <-w.stopping:
			default:
				w.fail(fmt.Errorf("the receiver: %w", err))
			}
			return
		}
		var n, at int64
		if _, err := fmt.Sscanf(body, "%d %d", &n, &at); err != nil || n != w.got.Load()+1 {
			w.fail(fmt.Errorf("after number %d came %q", w.got.Load(), body))
			return
		}
		if late := time.Now().UnixNano() - w.held.Load() - at; late > w.worst.Load() {
			w.worst.Store(late)
		}
		w.mu.Lock()
		w.got.Store(n)
		w.mu.Unlock()
		w.more.Broadcast()
	}
}

// next returns the body of the next message.
func (w *badWitness) next() (string, error) {
	if w.protocol == "stomp" {
		f, err := w.to.in.ReadString(0)
		_, body, ok := strings.Cut(f, "\n\n")
		if err == nil && (!ok || !strings.HasPrefix(strings.TrimLeft(f, "\n"), "MESSAGE\n")) {
			err = fmt.Errorf("got %q", f)
		}
		return strings.TrimSuffix(body, "\x00"), err
	}
	p, err := readMQTT(w.to.in)
	if err != nil {
		return "", err
	}
	if p.first&0xF0 != 0x30 {
		return "", fmt.Errorf("got packet %x", p.first)
	}
	id, body, ok := p.publish()
	if !ok {
		return "", fmt.Errorf("got %x", p.body)
	}
	return body, w.to.write(mqttFrame(0x40, string([]byte{byte(id >> 8), byte(id)})))
}

// goesOn waits for all that was sent so far and for what is sent after that, and reports what was late or lost.
func (w *badWitness) goesOn(t *testing.T) {
	t.Helper()
	want := w.sent.Load() + 2
	late := false
	timer := time.AfterFunc(badPatience, func() {
		w.mu.Lock()
		late = true
		w.mu.Unlock()
		w.more.Broadcast()
	})
	defer timer.Stop()
	w.mu.Lock()
	for w.got.Load() < want && w.err == nil && !late {
		w.more.Wait()
	}
	err := w.err
	w.mu.Unlock()
	if err != nil {
		t.Errorf("%s clients that do nothing wrong: %v", w.protocol, err)
	} else if late {
		t.Errorf("%s clients that do nothing wrong: %d were sent, %d received", w.protocol, w.sent.Load(), w.got.Load())
	}
	if worst := time.Duration(w.worst.Load()); worst > badLatency {
		t.Errorf("%s clients that do nothing wrong: a message came after %v, want %v at most", w.protocol, worst, badLatency)
	}
}

// end lets the pair go.
func (w *badWitness) end(t *testing.T) {
	t.Helper()
	w.goesOn(t)
	close(w.stopping)
	w.from.close()
	w.to.close()
	w.work.Wait()
}
