package queue_test

import (
	"errors"
	"testing"
	"time"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/internal/queue"
)

func TestPurge(t *testing.T) {
	inBubble(t, queue.Config{Backoff: time.Second}, queue.Hooks{}, func(b *bench) {
		w := b.attach(queue.ConsumerOptions{Credit: 3})
		b.send("a b c dd ee")
		ds := w.wants("a b c")
		w.settle(queue.Requeue, ds[0])
		ds = append(ds, w.wants("dd")...)
		n, err := b.q.Purge(b.Context()) // a waits for its back-off, ee for credit
		if n != 2 || err != nil {
			b.Errorf("Purge: %d, %v", n, err)
		}
		b.stats(0, 3, 4)
		w.settle(queue.Requeue, ds[1])
		time.Sleep(time.Minute)
		ds = append(ds, w.wants("b*:2")...)
		w.settle(queue.Accepted, ds[2:]...)
		b.stats(0, 0, 0)
		b.send("f")
		w.wants("f")
		if n := b.depth(logID); n != 1 {
			b.Errorf("%d in the log", n)
		}
	})
}

func TestDeleteAndClose(t *testing.T) {
	inBubble(t, queue.Config{}, queue.Hooks{}, func(b *bench) {
		w := b.attach(queue.ConsumerOptions{Credit: 1})
		b.send("a b")
		ds := w.wants("a")
		if b.q.ID() != logID {
			b.Errorf("ID %s", b.q.ID())
		}
		if err := b.q.Delete(b.Context()); err != nil {
			b.Error(err)
		}
		if n := b.depth(logID); n != 0 {
			b.Errorf("%d in the log", n)
		}
		for what, err := range map[string]error{
			"Reserve": b.q.Reserve(1, 4), "Settle": w.trySettle(queue.Accepted, ds...),
		} {
			if !errors.Is(err, queue.ErrClosed) {
				b.Errorf("%s after Delete: %v", what, err)
			}
		}
		if _, err := b.q.Purge(b.Context()); !errors.Is(err, queue.ErrClosed) {
			b.Errorf("Purge after Delete: %v", err)
		}
		b.q.Expire(time.Now())
		w.c.Detach()
		if err := b.q.Delete(b.Context()); err != nil {
			b.Error(err)
		}
	})
}

// A queue whose log was taken away hands out nothing more.
func TestLost(t *testing.T) {
	inBubble(t, queue.Config{}, queue.Hooks{}, func(b *bench) {
		w := b.attach(queue.ConsumerOptions{Credit: 1})
		b.send("a b")
		ds := w.wants("a")
		if err := b.eng.Drop(b.Context(), logID); err != nil {
			b.Fatal(err)
		}
		if err := w.trySettle(queue.Released, ds...); err != nil {
			b.Error(err)
		}
		if err := w.trySettle(queue.Accepted, ds...); !errors.Is(err, engine.ErrNotOwner) && !errors.Is(err, queue.ErrUnknown) {
			b.Errorf("settle in a lost log: %v", err)
		}
		w.wants("")
	})
}
