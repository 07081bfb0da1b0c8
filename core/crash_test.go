package core_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

// history is what clients know: what the broker has confirmed to them, and what it has given them. Life counts the
// crashes.
type history struct {
	t    *testing.T
	mu   sync.Mutex
	life int
	msgs map[string]*fate
	txs  map[string][]string
	// Of each publisher and queue: where in the queue its messages are. When they are delivered depends on many things.
	places map[string][]place
}

// place is the number of a message, as its publisher counts, and as its queue does.
type place struct {
	number int
	record uint64
}

// fate is what became of a message.
type fate struct {
	confirmed, refused bool // by done of Publish or Commit; neither: nobody knows
	handed             int  // lives + 1 in which it was handed out last; 0: never
	settled            bool // done of Settle was called
}

func (h *history) fate(id string) *fate {
	f := h.msgs[id]
	if f == nil {
		f = new(fate)
		h.msgs[id] = f
	}
	return f
}

// published is what done of a publish calls.
func (h *history) published(err error, ids ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		f := h.fate(id)
		f.confirmed, f.refused = f.confirmed || err == nil, err != nil
	}
}

// delivered checks a delivery against what is known.
func (h *history) delivered(d *core.Delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	id := string(d.Body)
	f := h.fate(id)
	switch {
	case f.settled:
		h.t.Errorf("%s is delivered after its acknowledgement was confirmed", id)
	case f.handed > 0 && !d.Redelivered:
		h.t.Errorf("%s is delivered again and does not say so", id)
	}
	publisher, number := parse(id)
	key := publisher + " to " + d.Destination
	h.places[key] = append(h.places[key], place{number, d.Record})
	f.handed = h.life + 1
}

func parse(id string) (publisher string, number int) {
	publisher, rest, _ := strings.Cut(id, "-")
	_, _ = fmt.Sscan(rest, &number)
	return publisher, number
}

// settled is what done of a settlement calls.
func (h *history) settled(id string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		h.fate(id).settled = true
	}
}

// finish checks what is left in the end.
func (h *history) finish() {
	h.mu.Lock()
	defer h.mu.Unlock()
	confirmed := 0
	for id, f := range h.msgs {
		if f.confirmed {
			confirmed++
		}
		if f.confirmed && f.handed == 0 {
			h.t.Errorf("%s was confirmed and never delivered", id)
		}
	}
	for tx, ids := range h.txs {
		there := 0
		for _, id := range ids {
			if f := h.msgs[id]; f != nil && f.handed > 0 {
				there++
			}
		}
		if there != 0 && there != len(ids) {
			h.t.Errorf("of transaction %s %d messages were delivered of %d", tx, there, len(ids))
		}
	}
	for key, places := range h.places {
		slices.SortFunc(places, func(a, b place) int { return a.number - b.number })
		for i := 1; i < len(places); i++ {
			if a, b := places[i-1], places[i]; (a.number == b.number) != (a.record == b.record) || a.record > b.record {
				h.t.Errorf("%s: messages %d and %d are number %d and %d of the queue", key, a.number, b.number, a.record, b.record)
			}
		}
	}
	if confirmed < 50 {
		h.t.Errorf("only %d messages were confirmed", confirmed)
	}
}

const (
	crashQueue = "queue/q"
	crashTopic = "topic/t"
)

