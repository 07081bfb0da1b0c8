package disk

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/wyemq/wye/core/engine"
)

// log is what is known of one log in memory, whoever has it open. Only the committer changes what is stored.
type log struct {
	e   *Engine
	id  engine.LogID
	num uint64 // in keys; never given twice

	// The committer's own, for the group under way.
	touched bool
	fresh   []fresh // appended
	unsaved bool    // in committer.unsynced

	mu     sync.Mutex // of what follows
	areas  []*area    // in use, by number
	last   engine.Seq // the last that was given
	end    engine.Seq // what is before it may be read
	depth  uint64
	bytes  uint64
	notes  uint64 // how many records have one
	shared uint64 // how many are references
	owner  *owned // nil: it is not open
	// What the store may not show yet.
	settled map[engine.Seq]struct{} // in this group, without having been given
	noted   map[engine.Seq]note     // in this group
	early   map[engine.Seq]note     // noted by this owner without having been given
}

// area is the records of a log with one priority, or those that had to wait.
type area struct {
	no       uint8
	count    uint64
	floor    engine.Seq // before it there is nothing
	flagged  engine.Seq // up to here, an owner may have handed out what is there
	reserved engine.Seq // up to here, this owner may hand out
	durable  engine.Seq // reserved as it is on disk
	trimmed  engine.Seq // before it, the store was told that there is nothing
	garbage  int        // bytes that were settled since

	reading // of the owner
}

// note is what is remembered of a single record.
type note struct {
	deliveries uint32
	handed     bool // exact, other than area.flagged
}

// fresh is a record that is stored, but not to be read yet.
type fresh struct {
	seq  engine.Seq
	msg  *engine.Message
	body uint64
	area *area
	at   int64 // when it may be read; 0: now
}

// area returns the area with a number, made if need be for the next record.
func (l *log) area(no uint8) *area {
	if a := l.find(no); a != nil {
		return a
	}
	a := &area{no: no, floor: l.last + 1}
	a.cursor = a.floor
	i := 0
	for i < len(l.areas) && l.areas[i].no < no {
		i++
	}
	l.areas = append(l.areas, nil)
	copy(l.areas[i+1:], l.areas[i:])
	l.areas[i] = a
	return a
}

func (l *log) find(no uint8) *area {
	for _, a := range l.areas {
		if a.no == no {
			return a
		}
	}
	return nil
}

// appendTo adds what is stored of the log.
func (l *log) appendTo(b []byte) []byte {
	b = binary.AppendUvarint(b, l.num)
	b = binary.AppendUvarint(b, uint64(l.last))
	b = binary.AppendUvarint(b, l.bytes)
	b = binary.AppendUvarint(b, l.notes)
	b = binary.AppendUvarint(b, l.shared)
	for _, a := range l.areas {
		if a.count == 0 && a.reserved == 0 {
			continue
		}
		b = append(b, a.no)
		b = binary.AppendUvarint(b, a.count)
		b = binary.AppendUvarint(b, uint64(a.first()))
		b = binary.AppendUvarint(b, uint64(a.flagged))
		b = binary.AppendUvarint(b, uint64(a.reserved))
	}
	return b
}

// decode reads what appendTo has written. Who had the log open before has not released it when something is reserved:
// what he may have handed out is flagged, and its numbers are not used again, as what was not synced is lost.
func (l *log) decode(b []byte) error {
	d := decoder{b: b}
	l.num = d.uvarint()
	l.last = engine.Seq(d.uvarint())
	l.bytes, l.notes, l.shared = d.uvarint(), d.uvarint(), d.uvarint()
	for len(d.b) > 0 && !d.bad {
		a := &area{no: d.byte(), count: d.uvarint()}
		a.floor = engine.Seq(d.uvarint())
		a.flagged = engine.Seq(d.uvarint())
		reserved := engine.Seq(d.uvarint())
		a.flagged = max(a.flagged, reserved)
		l.last = max(l.last, reserved)
		l.depth += a.count
		if a.no >= areas {
			d.bad = true
		}
		l.areas = append(l.areas, a)
	}
	if d.bad {
		return fmt.Errorf("what is stored of log %s cannot be read", l.id)
	}
	l.end = l.last + 1
	return nil
}

func (n note) encode() []byte {
	var b [1 + binary.MaxVarintLen32]byte
	if n.handed {
		b[0] = 1
	}
	return b[:1+binary.PutUvarint(b[1:], uint64(n.deliveries))]
}

func decodeNote(b []byte) note {
	d := decoder{b: b}
	return note{handed: d.byte() != 0, deliveries: uint32(d.uvarint())}
}
