package wyecmd_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/wyemq/wye/cmd/internal/peer"
)

// visitor is one that comes and goes.
type visitor struct {
	s *soak
	n int
	r *rand.Rand
	k int // visits: part of all names
}

// soakAct is something that clients do.
type soakAct struct {
	name string
	do   func(*visitor, context.Context) error
}

func soakActs() []soakAct {
	return []soakAct{
		{"come and go", (*visitor).come},
		{"talk", (*visitor).talk},
		{"queue", (*visitor).work},
		{"retained", (*visitor).retain},
		{"session", (*visitor).session},
		{"durable", (*visitor).durable},
		{"transaction", (*visitor).transact},
		{"temporary", (*visitor).temporary},
		{"garbage", (*visitor).vandalize},
	}
}

func (v *visitor) do(ctx context.Context, a soakAct) error {
	v.k++
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := a.do(v, ctx)
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	if v.s.count == nil {
		v.s.count = make(map[string]int)
	}
	v.s.count[a.name]++
	return err
}

func (v *visitor) raw(listener string) (net.Conn, error) {
	nc, err := net.DialTimeout("tcp", v.s.p.addrs[listener], patience)
	if err == nil {
		err = nc.SetDeadline(time.Now().Add(patience))
	}
	return nc, err
}

// guest is a connection, with what came.
type guest struct {
	*peer.Conn

	protocol  peer.Protocol
	messages  int
	confirmed int
	last      string
}

// enter connects by one of the protocols given; none: any.
func (v *visitor) enter(ctx context.Context, l peer.Login, tcp bool, protocols ...peer.Protocol) (*guest, error) {
	if len(protocols) == 0 {
		protocols = []peer.Protocol{peer.STOMP, peer.MQTT, peer.MQTT5}
	}
	protocol := protocols[v.r.IntN(len(protocols))]
	url := "ws://" + v.s.p.addrs["websocket"]
	if tcp || v.r.IntN(2) == 0 {
		name := strings.TrimSuffix(string(protocol), "5")
		url = name + "://" + v.s.p.addrs[name]
	}
	t, err := peer.Parse(url, protocol)
	if err != nil {
		return nil, err
	}
	t.Timeout = patience
	if l.ClientID == "" {
		l.ClientID, l.Clean = v.name("visitor"), true
	}
	c, err := peer.Dial(ctx, t, l)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", protocol, err)
	}
	return &guest{Conn: c, protocol: protocol}, nil
}

// name returns one that nobody else uses.
func (v *visitor) name(what string) string {
	return fmt.Sprintf("%s-%d-%d-%d-%d", what, v.n, v.s.round, v.k, v.r.Uint32())
}

// leave goes in one of the ways there are.
func (v *visitor) leave(g *guest) error {
	switch v.r.IntN(3) {
	case 0:
		return g.Close()
	case 1:
		g.Leave()
	default:
		g.Abort()
	}
	return nil
}

// spell writes a name of the core's as the guest's protocol does.
func (g *guest) spell(kind, name string) string {
	switch {
	case g.protocol == peer.STOMP:
		return "/" + kind + "/" + name
	case kind == "queue":
		return "$queue/" + name
	default:
		return strings.ReplaceAll(name, ".", "/")
	}
}

// take notes what comes.
func (g *guest) take(p *peer.Packet) error {
	switch p.Kind {
	case peer.Message:
		g.messages++
		g.last = string(p.Body)
		if p.QoS > 0 || p.Header("ack") != "" {
			g.Ack(p)
		}
	case peer.Confirmed:
		g.confirmed++
	default:
	}
	return nil
}

// until reads until so much has come.
func (g *guest) until(messages, confirmed int) error {
	_ = g.SetReadDeadline(time.Now().Add(patience))
	for g.messages < messages || g.confirmed < confirmed {
		if err := g.ReadBatch(g.take); err != nil {
			return fmt.Errorf("%s has %d messages and %d confirmations, want %d and %d: %w", g.protocol, g.messages, g.confirmed, messages, confirmed, err)
		}
	}
	return nil
}

