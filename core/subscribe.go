package core

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/wyemq/wye/core/destination"
	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/internal/queue"
	"github.com/wyemq/wye/core/selector"
)

// autoCredit is the credit of queue consumers whose deliveries are settled by being written:
// enough for large batches, bounded because what a lost connection took with it is redelivered.
const autoCredit = 1024

// Subscribe adds a subscription, or replaces the one with the same ID when Filter and Group are the
// same (ErrInUse when they are not). Deliveries may come before it returns. sub is kept, and must not be
// changed. Errors: ErrInvalid (filter, selector), ErrDenied, ErrLimit, ErrInUse, ErrNotFound.
func (s *Session) Subscribe(ctx context.Context, sub *Subscription) error {
	if s.closed.Load() {
		return ErrClosed
	}
	if err := destination.CheckFilter(sub.Filter); err != nil {
		return fmt.Errorf("subscribe: %w: %w", ErrInvalid, err)
	}
	if sub.Queue != nil {
		if err := sub.Queue.CheckDeadLetter(); err != nil {
			return fmt.Errorf("subscribe: %w", err)
		}
	}
	who, changes := s.Principal(), s.b.changes.Load()
	if err := s.maySubscribe(ctx, sub); err != nil {
		return s.denied(err)
	}
	err := s.b.intercept(ctx, &Call{Op: OpSubscribe, Principal: who, Subscription: sub}, func(ctx context.Context, c *Call) error {
		return s.subscribe(ctx, c.Subscription)
	})
	if err == nil && (s.Principal() != who || s.b.changes.Load() != changes) {
		s.recheck(ctx) // who looked for what is not allowed any more may not have seen it yet
	}
	return s.refused(err)
}

func (s *Session) subscribe(ctx context.Context, sub *Subscription) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	if s.closed.Load() {
		return ErrClosed
	}
	a := &attachment{s: s}
	a.sub.Store(sub)
	if sub.Selector != "" {
		sel, err := selector.Parse(sub.Selector)
		if err != nil {
			return fmt.Errorf("selector: %w: %w", ErrInvalid, err)
		}
		a.selector = sel
		if err := s.afford(a); err != nil {
			return err
		}
	}
	old, err := s.replaceable(sub)
	if err != nil {
		return err
	}
	kept, resumed := s.st.subscription(sub.ID)
	existed := old != nil || resumed && kept.Filter == sub.Filter
	if old == nil && resumed && !(kept.sameSource(sub) && sub.private()) {
		if err := s.v.removeLog(ctx, s.v.sessionLog(s.principal.ClientID, sub.ID)); err != nil {
			return err
		}
	}
	if old != nil && old.sub.Load().sameConsumer(sub) {
		old.sub.Store(sub) // nothing is lost, doubled or redelivered [MQTT-3.8.4-3]
		a = old
	} else if err := s.start(ctx, a, old); err != nil {
		return fmt.Errorf("subscribe %s: %w", sub.Filter, err)
	}
	if err := s.keep(ctx, a); err != nil {
		return fmt.Errorf("subscribe %s: %w", sub.Filter, err)
	}
	if sub.Retained == RetainedAlways || sub.Retained == RetainedIfNew && !existed {
		return a.sendRetained(ctx)
	}
	return nil
}

// keep makes a last as long as it promises, or ends it. What waits for a subscription that was there before goes on
// waiting.
func (s *Session) keep(ctx context.Context, a *attachment) error {
	sub := a.sub.Load()
	var ops []engine.Op
	var defines, stays bool
	if a.bound != nil && sub.Durable {
		if !sub.WithSession {
			a.bound.stay()
		}
		var define, stay engine.Op
		if define, defines = a.bound.define(); defines {
			ops = append(ops, define)
		}
		if stay, stays = a.bound.staying(); stays {
			ops = append(ops, stay)
		}
	}
	had, err := s.st.remember(ctx, sub, ops)
	if err == nil {
		if defines {
			a.bound.defined.Store(true)
		}
		if stays {
			a.bound.stayKnown.Store(true)
		}
		return nil
	}
	s.mu.Lock()
	delete(s.subs, sub.ID)
	s.mu.Unlock()
	if a.hasPrivate() {
		s.private--
	}
	a.drop()
	if !had && a.bound != nil && a.bound.kind == kindSession {
		_ = s.v.remove(context.WithoutCancel(ctx), a.bound)
	}
	return err
}

