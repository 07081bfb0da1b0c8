package core

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"sync"
	"time"

	"github.com/wyemq/wye/core/internal/rate"
)

// publishBurst is for how long a publisher may save up what its rate permits, refusalBurst for how long a client saves up
// what it may be refused.
const (
	publishBurst = time.Second
	refusalBurst = 10 * time.Second
)

// accountKey names who is counted: a user of a virtual host, or the address of clients without a name.
type accountKey struct {
	vhost, user string
	from        netip.Addr // of those without a name
}

func accountOf(p *Principal) accountKey {
	k := accountKey{vhost: p.VHost, user: p.Name}
	if p.Name == "" {
		k.from = p.Remote
	}
	return k
}

// account is what a user has.
type account struct {
	messages, bytes *rate.Bucket // published

	connections, queues int // guarded by accounts.mu
}

// accounts are those of all users that have something. No other lock is taken while theirs is held.
type accounts struct {
	mu  sync.Mutex
	all map[accountKey]*account
}

// use changes the account of a user by what fn does with it, and forgets it when nothing is left. fn returns false when
// nothing is to be changed.
func (as *accounts) use(l *Limits, k accountKey, fn func(*account) bool) (*account, bool) {
	as.mu.Lock()
	defer as.mu.Unlock()
	a := as.all[k]
	if a == nil {
		a = &account{
			messages: rate.New(float64(l.UserPublishRate), publishBurst), bytes: rate.New(float64(l.UserPublishBytes), publishBurst),
		}
	}
	ok := fn(a)
	now := time.Now()
	switch {
	case a.connections == 0 && a.queues == 0 && a.messages.Idle(now) && a.bytes.Idle(now):
		delete(as.all, k)
	default:
		as.all[k] = a
	}
	return a, ok
}

// connect counts the session among those of its user.
func (s *Session) connect() error {
	l := &s.b.options().Limits
	a, ok := s.b.accounts.use(l, accountOf(&s.principal), func(a *account) bool {
		if l.UserConnections > 0 && a.connections >= l.UserConnections {
			return false
		}
		a.connections++
		return true
	})
	if !ok {
		return s.exceeded("user_connections", ErrLimit, "%d connections are the most one user may have", l.UserConnections)
	}
	p := &pace{account: a, messages: rate.New(float64(l.PublishRate), publishBurst), bytes: rate.New(float64(l.PublishBytes), publishBurst)}
	if p.messages.Limited() || p.bytes.Limited() || a.messages.Limited() || a.bytes.Limited() {
		s.pace = p
	}
	return nil
}

// disconnect counts it out.
func (s *Session) disconnect() {
	s.b.accounts.use(&s.b.options().Limits, accountOf(&s.principal), func(a *account) bool {
		a.connections--
		return true
	})
}

// claimQueue counts a durable queue of a user, and reports whether one more was permitted.
func (b *Broker) claimQueue(k accountKey) (permitted bool) {
	most := b.options().Limits.UserDurableQueues
	_, permitted = b.accounts.use(&b.options().Limits, k, func(a *account) bool {
		a.queues++
		return most == 0 || a.queues <= most
	})
	return permitted
}

// freeQueue counts it out.
func (b *Broker) freeQueue(k accountKey) {
	b.accounts.use(&b.options().Limits, k, func(a *account) bool {
		a.queues--
		return true
	})
}

// pace is how fast a session may publish.
type pace struct {
	messages, bytes *rate.Bucket
	account         *account
}

// take takes what is to be published from all rates, and returns the longest wait and the limit that it is for. When one
// of them would take too long, nothing is taken.
func (p *pace) take(messages, size int, most time.Duration) (wait time.Duration, limit string, ok bool) {
	now := time.Now()
	all := [...]struct {
		*rate.Bucket
		n     int
		limit string
	}{
		{p.messages, messages, "publish_rate"},
		{p.bytes, size, "publish_bytes"},
		{p.account.messages, messages, "user_publish_rate"},
		{p.account.bytes, size, "user_publish_bytes"},
	}
	for i, r := range all {
		w, ok := r.Take(r.n, now, most)
		if w > wait || !ok {
			wait, limit = w, r.limit
		}
		if !ok {
			for _, taken := range all[:i] {
				taken.Return(taken.n)
			}
			return wait, limit, false
		}
	}
	return wait, limit, true
}

// brake holds a publish back that is too fast, or for which there is no memory; what would have to wait too long is refused.
func (s *Session) brake(ctx context.Context, messages, size int) error {
	if err := s.atone(ctx); err != nil {
		return err
	}
	most := s.b.options().Limits.PublishWait
	if s.pace != nil {
		wait, limit, ok := s.pace.take(messages, size, most)
		if !ok {
			return s.exceeded(limit, ErrRate, "%v would have to be waited", wait.Round(time.Millisecond))
		}
		if wait > 0 {
			s.slowed(limit, ErrRate)
			if err := s.pause(ctx, wait); err != nil {
				return err
			}
		}
	}
	return s.spare(ctx, size, most)
}

// atone holds back who is refused again and again for a limit: to be refused costs the broker as much as to be served.
func (s *Session) atone(ctx context.Context) error {
	owed := s.refusals.Load()
	if owed == nil {
		return nil
	}
	wait, _ := owed.Take(0, time.Now(), math.MaxInt64)
	if wait == 0 {
		return nil
	}
	s.slowed("refusal_rate", ErrRate)
	return s.pause(ctx, wait)
}

// refused counts an error that is for a limit, and returns it.
func (s *Session) refused(err error) error {
	if err == nil {
		return nil
	}
	if _, limited := errors.AsType[*limitError](err); !limited {
		return err
	}
	owed := s.refusals.Load()
	if owed == nil {
		most := s.b.options().Limits.RefusalRate
		if most == 0 {
			return err
		}
		owed = rate.New(float64(most), refusalBurst)
		if !s.refusals.CompareAndSwap(nil, owed) {
			owed = s.refusals.Load()
		}
	}
	owed.Take(1, time.Now(), math.MaxInt64)
	return err
}

// glance is how often somebody who waits looks whether the session has ended.
const glance = 50 * time.Millisecond

// pause waits, while the session lives.
func (s *Session) pause(ctx context.Context, d time.Duration) error {
	s.wake() // nobody waits with it
	for end := time.Now().Add(d); ; {
		left := time.Until(end)
		if left <= 0 {
			return nil
		}
		t := time.NewTimer(min(left, glance))
		select {
		case <-t.C:
			if w, ok := s.conn.(Holder); ok {
				w.HeldBack()
			}
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
		if s.closed.Load() {
			return ErrClosed
		}
		if err := s.Err(); err != nil {
			return err
		}
	}
}
