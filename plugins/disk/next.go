package disk

import (
	"context"
	"maps"
	"time"

	"github.com/wyemq/wye/core/engine"
)

// budget is how much Next may still return.
type budget struct{ most, bytes int }

func (b *budget) spent() bool { return b.most <= 0 || b.bytes <= 0 }

// fill adds what can be read.
func (o *owned) fill(b *budget) error {
	l := o.l
	if err := o.arrivals(time.Now()); err != nil {
		return err
	}
	if !o.o.Lanes {
		if err := o.takeDue(0, b); err != nil {
			return err
		}
		return o.takeMerged(b)
	}
	for lane := lanes - 1; lane >= 0 && !b.spent(); lane-- {
		if err := o.takeDue(lane, b); err != nil {
			return err
		}
		if a := l.find(uint8(lane)); a != nil {
			if err := o.take(a, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// take adds records of one area.
func (o *owned) take(a *area, b *budget) error {
	l := o.l
	for a.unread > 0 && !b.spent() {
		if len(a.tail.list) > 0 {
			o.takeTail(a, b)
			continue
		}
		n, err := o.takeDisk([]place{{a, a.cursor}}, l.end, b)
		if err != nil || n == 0 {
			return err
		}
	}
	if a.unread == 0 {
		a.tail.clear(l.e)
	}
	return nil
}

// takeTail adds the first record of the tail.
func (o *owned) takeTail(a *area, b *budget) {
	f := a.tail.pop(o.l.e)
	if f.msg == nil {
		return
	}
	x := holding{seq: f.seq, body: f.body, size: f.msg.Size()}
	if n, ok := o.l.early[f.seq]; ok {
		x.note, x.noted = n, true
		delete(o.l.early, f.seq)
	}
	o.give(found{holding: x, area: a, msg: f.msg}, b)
}

// takeMerged adds records of all lanes by their age, for owners that want no lanes.
func (o *owned) takeMerged(b *budget) error {
	var places []place
	for _, a := range o.l.areas {
		if a.no != laterArea && a.unread > 0 {
			places = append(places, place{a, a.cursor})
		}
	}
	switch len(places) {
	case 0:
		return nil
	case 1:
		return o.take(places[0].area, b)
	}
	for _, p := range places {
		p.area.tail.clear(o.l.e)
		p.area.tail.cut = true
	}
	for !b.spent() {
		n, err := o.takeDisk(places, o.l.end, b)
		if err != nil || n == 0 {
			return err
		}
		for i := range places {
			places[i].from = places[i].area.cursor
		}
	}
	return nil
}

// takeDisk adds records that are read from disk, and returns how many were found. It lets the lock go meanwhile.
func (o *owned) takeDisk(places []place, end engine.Seq, b *budget) (int, error) {
	l := o.l
	notes := l.notes > 0
	most, bytes := b.most, b.bytes
	o.readsDisk()
	l.mu.Unlock()
	recs, err := l.e.scan(context.Background(), l.num, places, end, most, bytes, notes)
	l.mu.Lock()
	return len(recs), o.taken(recs, b, err)
}

// readsDisk begins to take note of what is settled, as the store may still show it.
func (o *owned) readsDisk() { o.busy, o.gone = true, maps.Clone(o.l.settled) }

// taken adds what was read.
func (o *owned) taken(recs []found, b *budget, err error) error {
	gone := o.gone
	o.busy, o.gone = false, nil
	if err != nil {
		return err
	}
	if o.l.owner != o {
		return o.lostError()
	}
	for _, f := range recs {
		if _, ok := gone[f.seq]; ok {
			if f.area.no != laterArea {
				f.area.cursor = max(f.area.cursor, f.seq+1)
			}
			continue
		}
		if n, ok := o.l.early[f.seq]; ok {
			f.note, f.noted = n, true
			delete(o.l.early, f.seq)
		}
		o.give(f, b)
	}
	return nil
}

// give adds a record to what Next returns.
func (o *owned) give(f found, b *budget) {
	a := f.area
	a.unread--
	if a.no != laterArea {
		a.cursor = max(a.cursor, f.seq+1)
	}
	a.given = max(a.given, f.seq)
	a.held.add(f.holding)
	b.most--
	b.bytes -= f.size
	o.read = append(o.read, f.record(a))
}

func (f *found) record(a *area) engine.Record {
	return engine.Record{
		Seq: f.seq, Msg: f.msg, Redelivered: f.handed || f.seq <= a.flagged, Deliveries: f.deliveries,
	}
}
