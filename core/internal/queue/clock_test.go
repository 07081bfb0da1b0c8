package queue_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/internal/queue"
)

// expiring makes messages that expire after d.
func expiring(d time.Duration, words string) []*engine.Message {
	ms := messages(words)
	for _, m := range ms {
		m.Expires = time.Now().Add(d)
	}
	return ms
}

func TestExpiryWhileWaiting(t *testing.T) {
	inBubble(t, queue.Config{}, queue.Hooks{}, func(b *bench) {
		w := b.attach(queue.ConsumerOptions{Credit: 1})
		b.publish(messages("a")...)
		b.publish(expiring(time.Second, "b c")...)
		b.publish(expiring(time.Minute, "d")...)
		ds := w.wants("a")
		time.Sleep(time.Second)
		b.stats(1, 1, 2)
		if b.dropped["expired"] != 2 || b.depth(logID) != 2 {
			b.Errorf("dropped %v, %d in the log", b.dropped, b.depth(logID))
		}
		w.settle(queue.Accepted, ds...)
		w.wants("d")
		time.Sleep(time.Hour) // what is handed out does not expire
		b.stats(0, 1, 1)
	})
}

func TestExpiryAtDelivery(t *testing.T) {
	inBubble(t, queue.Config{}, queue.Hooks{}, func(b *bench) {
		b.publish(expiring(time.Millisecond, "a b")...)
		b.publish(expiring(time.Hour, "c")...)
		time.Sleep(2 * time.Millisecond)
		b.attach(queue.ConsumerOptions{}).wants("c")
		b.attach(queue.ConsumerOptions{Browse: true}).wants("c END")
		b.stats(0, 1, 1)
	})
}

// Without any consumer, nothing is read: the sweeper finds what has expired in the log.
func TestExpiryInTheLog(t *testing.T) {
	var dead []string
	inBubble(t, queue.Config{TTL: time.Minute, ExpiredToDLQ: true}, deadLetters(&dead), func(b *bench) {
		b.publish(messages("a b")...)
		b.publish(expiring(time.Second, "c")...)
		time.Sleep(3 * time.Second)
		b.stats(2, 0, 2)
		b.publish(expiring(2*time.Second, "d")...)
		time.Sleep(4 * time.Second)
		b.stats(2, 0, 2)
		b.publish(messages("e")...)
		time.Sleep(56 * time.Second)
		b.stats(1, 0, 1)
		time.Sleep(time.Minute)
		b.stats(0, 0, 0)
		if got := fmt.Sprint(dead); got != "[c 0 expired d 0 expired a 0 expired b 0 expired e 0 expired]" {
			b.Errorf("dead letters %s", got)
		}
		if n := b.depth("q/dlq"); n != 5 {
			b.Errorf("%d stored", n)
		}
		if len(b.dropped) > 0 {
			b.Errorf("dropped %v", b.dropped)
		}
	})
}

func TestExpiryBehindALargeBacklog(t *testing.T) {
	inBubble(t, queue.Config{}, queue.Hooks{}, func(b *bench) {
		w := b.attach(queue.ConsumerOptions{Credit: 1})
		var ms []*engine.Message
		for range 9000 {
			ms = append(ms, messages("m")...)
		}
		b.publish(append(ms, expiring(time.Second, "x y")...)...)
		w.take()
		time.Sleep(5 * time.Second)
		b.stats(8999, 1, 9000)
		b.q.Expire(time.Now().Add(time.Hour))
		b.stats(8999, 1, 9000)
		if b.dropped["expired"] != 2 {
			b.Errorf("dropped %v", b.dropped)
		}
	})
}

func TestExpire(t *testing.T) {
	inBubble(t, queue.Config{}, queue.Hooks{}, func(b *bench) {
		b.publish(expiring(time.Hour, "a")...)
		b.q.Expire(time.Now())
		b.stats(1, 0, 1)
		b.q.Expire(time.Now().Add(2 * time.Hour))
		b.stats(0, 0, 0)
	})
}

func TestExpiryWhileEngineFails(t *testing.T) {
	inBubble(t, queue.Config{}, queue.Hooks{}, func(b *bench) {
		w := b.attach(queue.ConsumerOptions{Credit: 1})
		b.send("a")
		b.publish(expiring(time.Second, "b")...)
		b.eng.breaks(true)
		time.Sleep(10 * time.Second)
		if n := b.depth(logID); n != 2 {
			b.Errorf("%d in the log", n)
		}
		b.eng.breaks(false)
		time.Sleep(2 * time.Second)
		b.stats(0, 1, 1)
		if b.dropped["expired"] != 1 {
			b.Errorf("dropped %v", b.dropped)
		}
		w.settle(queue.Accepted, w.wants("a")...)
	})
}

func TestIdle(t *testing.T) {
	inBubble(t, queue.Config{ExpiresIdle: time.Minute}, queue.Hooks{}, func(b *bench) {
		time.Sleep(50 * time.Second)
		w := b.attach(queue.ConsumerOptions{})
		time.Sleep(time.Hour)
		w.c.Detach()
		time.Sleep(50 * time.Second)
		b.send("a") // use
		time.Sleep(50 * time.Second)
		if b.idled() > 0 {
			b.Error("Idle was called while the queue was in use")
		}
		time.Sleep(10 * time.Second)
		time.Sleep(time.Hour)
		if b.idled() != 1 {
			b.Errorf("Idle was called %d times", b.idled())
		}
	})
}

func TestAutoDelete(t *testing.T) {
	inBubble(t, queue.Config{AutoDelete: true}, queue.Hooks{}, func(b *bench) {
		b.attach(queue.ConsumerOptions{Browse: true}).c.Detach()
		x, y := b.attach(queue.ConsumerOptions{}), b.attach(queue.ConsumerOptions{})
		x.c.Detach()
		if b.idled() != 0 {
			b.Error("Idle was called too early")
		}
		y.c.Detach()
		y.c.Detach()
		if b.idled() != 1 {
			b.Errorf("Idle was called %d times", b.idled())
		}
		if err := b.q.Delete(b.Context()); err != nil {
			b.Error(err)
		}
	})
}
