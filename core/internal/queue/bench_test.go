package queue_test

import (
	"fmt"
	"testing"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/engine/memory"
	"github.com/wyemq/wye/core/internal/queue"
)

// Messages share batches, as they do under load.
const (
	benchBatch = 64
	benchLag   = 1024 // messages that are under way
)

// BenchmarkQueue enqueues, delivers and acknowledges one message per iteration on the memory engine. The allocations
// include the engine.Message of the publisher.
func BenchmarkQueue(b *testing.B) {
	for _, consumers := range []int{1, 4} {
		for _, backlog := range []int{0, 100_000} {
			b.Run(fmt.Sprintf("consumers=%d/backlog=%d", consumers, backlog), func(b *testing.B) {
				benchmarkQueue(b, consumers, backlog)
			})
		}
	}
}

func benchmarkQueue(b *testing.B, consumers, backlog int) {
	eng := memory.New()
	q, err := queue.Open(b.Context(), eng, logID, queue.Config{}, queue.Hooks{})
	if err != nil {
		b.Fatal(err)
	}
	body := make([]byte, 16)
	enqueue := func(n int, done func(error)) {
		batch := &engine.Batch{Ops: make([]engine.Op, n)}
		logs := []engine.LogID{logID}
		for i := range n {
			if err := q.Reserve(len(body), engine.DefaultPriority); err != nil {
				b.Fatal(err)
			}
			batch.Ops[i] = engine.Op{
				Kind: engine.Append, Logs: logs, Msg: &engine.Message{Body: body, Priority: engine.DefaultPriority},
			}
		}
		eng.Commit(batch, done)
	}
	for range backlog / 100 {
		enqueue(100, nil)
	}
	type handed struct {
		c    *queue.Consumer
		seqs []engine.Seq
	}
	const credit = 1000
	got := make(chan handed, credit*consumers) // so Deliver never waits
	for range consumers {
		var c *queue.Consumer
		attached := make(chan struct{})
		c, err = q.Attach(queue.ConsumerOptions{Credit: credit, Deliver: func(ds []queue.Delivery) {
			<-attached
			seqs := make([]engine.Seq, len(ds))
			for i := range ds {
				seqs[i] = ds[i].Record.Seq
			}
			got <- handed{c, seqs}
		}})
		if err != nil {
			b.Fatal(err)
		}
		close(attached)
	}
	settled := 0
	settle := func() {
		h := <-got
		x, err := h.c.Settle(queue.Accepted, h.seqs...)
		if err != nil {
			b.Fatal(err)
		}
		eng.Commit(&engine.Batch{Ops: x.Ops(), Relaxed: true}, x.Done)
		settled += len(h.seqs)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += benchBatch {
		enqueue(min(benchBatch, b.N-n), nil)
		for settled < n-benchLag { // the backlog stays as it is
			settle()
		}
	}
	for settled < b.N {
		settle()
	}
	b.StopTimer()
	if err := q.Delete(b.Context()); err != nil {
		b.Error(err)
	}
	if err := eng.Close(b.Context()); err != nil {
		b.Error(err)
	}
}
