package core

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/wyemq/wye/core/destination"
	"github.com/wyemq/wye/core/engine"
)

// Publish routes m. done (may be nil) is called when every queue concerned holds m as durably as
// it promises: then, and only then, send the RECEIPT or PUBACK. It does not wait for the disk; it
// blocks only for back-pressure. An error from Publish itself means that nothing was routed and
// done will not be called: ErrDenied, ErrInvalid, ErrClosed, ErrUnavailable. Errors known
// only later, as ErrQueueFull, come with done.
func (s *Session) Publish(ctx context.Context, m *Message, done func(Published, error)) error {
	return s.PublishTo(ctx, m, nil, done)
}

// PublishTo is Publish to a queue that is declared by the way: queue says how it should be if the message
// creates it.
func (s *Session) PublishTo(ctx context.Context, m *Message, queue *QueueConfig, done func(Published, error)) error {
	if s.closed.Load() {
		return ErrClosed
	}
	if ofBroker(m.Destination) {
		return s.publishToBroker(ctx, m, done)
	}
	if s.pace.Load() != nil || s.wasRefused.Load() || s.b.memory.tight.Load() != 0 {
		if err := s.brake(ctx, 1, m.Size()); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
	if err := s.admit(ctx, m, queue); err != nil {
		return s.denied(err)
	}
	if s.b.chains[OpPublish] == nil {
		return s.publish(ctx, m, queue, done)
	}
	s.wake() // interceptors may take their time
	return s.publishThrough(ctx, m, queue, first(done))
}

// publishThrough publishes through the interceptors. Whatever they do, the publisher is told one outcome: here, or by done.
func (s *Session) publishThrough(ctx context.Context, m *Message, queue *QueueConfig, done func(Published, error)) error {
	var taken atomic.Bool // the message, by somebody whose outcome done will tell
	err := s.b.intercept(ctx, &Call{Op: OpPublish, Principal: s.Principal(), Message: m}, func(ctx context.Context, c *Call) error {
		err := s.publish(ctx, c.Message, queue, done)
		if err == nil {
			taken.Store(true)
		}
		return err
	})
	switch {
	case !taken.Load() && err == nil: // swallowed
		return s.answer(ctx, done, Published{}, nil)
	case !taken.Load():
		return err
	case err != nil && s.firstTime("refused too late"):
		s.b.log.Warn("interceptor has refused a message that it had published", "client", s.principal.ClientID, "error", err)
	}
	return nil
}

// first passes on the first outcome only: an interceptor may go on more than once.
func first(done func(Published, error)) func(Published, error) {
	if done == nil {
		return nil
	}
	var told atomic.Bool
	return func(p Published, err error) {
		if !told.Swap(true) {
			done(p, err)
		}
	}
}

// admit checks m and makes it the session's.
func (s *Session) admit(ctx context.Context, m *Message, declared *QueueConfig) error {
	known := s.way(m.Destination).permits(s)
	var asked way
	if !known {
		asked = s.asks(m.Destination)
		if err := destination.Check(m.Destination); err != nil {
			return fmt.Errorf("publish: %w: %w", ErrInvalid, err)
		}
	}
	if m.TextBody && !utf8.Valid(m.Body) {
		return fmt.Errorf("publish %s: the body is said to be text and is not UTF-8: %w", m.Destination, ErrInvalid)
	}
	if !known && ofBroker(m.Destination) {
		return fmt.Errorf("%s is the broker's own: %w", m.Destination, ErrDenied)
	}
	if declared != nil {
		if err := declared.CheckDeadLetter(); err != nil {
			return err
		}
	}
	if err := s.mayPublish(ctx, m, declared, known); err != nil {
		return err
	}
	if !known {
		s.learn(asked)
	}
	if m.retains() {
		if err := s.mayRetain(ctx, m); err != nil {
			return err
		}
	}
	m.Publisher, m.User = s.principal.ClientID, s.principal.Name
	if m.Timestamp.IsZero() {
		m.Timestamp = s.waker.clock()
	}
	s.b.stamp(m)
	if m.beside > 0 || len(m.Header) > 0 {
		if err := s.mayHaveHeaders(m); err != nil {
			return err
		}
	}
	s.counters.in.Add(1)
	s.counters.inBytes.Add(uint64(len(m.Body)))
	return nil
}

func (s *Session) mayHaveHeaders(m *Message) error {
	l := &s.b.options().Limits
	if len(m.Header) > l.Headers {
		return s.exceeded("headers", ErrLimit, "publish %s: %d headers are the most there may be", m.Destination, l.Headers)
	}
	if int64(m.beside) > l.HeaderBytes {
		return s.exceeded("header_bytes", ErrLimit, "publish: headers of more than %d bytes", l.HeaderBytes)
	}
	return nil
}

func (s *Session) publish(ctx context.Context, m *Message, declared *QueueConfig, done func(Published, error)) error {
	if !m.Visible.IsZero() && m.Visible.After(m.Timestamp) || m.Repeat != nil {
		return s.publishLater(ctx, m, done)
	}
	if m.expired(m.Timestamp) {
		s.v.stats.dropped(ErrExpired.ID(), 1)
		return s.answer(ctx, done, Published{}, nil)
	}
	stored, err := s.toRetain(ctx, m)
	if err != nil {
		return s.answer(ctx, done, Published{}, err)
	}
	r := routings.Get().(*routing)
	defer r.release()
	if !strings.HasPrefix(m.Destination, "topic/") {
		s.wake() // the queue may have to be made
	}
	if err := r.reserve(ctx, s.v, m, declared, s); err != nil {
		stored(false)
		return s.answer(ctx, done, Published{}, s.refused(err))
	}
	if len(r.queues) == 0 && !m.Retain {
		return s.answer(ctx, done, Published{Matched: r.direct(m, s)}, nil)
	}
	s.wake() // there may be too many under way
	p := &publication{pending: pending{published: done}, s: s, bytes: r.bytes, stored: stored}
	p.queues = append(p.queue[:0], r.queues...)
	p.batch = engine.Batch{Ops: r.ops(s.b, s.v, m, p.ops[:0], p.logs[:0]), Relaxed: !m.Persistent}
	err = s.acks.begin(ctx, s.b.options().Limits.UnackedPublishes, &p.pending, func() {
		p.result.Matched = len(p.queues) + r.direct(m, s)
		s.commit(&p.batch, r.stored, s.b.spread, p.committed)
	})
	if err != nil {
		stored(false)
		r.unreserve()
	}
	return err
}

// publication is a publish on its way through the engine: one piece of memory if it goes to one queue.
type publication struct {
	pending
	s      *Session
	batch  engine.Batch
	ops    [1]engine.Op
	logs   [1]engine.LogID
	queues []*boundQueue
	queue  [1]*boundQueue
	bytes  int // reserved in each of them
	stored func(bool)
}

// committed is called when the engine has done its work.
func (p *publication) committed(err error) {
	p.stored(err == nil)
	if err != nil {
		for _, bq := range p.queues {
			bq.q.Unreserve(p.bytes)
		}
	}
	p.s.acks.finish(&p.pending, engineErr(err))
}

// answer calls done with an outcome that is known, in its turn.
func (s *Session) answer(ctx context.Context, done func(Published, error), result Published, outcome error) error {
	if done == nil {
		if outcome != nil {
			s.v.stats.dropped(ReasonID(outcome), 1)
		}
		return nil
	}
	if s.acks.direct() {
		done(result, outcome)
		return nil
	}
	return s.answerLater(ctx, &pending{published: done, result: result, err: outcome, ready: true})
}

func (s *Session) answerLater(ctx context.Context, p *pending) error {
	if err := s.acks.begin(ctx, s.b.options().Limits.UnackedPublishes, p, func() {}); err != nil {
		return err
	}
	s.writer.kick()
	return nil
}

// publishLater keeps m until it is time.
func (s *Session) publishLater(ctx context.Context, m *Message, done func(Published, error)) error {
	op, err := s.b.delayed.op(s.v, m)
	if err != nil {
		return err
	}
	p := &pending{published: done, result: Published{Matched: 1}}
	return s.acks.begin(ctx, s.b.options().Limits.UnackedPublishes, p, func() {
		s.commit(&engine.Batch{Ops: []engine.Op{op}, Relaxed: !m.Persistent}, true, s.b.eng.Commit, func(err error) {
			s.acks.finish(p, engineErr(err))
		})
	})
}

// Commit does what tx holds, all or nothing. An unknown tag fails it as a whole with ErrNotFound, a
// queue that is full with ErrQueueFull: from Commit itself, and done is not called.
func (s *Session) Commit(ctx context.Context, tx Transaction, done func(error)) error {
	return s.refused(s.commitAll(ctx, tx, done))
}

func (s *Session) commitAll(ctx context.Context, tx Transaction, done func(error)) error {
	if s.closed.Load() {
		return ErrClosed
	}
	if len(tx.Sends) > 0 && (s.pace.Load() != nil || s.wasRefused.Load() || s.b.memory.tight.Load() != 0) {
		size := 0
		for _, m := range tx.Sends {
			size += m.Size()
		}
		if err := s.brake(ctx, len(tx.Sends), size); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
	}
	sends, err := s.admitAll(ctx, tx.Sends)
	if err != nil {
		return s.denied(fmt.Errorf("commit: %w", err))
	}
	c := commit{s: s}
	for _, m := range sends {
		if err := c.send(ctx, m); err != nil {
			c.undo()
			return fmt.Errorf("commit: %w", err)
		}
	}
	settled, err := s.claim(tx.Settles)
	if err != nil {
		c.undo()
		return fmt.Errorf("commit: %w", err)
	}
	c.ops = settled.ops(c.ops)
	p := &pending{done: done}
	err = s.acks.begin(ctx, s.b.options().Limits.UnackedPublishes, p, func() {
		for i := range c.routes {
			c.routes[i].direct(c.sends[i], s)
		}
		s.commit(&engine.Batch{Ops: c.ops}, true, s.b.eng.Commit, func(err error) {
			c.stored(err == nil)
			if err != nil {
				c.unreserve()
			}
			settled.finish(err)
			c.release()
			s.acks.finish(p, engineErr(err))
		})
	})
	if err != nil {
		settled.finish(err)
		c.undo()
	}
	return err
}

// admitAll admits the sends of a transaction and runs the interceptors over them.
func (s *Session) admitAll(ctx context.Context, ms []*Message) ([]*Message, error) {
	for _, m := range ms {
		if err := s.admit(ctx, m, nil); err != nil {
			return nil, err
		}
	}
	if s.b.chains[OpPublish] == nil {
		return ms, nil
	}
	sends := make([]*Message, 0, len(ms))
	for _, m := range ms {
		err := s.b.intercept(ctx, &Call{Op: OpPublish, Principal: s.Principal(), Message: m}, func(_ context.Context, c *Call) error {
			sends = append(sends, c.Message)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return sends, nil
}

// commit is a transaction on its way: sends that are routed, the ops of all.
type commit struct {
	s      *Session
	sends  []*Message
	routes []*routing
	ops    []engine.Op
	retain []func(bool) // to be told whether retained messages are
}

func (c *commit) send(ctx context.Context, m *Message) error {
	now := time.Now()
	if m.Visible.After(now) || m.Repeat != nil {
		op, err := c.s.b.delayed.op(c.s.v, m)
		c.ops = append(c.ops, op)
		return err
	}
	if m.expired(now) {
		return nil
	}
	stored, err := c.s.toRetain(ctx, m)
	if err != nil {
		return err
	}
	if m.Retain {
		c.retain = append(c.retain, stored)
	}
	r := routings.Get().(*routing)
	if err := r.reserve(ctx, c.s.v, m, nil, c.s); err != nil {
		r.release()
		return err
	}
	c.sends, c.routes = append(c.sends, m), append(c.routes, r)
	c.ops = r.ops(c.s.b, c.s.v, m, c.ops, nil)
	return nil
}

func (c *commit) stored(are bool) {
	for _, stored := range c.retain {
		stored(are)
	}
}

func (c *commit) unreserve() {
	for _, r := range c.routes {
		r.unreserve()
	}
}

func (c *commit) release() {
	for _, r := range c.routes {
		r.release()
	}
	c.routes = nil
}

func (c *commit) undo() {
	c.stored(false)
	c.unreserve()
	c.release()
}
