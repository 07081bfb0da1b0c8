package core_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

// DESIGN §4: per destination and publisher, first in first out, whatever runs at the same time.
func TestQueueOrder(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const publishers, n = 4, 300
		c := w.client("")
		w.sub(c, jobs, individual, credit(50))
		var wg sync.WaitGroup
		for i := range publishers {
			p := w.client("")
			wg.Go(func() {
				for k := range n {
					if err := p.Publish(w.ctx, msg(jobs, fmt.Sprintf("%d %d", i, k)), nil); err != nil {
						t.Error(err)
					}
				}
			})
		}
		next := make([]int, publishers)
		for range publishers * n {
			d := c.Next(t)
			var from, number int
			if _, err := fmt.Sscan(string(d.Body), &from, &number); err != nil || number != next[from] {
				t.Fatalf("got %q, want number %d of it", d.Body, next[from])
			}
			next[from]++
			w.ok(c.Settle(w.ctx, core.Accepted, nil, d.Tag))
		}
		wg.Wait()
		w.queue(jobs, 0, 0)
	})
}

// ledger says what has become of each message.
type ledger struct {
	mu    sync.Mutex
	acked map[string]int
}

// Consumers come and go, acknowledge, refuse and return, while publishers publish, with and without transactions:
// what was confirmed is acknowledged once, and nothing is left.
func TestNothingIsLost(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				const publishers, consumers, n = 4, 6, 400
				book := &ledger{acked: make(map[string]int)}
				var publishing, consuming sync.WaitGroup
				for i := range publishers {
					p := w.client("")
					publishing.Go(func() { publishRandomly(t, w, p, i, n, seed) })
				}
				stop := make(chan struct{})
				for i := range consumers {
					consuming.Go(func() {
						rnd := rand.New(rand.NewPCG(seed, uint64(100+i)))
						for more := true; more; {
							more = consumeForAWhile(t, w, book, rnd, stop)
						}
					})
				}
				publishing.Wait()
				close(stop)
				consuming.Wait()
				last := coretest.Connect(t, w.b, core.Login{})
				w.sub(last, jobs, individual, credit(10_000))
				for _, d := range last.NextN(t, last.Len()) {
					book.acked[string(d.Body)]++
					w.settle(last, core.Accepted, d)
				}
				if len(book.acked) != publishers*n {
					t.Errorf("%d messages were acknowledged of %d", len(book.acked), publishers*n)
				}
				for body, times := range book.acked {
					if times != 1 {
						t.Errorf("%s was acknowledged %d times", body, times)
					}
				}
				w.queue(jobs, 0, 0)
			}, coretest.Queue("jobs", core.QueueConfig{MaxDeliveries: -1}))
		})
	}
}

func publishRandomly(t *testing.T, w *world, p *coretest.Client, publisher, n int, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, uint64(publisher)))
	for k := 0; k < n; {
		batch := min(1+rnd.IntN(5), n-k)
		var tx core.Transaction
		for range batch {
			m := msg(jobs, fmt.Sprint(publisher, "-", k))
			m.Priority = core.PriorityOf(rnd.IntN(10))
			tx.Sends = append(tx.Sends, m)
			k++
		}
		if batch == 1 {
			if err := p.Publish(w.ctx, tx.Sends[0], nil); err != nil {
				t.Error(err)
			}
			continue
		}
		if err := p.Commit(w.ctx, tx, func(err error) {
			if err != nil {
				t.Error(err)
			}
		}); err != nil {
			t.Error(err)
		}
	}
}

// consumeForAWhile opens a session, settles some deliveries this way and that, and leaves. It returns false when
// stop is closed.
func consumeForAWhile(t *testing.T, w *world, book *ledger, rnd *rand.Rand, stop <-chan struct{}) bool {
	sink, conn := coretest.NewSink(), coretest.NewConn()
	s, err := w.b.Connect(w.ctx, core.Login{Conn: conn}, sink.Deliver)
	if err != nil {
		t.Error(err)
		return false
	}
	defer func() { _ = s.Close() }()
	sub := &core.Subscription{ID: "1", Filter: jobs, Ack: core.AckIndividual, Credit: 1 + rnd.IntN(20), Priority: rnd.IntN(2)}
	if err := s.Subscribe(w.ctx, sub); err != nil {
		t.Error(err)
		return false
	}
	for range rnd.IntN(50) {
		d, ok := sink.Wait(time.Millisecond)
		if !ok {
			break
		}
		outcome := []core.Outcome{core.Accepted, core.Accepted, core.Requeue, core.Released}[rnd.IntN(4)]
		done := make(chan error, 1)
		if err := s.Settle(w.ctx, outcome, func(err error) { done <- err }, d.Tag); err != nil {
			t.Error(err)
			break
		}
		if err := <-done; err != nil {
			t.Error(err)
			break
		}
		if outcome == core.Accepted {
			book.mu.Lock()
			book.acked[string(d.Body)]++
			book.mu.Unlock()
		}
	}
	select {
	case <-stop:
		return false
	default:
		return true
	}
}

// Sessions of few client ids come and go at once, durable subscriptions among them, and subscribers that hang: in
// the end nothing of them is left.
func TestComingAndGoing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(7, uint64(i)))
				for range 40 {
					visit(t, w, rnd)
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		if s := w.b.Stats(); s.Sessions != 0 || s.Subscriptions != 0 {
			t.Errorf("%d sessions and %d subscriptions are left", s.Sessions, s.Subscriptions)
		}
		w.sleep(time.Hour)
		s := w.b.Stats()
		if s.Kept != 0 {
			t.Errorf("%d sessions are kept after their expiry", s.Kept)
		}
		for _, q := range s.Queues {
			if q.Kind != "queue" {
				t.Errorf("queue %s %s is left", q.Kind, q.Name)
			}
		}
	})
}

func visit(t *testing.T, w *world, rnd *rand.Rand) {
	sink, conn := coretest.NewSink(), coretest.NewConn()
	s, err := w.b.Connect(w.ctx, core.Login{
		ClientID: fmt.Sprint("c", rnd.IntN(4)), Expiry: time.Duration(rnd.IntN(2)) * time.Minute, CleanStart: rnd.IntN(3) == 0,
		Conn: conn, Will: msg("topic/wills", "x"), WillDelay: time.Duration(rnd.IntN(2)) * time.Second,
	}, sink.Deliver)
	if err != nil {
		t.Error(err)
		return
	}
	ended := make(chan struct{})
	go func() { // what a protocol's read loop does
		defer close(ended)
		_, _, _ = conn.NextReader()
		sink.Fail(core.ErrClosed)
		_ = s.Close()
	}()
	for range rnd.IntN(10) {
		filter := []string{"topic/a", "topic/#", "topic/+", jobs, s.Temp("x")}[rnd.IntN(5)]
		switch rnd.IntN(6) {
		case 0, 1:
			_ = s.Subscribe(w.ctx, &core.Subscription{ID: filter, Filter: filter, Durable: rnd.IntN(2) == 0, Ack: core.AckMode(rnd.IntN(3))})
		case 2:
			_ = s.Unsubscribe(w.ctx, filter)
		case 3:
			_ = s.Publish(w.ctx, msg([]string{"topic/a", jobs}[rnd.IntN(2)], "x"), func(core.Published, error) {})
		case 4:
			if d, ok := sink.Wait(0); ok && d.Tag != 0 {
				_ = s.Settle(w.ctx, core.Accepted, nil, d.Tag)
			}
		case 5:
			sink.Block()
		}
	}
	conn.Close(nil)
	<-ended
}
