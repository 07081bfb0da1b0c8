package disk

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/wyemq/wye/core/engine"
)

// purgeChunk is how many records are taken out at once where that cannot be done by their range.
const purgeChunk = 1024

// Purge implements engine.Log. A log with records that share their bodies with others, were noted or wait for their
// time is purged in several batches.
func (o *owned) Purge(ctx context.Context, keep ...engine.Seq) (records, bytes uint64, err error) {
	keep = slices.Clone(keep)
	slices.Sort(keep)
	keep = slices.Compact(keep)
	l := o.l
	end, all := engine.Seq(0), false
	err = l.e.committer.do(true, func(g *group) (err error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.owner != o {
			return o.lostError()
		}
		end = l.end
		if all = l.simple(keep); all {
			if records, bytes, err = g.e.committer.purge(g, l, keep); err != nil {
				return &storeError{err}
			}
		}
		return nil
	})
	if err == nil && !all {
		records, bytes, err = o.purgeEach(ctx, keep, end)
	}
	if err != nil {
		err = fmt.Errorf("purge %s: %w", l.id, err)
	}
	return records, bytes, err
}

// simple reports whether everything but keep can be deleted by ranges.
func (l *log) simple(keep []engine.Seq) bool {
	if l.shared > 0 || l.notes > 0 {
		return false
	}
	if a := l.find(laterArea); a != nil && a.count > 0 {
		return false
	}
	for _, seq := range keep {
		if !slices.ContainsFunc(l.areas, func(a *area) bool { return a.held.get(seq) != nil }) && seq < l.end {
			return false
		}
	}
	return true
}

// purge deletes everything but keep, which was given. It is called with the log's mutex held.
func (c *committer) purge(g *group, l *log, keep []engine.Seq) (records, bytes uint64, err error) {
	c.touch(l)
	records, bytes = l.depth, l.bytes
	l.depth, l.bytes = 0, 0
	for _, a := range l.areas {
		var stay held
		from := a.first()
		for _, seq := range append(slices.Clone(keep), l.end) {
			x := a.held.get(seq)
			if x == nil && seq != l.end {
				continue
			}
			if from < seq {
				c.key = appendRecordKey(c.key[:0], l.num, a.no, from)
				c.val = appendRecordKey(c.val[:0], l.num, a.no, seq)
				if err := g.batch.DeleteRange(c.key, c.val, nil); err != nil {
					return 0, 0, err
				}
			}
			if from = seq + 1; x != nil {
				stay.add(*x)
				l.depth++
				l.bytes += uint64(x.size)
			}
		}
		a.tail.clear(l.e)
		a.held, a.cursor = stay, l.end
		a.count, a.unread = uint64(len(stay.list)), 0
	}
	return records - l.depth, bytes - l.bytes, nil
}

// purgeEach settles all records before end but keep.
func (o *owned) purgeEach(ctx context.Context, keep []engine.Seq, end engine.Seq) (records, bytes uint64, err error) {
	for from := engine.Seq(0); ; {
		recs, err := o.chunk(ctx, from, purgeChunk)
		if err != nil || len(recs) == 0 {
			return records, bytes, err
		}
		from = recs[len(recs)-1].seq + 1
		var seqs []engine.Seq
		for i := range recs {
			if _, kept := slices.BinarySearch(keep, recs[i].seq); !kept && recs[i].seq < end {
				seqs = append(seqs, recs[i].seq)
			}
		}
		err = o.l.e.committer.do(true, func(g *group) error {
			if !o.valid() {
				return o.lostError()
			}
			depth, size := o.l.depth, o.l.bytes // only the committer changes them
			if err := g.e.committer.settle(g, o.l, seqs); err != nil {
				return &storeError{err}
			}
			records += depth - o.l.depth
			bytes += size - o.l.bytes
			return nil
		})
		if err != nil {
			return records, bytes, err
		}
	}
}

// Drop implements engine.Engine.
func (e *Engine) Drop(_ context.Context, id engine.LogID) error {
	var shared *log
	err := e.committer.do(true, func(g *group) error {
		l := e.lookup(id)
		if l == nil {
			return nil
		}
		l.lose()
		if err := e.committer.drop(g, l); err != nil {
			return &storeError{err}
		}
		if l.shared > 0 {
			shared = l
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("drop %s: %w", id, err)
	}
	if shared != nil {
		if err := e.clean(shared.num); err != nil {
			return fmt.Errorf("drop %s: %w", id, err)
		}
	}
	return nil
}

// drop deletes a log. References to bodies are only marked to be taken back.
func (c *committer) drop(g *group, l *log) error {
	c.e.mu.Lock()
	delete(c.e.logs, l.id)
	c.e.mu.Unlock()
	if err := g.batch.Delete(append([]byte{kindLog}, l.id...), nil); err != nil {
		return err
	}
	kinds := []byte{kindRecord, kindNote, kindLater}
	if l.shared > 0 {
		kinds = kinds[1:]
		if err := g.batch.Set(appendLog(nil, kindGone, l.num), nil, nil); err != nil {
			return err
		}
	}
	for _, kind := range kinds {
		if err := g.batch.DeleteRange(appendLog(nil, kind, l.num), appendLog(nil, kind, l.num+1), nil); err != nil {
			return err
		}
	}
	return nil
}

// clean takes the references of a dropped log back, some at a time, and deletes its records.
func (e *Engine) clean(num uint64) error {
	from := appendLog(nil, kindRecord, num)
	for more := true; more; {
		err := e.committer.do(false, func(g *group) (err error) {
			if from, more, err = e.committer.clean(g, num, from); err != nil {
				return &storeError{err}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// clean looks at some records of a dropped log, and returns where to go on.
func (c *committer) clean(g *group, num uint64, from []byte) (next []byte, more bool, err error) {
	end := appendLog(nil, kindRecord, num+1)
	it, err := c.e.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: end})
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, it.Error(), it.Close()) }()
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		if n++; n > purgeChunk {
			next = slices.Clone(it.Key())
			return next, true, g.batch.DeleteRange(from, next, nil)
		}
		v, err := it.ValueAndErr()
		if err != nil {
			return nil, false, err
		}
		i, err := look(v)
		if err != nil {
			return nil, false, err
		}
		if i.body > 0 {
			if err := c.unref(i.body); err != nil {
				return nil, false, err
			}
		}
	}
	if err := g.batch.DeleteRange(from, end, nil); err != nil {
		return nil, false, err
	}
	return nil, false, g.batch.Delete(appendLog(nil, kindGone, num), nil)
}

// cleanAll finishes what was dropped before the last stop.
func (e *Engine) cleanAll() error {
	it, err := e.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindGone}, UpperBound: []byte{kindGone + 1}})
	if err != nil {
		return err
	}
	var nums []uint64
	for ok := it.First(); ok; ok = it.Next() {
		d := decoder{b: it.Key()[1:]}
		nums = append(nums, binary.BigEndian.Uint64(pad(d.take(8))))
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return err
	}
	for _, num := range nums {
		if err := e.clean(num); err != nil {
			return err
		}
	}
	return nil
}
