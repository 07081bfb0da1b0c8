package queue_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/internal/queue"
)

// deadLetters appends to q/dlq, and notes what and why.
func deadLetters(log *[]string) queue.Hooks {
	return queue.Hooks{Dead: func(r engine.Record, attempts int, reason string) []engine.Op {
		*log = append(*log, fmt.Sprintf("%s %d %s", r.Msg.Body, attempts, reason))
		return []engine.Op{{Kind: engine.Append, Logs: []engine.LogID{"q/dlq"}, Msg: r.Msg}}
	}}
}

func (b *bench) depth(id engine.LogID) (n uint64) {
	b.Helper()
	synctest.Wait()
	err := b.eng.Logs(b.Context(), string(id), func(_ engine.LogID, s engine.Stats) bool {
		n += s.Depth
		return true
	})
	if err != nil {
		b.Error(err)
	}
	return n
}

func TestRequeueUntilDead(t *testing.T) {
	var dead []string
	inBubble(t, queue.Config{MaxDeliveries: 3}, deadLetters(&dead), func(b *bench) {
		w := b.attach(queue.ConsumerOptions{Credit: 1})
		b.send("a b")
		w.settle(queue.Requeue, w.wants("a")...)
		w.settle(queue.Requeue, w.wants("a*:2")...)
		w.settle(queue.Requeue, w.wants("a*:3")...)
		w.wants("b")
		if got := fmt.Sprint(dead); got != "[a 3 max_deliveries]" || b.depth("q/dlq") != 1 || b.depth(logID) != 1 {
			b.Errorf("dead letters %s, %d in their queue, %d in this", got, b.depth("q/dlq"), b.depth(logID))
		}
		b.stats(0, 1, 1)
	})
}

func TestDefaultAndNoLimitOfDeliveries(t *testing.T) {
	for limit, want := range map[int]int{0: 10, -1: 50} {
		inBubble(t, queue.Config{MaxDeliveries: limit}, queue.Hooks{}, func(b *bench) {
			w := b.attach(queue.ConsumerOptions{})
			b.send("a")
			n := 0
			for ds := w.take(); len(ds) > 0 && n < 50; ds = w.take() {
				n++
				w.settle(queue.Requeue, ds...)
			}
			if n != want {
				b.Errorf("limit %d: %d deliveries, want %d", limit, n, want)
			}
		})
	}
}

func TestFailedAttemptsSurviveRelease(t *testing.T) {
	inBubble(t, queue.Config{}, queue.Hooks{}, func(b *bench) {
		w := b.attach(queue.ConsumerOptions{Credit: 3})
		b.send("a b c d e")
		ds := w.wants("a b c")
		w.settle(queue.Requeue, ds[1])
		ds = append(ds, w.wants("b*:2")...)
		w.settle(queue.Requeue, ds[3])
		w.wants("b*:3")
		w.c.Detach()
		if err := b.q.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
		if _, err := b.tryAttach(queue.ConsumerOptions{}); !errors.Is(err, queue.ErrClosed) {
			b.Errorf("Attach after Close: %v", err)
		}
		b.open(queue.Config{}, queue.Hooks{})
		b.stats(5, 0, 5)
		b.attach(queue.ConsumerOptions{}).wants("a* b*:3 c* d e") // d and e were read ahead only
	})
}

func TestBackoff(t *testing.T) {
	cfg := queue.Config{Backoff: time.Second, MaxBackoff: 3 * time.Second}
	inBubble(t, cfg, queue.Hooks{}, func(b *bench) {
		w := b.attach(queue.ConsumerOptions{Credit: 1})
		b.send("a b")
		ds := w.wants("a")
		for n, wait := range []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 3 * time.Second} {
			w.settle(queue.Requeue, ds...)
			if n == 0 {
				w.settle(queue.Accepted, w.wants("b")...) // nobody waits for a
			}
			b.stats(1, 0, 1)
			time.Sleep(wait - time.Millisecond)
			w.wants("")
			time.Sleep(time.Millisecond)
			ds = w.wants(fmt.Sprintf("a*:%d", n+2))
		}
	})
}

func TestRejected(t *testing.T) {
	var dead []string
	inBubble(t, queue.Config{}, deadLetters(&dead), func(b *bench) {
		w := b.attach(queue.ConsumerOptions{})
		b.send("a b c")
		ds := w.wants("a b c")
		w.settle(queue.Rejected, ds[0], ds[2])
		if got := fmt.Sprint(dead); got != "[a 0 rejected c 0 rejected]" {
			b.Errorf("dead letters %s", got)
		}
		b.stats(0, 1, 1)
		if len(b.dropped) > 0 {
			b.Errorf("dropped %v", b.dropped)
		}
	})
}

