package queue_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/internal/queue"
)

// model is what a queue should be: a list of records, each ready, with a consumer, or gone.
type model struct {
	*bench
	rng      *rand.Rand
	records  map[string]*entry // by body, which is unique
	workers  []*modelWorker
	seq      int
	dead     map[string]bool
	settling int // records of a consumer that has left, whose settlement is under way
}

type entry struct {
	body   string
	prio   uint8
	seq    int // in the order of publishing
	holder *modelWorker
	shown  bool
	nacks  int
}

type modelWorker struct {
	*worker
	credit int
	kind   int // it wants bodies of this kind; -1: all
	held   []queue.Delivery
}

func (e *entry) kind() int { return e.seq % 3 }

func (w *modelWorker) wants(e *entry) bool { return w.kind < 0 || w.kind == e.kind() }

const modelAttempts = 3

func TestModel(t *testing.T) {
	for seed := range uint64(400) {
		for _, kinds := range []bool{false, true} {
			t.Run(fmt.Sprintf("selectors=%v/seed=%d", kinds, seed), func(t *testing.T) {
				dead := make(map[string]bool)
				hooks := queue.Hooks{Dead: func(r engine.Record, _ int, _ string) []engine.Op {
					dead[string(r.Msg.Body)] = true
					return []engine.Op{{Kind: engine.Append, Logs: []engine.LogID{"q/dlq"}, Msg: r.Msg}}
				}}
				inBubble(t, queue.Config{MaxDeliveries: modelAttempts}, hooks, func(b *bench) {
					m := &model{
						bench: b, rng: rand.New(rand.NewPCG(seed, 1)), records: make(map[string]*entry), dead: dead,
					}
					for range 60 {
						m.step(kinds)
						m.check()
						if t.Failed() {
							return
						}
					}
					m.drain()
				})
			})
		}
	}
}

func (m *model) step(kinds bool) {
	switch n := m.rng.IntN(20); {
	case n < 7:
		m.publishSome()
	case n < 9 && len(m.workers) < 5:
		m.attachOne(kinds)
	case n == 9 && len(m.workers) > 0:
		m.detachOne()
	case n == 10 && m.rng.IntN(4) == 0:
		m.purgeAll()
	case n == 11:
		m.eng.breaks(true)
		m.settleSome()
		m.eng.breaks(false)
	default:
		m.settleSome()
	}
}

func (m *model) publishSome() {
	var ms []*engine.Message
	for range 1 + m.rng.IntN(6) {
		m.seq++
		e := &entry{body: fmt.Sprintf("%04d", m.seq), seq: m.seq, prio: engine.DefaultPriority}
		if m.rng.IntN(8) == 0 {
			e.prio = uint8(m.rng.IntN(10))
		}
		m.records[e.body] = e
		ms = append(ms, &engine.Message{Body: []byte(e.body), Priority: e.prio})
	}
	m.publish(ms...)
}

func (m *model) attachOne(kinds bool) {
	w := &modelWorker{credit: 1 + m.rng.IntN(6), kind: -1}
	o := queue.ConsumerOptions{Credit: w.credit}
	if kinds {
		w.kind = m.rng.IntN(4) - 1
	}
	if w.kind >= 0 {
		o.Match = func(msg *engine.Message) bool { return w.wants(m.records[string(msg.Body)]) }
	}
	w.worker = m.attach(o)
	m.workers = append(m.workers, w)
}

func (m *model) detachOne() {
	i := m.rng.IntN(len(m.workers))
	w := m.workers[i]
	m.workers = slices.Delete(m.workers, i, i+1)
	var x *queue.Settling
	var claimed *entry
	if len(w.held) > 0 && m.rng.IntN(2) == 0 { // with a settlement under way, which fails
		claimed = m.records[string(w.held[0].Record.Msg.Body)]
		x, _ = w.c.Settle(queue.Accepted, w.held[0].Record.Seq)
	}
	w.c.Detach()
	for _, d := range w.held {
		if e := m.records[string(d.Record.Msg.Body)]; e != claimed {
			e.holder = nil
		}
	}
	if x == nil {
		return
	}
	m.settling = 1
	m.check() // what comes back with Done is rightly behind what is handed out now
	m.settling = 0
	claimed.holder = nil
	x.Done(engine.ErrUnavailable)
}

func (m *model) purgeAll() {
	n, err := m.q.Purge(m.Context())
	if err != nil {
		m.Errorf("purge: %v", err)
	}
	for body, e := range m.records {
		if e.holder == nil {
			delete(m.records, body)
			n--
		}
	}
	if n != 0 {
		m.Errorf("purged %d too many", int64(n))
	}
}

