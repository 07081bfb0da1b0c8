package memory

import (
	"container/heap"
	"time"

	"github.com/wyemq/wye/core/engine"
)

// waiting is a record that is not readable yet.
type waiting struct {
	until time.Time
	seq   engine.Seq
}

// laterHeap orders records by the time they become readable, then by age. Settled ones stay until then.
type laterHeap []waiting

func (h *laterHeap) push(w waiting) { heap.Push(h, w) }

func (h *laterHeap) pop() waiting {
	w, _ := heap.Pop(h).(waiting)
	return w
}

// Len implements heap.Interface.
func (h *laterHeap) Len() int { return len(*h) }

// Less implements heap.Interface.
func (h *laterHeap) Less(i, j int) bool {
	a, b := (*h)[i], (*h)[j]
	if !a.until.Equal(b.until) {
		return a.until.Before(b.until)
	}
	return a.seq < b.seq
}

// Swap implements heap.Interface.
func (h *laterHeap) Swap(i, j int) { (*h)[i], (*h)[j] = (*h)[j], (*h)[i] }

// Push implements heap.Interface.
func (h *laterHeap) Push(x any) {
	w, _ := x.(waiting)
	*h = append(*h, w)
}

// Pop implements heap.Interface.
func (h *laterHeap) Pop() any {
	n := len(*h) - 1
	w := (*h)[n]
	*h = (*h)[:n]
	if n == 0 {
		*h = nil
	}
	return w
}