func TestRejectedWithoutDeadLetters(t *testing.T) {
	inBubble(t, queue.Config{}, queue.Hooks{}, func(b *bench) {
		w := b.attach(queue.ConsumerOptions{})
		b.send("a")
		w.settle(queue.Rejected, w.wants("a")...)
		b.stats(0, 0, 0)
		if b.dropped["rejected"] != 1 {
			b.Errorf("dropped %v", b.dropped)
		}
	})
}

func TestReleased(t *testing.T) {
	inBubble(t, queue.Config{MaxDeliveries: 2}, queue.Hooks{}, func(b *bench) {
		w := b.attach(queue.ConsumerOptions{Credit: 1})
		b.send("a b")
		ds := w.wants("a")
		for range 5 {
			w.settle(queue.Released, ds...)
			ds = w.wants("a*")
		}
	})
}

func TestSettleAllOrNone(t *testing.T) {
	inBubble(t, queue.Config{}, queue.Hooks{}, func(b *bench) {
		w, other := b.attach(queue.ConsumerOptions{Credit: 2}), b.attach(queue.ConsumerOptions{Credit: 2})
		b.send("a b c d")
		mine, theirs := w.wants("a c"), other.wants("b d")
		for what, ds := range map[string][]queue.Delivery{
			"another's": {mine[0], theirs[0]}, "nobody's": {mine[0], {Record: engine.Record{Seq: 99}}},
		} {
			if err := w.trySettle(queue.Accepted, ds...); !errors.Is(err, queue.ErrUnknown) {
				b.Errorf("%s record: %v", what, err)
			}
		}
		b.stats(0, 4, 4)
		w.settle(queue.Accepted, mine[0], mine[1], mine[0])
		b.stats(0, 2, 2)
		if err := w.trySettle(queue.Accepted, mine[0]); !errors.Is(err, queue.ErrUnknown) {
			b.Errorf("settled twice: %v", err)
		}
		x, err := other.c.Settle(queue.Accepted, theirs[0].Record.Seq)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := other.c.Settle(queue.Requeue, theirs[0].Record.Seq); !errors.Is(err, queue.ErrUnknown) {
			b.Errorf("settled while it is being settled: %v", err)
		}
		x.Done(engine.ErrUnavailable)
		other.settle(queue.Accepted, theirs...)
		b.stats(0, 0, 0)
	})
}

func TestFailedCommitKeepsRecords(t *testing.T) {
	for _, o := range []queue.Outcome{queue.Accepted, queue.Requeue, queue.Rejected, queue.Released} {
		inBubble(t, queue.Config{}, queue.Hooks{}, func(b *bench) {
			w := b.attach(queue.ConsumerOptions{Credit: 2})
			b.send("a b c")
			ds := w.wants("a b")
			b.eng.breaks(true)
			if err := w.trySettle(o, ds...); !errors.Is(err, engine.ErrUnavailable) {
				b.Errorf("settle: %v", err)
			}
			b.eng.breaks(false)
			w.wants("")
			b.stats(1, 2, 3)
			if len(b.dropped) > 0 {
				b.Errorf("dropped %v", b.dropped)
			}
			w.settle(queue.Accepted, ds...)
			w.wants("c")
		})
	}
}

func TestDetachWhileSettling(t *testing.T) {
	for _, failed := range []bool{false, true} {
		inBubble(t, queue.Config{}, queue.Hooks{}, func(b *bench) {
			w := b.attach(queue.ConsumerOptions{Credit: 3})
			b.send("a b c")
			ds := w.wants("a b c")
			x, err := w.c.Settle(queue.Accepted, ds[1].Record.Seq)
			if err != nil {
				b.Fatal(err)
			}
			w.c.Detach()
			b.stats(2, 1, 3)
			next := b.attach(queue.ConsumerOptions{Credit: 1})
			got := next.wants("a*")
			if failed {
				x.Done(engine.ErrUnavailable)
				b.stats(2, 1, 3)
				next.settle(queue.Accepted, got...)
				next.wants("b*")
				return
			}
			b.eng.Commit(&engine.Batch{Ops: x.Ops()}, x.Done)
			b.stats(1, 1, 2)
			next.settle(queue.Accepted, got...)
			next.wants("c*")
		})
	}
}
