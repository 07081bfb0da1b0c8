package enginetest

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/wyemq/wye/core/engine"
)

func commitChecks() []Check {
	return []Check{
		{"Commit/DoneOnceAndNotInside", doneOnce},
		{"Commit/DoneInOrder", doneInOrder},
		{"Commit/DoneMayBeNil", doneNil},
		{"Commit/VisibleBeforeDone", visibleBeforeDone},
		{"Commit/FIFOPerProducer", fifo},
		{"Commit/AllOrNothing", allOrNothing},
		{"Commit/Scope", scope},
		{"Close/CarriesOut", closeCarriesOut},
		{"Close/Refuses", closeRefuses},
	}
}

func doneOnce(t testing.TB, e engine.Engine) {
	var mu sync.Mutex // held during Commit: a done from inside would block
	calls := make(chan struct{}, 100)
	for range 10 {
		mu.Lock()
		e.Commit(&engine.Batch{Ops: appends("q", "m")}, func(error) {
			mu.Lock()
			defer mu.Unlock()
			calls <- struct{}{}
		})
		mu.Unlock()
	}
	for range 10 {
		wait(t, "done", calls)
	}
	mustCommit(t, e) // whatever is called twice was called by now
	if len(calls) > 0 {
		t.Errorf("done was called %d times too often", len(calls))
	}
}

func doneInOrder(t testing.TB, e engine.Engine) {
	const n = 200
	got := make(chan int, n)
	for i := range n {
		ops := appends("q", "m")
		switch i % 4 {
		case 1:
			ops = []engine.Op{{Kind: engine.Put, Bucket: "b", Key: "k", Value: []byte("v")}}
		case 2: // fails
			ops = []engine.Op{{Kind: engine.Put, Bucket: "b", Key: "none", Rev: 77}}
		case 3:
			ops = nil
		}
		e.Commit(&engine.Batch{Ops: ops, Relaxed: i%3 == 0}, func(error) { got <- i })
	}
	mustCommit(t, e)
	for i := range n {
		if g := <-got; g != i {
			t.Fatalf("done of batch %d was called as number %d", g, i)
		}
	}
}

func doneNil(t testing.TB, e engine.Engine) {
	e.Commit(&engine.Batch{Ops: appends("q", "a")}, nil)
	mustCommit(t, e)
	l, _ := open(t, e, "q", engine.LogOptions{})
	expect(t, "after a batch without done", next(t, l, 10), "a")
}

func visibleBeforeDone(t testing.TB, e engine.Engine) {
	l, ready := open(t, e, "q", engine.LogOptions{})
	for i := range 100 {
		key := strconv.Itoa(i)
		mustCommit(t, e, append(appends("q", key),
			engine.Op{Kind: engine.Put, Bucket: "b", Key: key, Value: []byte(key)},
			engine.Op{Kind: engine.Retain, Topic: "t/" + key, Msg: message(key)})...)
		expect(t, "Next after done", next(t, l, 10), key)
		if v, _, _ := e.State().Get("b", key); string(v) != key {
			t.Fatalf("Get after done: %q, want %q", v, key)
		}
		if got := match(t, e, "t/"+key); got != key {
			t.Fatalf("Match after done: %q, want %q", got, key)
		}
		wait(t, "Ready", ready)
	}
}

func fifo(t testing.TB, e engine.Engine) {
	const producers, each = 4, 200
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				m := message(fmt.Sprintf("%d-%d", p, i))
				e.Commit(&engine.Batch{
					Ops: []engine.Op{{Kind: engine.Append, Logs: []engine.LogID{"a", "b"}, Msg: m}}, Relaxed: i%2 == 0,
				}, nil)
			}
			mustCommit(t, e)
		})
	}
	wg.Wait()
	for _, id := range []engine.LogID{"a", "b"} {
		l, _ := open(t, e, id, engine.LogOptions{})
		var seen [producers]int
		var last engine.Seq
		for _, r := range next(t, l, producers*each+1) {
			var p, i int
			if _, err := fmt.Sscanf(string(r.Msg.Body), "%d-%d", &p, &i); err != nil || i != seen[p] {
				t.Fatalf("log %s: got %s, want number %d of its producer", id, r.Msg.Body, seen[p])
			}
			if seen[p]++; r.Seq <= last {
				t.Fatalf("Seq %d after %d", r.Seq, last)
			}
			last = r.Seq
		}
		if seen != [producers]int{each, each, each, each} {
			t.Errorf("log %s: got %v of each producer", id, seen)
		}
	}
}