// smallSelector is what a selector may cost that is let in when all together are at their limit, up to twice that: some that
// are huge must not keep all others out.
const smallSelector = 50

// afford counts the selector of a among those of the session and of all, if it is not too much. Every publisher whose
// messages it is asked about pays for it.
func (s *Session) afford(a *attachment) error {
	l, cost := &s.b.options().Limits, a.cost()
	if most := l.SelectorsInAll; s.b.effort.Load()+int64(cost) > int64(most) && (cost > smallSelector || s.b.effort.Load() > 2*int64(most)) {
		return s.exceeded("selectors_in_all", ErrLimit, "all selectors have more than %d operations", most)
	}
	if s.effort += cost; s.effort <= l.Selectors {
		return nil
	}
	s.effort = cost // subscriptions may have ended since
	s.mu.Lock()
	for id, other := range s.subs {
		if id != a.sub.Load().ID {
			s.effort += other.cost()
		}
	}
	s.mu.Unlock()
	if s.effort > l.Selectors {
		s.effort -= cost
		return s.exceeded("selectors", ErrLimit, "selectors of more than %d operations in one session", l.Selectors)
	}
	return nil
}

// cost is how many operations the selector has.
func (a *attachment) cost() int {
	if a.selector == nil {
		return 0
	}
	return a.selector.Cost()
}

// start attaches a, in the place of old, and makes it the session's.
func (s *Session) start(ctx context.Context, a, old *attachment) error {
	err := a.attach(ctx, old)
	s.mu.Lock()
	if err != nil {
		if old != nil && old.over { // it has made room in vain
			delete(s.subs, old.sub.Load().ID)
			if old.hasPrivate() {
				s.private--
			}
		}
		s.mu.Unlock()
		return err
	}
	s.subs[a.sub.Load().ID] = a
	s.mu.Unlock()
	if a.hasPrivate() {
		s.private++
	}
	if old != nil && old.hasPrivate() {
		s.private--
	}
	return nil
}

// direct reports whether the subscription needs no queue: it is an entry of the index.
func (sub *Subscription) direct() bool {
	return strings.HasPrefix(sub.Filter, "topic/") && sub.Group == "" && sub.Ack == AckAuto && !sub.Durable
}

// private reports whether the subscription has a queue of its own.
func (sub *Subscription) private() bool {
	return strings.HasPrefix(sub.Filter, "topic/") && sub.Group == "" && !sub.direct()
}

// sameSource reports whether both consume the same filter or queue.
func (sub *Subscription) sameSource(o *Subscription) bool {
	return sub.Filter == o.Filter && sub.Group == o.Group
}

// sameConsumer reports whether o is served by what serves sub already.
func (sub *Subscription) sameConsumer(o *Subscription) bool {
	return sub.sameSource(o) && sub.Ack == o.Ack && sub.Credit == o.Credit && sub.Durable == o.Durable &&
		sub.Selector == o.Selector && sub.NoLocal == o.NoLocal && sub.Exclusive == o.Exclusive &&
		sub.Sole == o.Sole && sub.Priority == o.Priority && !sub.Browse && !o.Browse
}

// replaceable returns the subscription that sub takes the place of. The caller holds changing.
func (s *Session) replaceable(sub *Subscription) (*attachment, error) {
	s.mu.Lock()
	old, many := s.subs[sub.ID], len(s.subs)
	s.mu.Unlock()
	l := &s.b.options().Limits
	switch _, kept := s.st.subscription(sub.ID); {
	case old == nil && many >= l.Subscriptions:
		return nil, s.exceeded("subscriptions", ErrLimit, "%d subscriptions are the most one session may have", l.Subscriptions)
	case old != nil && (!old.sub.Load().sameSource(sub)):
		return nil, fmt.Errorf("subscription id %q is taken: %w", sub.ID, ErrInUse)
	case sub.private() && (old == nil || !old.hasPrivate()) && !kept && s.private >= l.PrivateQueues: // what is kept was permitted
		return nil, s.exceeded("private_queues", ErrLimit,
			"%d subscriptions that are acknowledged or durable are the most one session may have", l.PrivateQueues)
	default:
		return old, nil
	}
}

