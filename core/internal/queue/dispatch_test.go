package queue_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/internal/queue"
)

func TestOrderAndCredit(t *testing.T) {
	inBubble(t, queue.Config{}, queue.Hooks{}, func(b *bench) {
		w := b.attach(queue.ConsumerOptions{Credit: 2})
		b.send("a b c d")
		ds := w.wants("a b")
		b.stats(2, 2, 4)
		w.settle(queue.Accepted, ds[1])
		w.wants("c")
		w.settle(queue.Accepted, ds[0])
		w.wants("d")
		b.stats(0, 2, 2)
	})
}

func TestCreditIsFreeWhenSettlementIsDone(t *testing.T) {
	inBubble(t, queue.Config{}, queue.Hooks{}, func(b *bench) {
		w := b.attach(queue.ConsumerOptions{Credit: 1})
		b.send("a b")
		ds := w.wants("a")
		x, err := w.c.Settle(queue.Accepted, ds[0].Record.Seq)
		if err != nil {
			b.Fatal(err)
		}
		w.wants("")
		b.eng.Commit(&engine.Batch{Ops: x.Ops()}, x.Done)
		w.wants("b")
	})
}

func TestConsumersTakeTurns(t *testing.T) {
	inBubble(t, queue.Config{}, queue.Hooks{}, func(b *bench) {
		x, y, z := b.attach(queue.ConsumerOptions{}), b.attach(queue.ConsumerOptions{}), b.attach(queue.ConsumerOptions{})
		b.send("a b c d")
		x.wants("a d")
		y.wants("b")
		z.wants("c")
		b.send("e") // x was served last
		y.wants("e")
		z.c.Detach()
		b.send("f g")
		x.wants("c* g")
		y.wants("f")
	})
}

func TestSlowConsumerDoesNotHoard(t *testing.T) {
	inBubble(t, queue.Config{}, queue.Hooks{}, func(b *bench) {
		slow, fast := b.attach(queue.ConsumerOptions{Credit: 1}), b.attach(queue.ConsumerOptions{Credit: 1})
		b.send(strings.Repeat("m ", 100))
		slow.take()
		for range 98 {
			ds := fast.take()
			if len(ds) != 1 {
				b.Fatalf("got %d", len(ds))
			}
			fast.settle(queue.Accepted, ds...)
		}
		b.stats(0, 2, 2)
	})
}

func TestConsumerPriority(t *testing.T) {
	inBubble(t, queue.Config{}, queue.Hooks{}, func(b *bench) {
		low := b.attach(queue.ConsumerOptions{Credit: 10})
		high := b.attach(queue.ConsumerOptions{Credit: 2, Priority: 5})
		b.send("a b c d")
		high.wants("a b")
		low.wants("c d")
	})
}

func TestExclusive(t *testing.T) {
	inBubble(t, queue.Config{}, queue.Hooks{}, func(b *bench) {
		plain := b.attach(queue.ConsumerOptions{})
		first := b.attach(queue.ConsumerOptions{Exclusive: true, Credit: 2})
		second := b.attach(queue.ConsumerOptions{Exclusive: true})
		b.send("a b c")
		first.wants("a b")
		second.wants("")
		first.c.Detach()
		second.wants("a* b* c")
		plain.wants("")
		urgent := b.attach(queue.ConsumerOptions{Exclusive: true, Priority: 1})
		b.send("d")
		urgent.wants("d")
		urgent.c.Detach()
		second.c.Detach()
		plain.wants("a* b* c* d*")
	})
}

func TestSole(t *testing.T) {
	inBubble(t, queue.Config{}, queue.Hooks{}, func(b *bench) {
		w := b.attach(queue.ConsumerOptions{Sole: true})
		if _, err := b.tryAttach(queue.ConsumerOptions{}); !errors.Is(err, queue.ErrInUse) {
			b.Errorf("beside a sole consumer: %v", err)
		}
		b.attach(queue.ConsumerOptions{Browse: true}).wants("END")
		w.c.Detach()
		b.attach(queue.ConsumerOptions{})
		if _, err := b.tryAttach(queue.ConsumerOptions{Sole: true}); !errors.Is(err, queue.ErrInUse) {
			b.Errorf("sole beside another: %v", err)
		}
	})
}

