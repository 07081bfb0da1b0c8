package core

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/wyemq/wye/core/engine"
)

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

// hasRoomToRetain refuses a retained message of a new topic when the virtual host has too many.
func (v *vhost) hasRoomToRetain(ctx context.Context, m *Message) error {
	most := v.settings.MaxRetained
	if most == 0 {
		return nil
	}
	if n, err := v.countRetained(ctx, v.retainKey(m.Destination), 1); n > 0 || err != nil {
		return err
	}
	r := &v.room
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := timeNow(); r.again.IsZero() || r.count >= most && !now.Before(r.again) {
		n, err := v.countRetained(ctx, v.token+"/#", most)
		if err != nil {
			return err
		}
		r.count, r.again = n, timeNow().Add(max(recountGap, recountPart*time.Since(now)))
	}
	if r.count >= most {
		return fmt.Errorf("%d retained messages are the most that virtual host %q may have (vhosts.max_retained): %w", most, v.name, ErrLimit)
	}
	r.count++
	return nil
}

// countRetained counts what matches, up to most.
func (v *vhost) countRetained(ctx context.Context, filter string, most int) (n int, err error) {
	err = v.b.eng.Retained().Match(ctx, filter, func(*engine.Message) bool { n++; return n < most })
	return n, engineErr(err)
}
