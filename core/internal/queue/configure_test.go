package queue_test

import (
	"testing"
	"time"

	"github.com/wyemq/wye/core/internal/queue"
)

// TestConfigure makes what waits obey another configuration at once: what is ready, handed out, and in the log only.
func TestConfigure(t *testing.T) {
	inBubble(t, queue.Config{}, queue.Hooks{}, func(b *bench) {
		b.publish(messages("a b c d e")...)
		w := b.attach(queue.ConsumerOptions{Credit: 1})
		ds := w.wants("a")
		b.q.Configure(queue.Config{MaxLength: 3, Overflow: queue.OverflowDropHead})
		b.stats(2, 1, 3)
		if b.dropped["max_length"] != 2 {
			b.Errorf("dropped %v", b.dropped)
		}
		b.q.Configure(queue.Config{MaxLength: 3})
		if err := b.tryPublish(messages("f")...); err == nil {
			b.Error("a queue that is full now takes more")
		}
		b.q.Configure(queue.Config{MaxDeliveries: 1})
		w.settle(queue.Requeue, ds...)
		w.wants("d")
		b.stats(1, 1, 2)
	})
}

// TestConfigureTTL ends what has waited too long by now, and what will have, and forgets a TTL that is none any more.
func TestConfigureTTL(t *testing.T) {
	for name, attached := range map[string]bool{"in the log": false, "ready": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, queue.Config{}, queue.Hooks{}, func(b *bench) {
				if attached {
					b.publish(messages("z")...)
					b.attach(queue.ConsumerOptions{Credit: 1}).wants("z")
				}
				held := 0
				if attached {
					held = 1
				}
				b.publish(messages("a b")...)
				time.Sleep(time.Minute)
				b.publish(messages("c")...)
				b.q.Configure(queue.Config{TTL: time.Hour})
				time.Sleep(time.Second)
				b.stats(3, held, int64(3+held))
				b.q.Configure(queue.Config{TTL: 30 * time.Second})
				time.Sleep(2 * time.Second)
				b.stats(1, held, int64(1+held))
				b.q.Configure(queue.Config{})
				time.Sleep(time.Hour)
				b.stats(1, held, int64(1+held))
			})
		})
	}
}

// TestConfigureIdle lets a queue go that is to go now, and keeps one that is not.
func TestConfigureIdle(t *testing.T) {
	inBubble(t, queue.Config{ExpiresIdle: time.Minute}, queue.Hooks{}, func(b *bench) {
		time.Sleep(30 * time.Second)
		b.q.Configure(queue.Config{})
		time.Sleep(time.Hour)
		if n := b.idled(); n != 0 {
			b.Errorf("told %d times", n)
		}
		b.q.Configure(queue.Config{ExpiresIdle: time.Minute})
		time.Sleep(2 * time.Minute)
		if n := b.idled(); n != 1 {
			b.Errorf("told %d times", n)
		}
	})
}
