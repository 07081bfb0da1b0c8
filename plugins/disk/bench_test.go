package disk_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/plugins/disk"
)

// noise is a body that cannot be compressed.
func noise(n int) []byte {
	b := make([]byte, n)
	rnd := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range b {
		b[i] = byte(rnd.Uint64())
	}
	return b
}

func message(body []byte) *engine.Message {
	return &engine.Message{Dest: "queue/bench", Body: body, Priority: engine.DefaultPriority, Stored: time.Now()}
}

func appendTo(log engine.LogID, m *engine.Message) *engine.Batch {
	return &engine.Batch{Ops: []engine.Op{{Kind: engine.Append, Logs: []engine.LogID{log}, Msg: m}}}
}

// BenchmarkCommit: producers that wait for each confirmation.
func BenchmarkCommit(b *testing.B) {
	for _, size := range []int{16, 1024} {
		for _, producers := range []int{1, 16, 128} {
			b.Run(fmt.Sprintf("size=%d/producers=%d", size, producers), func(b *testing.B) {
				e := open(b, b.TempDir())
				defer shut(b, e)
				body := noise(size)
				b.ReportAllocs()
				b.ResetTimer()
				var wg sync.WaitGroup
				for p := range producers {
					wg.Go(func() {
						done := make(chan error, 1)
						id := engine.LogID(fmt.Sprintf("q/%d", p%4))
						for i := p; i < b.N; i += producers {
							e.Commit(appendTo(id, message(body)), func(err error) { done <- err })
							if err := <-done; err != nil {
								b.Error(err)
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
			})
		}
	}
}

// BenchmarkCommitRatio is one producer that waits for each confirmation, beside a bare loop of write and fdatasync; the
// two take turns, as disks are moody.
func BenchmarkCommitRatio(b *testing.B) {
	dir := b.TempDir()
	e := open(b, filepath.Join(dir, "store"))
	defer shut(b, e)
	f, err := os.Create(filepath.Join(dir, "bare"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	body := noise(1024)
	done := make(chan error, 1)
	var ours, bare time.Duration
	for b.Loop() {
		start := time.Now()
		for range 50 {
			if _, err := f.Write(body); err != nil {
				b.Fatal(err)
			}
			if err := f.Sync(); err != nil {
				b.Fatal(err)
			}
		}
		middle := time.Now()
		for range 50 {
			e.Commit(appendTo("q", message(body)), func(err error) { done <- err })
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		}
		bare += middle.Sub(start)
		ours += time.Since(middle)
	}
	b.ReportMetric(bare.Seconds()/ours.Seconds(), "ratio")
	b.ReportMetric(float64(b.N)*50/ours.Seconds(), "msg/s")
	b.ReportMetric(float64(b.N)*50/bare.Seconds(), "bare/s")
}

// BenchmarkFlow: durable messages through a log, read as they come and settled in batches.
func BenchmarkFlow(b *testing.B) {
	for _, size := range []int{16, 1024} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			e := open(b, b.TempDir())
			defer shut(b, e)
			ready := make(chan struct{}, 1)
			l, err := e.Open(b.Context(), "q", engine.LogOptions{Lanes: true, Ready: func() {
				select {
				case ready <- struct{}{}:
				default:
				}
			}})
			if err != nil {
				b.Fatal(err)
			}
			body := noise(size)
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			wg.Go(func() {
				window := make(chan struct{}, 2000)
				for range b.N {
					window <- struct{}{}
					e.Commit(appendTo("q", message(body)), func(error) { <-window })
				}
			})
			for got := 0; got < b.N; {
				recs, err := l.Next(256, 8<<20)
				if err != nil {
					b.Fatal(err)
				}
				if len(recs) == 0 {
					<-ready
					continue
				}
				got += len(recs)
				e.Commit(&engine.Batch{Relaxed: true, Ops: []engine.Op{settleAll(l, recs)}}, nil)
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}

func settleAll(l engine.Log, recs []engine.Record) engine.Op {
	seqs := make([]engine.Seq, len(recs))
	for i, r := range recs {
		seqs[i] = r.Seq
	}
	return engine.Op{Kind: engine.Settle, Log: l, Seqs: seqs}
}

// load appends n messages to logs, in batches.
func load(tb testing.TB, e *disk.Engine, n, size int, log func(i int) engine.LogID) {
	tb.Helper()
	body := noise(4 << 20)
	window := make(chan struct{}, 64)
	for i := 0; i < n; {
		batch := &engine.Batch{Relaxed: true}
		for ; i < n && len(batch.Ops) < 500; i++ {
			m := message(body[i*977%(4<<20-size):][:size])
			batch.Ops = append(batch.Ops, engine.Op{Kind: engine.Append, Logs: []engine.LogID{log(i)}, Msg: m})
		}
		window <- struct{}{}
		e.Commit(batch, func(err error) {
			if err != nil {
				tb.Error(err)
			}
			<-window
		})
	}
	for range cap(window) {
		window <- struct{}{}
	}
}

// BenchmarkDrain reads and settles a backlog from disk.
func BenchmarkDrain(b *testing.B) {
	e := open(b, b.TempDir())
	defer shut(b, e)
	load(b, e, b.N, 1024, func(int) engine.LogID { return "q" })
	l, err := e.Open(b.Context(), "q", engine.LogOptions{Lanes: true})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; {
		recs, err := l.Next(256, 8<<20)
		if err != nil || len(recs) == 0 {
			b.Fatal(len(recs), err)
		}
		n += len(recs)
		e.Commit(&engine.Batch{Relaxed: true, Ops: []engine.Op{settleAll(l, recs)}}, nil)
	}
	done := make(chan struct{})
	e.Commit(&engine.Batch{}, func(error) { close(done) })
	<-done
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// BenchmarkMatch streams retained messages.
func BenchmarkMatch(b *testing.B) {
	e := open(b, b.TempDir())
	defer shut(b, e)
	const topics = 100_000
	retain(b, e, topics)
	for _, filter := range []string{"#", "+/7/+", "site/77/5", "none/#"} {
		b.Run("filter="+filter, func(b *testing.B) {
			n := 0
			for b.Loop() {
				n = 0
				err := e.Retained().Match(context.Background(), filter, func(*engine.Message) bool { n++; return true })
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n), "matches")
		})
	}
}

// retain stores n retained messages.
func retain(tb testing.TB, e *disk.Engine, n int) {
	tb.Helper()
	for i := 0; i < n; {
		batch := &engine.Batch{Relaxed: true}
		for ; i < n && len(batch.Ops) < 1000; i++ {
			m := message(noise(100))
			batch.Ops = append(batch.Ops, engine.Op{Kind: engine.Retain, Topic: fmt.Sprintf("site/%d/%d", i/100, i%100), Msg: m})
		}
		done := make(chan error, 1)
		e.Commit(batch, func(err error) { done <- err })
		if err := <-done; err != nil {
			tb.Fatal(err)
		}
	}
}