// settleSome settles some of what a worker holds.
func (m *model) settleSome() {
	if len(m.workers) == 0 {
		return
	}
	w := m.workers[m.rng.IntN(len(m.workers))]
	m.rng.Shuffle(len(w.held), func(i, j int) { w.held[i], w.held[j] = w.held[j], w.held[i] })
	ds := w.held[:m.rng.IntN(len(w.held)+1)]
	if len(ds) == 0 {
		return
	}
	o := queue.Accepted + queue.Outcome(m.rng.IntN(4))
	if err := w.trySettle(o, ds...); err != nil {
		clear(m.dead) // the batch failed, so nothing has happened
		return
	}
	w.held = slices.Clone(w.held[len(ds):])
	for _, d := range ds {
		e := m.records[string(d.Record.Msg.Body)]
		e.holder = nil
		switch {
		case o == queue.Requeue:
			e.nacks++
			if e.nacks < modelAttempts {
				continue
			}
			fallthrough
		case o == queue.Rejected:
			if !m.dead[e.body] {
				m.Errorf("%s is no dead letter", e.body)
			}
			delete(m.dead, e.body)
			delete(m.records, e.body)
		case o == queue.Accepted:
			delete(m.records, e.body)
		}
	}
	if len(m.dead) > 0 {
		m.Errorf("dead letters that should not be: %v", m.dead)
	}
}

// check compares what was delivered since the last step with what should have been.
func (m *model) check() {
	before := m.ready()
	var given []*entry
	for _, w := range m.workers {
		ds := w.take()
		var last *entry
		for _, d := range ds {
			e := m.records[string(d.Record.Msg.Body)]
			switch {
			case e == nil:
				m.Errorf("%s came after it was gone", d.Record.Msg.Body)
				return
			case e.holder != nil:
				m.Errorf("%s is with two consumers", e.body)
			case d.Redelivered != e.shown:
				m.Errorf("%s: redelivered is %v", e.body, d.Redelivered)
			case d.Attempt != e.nacks+1:
				m.Errorf("%s: attempt %d, want %d", e.body, d.Attempt, e.nacks+1)
			case !w.wants(e):
				m.Errorf("%s was not wanted", e.body)
			case last != nil && byTurn(last, e) > 0:
				m.Errorf("%s came behind %s", e.body, last.body)
			}
			last, e.holder, e.shown = e, w, true
			given = append(given, e)
		}
		w.held = append(w.held, ds...)
		if len(w.held) > w.credit {
			m.Errorf("%d held with a credit of %d", len(w.held), w.credit)
		}
	}
	m.checkTurns(before, given)
	unacked := m.settling
	for _, w := range m.workers {
		unacked += len(w.held)
	}
	m.stats(len(m.records)-unacked, unacked, int64(4*len(m.records)))
}

// checkTurns: no record was passed that somebody who got a later one wanted, and nobody waits without need.
func (m *model) checkTurns(before, given []*entry) {
	for _, e := range before {
		if e.holder != nil {
			continue
		}
		for _, g := range given {
			if byTurn(g, e) > 0 && g.holder.wants(e) {
				m.Errorf("%s was delivered before %s", g.body, e.body)
			}
		}
		for _, w := range m.workers {
			if len(w.held) < w.credit && w.wants(e) {
				m.Errorf("%s waits, and so does a consumer for it", e.body)
			}
		}
	}
}

func (m *model) ready() []*entry {
	var list []*entry
	for _, e := range m.records {
		if e.holder == nil {
			list = append(list, e)
		}
	}
	return list
}

func byTurn(a, b *entry) int {
	return cmp.Or(cmp.Compare(b.prio, a.prio), cmp.Compare(a.seq, b.seq))
}

// drain takes everything that is left.
func (m *model) drain() {
	for _, w := range m.workers {
		w.c.Detach()
		for _, d := range w.held {
			m.records[string(d.Record.Msg.Body)].holder = nil
		}
	}
	w := &modelWorker{worker: m.attach(queue.ConsumerOptions{Credit: 1 << 20}), credit: 1 << 20, kind: -1}
	m.workers = []*modelWorker{w}
	m.check()
	if len(w.held) != len(m.records) {
		m.Errorf("%d left, want %d", len(w.held), len(m.records))
	}
	if len(w.held) > 0 {
		w.settle(queue.Accepted, w.held...)
	}
	m.stats(0, 0, 0)
	synctest.Wait()
	var depth uint64
	_ = m.eng.Logs(m.Context(), string(logID), func(_ engine.LogID, s engine.Stats) bool {
		depth += s.Depth
		return true
	})
	if depth != 0 {
		m.Errorf("%d records are left in the log", depth)
	}
}
