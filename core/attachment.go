package core

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/internal/queue"
	"github.com/wyemq/wye/core/selector"
)

// attachment is a subscription of a live session: an entry of the index, or a consumer of a queue.
type attachment struct {
	s        *Session
	sub      atomic.Pointer[Subscription] // replaced when the client subscribes anew
	selector *selector.Selector

	entry *entry // direct

	joining  sync.Mutex  // held until consumer is set: deliveries may come before Attach returns
	bound    *boundQueue // queue
	consumer *queue.Consumer
	scratch  []Delivery
	order    []uint64 // unsettled tags in order, for AckCumulative; guarded by Session.mu
	over     bool     // dropped; guarded by Session.mu
}

// wants reports whether a direct subscription takes m.
func (a *attachment) wants(m *Message, from *Session) bool {
	if a.sub.Load().NoLocal && from == a.s {
		return false
	}
	return a.selector == nil || a.selector.Match(selectable{m})
}

// push queues m, which from has published, for the session.
func (a *attachment) push(m *Message, from *Session) {
	a.offer(Delivery{Message: m, Sub: a.sub.Load(), Attempt: 1})
	a.s.waken(from)
}

func (a *attachment) offer(d Delivery) {
	a.s.offered(a.s.out.Push(a.s.b.policy.Load(), d, int64(d.size())))
}

// offer queues deliveries that stay together.
func (s *Session) offer(ds []Delivery) { s.offered(s.out.PushTogether(s.b.policy.Load(), ds)) }

// offered looks at what the outbox did.
func (s *Session) offered(dropped int, ok bool) {
	if dropped > 0 {
		s.v.stats.dropped(ErrSlowConsumer.ID(), dropped)
	}
	if dropped == 0 && ok {
		return
	}
	if err := s.overflows(dropped); !ok {
		s.end(err)
	}
}

// matches is what a queue asks before it hands a message to this consumer; nil: no need to ask.
func (a *attachment) matches() func(*engine.Message) bool {
	if a.selector == nil && !a.sub.Load().NoLocal {
		return nil
	}
	return func(em *engine.Message) bool {
		m := a.s.b.message(em)
		if a.sub.Load().NoLocal && m.Publisher == a.s.principal.ClientID {
			return false
		}
		return a.selector == nil || a.selector.Match(selectable{m})
	}
}

// take queues what a queue hands over. The queue calls it from one goroutine at a time.
func (a *attachment) take(ds []queue.Delivery) {
	a.joining.Lock()   // and unlocked at once: it only waits for join
	a.joining.Unlock() //nolint:staticcheck // see above
	s := a.s
	a.scratch = a.scratch[:0]
	s.mu.Lock()
	for i := range ds {
		d := Delivery{
			Sub: a.sub.Load(), Record: uint64(ds[i].Record.Seq), Attempt: ds[i].Attempt,
			Redelivered: ds[i].Redelivered, EndOfBrowse: ds[i].End, source: a,
		}
		if !d.EndOfBrowse {
			d.Message = s.b.message(ds[i].Record.Msg)
			d.FromRetained = d.fromRetained
		}
		if a.sub.Load().Ack != AckAuto && !a.sub.Load().Browse && s.held != nil {
			s.nextTag++
			d.Tag = s.nextTag
			s.held[d.Tag] = held{a, d.Record}
			if a.sub.Load().Ack == AckCumulative {
				a.order = append(a.order, d.Tag)
			}
		}
		a.scratch = append(a.scratch, d)
	}
	full := len(s.held) >= s.b.options().Limits.Unacked
	s.mu.Unlock()
	if full && s.full.unacked.first() {
		s.slowed("unacked", ErrLimit)
	}
	s.out.PushSure(s.b.policy.Load(), a.scratch...)
	clear(a.scratch)
	s.writer.kick()
}

// detach ends the attachment with its session: what is unsettled goes back, what nobody keeps is deleted.
func (a *attachment) detach() {
	if a.entry != nil {
		a.unlist()
		a.entry.direct.Store(nil)
		return
	}
	a.s.v.stats.subscriptions.Add(-1)
	a.s.b.effort.Add(-int64(a.cost()))
	a.consumer.Detach()
	a.bound.left()
}

