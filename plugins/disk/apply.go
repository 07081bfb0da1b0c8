package disk

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/wyemq/wye/core/engine"
)

// shareFrom is how large a body is at least that several logs share; less is copied.
const shareFrom = 256

// apply adds one step to the group. An error means that the store is broken.
func (c *committer) apply(g *group, op *engine.Op) error {
	switch op.Kind {
	case engine.Append:
		return c.append(g, op)
	case engine.Settle:
		own, _ := op.Log.(*owned)
		return c.settle(g, own.l, op.Seqs)
	case engine.Failed:
		own, _ := op.Log.(*owned)
		return c.failed(g, own.l, op.Seqs)
	case engine.Retain:
		return c.topics.set(c, g, op.Topic, op.Msg)
	case engine.Put:
		return c.state.put(g, op.Bucket, op.Key, op.Value)
	case engine.Delete:
		return c.state.delete(&c.e.state, g, op.Bucket, op.Key)
	default:
		return nil // check has refused it
	}
}

// append adds a record to each log, or a reference if that is smaller.
func (c *committer) append(g *group, op *engine.Op) error {
	m := op.Msg
	if len(op.Logs) == 0 {
		return nil
	}
	var body uint64
	if len(op.Logs) > 1 && len(m.Body)+len(m.Header) >= shareFrom {
		c.e.bodies++
		body = c.e.bodies
		if err := c.setMessage(g, appendBodyKey(c.key[:0], kindBody, body), m); err != nil {
			return err
		}
		c.refs[body] = uint64(len(op.Logs))
	}
	var at int64
	if !m.Visible.IsZero() && m.Visible.After(time.Now()) {
		at = nanos(m.Visible)
	}
	for _, id := range op.Logs {
		l, err := c.log(g, id)
		if err != nil {
			return err
		}
		if err := c.appendOne(g, l, m, body, at); err != nil {
			return err
		}
	}
	return nil
}

// log returns a log for an Append, made if need be.
func (c *committer) log(g *group, id engine.LogID) (*log, error) {
	l := c.e.lookup(id)
	if l == nil {
		num, err := c.newNumber(g)
		if err != nil {
			return nil, err
		}
		l = &log{e: c.e, id: id, num: num, end: 1}
		c.e.mu.Lock()
		c.e.logs[id] = l
		c.e.mu.Unlock()
	}
	c.touch(l)
	return l, nil
}

func (c *committer) newNumber(g *group) (uint64, error) {
	c.e.nums++
	return c.e.nums, g.batch.Set([]byte{kindCounter, 'n'}, binary.AppendUvarint(nil, c.e.nums), nil)
}

func (c *committer) appendOne(g *group, l *log, m *engine.Message, body uint64, at int64) error {
	no := laneOf(m)
	if at > 0 {
		no = laterArea
	}
	l.mu.Lock()
	a := l.area(no)
	l.last++
	seq := l.last
	a.count++
	l.depth++
	l.bytes += uint64(m.Size())
	if body > 0 {
		l.shared++
	}
	l.mu.Unlock()
	l.fresh = append(l.fresh, fresh{seq: seq, msg: m, body: body, area: a, at: at})
	if at > 0 {
		if err := g.batch.Set(appendLaterKey(nil, l.num, at, seq), []byte{laneOf(m)}, nil); err != nil {
			return err
		}
	}
	c.key = appendRecordKey(c.key[:0], l.num, no, seq)
	if body == 0 {
		return c.setMessage(g, c.key, m)
	}
	c.val = appendShared(c.val[:0], body, m.Size())
	return g.batch.Set(c.key, c.val, nil)
}

// setMessage writes a message straight into the batch.
func (c *committer) setMessage(g *group, key []byte, m *engine.Message) error {
	c.val = appendMessage(c.val[:0], m)
	return g.batch.Set(key, c.val, nil)
}

// settle takes records out.
func (c *committer) settle(g *group, l *log, seqs []engine.Seq) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, seq := range seqs {
		if err := c.settleOne(g, l, seq); err != nil {
			return err
		}
	}
	return nil
}

func (c *committer) settleOne(g *group, l *log, seq engine.Seq) error {
	for _, a := range l.areas {
		if x := a.held.get(seq); x != nil {
			if a.no == laterArea {
				c.overlay(l, seq)
			}
			gone := *x
			a.held.settle(x)
			return c.remove(g, l, a, gone)
		}
	}
	x, a, err := c.unread(l, seq)
	if err != nil || a == nil {
		return err
	}
	c.overlay(l, seq)
	if l.owner != nil {
		a.unread--
		l.owner.settled(seq)
		delete(l.early, seq)
	}
	return c.remove(g, l, a, x)
}