// publish sends n messages, and waits for them to be confirmed.
func (g *guest) publish(destination string, n int, retain bool, body string) error {
	p := peer.Publication{Destination: destination, QoS: 1, Confirm: true, Retain: retain, Body: []byte(body)}
	if retain && g.protocol == peer.STOMP {
		p.Header = []peer.Header{{Name: "retain", Value: "true"}}
	}
	want := g.confirmed + n
	for i := range n {
		if err := g.Publish(p, uint32(want-n+i+1)); err != nil {
			return err
		}
	}
	return g.until(0, want)
}

func (g *guest) listen(filter string) error {
	s := peer.Subscription{ID: "s", Filter: filter, QoS: 1}
	if strings.HasPrefix(filter, "/queue/") {
		s.Ack = "client-individual"
	}
	return g.Subscribe(s, g.take)
}

// come comes and goes.
func (v *visitor) come(ctx context.Context) error {
	g, err := v.enter(ctx, peer.Login{}, false)
	if err != nil {
		return err
	}
	return v.leave(g)
}

// pair lets two in, of any protocols.
func (v *visitor) pair(ctx context.Context) (from, to *guest, err error) {
	if from, err = v.enter(ctx, peer.Login{}, false); err != nil {
		return nil, nil, err
	}
	if to, err = v.enter(ctx, peer.Login{}, false); err != nil {
		from.Abort()
		return nil, nil, err
	}
	return from, to, nil
}

// talk sends to a topic.
func (v *visitor) talk(ctx context.Context) error {
	from, to, err := v.pair(ctx)
	if err != nil {
		return err
	}
	defer from.Abort()
	defer to.Abort()
	const n = 20
	topic := "soak." + v.name("talk")
	if err := to.listen(to.spell("topic", topic)); err != nil {
		return err
	}
	if err := from.publish(from.spell("topic", topic), n, false, "hello"); err != nil {
		return err
	}
	if err := to.until(n, 0); err != nil {
		return err
	}
	return errors.Join(v.leave(from), v.leave(to))
}

// work sends to a queue and consumes it. It is each visitor's own, so that there are no more in the end; what is left of the last
// visit, because the consumer had gone before its acknowledgements came, is consumed too.
func (v *visitor) work(ctx context.Context) error {
	from, to, err := v.pair(ctx)
	if err != nil {
		return err
	}
	defer from.Abort()
	defer to.Abort()
	const n = 20
	queue := fmt.Sprintf("soak-%d", v.n)
	if err := from.publish(from.spell("queue", queue), n, false, "work"); err != nil {
		return err
	}
	if err := to.listen(to.spell("queue", queue)); err != nil {
		return err
	}
	if err := to.until(n, 0); err != nil {
		return err
	}
	return errors.Join(v.leave(from), to.Close())
}

// retain leaves a message, has it found, and takes it away.
func (v *visitor) retain(ctx context.Context) error {
	from, to, err := v.pair(ctx)
	if err != nil {
		return err
	}
	defer from.Abort()
	defer to.Abort()
	topic := "soak." + v.name("retained")
	if err := from.publish(from.spell("topic", topic), 1, true, "kept"); err != nil {
		return err
	}
	if err := to.listen(to.spell("topic", topic)); err != nil {
		return err
	}
	if err := to.until(1, 0); err != nil {
		return err
	}
	if to.last != "kept" {
		return fmt.Errorf("retained is %q", to.last)
	}
	return errors.Join(from.publish(from.spell("topic", topic), 1, true, ""), v.leave(from), v.leave(to))
}

