package queue

import (
	"context"
	"time"

	"github.com/wyemq/wye/core/engine"
)

// view is how far a browsing consumer has looked.
type view struct {
	from, end engine.Seq // end: what comes later is not shown; 0: not begun
}

// look shows c some of what is in the log, and says End behind the last. It is called by the runner.
func (c *Consumer) look() {
	q := c.q
	c.busy.Lock()
	defer c.busy.Unlock()
	q.mu.Lock()
	gone := c.gone
	q.mu.Unlock()
	if gone {
		return
	}
	if c.view.end == 0 {
		c.view.end = q.log.Stats().EndSeq
	}
	b, _ := batches.Get().(*batch)
	defer b.release()
	now, shown := time.Now(), 0
	err := q.log.Browse(context.Background(), c.view.from, func(r engine.Record) bool {
		if r.Seq >= c.view.end {
			return false
		}
		c.view.from = r.Seq + 1
		if q.hooks.Load != nil {
			r.Msg = q.hooks.Load(r.Msg)
		}
		expires := q.expiry(r.Msg)
		if !r.Msg.Visible.After(now) && (expires == 0 || expires > now.UnixNano()) && (c.o.Match == nil || c.o.Match(r.Msg)) {
			b.ds = append(b.ds, Delivery{Record: r, Attempt: int(r.Deliveries) + 1, Redelivered: r.Redelivered})
		}
		shown++
		return shown < batchItems
	})
	if shown < batchItems || err != nil {
		b.ds = append(b.ds, Delivery{End: true})
		q.mu.Lock()
		q.unbrowse(c)
		q.mu.Unlock()
	} else {
		q.mu.Lock()
		q.unbrowse(c) // the next one's turn
		if !c.gone {
			q.browsers = append(q.browsers, c)
		}
		q.mu.Unlock()
	}
	if len(b.ds) > 0 {
		c.o.Deliver(b.ds)
	}
}