// overlay remembers that a record is settled though the store still shows it.
func (c *committer) overlay(l *log, seq engine.Seq) {
	if l.settled == nil {
		l.settled = make(map[engine.Seq]struct{})
	}
	l.settled[seq] = struct{}{}
}

// unread finds a record that was not given. The area is nil when there is none.
func (c *committer) unread(l *log, seq engine.Seq) (holding, *area, error) {
	if _, gone := l.settled[seq]; gone || seq >= l.end {
		return holding{}, nil, nil
	}
	for _, a := range l.areas {
		if !a.holds(seq) {
			continue
		}
		if body, m := a.tail.settle(c.e, seq); m != nil {
			x := holding{seq: seq, body: body, size: m.Size()}
			return x, a, c.loadNote(l, &x)
		}
		x, ok, err := c.stored(l, a, seq)
		if err != nil || ok {
			return x, a, err
		}
	}
	return holding{}, nil, nil
}

// stored looks a record up in the store.
func (c *committer) stored(l *log, a *area, seq engine.Seq) (x holding, ok bool, err error) {
	v, closer, err := c.e.db.Get(appendRecordKey(nil, l.num, a.no, seq))
	if errors.Is(err, pebble.ErrNotFound) {
		return x, false, nil
	}
	if err != nil {
		return x, false, err
	}
	i, err := look(v)
	if err == nil && a.no == laterArea {
		var m *engine.Message
		if m, err = c.e.message(v); err == nil {
			x.at = nanos(m.Visible)
		}
	}
	x.seq, x.body, x.size = seq, i.body, i.size
	err = errors.Join(err, closer.Close())
	if err == nil {
		err = c.loadNote(l, &x)
	}
	return x, err == nil, err
}

// loadNote reads what is noted of a record.
func (c *committer) loadNote(l *log, x *holding) error {
	if n, ok := l.noted[x.seq]; ok {
		x.note, x.noted = n, true
		return nil
	}
	if l.notes == 0 {
		return nil
	}
	v, closer, err := c.e.db.Get(appendNoteKey(nil, l.num, x.seq))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	x.note, x.noted = decodeNote(v), true
	return closer.Close()
}

// remove deletes what is stored of a record.
func (c *committer) remove(g *group, l *log, a *area, x holding) error {
	c.touch(l)
	a.count--
	l.depth--
	l.bytes -= uint64(x.size)
	c.key = appendRecordKey(c.key[:0], l.num, a.no, x.seq)
	if err := g.batch.Delete(c.key, nil); err != nil {
		return err
	}
	if a.no == laterArea {
		c.key = appendLaterKey(c.key[:0], l.num, x.at, x.seq)
		if err := g.batch.Delete(c.key, nil); err != nil {
			return err
		}
	}
	if x.noted {
		l.notes--
		c.key = appendNoteKey(c.key[:0], l.num, x.seq)
		if err := g.batch.Delete(c.key, nil); err != nil {
			return err
		}
	}
	if x.body == 0 {
		return c.trim(g, l, a, x.size)
	}
	l.shared--
	return c.unref(x.body)
}

// failed counts attempts.
func (c *committer) failed(g *group, l *log, seqs []engine.Seq) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, seq := range seqs {
		x, a, err := c.known(l, seq)
		if err != nil {
			return err
		}
		if x == nil {
			continue
		}
		x.deliveries++
		if err := c.setNote(g, l, a, x); err != nil {
			return err
		}
	}
	return nil
}

// known returns a record that was given or, to be noted only, one that is in the store; nil: there is none.
func (c *committer) known(l *log, seq engine.Seq) (*holding, *area, error) {
	for _, a := range l.areas {
		if x := a.held.get(seq); x != nil {
			return x, a, nil
		}
	}
	if _, gone := l.settled[seq]; gone || seq >= l.end {
		return nil, nil, nil
	}
	for _, a := range l.areas {
		if a.holds(seq) {
			x, ok, err := c.stored(l, a, seq)
			if err != nil || ok {
				return &x, a, err
			}
		}
	}
	return nil, nil, nil
}

// holds reports whether a record that was not given may be in the area.
func (a *area) holds(seq engine.Seq) bool {
	return a.count > 0 && seq >= a.floor && (a.no == laterArea || seq >= a.cursor)
}

// setNote stores what is noted of a record.
func (c *committer) setNote(g *group, l *log, a *area, x *holding) error {
	c.touch(l)
	if !x.noted {
		x.noted = true
		l.notes++
	}
	if l.noted == nil {
		l.noted = make(map[engine.Seq]note)
	}
	l.noted[x.seq] = x.note
	if l.owner != nil && a.held.get(x.seq) == nil {
		if l.early == nil {
			l.early = make(map[engine.Seq]note)
		}
		l.early[x.seq] = x.note
	}
	c.key = appendNoteKey(c.key[:0], l.num, x.seq)
	return g.batch.Set(c.key, x.encode(), nil)
}