// session has an MQTT client leave, receive what came meanwhile, and forget its session.
func (v *visitor) session(ctx context.Context) error {
	const n = 5
	l := peer.Login{ClientID: v.name("session"), Expiry: time.Hour}
	g, err := v.enter(ctx, l, false, peer.MQTT5)
	if err != nil {
		return err
	}
	topic := "soak." + v.name("session")
	if err := g.listen(g.spell("topic", topic)); err != nil {
		return err
	}
	g.Abort()
	from, err := v.enter(ctx, peer.Login{}, false)
	if err != nil {
		return err
	}
	defer from.Abort()
	if err := from.publish(from.spell("topic", topic), n, false, "meanwhile"); err != nil {
		return err
	}
	if g, err = v.enter(ctx, l, false, peer.MQTT5); err != nil {
		return err
	}
	if err := g.until(n, 0); err != nil {
		return err
	}
	g.Abort()
	if g, err = v.enter(ctx, peer.Login{ClientID: l.ClientID, Clean: true}, false, peer.MQTT5); err != nil {
		return err
	}
	return errors.Join(g.Close(), v.leave(from))
}

// durable does the same by STOMP, and deletes the subscription.
func (v *visitor) durable(ctx context.Context) error {
	const n = 5
	l := peer.Login{ClientID: v.name("durable"), Header: []peer.Header{{Name: "client-id", Value: v.name("durable")}}}
	topic := "/topic/soak." + v.name("durable")
	enter := func() (*guest, error) {
		g, err := v.enter(ctx, l, true, peer.STOMP)
		if err != nil {
			return nil, err
		}
		err = g.Subscribe(peer.Subscription{ID: "d", Filter: topic, Ack: "client-individual", Header: []peer.Header{{Name: "durable-subscription-name", Value: "d"}}}, g.take)
		return g, err
	}
	g, err := enter()
	if err != nil {
		return err
	}
	g.Abort()
	from, err := v.enter(ctx, peer.Login{}, true, peer.STOMP)
	if err != nil {
		return err
	}
	defer from.Abort()
	if err := from.publish(topic, n, false, "meanwhile"); err != nil {
		return err
	}
	if g, err = enter(); err != nil {
		return err
	}
	defer g.Abort()
	if err := g.until(n, 0); err != nil {
		return err
	}
	if err := g.say("UNSUBSCRIBE", "", "id:d", "durable-subscription-name:d", "receipt:1"); err != nil {
		return err
	}
	return errors.Join(v.leave(g), v.leave(from))
}

// say sends a frame with a receipt over TCP, and waits for that.
func (g *guest) say(command, body string, headers ...string) error {
	if err := g.Write([]byte(strings.TrimSuffix(stompFrame(command, headers...), "\x00") + body + "\x00")); err != nil {
		return err
	}
	if strings.HasPrefix(headers[len(headers)-1], "receipt:") {
		return g.until(0, g.confirmed+1)
	}
	return nil
}

// transact commits, aborts, or goes in the middle.
func (v *visitor) transact(ctx context.Context) error {
	g, err := v.enter(ctx, peer.Login{}, true, peer.STOMP)
	if err != nil {
		return err
	}
	defer g.Abort()
	if err := g.say("BEGIN", "", "transaction:t"); err != nil {
		return err
	}
	for range 5 {
		if err := g.say("SEND", strings.Repeat("x", v.r.IntN(5000)), "destination:/topic/soak.tx", "transaction:t"); err != nil {
			return err
		}
	}
	if i := v.r.IntN(3); i < 2 {
		if err := g.say([]string{"COMMIT", "ABORT"}[i], "", "transaction:t", "receipt:1"); err != nil {
			return err
		}
	}
	return v.leave(g)
}

// temporary sends itself something by a queue that goes with it.
func (v *visitor) temporary(ctx context.Context) error {
	g, err := v.enter(ctx, peer.Login{}, true, peer.STOMP)
	if err != nil {
		return err
	}
	defer g.Abort()
	if err := g.listen("/temp-queue/answers"); err != nil {
		return err
	}
	if err := g.publish("/temp-queue/answers", 3, false, "to myself"); err != nil {
		return err
	}
	if err := g.until(3, 0); err != nil {
		return err
	}
	return v.leave(g)
}