// unlist takes a direct subscription out of the index. It still gets what is under way.
func (a *attachment) unlist() {
	a.s.v.stats.subscriptions.Add(-1)
	a.s.b.effort.Add(-int64(a.cost()))
	a.s.v.index.Remove(a.sub.Load().Filter, a.entry)
	a.s.directs.Add(-1)
}

// drop ends the attachment while its session goes on: its tags are void, and what waits in the outbox
// stays there no longer.
func (a *attachment) drop() {
	a.detach() // first: a delivery that is under way adds tags
	s := a.s
	s.mu.Lock()
	a.over = true
	for tag, h := range s.held {
		if h.a == a {
			delete(s.held, tag)
		}
	}
	s.mu.Unlock()
	id := a.sub.Load().ID
	s.out.Remove(s.b.policy.Load(), func(d *Delivery) bool {
		return d.source == a || d.source == nil && a.entry != nil && d.Sub.ID == id
	})
}

// replaced drops a, in whose place a direct subscription has come, and its private queue.
func (a *attachment) replaced(ctx context.Context) error {
	if a.entry != nil {
		a.unlist() // what waits in the outbox, or is on the way there, is as good for the new one
		return nil
	}
	a.drop()
	if a.bound.kind == kindSession {
		return a.s.v.remove(ctx, a.bound)
	}
	return nil
}

// settleWritten settles the deliveries of queues that ask for no acknowledgement.
func (s *Session) settleWritten(ds []Delivery) {
	for i := 0; i < len(ds); {
		a := ds[i].source
		if a == nil || a.sub.Load().Ack != AckAuto || a.sub.Load().Browse {
			i++
			continue
		}
		var records []engine.Seq
		for ; i < len(ds) && ds[i].source == a; i++ {
			records = append(records, engine.Seq(ds[i].Record))
		}
		x, err := a.consumer.Settle(queue.Accepted, records...)
		if err != nil {
			continue // the subscription has ended, the queue has them back
		}
		s.b.eng.Commit(&engine.Batch{Ops: x.Ops(), Relaxed: true}, x.Done)
	}
}

// Settle says what became of deliveries. With AckCumulative a tag stands for all before it on its
// subscription. done (may be nil) is called when that is durable: a receipt of ACK promises no
// redelivery after a crash. An unknown tag is ErrNotFound, returned, and nothing is settled.
func (s *Session) Settle(ctx context.Context, o Outcome, done func(error), tags ...uint64) error {
	steps := make([]Settlement, len(tags))
	for i, tag := range tags {
		steps[i] = Settlement{o, tag}
	}
	claim, err := s.claim(steps)
	if err != nil {
		return err
	}
	batch := &engine.Batch{Relaxed: done == nil, Ops: claim.ops(nil)}
	switch {
	case len(batch.Ops) == 0: // released
		claim.finish(nil)
		if done == nil {
			return nil
		}
		return s.answer(ctx, func(_ Published, err error) { done(err) }, Published{}, nil)
	case done == nil:
		s.b.eng.Commit(batch, claim.finish)
		return nil
	}
	p := &pending{done: done}
	err = s.acks.begin(ctx, s.b.options().Limits.UnackedPublishes, p, func() {
		s.commit(batch, true, s.b.eng.Commit, func(err error) {
			claim.finish(err)
			s.acks.finish(p, engineErr(err))
		})
	})
	if err != nil {
		claim.finish(err)
	}
	return err
}

// claim is deliveries whose settlement is under way.
type claim struct {
	s      *Session
	groups []group
}

// group is the settlements of one outcome on one subscription.
type group struct {
	a        *attachment
	outcome  queue.Outcome
	records  []engine.Seq
	tags     []uint64
	settling *queue.Settling
}

// claim takes the deliveries of steps away from the client. All or none.
func (s *Session) claim(steps []Settlement) (*claim, error) {
	groups, err := s.resolve(steps)
	if err != nil {
		return nil, err
	}
	c := &claim{s, groups}
	for i := range groups {
		g := &groups[i]
		if g.settling, err = g.a.consumer.Settle(g.outcome, g.records...); err != nil {
			c.finish(err)
			return nil, ErrNotFound
		}
	}
	return c, nil
}

// ops adds what the engine has to do to ops.
func (c *claim) ops(ops []engine.Op) []engine.Op {
	for _, g := range c.groups {
		ops = append(ops, g.settling.Ops()...)
	}
	return ops
}

