package enginetest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wyemq/wye/core/engine"
)

const (
	modelSteps = 400
	modelSeeds = 3
)

// modelRandom compares an engine with a model of it, over random steps.
func modelRandom(t testing.TB, e engine.Engine) {
	for seed := range uint64(modelSeeds) {
		m := newModel(t, e, seed)
		for range modelSteps {
			m.step()
		}
		m.compare()
		m.end()
	}
}

// model is what an engine should hold.
type model struct {
	t      testing.TB
	e      engine.Engine
	rnd    *rand.Rand
	prefix engine.LogID
	logs   map[engine.LogID]*modelLog
	state  map[string]string
	topics map[string]string
	made   int
}

type modelLog struct {
	id    engine.LogID
	lanes bool
	log   engine.Log // nil: it is not open
	recs  []*modelRecord
	last  engine.Seq
}

type modelRecord struct {
	body       string
	prio       uint8
	seq        engine.Seq // 0: not known yet
	waits      bool       // for a time that does not come
	given      bool       // to this owner
	handed     bool       // an owner before has handed it out
	maybe      bool       // an owner before may have
	deliveries uint32
}

func newModel(t testing.TB, e engine.Engine, seed uint64) *model {
	rnd := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // the same steps in every run
	return &model{
		t: t, e: e, rnd: rnd, prefix: engine.LogID(fmt.Sprintf("model/%d/", seed)),
		logs: make(map[engine.LogID]*modelLog), state: make(map[string]string), topics: make(map[string]string),
	}
}

// step does something at random, and looks whether what comes of it is right.
func (m *model) step() {
	switch n := m.rnd.IntN(100); {
	case n < 40:
		m.batch()
	case n < 70:
		m.next(m.pick())
	case n < 76:
		m.reopen(m.pick())
	case n < 80:
		m.purge(m.pick())
	case n < 82:
		m.drop(m.pick())
	case n < 90:
		m.match()
	default:
		m.look(m.pick())
	}
}

// id returns one of a few names.
func (m *model) id() engine.LogID { return m.prefix + engine.LogID('a'+rune(m.rnd.IntN(5))) }

// pick returns a log, opened if need be.
func (m *model) pick() *modelLog {
	id := m.id()
	l := m.logs[id]
	if l == nil {
		l = &modelLog{id: id}
		m.logs[id] = l
	}
	m.open(l)
	return l
}

func (m *model) open(l *modelLog) {
	m.t.Helper()
	if l.log != nil {
		return
	}
	l.lanes = m.rnd.IntN(3) > 0
	var err error
	if l.log, err = m.e.Open(m.t.Context(), l.id, engine.LogOptions{Lanes: l.lanes}); err != nil {
		m.t.Fatalf("Open %s: %v", l.id, err)
	}
}

// batch commits some random ops; a part of the batches has one that fails, and so changes nothing.
func (m *model) batch() {
	b := &engine.Batch{Relaxed: m.rnd.IntN(3) == 0}
	var then []func()
	for range 1 + m.rnd.IntN(4) {
		op, apply := m.op()
		b.Ops = append(b.Ops, op)
		then = append(then, apply)
	}
	fails := m.rnd.IntN(10) == 0
	if fails {
		b.Ops = slices.Insert(b.Ops, m.rnd.IntN(len(b.Ops)+1),
			engine.Op{Kind: engine.Put, Bucket: "never", Key: "k", Rev: 1 << 40})
	}
	done := make(chan error, 1)
	m.e.Commit(b, func(err error) { done <- err })
	select {
	case err := <-done:
		if (err != nil) != fails {
			m.t.Fatalf("Commit: %v", err)
		}
	case <-time.After(patience):
		m.t.Fatal("Commit: done was not called")
	}
	if !fails {
		for _, apply := range then {
			apply()
		}
	}
}

// op returns a random op, and what it does to the model.
func (m *model) op() (engine.Op, func()) {
	m.made++
	switch n := m.rnd.IntN(20); {
	case n < 10:
		return m.append()
	case n < 15:
		return m.settle(engine.Settle)
	case n < 17:
		return m.settle(engine.Failed)
	case n < 18:
		topic := string(m.prefix) + []string{"a", "a/b", "b/c", "a/b/c"}[m.rnd.IntN(4)]
		if m.rnd.IntN(3) == 0 {
			return engine.Op{Kind: engine.Retain, Topic: topic}, func() { delete(m.topics, topic) }
		}
		body := fmt.Sprintf("%s-%d", topic, m.made)
		return engine.Op{Kind: engine.Retain, Topic: topic, Msg: message(body)}, func() { m.topics[topic] = body }
	default:
		key := string(m.prefix) + string('a'+rune(m.rnd.IntN(4)))
		if m.rnd.IntN(3) == 0 {
			return engine.Op{Kind: engine.Delete, Bucket: "model", Key: key}, func() { delete(m.state, key) }
		}
		val := fmt.Sprintf("v%d", m.made)
		return engine.Op{Kind: engine.Put, Bucket: "model", Key: key, Value: []byte(val)}, func() { m.state[key] = val }
	}
}

