package memory_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/engine/memory"
)

// Memory is given back after a drain, also behind a record that is stuck.
func TestMemoryIsGivenBack(t *testing.T) {
	e := memory.New()
	l, err := e.Open(t.Context(), "q", engine.LogOptions{Lanes: true})
	if err != nil {
		t.Fatal(err)
	}
	const n = 200_000
	heap := func() uint64 {
		runtime.GC()
		runtime.GC() // sync.Pool keeps things for two
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	wait := func(b *engine.Batch) {
		done := make(chan error)
		e.Commit(b, func(err error) { done <- err })
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	before := heap()
	b := &engine.Batch{}
	for i := range n {
		m := &engine.Message{Body: fmt.Append(nil, i)}
		b.Ops = append(b.Ops, engine.Op{Kind: engine.Append, Logs: []engine.LogID{"q"}, Msg: m})
	}
	wait(b)
	b = &engine.Batch{}
	full := heap()
	for {
		recs, err := l.Next(1000, 1<<30)
		if err != nil || len(recs) == 0 {
			break
		}
		op := engine.Op{Kind: engine.Settle, Log: l}
		for _, r := range recs {
			if r.Seq > 1 { // the first one is stuck
				op.Seqs = append(op.Seqs, r.Seq)
			}
		}
		wait(&engine.Batch{Ops: []engine.Op{op}})
	}
	if s := l.Stats(); s.Depth != 1 || s.FirstSeq != 1 {
		t.Fatalf("Stats: %+v", s)
	}
	after := heap()
	if grown, held := int64(after)-int64(before), int64(full)-int64(before); grown > 200_000 || held < 10*n {
		t.Errorf("%d bytes more than before; full it was %d", grown, held)
	}
	if err := e.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
