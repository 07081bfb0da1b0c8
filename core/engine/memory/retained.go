package memory

import (
	"container/heap"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wyemq/wye/core/engine"
)

// retained is a trie by level.
type retained struct {
	mu      sync.RWMutex // of the trie and of expires
	root    leaf
	expires expiryHeap
	topics  int   // that have a message
	bytes   int64 // of these messages
}

var _ engine.Retained = (*retained)(nil)

// leaf is a level of a topic, and the message of the topic that ends there.
type leaf struct {
	parent   *leaf
	level    string
	children map[string]*leaf
	msg      *engine.Message
	place    int // in the heap of what expires, from 1; 0: not there
}

// expiredMost is how many messages that have expired are forgotten at a time.
const expiredMost = 64

// set stores, or clears with nil.
func (r *retained) set(topic string, m *engine.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sweep()
	l := &r.root
	for level := range strings.SplitSeq(topic, "/") {
		c := l.children[level]
		if c == nil {
			if m == nil {
				return
			}
			if l.children == nil {
				l.children = make(map[string]*leaf)
			}
			c = &leaf{parent: l, level: strings.Clone(level)}
			l.children[c.level] = c
		}
		l = c
	}
	r.store(l, m)
}

// store puts m into l, and takes l out of the trie when nothing is left in it.
func (r *retained) store(l *leaf, m *engine.Message) {
	if l.place > 0 {
		heap.Remove(&r.expires, l.place-1)
	}
	if l.msg != nil {
		r.topics--
		r.bytes -= int64(l.msg.Size())
	}
	if m != nil {
		r.topics++
		r.bytes += int64(m.Size())
	}
	l.msg = m
	if m != nil && !m.Expires.IsZero() {
		heap.Push(&r.expires, l)
	}
	for l.msg == nil && len(l.children) == 0 && l.parent != nil {
		delete(l.parent.children, l.level)
		l = l.parent
	}
}

// sweep forgets some of what has expired. The caller holds mu.
func (r *retained) sweep() {
	if len(r.expires) == 0 {
		return
	}
	now := time.Now()
	for n := 0; n < expiredMost && len(r.expires) > 0 && expired(r.expires[0].msg, now); n++ {
		r.store(r.expires[0], nil)
	}
}

// Size implements engine.Retained.
func (r *retained) Size() (topics int, bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sweep()
	return r.topics, r.bytes
}

func expired(m *engine.Message, now time.Time) bool {
	return !m.Expires.IsZero() && !now.Before(m.Expires)
}

// Match implements engine.Retained. The lock is held for one level of one topic at a time, not while fn runs.
func (r *retained) Match(ctx context.Context, filter string, fn func(*engine.Message) bool) error {
	w := walk{r: r, ctx: ctx, filter: engine.ParseFilter(filter), now: time.Now(), fn: fn}
	w.visit(&r.root, w.filter.Start())
	return w.err
}

// walk is one Match. At each leaf it knows which levels of the filter may come next, so that a filter with several '#'
// finds a topic once.
type walk struct {
	r      *retained
	ctx    context.Context //nolint:containedctx // of this one call
	filter engine.Filter
	now    time.Time
	fn     func(*engine.Message) bool
	err    error
}

// visit calls fn for what matches at l and below. It returns false when the walk is over.
func (w *walk) visit(l *leaf, at []int) bool {
	if w.err = w.ctx.Err(); w.err != nil {
		return false
	}
	ends := w.filter.Ends(at)
	m, children := w.look(l, at, ends)
	if m != nil && !w.fn(m) {
		return false
	}
	for _, c := range children {
		if next := w.filter.Step(at, c.level); len(next) > 0 && !w.visit(c, next) {
			return false
		}
	}
	return true
}

// look returns the message at l, if the filter may end here, and the children that may match.
func (w *walk) look(l *leaf, at []int, ends bool) (m *engine.Message, children []*leaf) {
	w.r.mu.RLock()
	defer w.r.mu.RUnlock()
	if ends && l.msg != nil && !expired(l.msg, w.now) {
		m = l.msg
	}
	for _, n := range at {
		if n < len(w.filter) && (w.filter[n] == "+" || w.filter[n] == "#") {
			children = make([]*leaf, 0, len(l.children))
			for _, c := range l.children {
				children = append(children, c)
			}
			return m, children
		}
	}
	for _, n := range at {
		if n < len(w.filter) {
			if c := l.children[w.filter[n]]; c != nil && !slices.Contains(children, c) {
				children = append(children, c)
			}
		}
	}
	return m, children
}

// expiryHeap orders leaves by the time their message expires.
type expiryHeap []*leaf

// Len implements heap.Interface.
func (h *expiryHeap) Len() int { return len(*h) }

// Less implements heap.Interface.
func (h *expiryHeap) Less(i, j int) bool { return (*h)[i].msg.Expires.Before((*h)[j].msg.Expires) }

// Swap implements heap.Interface.
func (h *expiryHeap) Swap(i, j int) {
	s := *h
	s[i], s[j] = s[j], s[i]
	s[i].place, s[j].place = i+1, j+1
}

// Push implements heap.Interface.
func (h *expiryHeap) Push(x any) {
	l, _ := x.(*leaf)
	*h = append(*h, l)
	l.place = len(*h)
}

// Pop implements heap.Interface.
func (h *expiryHeap) Pop() any {
	n := len(*h) - 1
	l := (*h)[n]
	(*h)[n] = nil
	*h = (*h)[:n]
	l.place = 0
	return l
}