func (m *model) append() (engine.Op, func()) {
	r := modelRecord{body: fmt.Sprintf("m%d", m.made), prio: engine.DefaultPriority}
	if m.rnd.IntN(3) == 0 {
		r.prio = uint8(m.rnd.IntN(10))
	}
	if m.rnd.IntN(4) == 0 {
		r.body += strings.Repeat("x", m.rnd.IntN(1000))
	}
	msg := message(r.body)
	msg.Priority = r.prio
	if r.waits = m.rnd.IntN(10) == 0; r.waits {
		msg.Visible = time.Now().Add(time.Hour)
	}
	ids := []engine.LogID{m.id()}
	for range m.rnd.IntN(3) {
		if id := m.id(); !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return engine.Op{Kind: engine.Append, Logs: ids, Msg: msg}, func() {
		for _, id := range ids {
			if m.logs[id] == nil {
				m.logs[id] = &modelLog{id: id}
			}
			one := r
			m.logs[id].recs = append(m.logs[id].recs, &one)
		}
	}
}

// settle settles or counts some records of a log, given or not.
func (m *model) settle(kind engine.OpKind) (engine.Op, func()) {
	l := m.pick()
	m.learn(l)
	op := engine.Op{Kind: kind, Log: l.log}
	for _, r := range l.recs {
		if r.given && m.rnd.IntN(2) == 0 || m.rnd.IntN(10) == 0 {
			op.Seqs = append(op.Seqs, r.seq)
		}
	}
	m.rnd.Shuffle(len(op.Seqs), func(i, j int) { op.Seqs[i], op.Seqs[j] = op.Seqs[j], op.Seqs[i] })
	return op, func() {
		if kind == engine.Failed {
			for _, r := range l.recs {
				if slices.Contains(op.Seqs, r.seq) {
					r.deliveries++
				}
			}
			return
		}
		l.recs = slices.DeleteFunc(l.recs, func(r *modelRecord) bool { return slices.Contains(op.Seqs, r.seq) && r.seq > 0 })
	}
}

// learn reads all records of a log and compares them.
func (m *model) learn(l *modelLog) {
	m.t.Helper()
	recs := browse(m.t, l.log, 0)
	if len(recs) != len(l.recs) {
		m.t.Fatalf("%s: Browse shows %d records, want %d", l.id, len(recs), len(l.recs))
	}
	for i, r := range recs {
		want := l.recs[i]
		if want.seq == 0 {
			if r.Seq <= l.last {
				m.t.Errorf("%s: Seq %d after %d", l.id, r.Seq, l.last)
			}
			want.seq = r.Seq
		}
		m.same(l, r, want)
		l.last = max(l.last, r.Seq)
	}
}

func (m *model) same(l *modelLog, r engine.Record, want *modelRecord) {
	m.t.Helper()
	switch {
	case string(r.Msg.Body) != want.body || r.Msg.Priority != want.prio || want.seq != 0 && r.Seq != want.seq:
		m.t.Fatalf("%s: record %d is %.20q, want %d %.20q", l.id, r.Seq, r.Msg.Body, want.seq, want.body)
	case r.Deliveries != want.deliveries:
		m.t.Errorf("%s: record %d has %d deliveries, want %d", l.id, r.Seq, r.Deliveries, want.deliveries)
	case want.handed && !r.Redelivered:
		m.t.Errorf("%s: record %d was handed out and is not Redelivered", l.id, r.Seq)
	case r.Redelivered && !want.handed && !want.maybe:
		m.t.Errorf("%s: record %d is Redelivered, and was not handed out", l.id, r.Seq)
	}
}

// next reads some, and compares them.
func (m *model) next(l *modelLog) {
	m.t.Helper()
	most := 1 + m.rnd.IntN(8)
	var want []*modelRecord
	for _, r := range l.recs {
		if !r.given && !r.waits {
			want = append(want, r)
		}
	}
	if l.lanes {
		slices.SortStableFunc(want, func(a, b *modelRecord) int { return cmp.Compare(b.prio, a.prio) })
	}
	want = want[:min(most, len(want))]
	got := next(m.t, l.log, most)
	if len(got) != len(want) {
		m.t.Fatalf("%s: Next(%d) gives %d records, want %d", l.id, most, len(got), len(want))
	}
	for i, r := range got {
		m.same(l, r, want[i])
		want[i].given, want[i].seq = true, r.Seq
	}
}

// reopen releases a log, having handed out some of what was read.
func (m *model) reopen(l *modelLog) {
	m.t.Helper()
	var handed []engine.Seq
	for _, r := range l.recs {
		if r.given && m.rnd.IntN(2) == 0 {
			handed, r.handed = append(handed, r.seq), true
		}
		r.given = false
	}
	release(m.t, l.log, handed...)
	l.log = nil
	m.open(l)
}

func (m *model) purge(l *modelLog) {
	m.t.Helper()
	m.learn(l)
	var keep []engine.Seq
	var left []*modelRecord
	var bytes int
	for _, r := range l.recs {
		if (r.given || m.rnd.IntN(8) == 0) && m.rnd.IntN(2) == 0 {
			keep, left = append(keep, r.seq), append(left, r)
		} else {
			bytes += len(r.body)
		}
	}
	n, size, err := l.log.Purge(m.t.Context(), keep...)
	if err != nil || n != uint64(len(l.recs)-len(left)) || size != uint64(bytes) {
		m.t.Errorf("%s: Purge: %d records, %d bytes, %v; want %d, %d", l.id, n, size, err, len(l.recs)-len(left), bytes)
	}
	l.recs = left
}

func (m *model) drop(l *modelLog) {
	m.t.Helper()
	if err := m.e.Drop(m.t.Context(), l.id); err != nil {
		m.t.Errorf("Drop: %v", err)
	}
	delete(m.logs, l.id)
}

// match compares the retained messages.
func (m *model) match() {
	m.t.Helper()
	filter := []string{"#", "a", "a/+", "+/c", "+/b/#"}[m.rnd.IntN(5)]
	var want []string
	for topic, body := range m.topics {
		rest := strings.TrimPrefix(topic, string(m.prefix))
		levels := strings.Count(rest, "/") + 1
		if filter == "#" || filter == rest || filter == "a/+" && rest == "a/b" || filter == "+/c" && levels == 2 && strings.HasSuffix(rest, "/c") ||
			filter == "+/b/#" && (rest == "a/b" || rest == "a/b/c") {
			want = append(want, body)
		}
	}
	slices.Sort(want)
	if got := match(m.t, m.e, string(m.prefix)+filter); got != strings.Join(want, " ") {
		m.t.Errorf("Match(%s): %s, want %s", filter, got, strings.Join(want, " "))
	}
}

// look compares what is said of a log, and the state.
func (m *model) look(l *modelLog) {
	m.t.Helper()
	m.learn(l)
	var bytes int
	for _, r := range l.recs {
		bytes += len(r.body)
	}
	s := l.log.Stats()
	if s.Depth != uint64(len(l.recs)) || s.Bytes != uint64(bytes) ||
		len(l.recs) > 0 && s.FirstSeq != l.recs[0].seq || len(l.recs) == 0 && s.FirstSeq != s.EndSeq || s.EndSeq <= l.last {
		m.t.Errorf("%s: Stats %+v with %d records, %d bytes, last %d", l.id, s, len(l.recs), bytes, l.last)
	}
	for _, key := range []string{"a", "b", "c", "d"} {
		key = string(m.prefix) + key
		want, there := m.state[key]
		if v, _, ok := m.e.State().Get("model", key); ok != there || string(v) != want {
			m.t.Errorf("Get %s: %q %v, want %q %v", key, v, ok, want, there)
		}
	}
}

// compare looks at everything.
func (m *model) compare() {
	m.t.Helper()
	for _, id := range slices.Sorted(maps.Keys(m.logs)) {
		m.open(m.logs[id])
		m.look(m.logs[id])
	}
	for range 10 {
		m.match()
	}
	var got []engine.LogID
	err := m.e.Logs(m.t.Context(), string(m.prefix), func(id engine.LogID, s engine.Stats) bool {
		got = append(got, id)
		if l := m.logs[id]; l != nil && s.Depth != uint64(len(l.recs)) {
			m.t.Errorf("Logs: %s has %d records, want %d", id, s.Depth, len(l.recs))
		}
		return true
	})
	if want := slices.Sorted(maps.Keys(m.logs)); err != nil || !slices.Equal(got, want) {
		m.t.Errorf("Logs: %v, %v, want %v", got, err, want)
	}
}

// end releases what is open.
func (m *model) end() {
	for _, l := range m.logs {
		if l.log != nil {
			_ = l.log.Release(context.Background())
			l.log = nil
		}
	}
}