// hasPrivate reports whether the attachment has a queue of its own.
func (a *attachment) hasPrivate() bool { return a.bound != nil && a.bound.kind == kindSession }

// attach joins the index or a queue, in the place of old.
func (a *attachment) attach(ctx context.Context, old *attachment) error {
	v, sub := a.s.v, a.sub.Load()
	a.s.b.effort.Add(int64(a.cost()))
	a.s.v.stats.subscriptions.Add(1)
	if sub.direct() {
		a.entry = new(entry)
		a.entry.direct.Store(a)
		a.s.directs.Add(1) // before it can match: see routing.direct
		v.index.Add(sub.Filter, a.entry)
		if old != nil {
			return old.replaced(ctx)
		}
		return nil
	}
	err := errDeleted
	for errors.Is(err, errDeleted) {
		var bq *boundQueue
		if bq, err = a.queue(ctx); err == nil {
			err = a.enter(ctx, bq)
		}
		if err == nil {
			err = a.join(bq, old)
		}
	}
	if err != nil {
		a.s.b.effort.Add(-int64(a.cost()))
		a.s.v.stats.subscriptions.Add(-1)
	}
	return err
}

// errDeleted is for the moment when a queue has been found that is being deleted.
var errDeleted = errors.New("the queue has been deleted meanwhile")

// enter makes a a member of bq, which stays from now on, or waits until there may be another one in its place: errDeleted.
func (a *attachment) enter(ctx context.Context, bq *boundQueue) error {
	bq.mu.Lock()
	deleted := bq.deleted
	if !deleted {
		bq.members++
	}
	bq.mu.Unlock()
	if deleted {
		select {
		case <-bq.gone:
			return errDeleted
		case <-ctx.Done():
			return fmt.Errorf("wait for the end of another queue: %w", ctx.Err())
		}
	}
	sub := a.sub.Load()
	if sub.Durable && bq.kind == kindGroup {
		if err := bq.v.promote(ctx, bq, a.s.principal.owner()); err != nil {
			bq.left()
			return err
		}
	}
	bq.mu.Lock()
	defer bq.mu.Unlock()
	bq.durable = sub.Durable || bq.durable && bq.kind != kindSession
	return nil
}

// join becomes a consumer of bq, which it has entered.
func (a *attachment) join(bq *boundQueue, old *attachment) error {
	sub := a.sub.Load()
	a.bound = bq
	if old != nil {
		old.drop()
	}
	credit := sub.Credit
	if credit <= 0 {
		credit = a.s.b.options().Limits.Credit
	}
	if sub.Ack == AckAuto {
		credit = max(credit, autoCredit)
	}
	a.joining.Lock()
	defer a.joining.Unlock()
	consumer, err := bq.q.Attach(queue.ConsumerOptions{
		Credit: credit, Window: a.s.window, Priority: sub.Priority, Exclusive: sub.Exclusive, Sole: sub.Sole,
		Browse: sub.Browse, Match: a.matches(),
		Deliver: func(ds []queue.Delivery) { a.take(ds) },
	})
	if err != nil {
		bq.left()
		return engineErr(err)
	}
	a.consumer = consumer
	return nil
}

// queue returns the queue that the subscription consumes, made if need be.
func (a *attachment) queue(ctx context.Context) (*boundQueue, error) {
	s, sub, v := a.s, a.sub.Load(), a.s.v
	switch {
	case strings.HasPrefix(sub.Filter, "temp/"):
		if !s.owns(sub.Filter) {
			return nil, fmt.Errorf("temporary queue of another session: %w", ErrDenied)
		}
		return v.namedQueue(ctx, sub.Filter, nil, &s.principal)
	case strings.HasPrefix(sub.Filter, "queue/"):
		if sub.Passive && v.lookup(v.queueLog(sub.Filter)) == nil {
			return nil, fmt.Errorf("there is no such queue: %w", ErrNotFound)
		}
		return v.namedQueue(ctx, sub.Filter, sub.Queue, &s.principal)
	case sub.Group != "":
		id := v.groupLog(sub.Group, sub.Filter)
		if bq := v.find(id); bq != nil {
			return bq, nil
		}
		return v.make(ctx, v.place(id, sub.Durable), queueSpec{
			kind: kindGroup, dest: sub.Filter, group: sub.Group, durable: sub.Durable,
			stays: sub.Durable && !sub.WithSession, declared: sub.Queue, by: s.principal.owner(),
		})
	default:
		id := v.sessionLog(s.principal.ClientID, sub.ID)
		if bq := v.lookup(id); bq != nil { // also when it is to be kept no longer: something may wait in it
			if sub.Durable {
				return bq, v.promote(ctx, bq, s.principal.owner())
			}
			return bq, nil
		}
		return v.open(ctx, v.place(id, sub.Durable), queueSpec{
			kind: kindSession, dest: sub.Filter, client: s.principal.ClientID, durable: sub.Durable, by: s.principal.owner(),
		})
	}
}

