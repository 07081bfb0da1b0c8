package core

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyemq/wye/core/engine"
)

// underway is what becomes retained as soon as the engine has it.
type underway struct{ topics, bytes atomic.Int64 }

func (u *underway) add(topics, bytes int) {
	u.topics.Add(int64(topics))
	u.bytes.Add(int64(bytes))
}

// retains reports whether m becomes the retained message of its topic.
func (m *Message) retains() bool {
	return m.Retain && len(m.Body) > 0 && strings.HasPrefix(m.Destination, "topic/")
}

// mayRetain refuses a retained message for which there is no room. What is under way together may get past it, by one message
// of each session, or one transaction.
func (s *Session) mayRetain(ctx context.Context, m *Message) error {
	s.wake() // the engine may be asked
	return s.retainError(s.v.roomToRetain(ctx, m, true))
}

// toRetain is told of a message that is about to be published, and end whether it is retained now, if it is to be.
func (s *Session) toRetain(ctx context.Context, m *Message) (end func(kept bool), err error) {
	if end, err = s.v.toRetain(ctx, m); err != nil {
		err = s.retainError(err)
	}
	return end, err
}

// retainError counts err if it is for a limit, and returns it.
func (s *Session) retainError(err error) error {
	if reached, ok := errors.AsType[*limitError](err); ok {
		return s.exceeds(reached)
	}
	return err
}

// retainIfRoom is toRetain for what no session publishes: when there is no room any more for what was admitted long ago, nothing
// but that is left of it. What is the broker's own is retained.
func (v *vhost) retainIfRoom(m *Message, own bool) (end func(kept bool)) {
	m.fresh = false
	if m.retains() && !own {
		err := v.roomToRetain(v.b.ctx, m, false)
		if err == nil {
			if end, err = v.toRetain(v.b.ctx, m); err == nil {
				return end
			}
		}
		m.fresh = false
		if reached, ok := errors.AsType[*limitError](err); ok {
			v.b.note(reached.limit, false, true, whom{client: m.Publisher, user: m.User}, err)
			m.Retain = false
		}
	}
	end, _ = v.toRetain(v.b.ctx, m) // which needs no room
	return end
}

// toRetain counts m among what is under way, if it is to be retained, and gives it the room that it needs in the virtual host.
func (v *vhost) toRetain(ctx context.Context, m *Message) (end func(kept bool), err error) {
	if !m.Retain {
		return notRetained, nil
	}
	counted := m.fresh && m.retains()
	if counted {
		if err := v.takeRoom(ctx, 1); err != nil {
			return notRetained, err
		}
	}
	return v.retaining.begin(m, counted), nil
}

func notRetained(bool) {}

// roomToRetain says why m cannot be retained: a limitError, or what the engine says. What is under way is taken for new. When
// that makes the difference, or what has expired, it is looked at again if wait says so, when all that is done. It takes note of
// whether the virtual host, if it may have so many retained messages only, has to count m.
func (v *vhost) roomToRetain(ctx context.Context, m *Message, wait bool) error {
	b, l, size := v.b, &v.b.options().Limits, int64(m.Size())
	m.fresh = false
	moreTopics, moreBytes := b.retaining.topics.Load(), b.retaining.bytes.Load()
	for {
		n, bytes := b.eng.Retained().Size()
		topics := int64(n) + moreTopics
		bytes += moreBytes
		if topics < int64(l.RetainedMessages) && bytes+size <= l.RetainedBytes && v.settings.MaxRetained == 0 {
			return nil
		}
		old, err := v.retainedOf(ctx, m.Destination)
		var reached *limitError
		switch {
		case err != nil:
			return err
		case old == nil && topics >= int64(l.RetainedMessages):
			reached = &limitError{ofAll, "retained_messages", fmt.Sprintf("%d retained messages are the most there may be", l.RetainedMessages), ErrLimit}
		case bytes+size > l.RetainedBytes && (old == nil || bytes+size-int64(old.Size()) > l.RetainedBytes && size > int64(old.Size())):
			reached = &limitError{ofAll, "retained_bytes", fmt.Sprintf("retained messages may have %d bytes in all", l.RetainedBytes), ErrLimit}
		case old == nil:
			m.fresh = v.settings.MaxRetained > 0
			return v.takeRoom(ctx, 0)
		default:
			return nil
		}
		if !wait {
			return reached
		}
		b.barrier(ctx)
		moreTopics, moreBytes, wait = 0, 0, false
	}
}

// retainedOf returns the retained message of a topic, or nil.
func (v *vhost) retainedOf(ctx context.Context, dest string) (m *engine.Message, err error) {
	err = v.b.eng.Retained().Match(ctx, v.retainKey(dest), func(em *engine.Message) bool { m = em; return false })
	return m, engineErr(err)
}

// retainRoom counts the retained messages of a virtual host that may have so many only. The engine does not: what is cleared
// or has expired is noticed by counting again, which is done when there seems to be no room, and not often.
type retainRoom struct {
	count   atomic.Int64 // as many, or less; those included that are under way
	pending atomic.Int64 // those under way

	mu    sync.Mutex // of who counts, or takes room
	again time.Time  // when it may be counted next
}

// What counting may cost: one part of the time in so many, and at most once in recountGap.
const (
	recountGap  = time.Second
	recountPart = 50
)

// takeRoom refuses a retained message of a new topic when the virtual host has too many. Else more of them, 0 or 1, are counted,
// until taken says whether they are.
func (v *vhost) takeRoom(ctx context.Context, more int64) error {
	most := v.settings.MaxRetained
	if most == 0 {
		return nil
	}
	r := &v.retaining.room
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := timeNow(); r.again.IsZero() || r.count.Load() >= int64(most) && !now.Before(r.again) {
		pending := r.pending.Load() // some of them may be counted twice now, and none is left out
		n, err := v.countRetained(ctx, most)
		if err != nil {
			return err
		}
		r.count.Store(int64(n) + pending)
		r.again = timeNow().Add(max(recountGap, recountPart*time.Since(now)))
	}
	if r.count.Load() >= int64(most) {
		return &limitError{ofVHost, "max_retained", fmt.Sprintf("%d retained messages are the most that virtual host %q may have", most, v.name), ErrLimit}
	}
	r.pending.Add(more)
	r.count.Add(more)
	return nil
}

// taken ends what takeRoom has begun with one message. It does not wait for who counts.
func (r *retainRoom) taken(kept bool) {
	if !kept {
		r.count.Add(-1)
	}
	r.pending.Add(-1) // at last: who counts meanwhile counts rather one too many
}

// countRetained counts the retained messages, up to most.
func (v *vhost) countRetained(ctx context.Context, most int) (n int, err error) {
	err = v.b.eng.Retained().Match(ctx, v.token+"/#", func(*engine.Message) bool { n++; return n < most })
	return n, engineErr(err)
}
