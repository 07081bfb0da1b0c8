package wyecmd_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/session"
	"github.com/eclipse/paho.golang/paho/session/state"
	"github.com/go-stomp/stomp/v3"
	"github.com/go-stomp/stomp/v3/frame"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// stompPeer is a go-stomp client that fails its test.
type stompPeer struct {
	*stomp.Conn

	t       testing.TB
	readers sync.WaitGroup
}

func dialSTOMP(t testing.TB, addr string, opts ...func(*stomp.Conn) error) *stompPeer {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return connectSTOMP(t, nc, opts...)
}

func connectSTOMP(t testing.TB, rwc io.ReadWriteCloser, opts ...func(*stomp.Conn) error) *stompPeer {
	t.Helper()
	opts = append([]func(*stomp.Conn) error{stomp.ConnOpt.Logger(silent{}), stomp.ConnOpt.RcvReceiptTimeout(patience), stomp.ConnOpt.DisconnectReceiptTimeout(patience)}, opts...)
	c, err := stomp.Connect(rwc, opts...)
	if err != nil {
		rwc.Close()
		t.Fatal(err)
	}
	p := &stompPeer{Conn: c, t: t}
	t.Cleanup(p.leave)
	return p
}

// silent keeps go-stomp from writing to standard error.
type silent struct{}

func (silent) Debugf(string, ...any)   {}
func (silent) Infof(string, ...any)    {}
func (silent) Warningf(string, ...any) {}
func (silent) Errorf(string, ...any)   {}
func (silent) Debug(string)            {}
func (silent) Info(string)             {}
func (silent) Warning(string)          {}
func (silent) Error(string)            {}

// frameOf reads one STOMP frame, up to its NUL.
func frameOf(t testing.TB, in *bufio.Reader) string {
	t.Helper()
	f, err := in.ReadString(0)
	if err != nil {
		t.Fatalf("%v after %q", err, f)
	}
	return strings.TrimLeft(f, "\r\n")
}

// leave disconnects and waits until go-stomp has read to the end.
func (p *stompPeer) leave() {
	_ = p.Disconnect()
	p.readers.Wait()
}

// subscription has room for everything a test sends: go-stomp reads nothing else while one of its subscriptions is full.
type subscription struct {
	*stomp.Subscription

	in chan *stomp.Message
}

// subscribe returns when the broker has the subscription. headers are names and values.
func (p *stompPeer) subscribe(dest string, ack stomp.AckMode, headers ...string) *subscription {
	p.t.Helper()
	var opts []func(*frame.Frame) error
	for i := 0; i < len(headers); i += 2 {
		opts = append(opts, stomp.SubscribeOpt.Header(headers[i], headers[i+1]))
	}
	c, err := p.Subscribe(dest, ack, opts...)
	if err != nil {
		p.t.Fatal(err)
	}
	s := &subscription{c, make(chan *stomp.Message, 1<<14)}
	p.readers.Go(func() {
		for m := range c.C {
			s.in <- m
		}
		close(s.in)
	})
	p.barrier()
	return s
}

// barrier returns when the broker has worked off all frames before it.
func (p *stompPeer) barrier() {
	p.t.Helper()
	if err := p.Send("/topic/barrier", "", nil, stomp.SendOpt.Receipt); err != nil {
		p.t.Fatal(err)
	}
}

// send returns when the broker has the message.
func (p *stompPeer) send(dest, contentType string, body []byte, headers ...string) {
	p.t.Helper()
	opts := []func(*frame.Frame) error{stomp.SendOpt.Receipt}
	for i := 0; i < len(headers); i += 2 {
		opts = append(opts, stomp.SendOpt.Header(headers[i], headers[i+1]))
	}
	if err := p.Send(dest, contentType, body, opts...); err != nil {
		p.t.Fatalf("send to %s: %v", dest, err)
	}
}

func (p *stompPeer) hear(s *subscription) *stomp.Message {
	p.t.Helper()
	select {
	case m := <-s.in:
		if m == nil || m.Err != nil {
			p.t.Fatalf("%s: %+v", s.Destination(), m)
		}
		return m
	case <-time.After(patience):
		p.t.Fatalf("%s: nothing came", s.Destination())
	}
	return nil
}

// mqttPeer is a paho.golang client, MQTT 5, that fails its test.
type mqttPeer struct {
	*paho.Client

	t    testing.TB
	nc   net.Conn
	ack  *paho.Connack
	in   chan *paho.Publish
	gone chan *paho.Disconnect // what the broker said last
	owed owed
}

