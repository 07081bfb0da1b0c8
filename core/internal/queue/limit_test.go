package queue_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/internal/queue"
)

func TestOverflowReject(t *testing.T) {
	for name, c := range map[string]struct {
		cfg queue.Config
		out string
	}{
		"length":        {queue.Config{MaxLength: 3}, "a"},
		"bytes":         {queue.Config{MaxBytes: 6, Overflow: queue.OverflowReject}, "aa"},
		"large message": {queue.Config{MaxBytes: 8}, "aaa"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, c.cfg, queue.Hooks{}, func(b *bench) {
				b.send("bb bb bb")
				if err := b.tryPublish(messages(c.out)...); !errors.Is(err, engine.ErrFull) {
					b.Errorf("at the limit: %v", err)
				}
				w := b.attach(queue.ConsumerOptions{})
				ds := w.wants("bb bb bb")
				if err := b.tryPublish(messages(c.out)...); !errors.Is(err, engine.ErrFull) {
					b.Errorf("what is handed out counts: %v", err)
				}
				w.settle(queue.Accepted, ds...)
				b.send(c.out)
				b.stats(0, 1, int64(len(c.out)))
			})
		})
	}
}

func TestUnreserve(t *testing.T) {
	inBubble(t, queue.Config{MaxLength: 1}, queue.Hooks{}, func(b *bench) {
		b.eng.breaks(true)
		for range 3 {
			if err := b.tryPublish(messages("a")...); !errors.Is(err, engine.ErrUnavailable) {
				b.Errorf("publish: %v", err)
			}
		}
		b.eng.breaks(false)
		b.stats(0, 0, 0)
		b.send("a")
	})
}

func TestOverflowDropHead(t *testing.T) {
	inBubble(t, queue.Config{MaxLength: 3, Overflow: queue.OverflowDropHead}, queue.Hooks{}, func(b *bench) {
		b.send("a b c d e")
		b.stats(3, 0, 3)
		w := b.attach(queue.ConsumerOptions{Credit: 2})
		ds := w.wants("c d")
		b.send("f g h") // what is handed out does not leave
		b.stats(1, 2, 3)
		w.settle(queue.Accepted, ds[0])
		w.wants("h")
		if b.dropped["max_length"] != 5 {
			b.Errorf("dropped %v, want 5", b.dropped)
		}
		if n := b.depth(logID); n != 2 {
			b.Errorf("%d records in the log", n)
		}
	})
}

func TestOverflowBytesAndPriority(t *testing.T) {
	inBubble(t, queue.Config{MaxBytes: 6, Overflow: queue.OverflowDropHead}, queue.Hooks{}, func(b *bench) {
		b.send("aa!9 bb cc!1 dd!1")
		b.attach(queue.ConsumerOptions{}).wants("aa bb dd")
	})
}

func TestOverflowDeadLetter(t *testing.T) {
	var dead []string
	cfg := queue.Config{MaxLength: 2, Overflow: queue.OverflowDeadLetter}
	inBubble(t, cfg, deadLetters(&dead), func(b *bench) {
		b.send("a b c d")
		b.attach(queue.ConsumerOptions{}).wants("c d")
		if got := fmt.Sprint(dead); got != "[a 0 max_length b 0 max_length]" || b.depth("q/dlq") != 2 {
			b.Errorf("dead letters %s, %d stored", got, b.depth("q/dlq"))
		}
	})
}

// What could not be settled leaves later, and nothing else leaves for it.
func TestOverflowWhileEngineFails(t *testing.T) {
	inBubble(t, queue.Config{MaxLength: 1, Overflow: queue.OverflowDropHead}, queue.Hooks{}, func(b *bench) {
		b.send("a")
		if err := b.q.Reserve(1, 4); err != nil {
			b.Fatal(err)
		}
		b.eng.breaks(true)
		b.eng.Engine.Commit(&engine.Batch{Ops: []engine.Op{{
			Kind: engine.Append, Logs: []engine.LogID{logID}, Msg: messages("b")[0],
		}}}, nil)
		time.Sleep(5 * time.Second)
		if n := b.depth(logID); n != 2 {
			b.Errorf("%d in the log", n)
		}
		b.eng.breaks(false)
		time.Sleep(time.Second)
		b.stats(1, 0, 1)
		b.attach(queue.ConsumerOptions{}).wants("b")
	})
}
