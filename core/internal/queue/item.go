package queue

import (
	"container/heap"
	"time"

	"github.com/wyemq/wye/core/engine"
)

// lanes is how many there are: one for each priority, the most urgent first.
const lanes = 10

// item is a record on its way through the dispatcher. Its Redelivered and Deliveries are kept up to date.
type item struct {
	rec     engine.Record
	expires int64 // in Unix nanoseconds; 0: never
	until   int64 // end of the back-off
	group   string
	claim   *Settling // its settlement is under way
	lane    uint8
	last    bool // the group closes after it
	shown   bool // its consumer was called with it
}

func (it *item) size() int64 { return int64(it.rec.Msg.Size()) }

// init sets what the queue derives from a record.
func (q *Queue) init(it *item, r engine.Record) {
	if q.hooks.Load != nil {
		r.Msg = q.hooks.Load(r.Msg)
	}
	it.rec = r
	it.lane = uint8(lanes - 1 - min(int(r.Msg.Priority), lanes-1))
	it.expires = q.expiry(r.Msg)
}

// expiry returns when a record expires by itself or by the queue's TTL, in Unix nanoseconds; 0: never.
func (q *Queue) expiry(m *engine.Message) int64 {
	at := m.Expires
	if q.cfg.Load().TTL > 0 {
		stored := m.Stored
		if stored.IsZero() {
			stored = time.Now()
		}
		if ttl := stored.Add(q.cfg.Load().TTL); at.IsZero() || ttl.Before(at) {
			at = ttl
		}
	}
	if at.IsZero() {
		return 0
	}
	return at.UnixNano()
}

// backoffs are items that wait for their next attempt, the first to end first.
type backoffs []*item

func (b *backoffs) push(it *item) { heap.Push(b, it) }

func (b *backoffs) pop() *item {
	it, _ := heap.Pop(b).(*item)
	return it
}

// Len implements heap.Interface.
func (b *backoffs) Len() int { return len(*b) }

// Less implements heap.Interface.
func (b *backoffs) Less(i, j int) bool { return (*b)[i].until < (*b)[j].until }

// Swap implements heap.Interface.
func (b *backoffs) Swap(i, j int) { (*b)[i], (*b)[j] = (*b)[j], (*b)[i] }

// Push implements heap.Interface.
func (b *backoffs) Push(x any) {
	it, _ := x.(*item)
	*b = append(*b, it)
}

// Pop implements heap.Interface.
func (b *backoffs) Pop() any {
	n := len(*b) - 1
	it := (*b)[n]
	(*b)[n] = nil
	*b = (*b)[:n]
	if n == 0 {
		*b = nil
	}
	return it
}
