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

// retained returns how many of ms change what is retained, and their bytes.
func retained(ms []*Message) (topics, bytes int) {
	for _, m := range ms {
		if m.Retain {
			topics, bytes = topics+1, bytes+m.size()
		}
	}
	return topics, bytes
}

// mayRetain refuses a retained message for which there is no room. What is under way together may get past it, by one message
// of each session, or one transaction.
func (s *Session) mayRetain(ctx context.Context, m *Message) error {
	s.wake() // the engine may be asked
	err := s.v.roomToRetain(ctx, m, true)
	if reached := (*limitError)(nil); errors.As(err, &reached) {
		return s.exceeds(reached)
	}
	return err
}

// retainIfRoom is for what was admitted long ago and is published now: when there is no room any more, nothing but that
// is left of it.
func (v *vhost) retainIfRoom(m *Message) {
	if !m.retains() {
		return
	}
	err := v.roomToRetain(v.b.ctx, m, false)
	if reached := (*limitError)(nil); errors.As(err, &reached) {
		v.b.note(reached.limit, false, true, whom{client: m.Publisher, user: m.User}, err)
		m.Retain = false
	}
}

// roomToRetain says why m cannot be retained: a limitError, or what the engine says. What is under way is taken for new. When
// that makes the difference, or what has expired, it is looked at again if wait says so, when all that is done.
func (v *vhost) roomToRetain(ctx context.Context, m *Message, wait bool) error {
	b, l, size := v.b, &v.b.options().Limits, int64(m.Size())
	soon := func() (int64, int64) { return b.retaining.topics.Load(), b.retaining.bytes.Load() }
	moreTopics, moreBytes := soon()
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
			return v.takeRoom(ctx)
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
	mu    sync.Mutex
	count int       // as many, or less
	again time.Time // when it may be counted next
}

// What counting may cost: one part of the time in so many, and at most once in recountGap.
const (
	recountGap  = time.Second
	recountPart = 50
)

// takeRoom refuses a retained message of a new topic when the virtual host has too many.
func (v *vhost) takeRoom(ctx context.Context) error {
	most := v.settings.MaxRetained
	if most == 0 {
		return nil
	}
	r := &v.room
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := timeNow(); r.again.IsZero() || r.count >= most && !now.Before(r.again) {
		n, err := v.countRetained(ctx, most)
		if err != nil {
			return err
		}
		r.count, r.again = n, timeNow().Add(max(recountGap, recountPart*time.Since(now)))
	}
	if r.count >= most {
		return &limitError{ofVHost, "max_retained", fmt.Sprintf("%d retained messages are the most that virtual host %q may have", most, v.name), ErrLimit}
	}
	r.count++
	return nil
}

// countRetained counts the retained messages, up to most.
func (v *vhost) countRetained(ctx context.Context, most int) (n int, err error) {
	err = v.b.eng.Retained().Match(ctx, v.token+"/#", func(*engine.Message) bool { n++; return n < most })
	return n, engineErr(err)
}
