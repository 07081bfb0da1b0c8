package mqtt

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/wyemq/wye/core"
)

// peer is one connection and the session on it. What has no lock belongs to the goroutine that reads the connection, which
// is the one of ServeConn; deliver and the done callbacks of publishes run on another.
type peer struct {
	proto *Protocol
	ctx   context.Context //nolint:containedctx // the connection's own
	c     core.Conn
	in    frames

	version   byte // protocol level: 3, 4, 5; 0 until it is known
	connected bool // CONNACK was sent
	left      bool // the client has said goodbye
	quiet     bool // no reason strings but in CONNACK and DISCONNECT [MQTT-3.1.2-29]
	durable   bool // the session outlives the connection
	assigned  bool // the client identifier is of our making
	session   *core.Session
	maxPacket int // of the client; 0: any
	holding   int // bytes of an incomplete packet, as the core was told
	window    int // how many deliveries it may hold

	authMethod string
	exchange   Exchange   // a re-authentication under way
	renewed    core.Login // what a re-authentication brings

	subs    map[string]*subscription
	aliases map[uint16]string
	names   names
	acked   over // what is acknowledged, to be settled in one go
	dirty   bool // something was written since the last flush
	// answered says the same of what was written while Publish ran.
	answered   atomic.Bool
	publishing atomic.Bool

	receipts receipts
	out      inflight
	suback   atomic.Pointer[suback]

	// resuming is held until every subscription of a resumed session is there again: the client must not hear that it is
	// connected, from a first delivery, while another subscription still misses what is published.
	resuming sync.Mutex
}

func newPeer(ctx context.Context, proto *Protocol, c core.Conn) *peer {
	p := &peer{proto: proto, ctx: ctx, c: c}
	p.in = frames{c: c, limit: proto.cfg.MaxConnectSize, before: p.idle, hello: true, stream: c.Info().Stream}
	if w, ok := c.(core.Waiter); ok {
		w.BeforeWait(p.idle)
		p.in.before = nil
	}
	p.receipts.p = p
	return p
}

// log returns the logger that names the client: made when it is needed, because a session that keeps one pays for it as long
// as it lives.
func (p *peer) log() *slog.Logger {
	return p.proto.log.With("conn", p.c.Info().ID, "client", p.session.ID())
}

// Keys of what is kept with the session by Session.Put.
const (
	keyOut = "o" // + packet identifier: a message the client has not finished with
	keyIn  = "i" // + packet identifier: a QoS 2 publish that was received and not released
)

func idKey(kind string, id uint16) string {
	return kind + string([]byte{byte(id >> 8), byte(id)})
}

func keyID(key string) (uint16, bool) {
	if len(key) != 3 {
		return 0, false
	}
	return binary.BigEndian.Uint16([]byte(key[1:])), true
}

// resume finds what an earlier connection of the session has left: subscriptions, and both directions of what was
// under way. The core delivers again what was not settled.
func (p *peer) resume() error {
	kept, ok := p.session.Resumed()
	if !ok {
		return nil
	}
	p.resuming.Lock()
	defer p.resuming.Unlock()
	slices.SortFunc(kept, func(a, b core.Subscription) int { return strings.Compare(a.ID, b.ID) })
	byText := make(map[string]*subscription, len(kept))
	for i := range kept {
		if sub := subscriptionOf(&kept[i]); sub != nil {
			byText[sub.text] = sub
		}
	}
	p.session.Keys(keyIn, func(key string, _ []byte) bool {
		if id, ok := keyID(key); ok {
			p.receipts.remember(id)
		}
		return true
	})
	p.session.Keys(keyOut, func(key string, value []byte) bool {
		if id, ok := keyID(key); ok {
			if qos := p.out.load(id, value, byText); qos < 2 {
				p.session.Put(key, nil) // written down again when the connection ends
			}
		}
		return true
	})
	released := p.out.released()
	if err := p.safe(released); err != nil {
		return err
	}
	for _, id := range released { // [MQTT-4.4.0-1]
		if err := p.writeAck(packets.Pubrel<<4|2, id, codeSuccess, ""); err != nil {
			return err
		}
	}
	for i := range kept {
		sub := byText[kept[i].ID]
		if sub == nil {
			continue
		}
		p.addSub(sub)
		if err := p.session.Subscribe(p.ctx, p.consume(sub, core.RetainedNever)); err != nil {
			if !refused(err) {
				return err // the next connection may find a disk that is not full
			}
			// What the client may no longer have (an ACL that has changed) it does not get.
			p.log().Debug("subscription not resumed", "filter", sub.text, "error", err)
			delete(p.subs, sub.text)
			_ = p.session.Unsubscribe(p.ctx, sub.text)
		}
	}
	return nil
}

// refused reports whether a subscription is not to be had, now or later.
func refused(err error) bool {
	for _, reason := range []error{core.ErrDenied, core.ErrInvalid, core.ErrLimit, core.ErrInUse, core.ErrNotFound} {
		if errors.Is(err, reason) {
			return true
		}
	}
	return false
}

// safe returns when a crash cannot make the broker forget that the client has taken these over: PUBREC may have come with the
// last words of the connection before.
func (p *peer) safe(released []uint16) error {
	if !p.durable || len(released) == 0 {
		return nil
	}
	values := make([]core.Value, len(released))
	for i, id := range released {
		values[i] = core.Value{Key: idKey(keyOut, id), Data: p.out.get(id)}
	}
	return p.session.PutNow(p.ctx, values...)
}

// keep writes down, before the session is left, what the client holds of it.
func (p *peer) keep() {
	if !p.connected {
		return
	}
	p.settleAcked()
	if tags := p.out.given(); len(tags) > 0 {
		p.accept(tags)
	}
	if !p.durable {
		return
	}
	for id, value := range p.out.snapshot() {
		p.session.Put(idKey(keyOut, id), value)
	}
}

// accept settles deliveries that the client is done with. Tags of subscriptions that have ended are unknown, and no reason
// to leave the others.
func (p *peer) accept(tags []uint64) {
	if len(tags) == 0 || p.session.Settle(p.ctx, core.Accepted, nil, tags...) == nil {
		return
	}
	for _, tag := range tags {
		_ = p.session.Settle(p.ctx, core.Accepted, nil, tag)
	}
}

// settleAcked settles what was acknowledged since the last time.
func (p *peer) settleAcked() {
	if len(p.acked.tags) > 0 {
		p.settleOver(&p.acked)
	}
}