// finish says how the batch ended. With an error the client holds the deliveries as before.
func (c *claim) finish(err error) {
	for _, g := range c.groups {
		if g.settling != nil {
			g.settling.Done(err)
		}
	}
	if err != nil {
		c.s.restore(c.groups)
	}
}

// restore makes the tags of groups valid again.
func (s *Session) restore(groups []group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range groups {
		if s.subs[g.a.sub.Load().ID] != g.a {
			continue // it has ended, its queue has them back
		}
		for i, tag := range g.tags {
			s.held[tag] = held{g.a, uint64(g.records[i])}
		}
		if g.a.sub.Load().Ack == AckCumulative {
			g.a.order = append(g.a.order, g.tags...)
			slices.Sort(g.a.order)
		}
	}
}

// resolve turns tags into records and forgets them.
func (s *Session) resolve(steps []Settlement) ([]group, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, step := range steps {
		if _, ok := s.held[step.Tag]; !ok {
			return nil, ErrNotFound
		}
	}
	var groups []group
	for _, step := range steps {
		h, ok := s.held[step.Tag]
		if !ok {
			continue // settled by a cumulative step before it
		}
		outcome := queue.Outcome(step.Outcome)
		n := len(groups) - 1
		if n < 0 || groups[n].a != h.a || groups[n].outcome != outcome {
			groups = append(groups, group{a: h.a, outcome: outcome})
			n++
		}
		if h.a.sub.Load().Ack != AckCumulative {
			delete(s.held, step.Tag)
			groups[n].records = append(groups[n].records, engine.Seq(h.record))
			groups[n].tags = append(groups[n].tags, step.Tag)
			continue
		}
		i, _ := slices.BinarySearch(h.a.order, step.Tag)
		for _, tag := range h.a.order[:i+1] {
			groups[n].records = append(groups[n].records, engine.Seq(s.held[tag].record))
			groups[n].tags = append(groups[n].tags, tag)
			delete(s.held, tag)
		}
		h.a.order = append(h.a.order[:0], h.a.order[i+1:]...)
	}
	return groups, nil
}

// settleUnwritten settles a delivery of a queue that the client will never see, and no other: with AckCumulative, too.
func (s *Session) settleUnwritten(o Outcome, d *Delivery) {
	s.mu.Lock()
	delete(s.held, d.Tag)
	if i, found := slices.BinarySearch(d.source.order, d.Tag); found {
		d.source.order = slices.Delete(d.source.order, i, i+1)
	}
	s.mu.Unlock()
	x, err := d.source.consumer.Settle(queue.Outcome(o), engine.Seq(d.Record))
	switch {
	case err != nil: // the subscription has ended, and the queue has it back
	case len(x.Ops()) == 0:
		x.Done(nil)
	default:
		s.b.eng.Commit(&engine.Batch{Ops: x.Ops(), Relaxed: true}, x.Done)
	}
}

// selectable is a message as a selector sees it.
type selectable struct{ m *Message }

// Lookup returns a header or a JMS property.
func (x selectable) Lookup(name string) (selector.Value, bool) {
	m := x.m
	switch name {
	case "JMSPriority", "priority":
		return selector.Number(float64(m.Priority.Level())), true
	case "JMSCorrelationID", "correlation-id":
		return selector.String(m.CorrelationID), m.CorrelationID != ""
	case "JMSReplyTo", "reply-to":
		return selector.String(m.ReplyTo), m.ReplyTo != ""
	case "JMSDestination", "destination":
		return selector.String(m.Destination), true
	case "JMSTimestamp", "timestamp":
		return selector.Number(float64(m.Timestamp.UnixMilli())), true
	case "JMSExpiration", "expires":
		if m.Expires.IsZero() {
			return selector.Number(0), true
		}
		return selector.Number(float64(m.Expires.UnixMilli())), true
	case "JMSDeliveryMode":
		if m.Persistent {
			return selector.String("PERSISTENT"), true
		}
		return selector.String("NON_PERSISTENT"), true
	case "JMSType":
		name = "type"
	case "JMSXUserID":
		return selector.String(m.User), m.User != ""
	case "content-type":
		return selector.String(m.ContentType), m.ContentType != ""
	}
	v, ok := m.Get(name)
	return selector.String(v), ok
}