// produce publishes and commits until its session ends.
func (h *history) produce(w *reborn, s *core.Session, name string, from *int, rnd *rand.Rand) {
	id := func() string { *from++; return fmt.Sprint(name, "-", *from) }
	for {
		dest := []string{crashQueue, crashTopic}[rnd.IntN(2)]
		if rnd.IntN(4) > 0 {
			body := id()
			err := s.Publish(w.ctx, persistent(dest, body), func(_ core.Published, err error) { h.published(err, body) })
			if err != nil {
				return
			}
		} else {
			var tx core.Transaction
			var ids []string
			for range 1 + rnd.IntN(3) {
				ids = append(ids, id())
				tx.Sends = append(tx.Sends, persistent([]string{crashQueue, crashTopic}[rnd.IntN(2)], ids[len(ids)-1]))
			}
			h.mu.Lock()
			h.txs[ids[0]] = ids
			h.mu.Unlock()
			if err := s.Commit(w.ctx, tx, func(err error) { h.published(err, ids...) }); err != nil {
				return
			}
		}
		if rnd.IntN(3) == 0 {
			time.Sleep(time.Duration(rnd.IntN(4000)) * time.Microsecond)
		}
	}
}

// consume takes, acknowledges and gives back until its session ends.
func (h *history) consume(w *reborn, c *coretest.Client, rnd *rand.Rand) {
	for {
		d, ok := c.Wait(time.Second)
		if !ok {
			return
		}
		h.delivered(&d)
		time.Sleep(time.Duration(rnd.IntN(300)) * time.Microsecond)
		id := string(d.Body)
		switch rnd.IntN(10) {
		case 0:
			_ = c.Settle(w.ctx, core.Requeue, nil, d.Tag)
		case 1:
			_ = c.Settle(w.ctx, core.Accepted, nil, d.Tag)
		case 2: // it holds it
		default:
			_ = c.Settle(w.ctx, core.Accepted, func(err error) { h.settled(id, err) }, d.Tag)
		}
	}
}

// taker subscribes a client to what is published.
func (w *reborn) taker(id string) *coretest.Client {
	w.Helper()
	c := w.client(id)
	for _, s := range []*core.Subscription{
		{ID: "q", Filter: crashQueue, Ack: core.AckIndividual, Credit: 20},
		{ID: "t", Filter: crashTopic, Group: "g", Ack: core.AckIndividual, Durable: true, Credit: 20},
	} {
		w.ok(c.Subscribe(w.ctx, s))
	}
	return c
}

// DESIGN §4: nothing that was confirmed is lost by kill -9, whenever it comes; nothing comes twice without saying so, or after
// its acknowledgement was confirmed; transactions are whole.
func TestCrashes(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inReborn(t, func(t *testing.T, w *reborn) {
				h := &history{t: t, msgs: make(map[string]*fate), txs: make(map[string][]string), places: make(map[string][]place)}
				w.taker("first").Gone()
				w.disk.Sync(syncing)
				numbers := make([]int, 3)
				rnd := rand.New(rand.NewPCG(seed, 0))
				for h.life = range 6 {
					var wg sync.WaitGroup
					for i := range numbers {
						p := w.client("")
						rnd := rand.New(rand.NewPCG(seed, uint64(100*h.life+i+1)))
						wg.Go(func() { h.produce(w, p.Session, fmt.Sprint("p", i), &numbers[i], rnd) })
					}
					for i := range 2 {
						c := w.taker(fmt.Sprint("c", i))
						rnd := rand.New(rand.NewPCG(seed, uint64(100*h.life+i+50)))
						wg.Go(func() { h.consume(w, c, rnd) })
					}
					time.Sleep(time.Duration(20+rnd.IntN(60)) * time.Millisecond)
					if rnd.IntN(4) == 0 {
						w.restart(time.Second)
					} else {
						w.disk.Kill()
						w.kill(time.Second)
					}
					wg.Wait()
				}
				w.disk.Sync(0)
				c := w.taker("last")
				for synctest.Wait(); c.Len() > 0; synctest.Wait() {
					d := c.Next(t)
					h.delivered(&d)
					id := string(d.Body)
					w.ok(c.Settle(w.ctx, core.Accepted, func(err error) { h.settled(id, err) }, d.Tag))
				}
				h.finish()
			}, func(o *core.Options) {
				o.Queues = []core.QueuePolicy{{Match: "#", Config: core.QueueConfig{MaxDeliveries: -1}}}
			})
		})
	}
}