// Unsubscribe ends a subscription, and with it its private queue, durable or not. A group's queue stays when it is durable,
// unless it is with its sessions and this was the last: see [Subscription.WithSession]. What was delivered and not settled
// returns to a shared queue. ErrNotFound: no such subscription. No delivery for it starts after it returned; some may be under
// way.
func (s *Session) Unsubscribe(ctx context.Context, id string) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	return s.unsubscribe(ctx, id)
}

func (s *Session) unsubscribe(ctx context.Context, id string) error {
	s.mu.Lock()
	a := s.subs[id]
	delete(s.subs, id)
	s.mu.Unlock()
	known, err := s.st.forget(ctx, id, nil)
	if a == nil && known == nil {
		return fmt.Errorf("unsubscribe %q: %w", id, ErrNotFound)
	}
	if a == nil { // of the resumed session, never attached
		s.v.endGroup(known)
		return errors.Join(err, s.v.removeLog(ctx, s.v.sessionLog(s.principal.ClientID, id)))
	}
	a.drop()
	if a.hasPrivate() {
		s.private--
		return errors.Join(err, s.v.remove(ctx, a.bound))
	}
	return err
}

// DeleteGroup deletes the durable queue of a group. ErrInUse while it has members, or other sessions, connected or kept,
// that will come back to it; ErrNotFound when there is none, ErrDenied for who may not read the filter or delete the group.
func (s *Session) DeleteGroup(ctx context.Context, group, filter string) error {
	if err := s.mayDelete(ctx, group, filter); err != nil {
		if errors.Is(err, ErrDenied) {
			s.observedRefusal(EventRefused, filter, err)
		}
		return err
	}
	bq := s.v.find(s.v.groupLog(group, filter))
	if bq == nil {
		return fmt.Errorf("durable subscription %q: %w", group, ErrNotFound)
	}
	if !bq.retire(s.st.awaits(group, filter)) {
		return fmt.Errorf("durable subscription %q: %w", group, ErrInUse)
	}
	return s.v.remove(ctx, bq)
}

// removeLog deletes a queue by id, if it is there.
func (v *vhost) removeLog(ctx context.Context, id engine.LogID) error {
	if bq := v.find(id); bq != nil {
		return v.remove(ctx, bq)
	}
	return nil
}

// dropTemps deletes the temporary queues of a session.
func (v *vhost) dropTemps(token string) {
	v.mu.Lock()
	delete(v.temps, token)
	prefix := string(v.queueLog("temp/" + token + "/"))
	var gone []*boundQueue
	for id, bq := range v.queues {
		if strings.HasPrefix(string(id), prefix) {
			gone = append(gone, bq)
		}
	}
	v.mu.Unlock()
	for _, bq := range gone {
		_ = v.remove(context.WithoutCancel(v.b.ctx), bq)
	}
}

// Purge drops everything that waits in a queue, and returns how much that was. vhost "" is the default.
func (b *Broker) Purge(ctx context.Context, vhost, dest string) (uint64, error) {
	v := b.known(vhost)
	if v == nil {
		return 0, fmt.Errorf("virtual host %s: %w", vhost, ErrNotFound)
	}
	bq := v.lookup(v.queueLog(dest))
	if bq == nil {
		return 0, fmt.Errorf("queue %s: %w", dest, ErrNotFound)
	}
	n, err := bq.q.Purge(ctx)
	return n, engineErr(err)
}
