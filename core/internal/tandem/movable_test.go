package tandem_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/engine/memory"
	"github.com/wyemq/wye/core/enginetest"
	"github.com/wyemq/wye/core/internal/tandem"
)

var moves = tandem.Movable("g/1")

// open opens a log, and lets has know it.
func (p *pair) open(id engine.LogID) engine.Log {
	p.Helper()
	l, err := p.Open(p.Context(), id, engine.LogOptions{Lanes: true, Ready: func() {}})
	if err != nil {
		p.Fatal(err)
	}
	p.logs[id] = l
	return l
}

func (p *pair) promote(id engine.LogID) {
	p.Helper()
	if err := p.Promote(p.Context(), id); err != nil {
		p.Fatal(err)
	}
}

// commit commits and waits for the disk.
func (p *pair) commit(ops ...engine.Op) {
	p.Helper()
	var o outcome
	p.Commit(batch(ops...), o.done)
	time.Sleep(time.Second)
	o.want(p.T, 1, nil)
}

// shows fails the test unless Browse from a record on shows these.
func (p *pair) shows(id engine.LogID, from engine.Seq, want string) (seqs []engine.Seq) {
	p.Helper()
	var got []string
	err := p.logs[id].Browse(p.Context(), from, func(r engine.Record) bool {
		got, seqs = append(got, string(r.Msg.Body)), append(seqs, r.Seq)
		return true
	})
	if s := strings.Join(got, " "); err != nil || s != want {
		p.Errorf("%s shows %q, %v, want %q", id, s, err, want)
	}
	return seqs
}

func settle(l engine.Log, seqs ...engine.Seq) engine.Op {
	return engine.Op{Kind: engine.Settle, Log: l, Seqs: seqs}
}

// A log that is promoted gives what is in memory first, and is one log in every respect.
func TestPromote(t *testing.T) {
	inPair(t, func(t *testing.T, p *pair) {
		l := p.open(moves)
		p.Commit(batch(put("1", moves), put("2", moves, disk), put("3", moves), put("4", moves)), nop)
		time.Sleep(time.Second)
		p.has(moves, "1 2 3 4")
		p.commit(settle(l, 2))
		before, _ := p.disk.Commits()
		p.commit(put("5", moves))
		if after, _ := p.disk.Commits(); after != before {
			t.Error("the log is durable before it was promoted")
		}
		p.promote(moves)
		p.promote(moves)
		p.Spread(batch(put("6", moves, ram)), nop)
		p.Commit(batch(put("7", moves)), nop)
		p.has(moves, "5")
		time.Sleep(time.Second)
		p.has(moves, "6 7")
		p.has(ram, "6")
		seqs := p.shows(moves, 1, "1 3 4 5 6 7")
		p.shows(moves, seqs[2], "4 5 6 7")
		p.shows(moves, seqs[5], "7")
		p.commit(settle(l, seqs[0], seqs[3], seqs[4]), engine.Op{Kind: engine.Failed, Log: l, Seqs: []engine.Seq{seqs[1], seqs[5]}})
		p.shows(moves, 1, "3 4 7")
		if s := l.Stats(); s.Depth != 3 || s.Bytes != 3 || s.FirstSeq != seqs[1] || s.EndSeq <= seqs[5] {
			t.Errorf("stats %+v", s)
		}
		if n, bytes, err := l.Purge(t.Context(), seqs[2], seqs[5]); n != 1 || bytes != 1 || err != nil {
			t.Errorf("purged %d, %d bytes, %v", n, bytes, err)
		}
		p.commit(settle(l, seqs[2]))
		if s := l.Stats(); s.Depth != 1 || s.FirstSeq != seqs[5] {
			t.Errorf("stats %+v", s)
		}
		if err := l.Release(t.Context(), seqs[5]); err != nil {
			t.Fatal(err)
		}
		recs, err := p.open("g/1").Next(10, 100)
		if err != nil || len(recs) != 1 || !recs[0].Redelivered || recs[0].Deliveries != 1 {
			t.Errorf("%+v, %v", recs, err)
		}
		if err := p.Promote(t.Context(), moves); !errors.Is(err, engine.ErrNotOwner) {
			t.Errorf("promote a log that is not open: %v", err)
		}
	})
}

// Next keeps to its bounds, whichever part a record comes from.
func TestPromotedNext(t *testing.T) {
	inPair(t, func(t *testing.T, p *pair) {
		l := p.open(moves)
		p.commit(put("11", moves), put("22", moves))
		p.promote(moves)
		for i := range 4 {
			p.commit(put(strings.Repeat(fmt.Sprint(i+3), 2), moves))
		}
		for _, x := range []struct {
			most, bytes int
			want        string
		}{{1, 100, "11"}, {10, 1, "22"}, {1, 100, "33"}, {10, 3, "44 55"}, {10, 100, "66"}, {10, 100, ""}} {
			synctest.Wait()
			recs, err := l.Next(x.most, x.bytes)
			var got []string
			for _, r := range recs {
				got = append(got, string(r.Msg.Body))
			}
			if s := strings.Join(got, " "); s != x.want || err != nil {
				t.Errorf("Next(%d, %d) gave %q, %v, want %q", x.most, x.bytes, s, err, x.want)
			}
		}
	})
}

// Drop takes both parts.
func TestPromotedDrop(t *testing.T) {
	inPair(t, func(t *testing.T, p *pair) {
		l := p.open(moves)
		p.commit(put("1", moves))
		p.promote(moves)
		p.commit(put("2", moves))
		if err := p.Drop(t.Context(), moves); err != nil {
			t.Fatal(err)
		}
		<-l.Lost()
		p.open(moves)
		p.has(moves, "")
		p.open("g/1")
		p.has("g/1", "")
	})
}

// renamed is an engine all of whose logs are movable, promoted or not.
type renamed struct {
	*tandem.Engine
	promote bool
}

type renamedLog struct {
	engine.Log
	id engine.LogID
}

func (l renamedLog) ID() engine.LogID { return l.id }

func (e renamed) Open(ctx context.Context, id engine.LogID, o engine.LogOptions) (engine.Log, error) {
	l, err := e.Engine.Open(ctx, tandem.Movable(id), o)
	if err == nil && e.promote {
		err = e.Promote(ctx, tandem.Movable(id))
	}
	return renamedLog{l, id}, err
}

func (e renamed) Drop(ctx context.Context, id engine.LogID) error {
	return e.Engine.Drop(ctx, tandem.Movable(id))
}

func (e renamed) Commit(b *engine.Batch, done func(error)) {
	c := &engine.Batch{Relaxed: b.Relaxed}
	for _, op := range b.Ops {
		ids := make([]engine.LogID, len(op.Logs))
		for i, id := range op.Logs {
			ids[i] = tandem.Movable(id)
		}
		op.Logs = ids
		if l, ok := op.Log.(renamedLog); ok {
			op.Log = l.Log
		}
		c.Ops = append(c.Ops, op)
	}
	e.Engine.Commit(c, done)
}

// A movable log keeps the contract of logs, before it is promoted and after. What the kit says of batches is about one
// engine, and Logs shows movable ones under their own id.
func TestMovableEngine(t *testing.T) {
	for _, promote := range []bool{false, true} {
		for _, c := range enginetest.Checks() {
			if strings.HasPrefix(c.Name, "Commit/") || c.Name == "Owner/Logs" {
				continue
			}
			t.Run(fmt.Sprintf("promoted=%v/%s", promote, c.Name), func(t *testing.T) {
				e := renamed{tandem.New(memory.New(), memory.New()), promote}
				c.Run(t, e)
				if err := e.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
