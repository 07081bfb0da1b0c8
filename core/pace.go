package core

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/wyemq/wye/core/internal/pack"
	"github.com/wyemq/wye/core/internal/rate"
	"github.com/wyemq/wye/core/internal/tries"
)

// publishBurst is for how long a publisher may save up what its rate permits.
const publishBurst = time.Second

// accountKey names who is counted: a user of a virtual host, or the address of clients without a name.
type accountKey struct {
	vhost string
	owner
}

// owner is somebody in a virtual host.
type owner struct {
	user string
	from netip.Addr // of those without a name; of IPv6, the network
}

func (p *Principal) owner() owner {
	if p.Name != "" {
		return owner{user: p.Name}
	}
	return owner{from: tries.Network(p.Remote).Addr()}
}

func accountOf(p *Principal) accountKey { return accountKey{p.VHost, p.owner()} }

// appendTo is how an owner is stored, behind all else: earlier versions have stored a user, or nothing.
func (o *owner) appendTo(b []byte) []byte {
	b = pack.String(b, o.user)
	if o.from.IsValid() {
		b = pack.String(b, o.from.String())
	}
	return b
}

func readOwner(r *pack.Reader) (o owner) {
	if r.Len() > 0 {
		o.user = r.String()
	}
	if r.Len() > 0 {
		o.from, _ = netip.ParseAddr(r.String()) // what is none is nobody's
	}
	return o
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