func TestDetach(t *testing.T) {
	inBubble(t, queue.Config{}, queue.Hooks{}, func(b *bench) {
		w := b.attach(queue.ConsumerOptions{Credit: 4})
		b.send("a b c d e")
		ds := w.wants("a b c d")
		w.settle(queue.Accepted, ds[1])
		w.wants("e")
		w.c.Detach()
		w.c.Detach()
		b.stats(4, 0, 4)
		b.send("f")
		if err := w.trySettle(queue.Accepted, ds[0]); !errors.Is(err, queue.ErrUnknown) {
			b.Errorf("settle after detach: %v", err)
		}
		b.attach(queue.ConsumerOptions{}).wants("a* c* d* e* f")
	})
}

func TestWindow(t *testing.T) {
	inBubble(t, queue.Config{}, queue.Hooks{}, func(b *bench) {
		window := queue.NewWindow(2)
		x, y := b.attach(queue.ConsumerOptions{Window: window}), b.attach(queue.ConsumerOptions{Window: window})
		other, err := queue.Open(b.Context(), b.eng, "q/other", queue.Config{}, queue.Hooks{})
		if err != nil {
			b.Fatal(err)
		}
		mine := b.q
		b.send("a b c")
		x.wants("a")
		ds := y.wants("b")

		b.q = other
		z := b.attach(queue.ConsumerOptions{Window: window})
		if err := other.Reserve(1, 4); err != nil {
			b.Fatal(err)
		}
		b.eng.Commit(&engine.Batch{Ops: []engine.Op{{
			Kind: engine.Append, Logs: []engine.LogID{"q/other"}, Msg: messages("z")[0],
		}}}, nil)
		z.wants("")
		b.q = mine
		y.settle(queue.Accepted, ds...)
		got := z.take()
		if n := len(x.take()) + len(y.take()) + len(got); n != 1 {
			b.Fatalf("%d deliveries for a place in the window", n)
		}
		x.c.Detach() // gives back what it holds
		y.c.Detach()
		if got = append(got, z.take()...); words(got) != "z" {
			b.Errorf("the other queue's consumer got %q", words(got))
		}
		if err := other.Close(b.Context()); err != nil {
			b.Error(err)
		}
	})
}

func matching(part string) func(*engine.Message) bool {
	return func(m *engine.Message) bool { return strings.Contains(string(m.Body), part) }
}

func TestSelectors(t *testing.T) {
	inBubble(t, queue.Config{}, queue.Hooks{}, func(b *bench) {
		x := b.attach(queue.ConsumerOptions{Match: matching("x"), Credit: 2})
		b.send("n1 n2 x1 n3 x2 x3")
		ds := x.wants("x1 x2")
		x.settle(queue.Requeue, ds[0])
		ds = append(x.wants("x1*:2"), ds[1])
		x.settle(queue.Accepted, ds...)
		x.wants("x3")
		n := b.attach(queue.ConsumerOptions{Match: matching("n")})
		n.wants("n1 n2 n3")
		n.c.Detach()
		b.attach(queue.ConsumerOptions{}).wants("n1* n2* n3*")
	})
}

// A consumer must look past a long run of records that it does not want, once.
func TestSelectorLooksFarAndOnce(t *testing.T) {
	inBubble(t, queue.Config{}, queue.Hooks{}, func(b *bench) {
		var ms []*engine.Message
		for i := range 20_000 {
			ms = append(ms, messages(fmt.Sprint(i))...)
		}
		b.publish(ms...)
		looked := 0
		x := b.attach(queue.ConsumerOptions{Match: func(m *engine.Message) bool {
			looked++
			return m.Body[0] == 'x'
		}})
		for range 100 {
			b.send("x")
			x.wants("x")
		}
		if looked > 21_000 {
			b.Errorf("looked at %d records", looked)
		}
	})
}

func TestPriorities(t *testing.T) {
	inBubble(t, queue.Config{}, queue.Hooks{}, func(b *bench) {
		b.send("a b c!9 d!0 e!5 f!9")
		w := b.attach(queue.ConsumerOptions{Credit: 2})
		ds := w.wants("c f")
		b.send("g!7 h!10")
		w.settle(queue.Accepted, ds[0])
		ds = append(ds, w.wants("h")...)
		w.settle(queue.Requeue, ds[1])
		ds = append(ds, w.wants("f*:2")...)
		w.settle(queue.Accepted, ds[2:]...)
		ds = w.wants("g e")
		w.settle(queue.Accepted, ds...)
		ds = w.wants("a b")
		w.settle(queue.Accepted, ds...)
		w.wants("d")
	})
}

