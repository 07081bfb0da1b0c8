package disk

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/wyemq/wye/core/engine"
)

// found is a record that was read from disk.
type found struct {
	holding
	area *area
	msg  *engine.Message
}

// place is where to read on in an area.
type place struct {
	area *area
	from engine.Seq
}

// scan reads records before end in the order of their numbers, up to most and until their bodies pass maxBytes. It
// needs no lock.
func (e *Engine) scan(
	ctx context.Context, num uint64, places []place, end engine.Seq, most, maxBytes int, notes bool,
) (out []found, err error) {
	if err := e.use(); err != nil {
		return nil, err
	}
	defer e.reads.RUnlock()
	its := make([]*pebble.Iterator, 0, len(places))
	defer func() {
		for _, it := range its {
			err = errors.Join(err, it.Close())
		}
		err = e.readError(err)
	}()
	where := make([]place, 0, len(places))
	for _, p := range places {
		if p.from >= end {
			continue
		}
		it, err := e.db.NewIter(&pebble.IterOptions{
			LowerBound: appendRecordKey(nil, num, p.area.no, p.from), UpperBound: appendRecordKey(nil, num, p.area.no, end),
		})
		if err != nil {
			return nil, err
		}
		its = append(its, it)
		where = append(where, p)
		it.First()
	}
	for bytes := 0; len(out) < most && bytes < maxBytes; {
		if len(out)%64 == 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
		i := earliest(its)
		if i < 0 {
			break
		}
		v, err := its[i].ValueAndErr()
		if err != nil {
			return nil, err
		}
		f, err := e.decode(its[i].Key(), v)
		if err != nil && !errors.Is(err, errGone) {
			return nil, err
		}
		if err == nil {
			f.area = where[i].area
			out = append(out, f)
			bytes += f.size
		}
		its[i].Next()
	}
	for _, it := range its {
		if err := it.Error(); err != nil {
			return nil, err
		}
	}
	if notes && len(out) > 0 {
		return out, e.loadNotes(num, out)
	}
	return out, nil
}

// earliest returns the iterator whose record has the lowest number, or -1.
func earliest(its []*pebble.Iterator) int {
	first, at := engine.Seq(0), -1
	for i, it := range its {
		if it.Valid() {
			if seq := recordSeq(it.Key()); at < 0 || seq < first {
				first, at = seq, i
			}
		}
	}
	return at
}

// errGone: a record was settled while it was read.
var errGone = errors.New("the record is gone")

// decode makes a record of what is stored under a key.
func (e *Engine) decode(key, v []byte) (f found, err error) {
	f.seq = recordSeq(key)
	if len(v) > 0 && v[0] == formShared {
		i, err := look(v)
		if err != nil {
			return f, err
		}
		f.body = i.body
	}
	f.msg, err = e.message(v)
	if errors.Is(err, pebble.ErrNotFound) { // its body went with the last reference, or should not have
		_, closer, again := e.db.Get(key)
		if errors.Is(again, pebble.ErrNotFound) {
			return f, errGone
		}
		if again == nil {
			again = closer.Close()
		}
		return f, errors.Join(fmt.Errorf("%w: %w", errRecord, err), again)
	}
	if err != nil {
		return f, err
	}
	f.size = f.msg.Size()
	if !f.msg.Visible.IsZero() {
		f.at = nanos(f.msg.Visible)
	}
	return f, nil
}

// message decodes a stored record, and fetches its body when that is shared.
func (e *Engine) message(v []byte) (*engine.Message, error) {
	if len(v) == 0 || v[0] != formShared {
		return decodeMessage(v)
	}
	i, err := look(v)
	if err != nil {
		return nil, err
	}
	whole, closer, err := e.db.Get(appendBodyKey(nil, kindBody, i.body))
	if err != nil {
		return nil, fmt.Errorf("body %d: %w", i.body, err)
	}
	m, err := decodeMessage(whole)
	return m, errors.Join(err, closer.Close())
}

// loadNotes adds what is noted of records, which are in the order of their numbers.
func (e *Engine) loadNotes(num uint64, recs []found) (err error) {
	it, err := e.db.NewIter(&pebble.IterOptions{
		LowerBound: appendNoteKey(nil, num, recs[0].seq), UpperBound: appendNoteKey(nil, num, recs[len(recs)-1].seq+1),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	i := 0
	for ok := it.First(); ok; ok = it.Next() {
		seq := recordSeq(it.Key())
		for i < len(recs) && recs[i].seq < seq {
			i++
		}
		if i < len(recs) && recs[i].seq == seq {
			v, err := it.ValueAndErr()
			if err != nil {
				return err
			}
			recs[i].note, recs[i].noted = decodeNote(v), true
		}
	}
	return it.Error()
}

// fetch reads single records until their bodies pass maxBytes, and returns how many it has looked for; those that are
// gone are left out.
func (e *Engine) fetch(num uint64, a *area, seqs []engine.Seq, maxBytes int, notes bool) (out []found, n int, err error) {
	if err := e.use(); err != nil {
		return nil, 0, err
	}
	defer e.reads.RUnlock()
	for bytes := 0; n < len(seqs) && bytes < maxBytes; n++ {
		f, err := e.fetchOne(num, a, seqs[n], notes)
		if errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return nil, 0, e.readError(err)
		}
		out = append(out, f)
		bytes += f.size
	}
	return out, n, nil
}

func (e *Engine) fetchOne(num uint64, a *area, seq engine.Seq, notes bool) (f found, err error) {
	key := appendRecordKey(nil, num, a.no, seq)
	v, closer, err := e.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return f, errGone
	}
	if err != nil {
		return f, err
	}
	f, err = e.decode(key, v)
	f.area = a
	one := []found{f}
	if err = errors.Join(err, closer.Close()); err == nil && notes {
		err = e.loadNotes(num, one)
	}
	return one[0], err
}

// exists returns the first live record of an area from a number on.
func (e *Engine) exists(num uint64, a uint8, from, end engine.Seq) (seq engine.Seq, ok bool, err error) {
	if err := e.use(); err != nil {
		return 0, false, err
	}
	defer e.reads.RUnlock()
	it, err := e.db.NewIter(&pebble.IterOptions{
		LowerBound: appendRecordKey(nil, num, a, from), UpperBound: appendRecordKey(nil, num, a, end),
	})
	if err != nil {
		return 0, false, err
	}
	if ok = it.First(); ok {
		seq = recordSeq(it.Key())
	}
	return seq, ok, errors.Join(it.Error(), it.Close())
}

// readError makes the engine fail when the store cannot be read: what is in it must not be passed over in silence.
func (e *Engine) readError(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if errors.Is(err, engine.ErrUnavailable) { // it was closed
		return err
	}
	e.fail(fmt.Errorf("read: %w", err))
	return fmt.Errorf("read: %w: %w", engine.ErrUnavailable, err)
}
