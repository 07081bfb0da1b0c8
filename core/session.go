package core

import (
	"context"
	"time"
)

// Session is a logged-in client. Its methods may be called concurrently, except where one
// goroutine decides the order: the messages of one publisher are ordered by its calls.
//
// Callbacks named done are called exactly once, in the order of the calls they belong to
// (Publish, Commit and Settle together): before the method returns, or later from the goroutine
// that also calls the session's DeliverFunc, which flushes the Conn after them. They may write to
// the Conn and must not call Close. After the session has ended they are called with ErrClosed
// or with the true outcome.
type Session struct{ id string }

// ID returns the client id, made up by the broker if the client gave none.
func (s *Session) ID() string { return s.id }

// Principal returns who the client is.
func (s *Session) Principal() *Principal { panic("wip") }

// Resumed lists the subscriptions of an earlier session with this client id which was found;
// ok is false when none was. Each queue among them waits, complete, until Subscribe is called with
// the same ID and Filter; other fields may have changed.
func (s *Session) Resumed() (subs []Subscription, ok bool) { panic("wip") }

// Temp returns the destination of a temporary queue of this session: "temp/<token>/<name>". Anybody
// may publish to it, only this session may subscribe to it, and it goes with the session.
func (s *Session) Temp(name string) string { panic("wip") }

// Publish routes m. done (may be nil) is called when every queue concerned holds m as durably as
// it promises: then, and only then, send the RECEIPT or PUBACK. It does not wait for the disk; it
// blocks only for back-pressure. An error from Publish itself means that nothing was routed and
// done will not be called: ErrDenied, ErrInvalid, ErrClosed, ErrUnavailable. Errors known
// only later, as ErrQueueFull, come with done.
func (s *Session) Publish(ctx context.Context, m *Message, done func(Published, error)) error {
	panic("wip")
}

// Commit does what tx holds, all or nothing. Unknown tags fail it as a whole with ErrNotFound.
func (s *Session) Commit(ctx context.Context, tx Transaction, done func(error)) error { panic("wip") }

// Authorize asks whether the client may do op on dest, without doing it.
func (s *Session) Authorize(ctx context.Context, op Op, dest string) error { panic("wip") }

// Subscribe adds a subscription, or replaces the one with the same ID when the Filter is the same (ErrInUse
// when it is not). Deliveries may come before it returns. sub is not changed, and kept.
func (s *Session) Subscribe(ctx context.Context, sub *Subscription) error { panic("wip") }

// Unsubscribe ends a subscription, and with it its private queue, durable or not. A group's queue
// stays when it is durable. What was delivered and not settled returns to a shared queue. ErrNotFound: no such
// subscription. No delivery for it starts after it returned; some may be under way.
func (s *Session) Unsubscribe(ctx context.Context, id string) error { panic("wip") }

// DeleteGroup deletes the durable queue of a group. ErrInUse while it has members, other than of
// this session, ErrNotFound when there is none.
func (s *Session) DeleteGroup(ctx context.Context, group, filter string) error { panic("wip") }

// Settle says what became of deliveries. With AckCumulative a tag stands for all before it on its subscription.
// done (may be nil) is called when that is durable: a receipt of ACK promises no redelivery after a crash. An unknown
// tag is ErrNotFound, returned, and nothing is settled.
func (s *Session) Settle(ctx context.Context, o Outcome, done func(error), tags ...uint64) error {
	panic("wip")
}

// Put keeps a small value with the session, as long as the session is kept; nil deletes. It is
// relaxed: a crash may lose the last ones.
func (s *Session) Put(key string, value []byte) { panic("wip") }

// Get returns a value kept by Put, of this session or of the one it resumed.
func (s *Session) Get(key string) ([]byte, bool) { panic("wip") }

// Keys calls fn for each key that starts with prefix until it returns false.
func (s *Session) Keys(prefix string, fn func(key string, value []byte) bool) { panic("wip") }

// SetExpiry changes how long the session outlives its connection (MQTT 5, DISCONNECT).
func (s *Session) SetExpiry(d time.Duration) { panic("wip") }

// DropWill forgets the will: the client says goodbye.
func (s *Session) DropWill() { panic("wip") }

// Drain waits until no publish or settlement of the session is under way and every done was
// called, or until ctx is done. Protocols call it before they say goodbye.
func (s *Session) Drain(ctx context.Context) error { panic("wip") }

// Err returns why the broker ended the session, or nil.
func (s *Session) Err() error { panic("wip") }

// Close ends the session. It waits for DeliverFunc, so never call it from there; idempotent.
func (s *Session) Close() error { panic("wip") }
