package wyecmd_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// talks is a broker that whole conversations are held with: FuzzSTOMPTalk and FuzzMQTTTalk. There is one for each process, so
// that what one conversation breaks the next ones see.
type talks struct {
	running
	log   alarm
	n     atomic.Int64 // conversations
	stomp *stompWitness
	mqtt  *mqttWitness
}

// openTalks runs a broker for the length of f.
func openTalks(f *testing.F) *talks {
	f.Helper()
	k := &talks{}
	k.running = startBrokerLogging(f, &k.log)
	k.stomp, k.mqtt = newStompWitness(f, hostOf(k.running.stomp)), newMQTTWitness(f, hostOf(k.running.mqtt))
	return k
}

// alarm is a log that keeps what must never be in it.
type alarm struct {
	mu   sync.Mutex
	last string
}

func (*alarm) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }
func (a *alarm) WithAttrs([]slog.Attr) slog.Handler         { return a }
func (a *alarm) WithGroup(string) slog.Handler              { return a }

// Handle keeps panics and internal errors, which are all that is above information here.
func (a *alarm) Handle(_ context.Context, r slog.Record) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = r.Message
	r.Attrs(func(at slog.Attr) bool {
		a.last += " " + at.String()
		return true
	})
	return nil
}

// hold holds one conversation while the witnesses talk, and wants nothing to be left of it.
func (k *talks) hold(t *testing.T, script []byte, talk func(id string, s *script)) {
	t.Helper()
	stop := make(chan struct{})
	var work sync.WaitGroup
	for _, w := range []interface{ round() error }{k.stomp, k.mqtt} {
		work.Go(func() {
			for rounds := 0; ; rounds++ {
				select {
				case <-stop:
					if rounds > 1 { // one whole round has begun after the conversation
						return
					}
				default:
				}
				if err := w.round(); err != nil {
					t.Errorf("a client that does nothing wrong: %v", err)
					return
				}
			}
		})
	}
	func() { // whose end may be that of the test
		defer work.Wait()
		defer close(stop)
		talk("talk"+strconv.FormatInt(k.n.Add(1), 10), newScript(script))
	}()
	const witnesses = 2
	for end := time.Now().Add(patience); k.broker.Stats().Sessions != witnesses; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d sessions, want those of the %d witnesses", k.broker.Stats().Sessions, witnesses)
		}
	}
	k.log.mu.Lock()
	defer k.log.mu.Unlock()
	if k.log.last != "" {
		t.Errorf("in the log: %s", k.log.last)
	}
}

// script decides what is said next.
type script struct {
	data []byte
	left int
}

// longestTalk is how many steps a conversation has at most.
const longestTalk = 60

func newScript(data []byte) *script { return &script{data, longestTalk} }

// step returns a number below n; false when the conversation is over.
func (s *script) step(n int) (int, bool) {
	if s.left--; s.left < 0 || len(s.data) == 0 {
		return 0, false
	}
	return s.pick(n), true
}

// pick is a choice within a step; 0 at the end of the script.
func (s *script) pick(n int) int {
	if len(s.data) == 0 {
		return 0
	}
	b := s.data[0]
	s.data = s.data[1:]
	return int(b) % n
}

// rest returns what nothing was made of yet.
func (s *script) rest() string {
	rest := string(s.data)
	s.data = nil
	return rest
}

// stompWitness sends messages to itself by STOMP.
type stompWitness struct {
	nc net.Conn
	in *bufio.Reader
	n  int
}

func newStompWitness(t testing.TB, addr string) *stompWitness {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	w := &stompWitness{nc: nc, in: bufio.NewReader(nc)}
	_, _ = io.WriteString(nc, stompFrame("CONNECT", "accept-version:1.2", "host:/", "heart-beat:0,0")+
		stompFrame("SUBSCRIBE", "id:w", "destination:/queue/witness", "ack:auto", "receipt:w"))
	for range 2 {
		if f, err := w.in.ReadString(0); err != nil || strings.Contains(f, "ERROR") {
			t.Fatalf("witness: %q, %v", f, err)
		}
	}
	return w
}

// round sends one message, and waits for it.
func (w *stompWitness) round() error {
	w.n++
	_ = w.nc.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(w.nc, stompSend("/queue/witness", strconv.Itoa(w.n))); err != nil {
		return fmt.Errorf("STOMP: %w", err)
	}
	f, err := w.in.ReadString(0)
	if err != nil || !strings.HasSuffix(f, "\n\n"+strconv.Itoa(w.n)+"\x00") {
		return fmt.Errorf("STOMP: got %q, %w, want message %d", f, err, w.n)
	}
	return nil
}

// mqttWitness does it by MQTT, with QoS 1.
type mqttWitness struct {
	nc net.Conn
	in *bufio.Reader
	n  int
}

func newMQTTWitness(t testing.TB, addr string) *mqttWitness {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	w := &mqttWitness{nc: nc, in: bufio.NewReader(nc)}
	_, _ = io.WriteString(nc, mqttConnect(5, "witness", 0)+mqttSubscribe(1, "witness/+", 1))
	for range 2 {
		if p, err := readMQTT(w.in); err != nil || p.body[len(p.body)-1] >= 0x80 {
			t.Fatalf("witness: %x, %v", p, err)
		}
	}
	return w
}

func (w *mqttWitness) round() error {
	w.n++
	_ = w.nc.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(w.nc, mqttPublish("witness/"+strconv.Itoa(w.n%7), 1, uint16(w.n%60000)+1, strconv.Itoa(w.n))); err != nil {
		return fmt.Errorf("MQTT: %w", err)
	}
	for acked, came := false, false; !acked || !came; {
		p, err := readMQTT(w.in)
		if err != nil {
			return fmt.Errorf("MQTT: %w", err)
		}
		switch p.first & 0xF0 {
		case 0x40:
			acked = true
		case 0x30:
			id, body, ok := p.publish()
			if !ok || body != strconv.Itoa(w.n) {
				return fmt.Errorf("MQTT: got %q, want message %d", p.body, w.n)
			}
			came = true
			if _, err := io.WriteString(w.nc, mqttFrame(0x40, string([]byte{byte(id >> 8), byte(id)}))); err != nil {
				return fmt.Errorf("MQTT: %w", err)
			}
		default:
			return fmt.Errorf("MQTT: got packet %x", p.first)
		}
	}
	return nil
}
