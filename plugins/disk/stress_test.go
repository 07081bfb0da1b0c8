package disk_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/plugins/disk"
)

// TestStress does everything at once, to logs that share bodies, with records that wait for a moment. In the end the
// store must agree with itself.
func TestStress(t *testing.T) {
	e := open(t, t.TempDir())
	defer func() { shut(t, e) }()
	disk.TrimOften(e)
	ids := []engine.LogID{"a", "b", "c"}
	stop := make(chan struct{})
	var producers, wg sync.WaitGroup
	for p := range 3 {
		producers.Go(func() { produce(e, ids, p) })
	}
	for i, id := range ids {
		wg.Go(func() { own(t, e, id, uint64(i), stop) })
	}
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = e.Logs(context.Background(), "", func(engine.LogID, engine.Stats) bool { return true })
				e.Usage()
			}
		}
	})
	producers.Wait()
	close(stop)
	wg.Wait()
	for _, id := range ids {
		agree(t, e, id)
		if err := e.Drop(t.Context(), id); err != nil {
			t.Errorf("Drop: %v", err)
		}
	}
	if n, err := disk.Bodies(e); n != 0 || err != nil {
		t.Errorf("%d bodies are left: %v", n, err)
	}
}

func produce(e *disk.Engine, ids []engine.LogID, p int) {
	rnd := rand.New(rand.NewPCG(uint64(p), 7))
	window := make(chan struct{}, 50)
	for range 2000 {
		window <- struct{}{}
		m := message(make([]byte, rnd.IntN(800)))
		m.Priority = uint8(rnd.IntN(3) * 4)
		if rnd.IntN(4) == 0 {
			m.Visible = time.Now().Add(time.Duration(rnd.IntN(20)) * time.Millisecond)
		}
		op := engine.Op{Kind: engine.Append, Logs: ids[rnd.IntN(3):], Msg: m}
		e.Commit(&engine.Batch{Ops: []engine.Op{op}, Relaxed: rnd.IntN(2) == 0}, func(error) { <-window })
	}
	for range cap(window) {
		window <- struct{}{}
	}
}

// own reads, settles, counts, purges, browses, releases and drops a log.
func own(t *testing.T, e *disk.Engine, id engine.LogID, seed uint64, stop <-chan struct{}) {
	rnd := rand.New(rand.NewPCG(seed, 8))
	var l engine.Log
	var held []engine.Seq
	for {
		select {
		case <-stop:
			if l != nil {
				_ = l.Release(context.Background(), held...)
			}
			return
		default:
		}
		if l == nil {
			var err error
			held = nil
			if l, err = e.Open(context.Background(), id, engine.LogOptions{Lanes: rnd.IntN(2) == 0, Ready: func() {}}); err != nil {
				t.Errorf("Open: %v", err)
				return
			}
		}
		var err error
		switch n := rnd.IntN(100); {
		case n < 60:
			var recs []engine.Record
			recs, err = l.Next(1+rnd.IntN(40), 1<<20)
			var seqs []engine.Seq
			for _, r := range recs {
				if r.Msg.Visible.After(time.Now()) {
					t.Errorf("record %d is early", r.Seq)
				}
				if held = append(held, r.Seq); rnd.IntN(3) > 0 {
					seqs = append(seqs, r.Seq)
				}
			}
			kind := engine.Settle
			if rnd.IntN(5) == 0 {
				kind = engine.Failed
			}
			e.Commit(&engine.Batch{Ops: []engine.Op{{Kind: kind, Log: l, Seqs: seqs}}, Relaxed: true}, nil)
		case n < 90:
			var seqs []engine.Seq
			err = l.Browse(context.Background(), engine.Seq(rnd.IntN(200)), func(r engine.Record) bool {
				if rnd.IntN(3) == 0 {
					seqs = append(seqs, r.Seq)
				}
				return len(seqs) < 30
			})
			e.Commit(&engine.Batch{Ops: []engine.Op{{Kind: engine.Settle, Log: l, Seqs: seqs}}}, nil)
		case n < 93:
			_, _, err = l.Purge(context.Background(), held[:min(len(held), 20)]...)
		case n < 97:
			err = l.Release(context.Background(), held...)
			l = nil
		default:
			err = e.Drop(context.Background(), id)
			l = nil
		}
		if err != nil {
			t.Errorf("%s: %v", id, err)
			return
		}
	}
}

// agree wants counts and contents of a log to be the same, now and for the next owner.
func agree(t *testing.T, e *disk.Engine, id engine.LogID) {
	t.Helper()
	for range 2 {
		ready := make(chan struct{}, 1)
		l, err := e.Open(t.Context(), id, engine.LogOptions{Lanes: true, Ready: func() {
			select {
			case ready <- struct{}{}:
			default:
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		var depth, bytes uint64
		first := engine.Seq(0)
		err = l.Browse(t.Context(), 0, func(r engine.Record) bool {
			if depth++; first == 0 {
				first = r.Seq
			}
			bytes += uint64(len(r.Msg.Body))
			return true
		})
		s := l.Stats()
		if err != nil || s.Depth != depth || s.Bytes != bytes || depth > 0 && s.FirstSeq != first {
			t.Errorf("%s: Browse shows %d records, %d bytes from %d on, Stats say %+v: %v", id, depth, bytes, first, s, err)
		}
		for read := uint64(0); read < depth; {
			recs, err := l.Next(100, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if read += uint64(len(recs)); len(recs) > 0 {
				continue
			}
			select {
			case <-ready: // some wait for a moment
			case <-time.After(patience):
				t.Fatalf("%s: Next gives %d records of %d", id, read, depth)
			}
		}
		if recs, err := l.Next(1, 1); err != nil || len(recs) > 0 {
			t.Errorf("%s: Next gives more than Browse: %v", id, err)
		}
		if err := l.Release(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