// With more waiting than the window holds, an urgent message is next but for what was read already.
func TestPriorityPassesBacklog(t *testing.T) {
	inBubble(t, queue.Config{Priorities: true}, queue.Hooks{}, func(b *bench) {
		var ms []*engine.Message
		for range 10_000 {
			ms = append(ms, messages("m")...)
		}
		b.publish(ms...)
		w := b.attach(queue.ConsumerOptions{Credit: 1})
		last := w.wants("m")
		b.send("x!9")
		for n := 0; ; n++ {
			w.settle(queue.Accepted, last...)
			last = w.take()
			if words(last) == "x" {
				break
			}
			if n > 1 {
				b.Fatalf("%d others were first", n)
			}
		}
	})
}

func TestGroups(t *testing.T) {
	group := func(m *engine.Message) (string, bool) {
		key, rest, _ := strings.Cut(string(m.Body), "-")
		if rest == "" {
			return "", false
		}
		return key, rest == "end"
	}
	inBubble(t, queue.Config{}, queue.Hooks{Group: group}, func(b *bench) {
		x, y := b.attach(queue.ConsumerOptions{Credit: 3}), b.attach(queue.ConsumerOptions{Credit: 3})
		b.send("g-1 h-1 g-2 g-3 g-4 h-2")
		ds := x.wants("g-1 g-2 g-3")
		y.wants("h-1 h-2")
		b.send("n")
		y.wants("n")
		x.settle(queue.Accepted, ds[0])
		x.wants("g-4")
		x.settle(queue.Requeue, ds[1])
		x.wants("g-2*:2")
		y.take()
		x.c.Detach()
		y.wants("")
		z := b.attach(queue.ConsumerOptions{Credit: 10})
		z.wants("g-2*:2 g-3* g-4*")
		b.send("g-end")
		z.wants("g-end")
		b.send("i-1 g-5")
		z.wants("i-1 g-5")
	})
}

func TestManyGroupsStayWithTheirConsumers(t *testing.T) {
	group := func(m *engine.Message) (string, bool) { return string(m.Body), false }
	inBubble(t, queue.Config{}, queue.Hooks{Group: group}, func(b *bench) {
		ws := []*worker{
			b.attach(queue.ConsumerOptions{Credit: 1 << 20}), b.attach(queue.ConsumerOptions{Credit: 1 << 20}),
		}
		owner := make(map[string]int)
		for range 3 {
			var ms []*engine.Message
			for i := range 30_000 {
				ms = append(ms, messages(fmt.Sprint(i))...)
			}
			b.publish(ms...)
			for i, w := range ws {
				for _, d := range w.take() {
					key := string(d.Record.Msg.Body)
					if was, ok := owner[key]; ok && was != i {
						b.Fatalf("group %s went from %d to %d", key, was, i)
					}
					owner[key] = i
				}
			}
		}
		if len(owner) != 30_000 {
			b.Errorf("%d groups were served", len(owner))
		}
	})
}

func TestBrowse(t *testing.T) {
	inBubble(t, queue.Config{}, queue.Hooks{}, func(b *bench) {
		w := b.attach(queue.ConsumerOptions{Credit: 1})
		b.send("a b c x")
		w.wants("a")
		b.attach(queue.ConsumerOptions{Browse: true}).wants("a b c x END")
		b.attach(queue.ConsumerOptions{Browse: true, Match: matching("x")}).wants("x END")
		v := b.attach(queue.ConsumerOptions{Browse: true})
		b.send("later")
		v.wants("a b c x END")
		v.c.Detach()
		b.stats(4, 1, 9)
		w.wants("")
	})
}

func TestBrowseMany(t *testing.T) {
	inBubble(t, queue.Config{}, queue.Hooks{}, func(b *bench) {
		b.send(strings.Repeat("m ", 256*3))
		for range 2 {
			if got := len(b.attach(queue.ConsumerOptions{Browse: true}).take()); got != 256*3+1 {
				b.Errorf("%d deliveries", got)
			}
		}
	})
}

func TestDetachFromManyGoroutines(t *testing.T) {
	inBubble(t, queue.Config{}, queue.Hooks{}, func(b *bench) {
		for range 20 {
			b.send("a b c")
			w, err := b.tryAttach(queue.ConsumerOptions{})
			if err != nil {
				b.Fatal(err)
			}
			for range 3 {
				go w.c.Detach()
			}
			synctest.Wait()
			n := len(w.take())
			b.send("d")
			if m := len(w.take()); m > 0 {
				b.Fatalf("%d deliveries after Detach, %d before", m, n)
			}
		}
	})
}