func allOrNothing(t testing.TB, e engine.Engine) {
	l, _ := open(t, e, "q", engine.LogOptions{})
	other, _ := open(t, e, "other", engine.LogOptions{})
	mustCommit(t, e, appends("q", "a b")...)
	recs := next(t, l, 10)
	release(t, other)
	for what, bad := range map[string]struct {
		op   engine.Op
		want error
	}{
		"a conflict":         {engine.Op{Kind: engine.Put, Bucket: "b", Key: "none", Rev: 5, Value: []byte("x")}, engine.ErrConflict},
		"a foreign log":      {settle(other, 1), engine.ErrNotOwner},
		"a count in that":    {engine.Op{Kind: engine.Failed, Log: other, Seqs: []engine.Seq{1}}, engine.ErrNotOwner},
		"a delete conflict":  {engine.Op{Kind: engine.Delete, Bucket: "b", Key: "none", Rev: 5}, engine.ErrConflict},
		"a key that must be": {engine.Op{Kind: engine.Put, Bucket: "b", Key: "there", Rev: engine.Absent}, engine.ErrConflict},
	} {
		mustCommit(t, e, engine.Op{Kind: engine.Put, Bucket: "b", Key: "there", Value: []byte("old")})
		ops := append(appends("q", "c"), settle(l, recs[0].Seq),
			engine.Op{Kind: engine.Failed, Log: l, Seqs: []engine.Seq{recs[1].Seq}},
			engine.Op{Kind: engine.Put, Bucket: "b", Key: "k", Value: []byte("v")},
			engine.Op{Kind: engine.Delete, Bucket: "b", Key: "there"},
			engine.Op{Kind: engine.Retain, Topic: "t", Msg: message("r")}, bad.op)
		isErr(t, "batch with "+what, commit(t, e, ops...), bad.want)
		if got := words(browse(t, l, 0)); got != "a b" {
			t.Errorf("after a batch with %s the log holds %q", what, got)
		}
		if _, _, ok := e.State().Get("b", "k"); ok {
			t.Errorf("after a batch with %s its key is there", what)
		}
		if _, _, ok := e.State().Get("b", "there"); !ok {
			t.Errorf("after a batch with %s a key has gone", what)
		}
		if got := match(t, e, "#"); got != "" {
			t.Errorf("after a batch with %s there is retained %q", what, got)
		}
	}
}

func scope(t testing.TB, e engine.Engine) {
	most := e.Caps().AtomicOps
	if most <= 0 || e.Caps().MaxBody <= 0 {
		t.Fatalf("Caps: %+v", e.Caps())
	}
	ops := make([]engine.Op, most+1)
	for i := range ops {
		ops[i] = engine.Op{Kind: engine.Delete, Bucket: "b", Key: "k"}
	}
	isErr(t, "too many ops", commit(t, e, ops...), engine.ErrScope)
	if e.Caps().AtomicLogs && !e.SameScope("a", "b", "c") {
		t.Error("SameScope is false with AtomicLogs")
	}
}

func closeCarriesOut(t testing.TB, e engine.Engine) {
	const n = 100
	done := make(chan error, n)
	for range n {
		e.Commit(&engine.Batch{Ops: appends("q", "m")}, func(err error) { done <- err })
	}
	if err := e.Close(context.Background()); err != nil {
		t.Errorf("Close: %v", err)
	}
	if len(done) != n {
		t.Errorf("%d of %d dones were called when Close had returned", len(done), n)
	}
	for range len(done) {
		if err := <-done; err != nil {
			t.Errorf("batch before Close: %v", err)
		}
	}
}

func closeRefuses(t testing.TB, e engine.Engine) {
	l, _ := open(t, e, "q", engine.LogOptions{})
	if err := e.Close(context.Background()); err != nil {
		t.Errorf("Close: %v", err)
	}
	wait(t, "Lost", l.Lost())
	isErr(t, "Commit after Close", commit(t, e, appends("q", "m")...), engine.ErrUnavailable)
	_, err := e.Open(context.Background(), "q", engine.LogOptions{})
	isErr(t, "Open after Close", err, engine.ErrUnavailable)
	isErr(t, "Drop after Close", e.Drop(context.Background(), "q"), engine.ErrUnavailable)
	all := func(engine.LogID, engine.Stats) bool { return true }
	isErr(t, "Logs after Close", e.Logs(context.Background(), "", all), engine.ErrUnavailable)
}