// owed counts what paho has received and not acknowledged. It acknowledges after the test has the message: who
// leaves in between gives it back.
type owed struct {
	mu   sync.Mutex
	none sync.Cond
	n    int
}

func (o *owed) add(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.n += n; o.n == 0 {
		o.none.Broadcast()
	}
}

func (o *owed) wait() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.n > 0 {
		o.none.Wait()
	}
}

// acking tells when paho has sent an acknowledgement.
type acking struct {
	session.SessionManager

	sent func()
}

func (a acking) Ack(p *packets.Publish) error {
	defer a.sent()
	return a.SessionManager.Ack(p)
}

// mqttOptions are what most tests leave alone.
type mqttOptions struct {
	connect paho.Connect
	manual  bool // the test acknowledges
	session session.SessionManager
	wrap    func(net.Conn) net.Conn // what paho sees
}

func dialMQTT(t testing.TB, addr string, opts ...func(*mqttOptions)) *mqttPeer {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return connectMQTT(t, nc, opts...)
}

func connectMQTT(t testing.TB, nc net.Conn, opts ...func(*mqttOptions)) *mqttPeer {
	t.Helper()
	o := mqttOptions{connect: paho.Connect{CleanStart: true}}
	for _, opt := range opts {
		opt(&o)
	}
	if o.session == nil {
		o.session = state.NewInMemory()
	}
	if o.wrap != nil {
		nc = o.wrap(nc)
	}
	// Room for everything a test sends: a handler that blocks would keep paho from reading on.
	p := &mqttPeer{t: t, nc: nc, in: make(chan *paho.Publish, 1<<14), gone: make(chan *paho.Disconnect, 1)}
	p.owed.none.L = &p.owed.mu
	if !o.manual {
		o.session = acking{o.session, func() { p.owed.add(-1) }}
	}
	p.Client = paho.NewClient(paho.ClientConfig{
		Conn: packets.NewThreadSafeConn(nc), Session: o.session, PacketTimeout: patience, EnableManualAcknowledgment: o.manual,
		SendAcksInterval: time.Millisecond,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(r paho.PublishReceived) (bool, error) {
			if !o.manual && r.Packet.QoS > 0 {
				p.owed.add(1)
			}
			p.in <- r.Packet
			return true, nil
		}},
		OnServerDisconnect: func(d *paho.Disconnect) { p.gone <- d },
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ack, err := p.Connect(ctx, &o.connect)
	if err != nil {
		t.Fatalf("%v %+v", err, ack)
	}
	p.ack = ack
	t.Cleanup(p.leave)
	return p
}

// leave acknowledges what has come and disconnects.
func (p *mqttPeer) leave() {
	p.owed.wait()
	_ = p.Disconnect(&paho.Disconnect{})
	<-p.Done()
}

// drop cuts the connection without a word.
func (p *mqttPeer) drop() {
	p.nc.Close()
	<-p.Done()
}

func (p *mqttPeer) subscribe(filter string, qos byte) {
	p.t.Helper()
	p.subscribeTo(&paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: filter, QoS: qos}}})
}

func (p *mqttPeer) subscribeTo(s *paho.Subscribe) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	if a, err := p.Subscribe(ctx, s); err != nil {
		p.t.Fatalf("subscribe: %v %+v", err, a)
	}
}

// unsubscribe acknowledges what has come before.
func (p *mqttPeer) unsubscribe(filter string) {
	p.t.Helper()
	p.owed.wait()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	if a, err := p.Unsubscribe(ctx, &paho.Unsubscribe{Topics: []string{filter}}); err != nil {
		p.t.Fatalf("unsubscribe: %v %+v", err, a)
	}
}

// publish returns when the broker has the message, if its QoS says so.
func (p *mqttPeer) publish(m *paho.Publish) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	if r, err := p.Publish(ctx, m); err != nil {
		p.t.Fatalf("publish to %s: %v %+v", m.Topic, err, r)
	}
}

func (p *mqttPeer) say(topic, body string) {
	p.t.Helper()
	p.publish(&paho.Publish{Topic: topic, QoS: 1, Payload: []byte(body)})
}

func (p *mqttPeer) hear() *paho.Publish {
	p.t.Helper()
	select {
	case m := <-p.in:
		return m
	case <-p.Done():
		select {
		case m := <-p.in: // it came before the end
			return m
		default:
			p.t.Fatal("the connection is gone")
		}
	case <-time.After(patience):
		p.t.Fatal("nothing came")
	}
	return nil
}
