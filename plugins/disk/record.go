package disk

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/wyemq/wye/core/engine"
)

// What the value of a record begins with.
const (
	formWhole  = 1 // the message
	formShared = 2 // the number of a body, and its size
)

// hasBeside is set in the byte that says which times there are: Message.Beside follows them.
const hasBeside = 1 << 3

var errRecord = errors.New("a stored message cannot be read")

func appendMessage(b []byte, m *engine.Message) []byte {
	var times byte
	for i, t := range [...]time.Time{m.Expires, m.Visible, m.Stored} {
		if !t.IsZero() {
			times |= 1 << i
		}
	}
	if m.Beside > 0 {
		times |= hasBeside
	}
	b = append(b, formWhole, times, m.Priority)
	b = append(b, m.ID[:]...)
	for _, t := range [...]time.Time{m.Expires, m.Visible, m.Stored} {
		if !t.IsZero() {
			b = binary.AppendVarint(b, t.Unix())
			b = binary.AppendUvarint(b, uint64(t.Nanosecond()))
		}
	}
	if m.Beside > 0 {
		b = binary.AppendUvarint(b, uint64(m.Beside))
	}
	b = binary.AppendUvarint(b, uint64(len(m.Dest)))
	b = append(b, m.Dest...)
	b = binary.AppendUvarint(b, uint64(len(m.Header)))
	b = append(b, m.Header...)
	return append(b, m.Body...)
}

// decodeMessage copies what it needs: b belongs to the store.
func decodeMessage(b []byte) (*engine.Message, error) {
	d := decoder{b: b}
	if d.byte() != formWhole {
		return nil, errRecord
	}
	times := d.byte()
	m := &engine.Message{Priority: d.byte()}
	copy(m.ID[:], d.take(uint64(len(m.ID))))
	for i, t := range [...]*time.Time{&m.Expires, &m.Visible, &m.Stored} {
		if times&(1<<i) != 0 {
			sec := d.varint()
			*t = time.Unix(sec, int64(d.uvarint()%1_000_000_000))
		}
	}
	if times&hasBeside != 0 {
		m.Beside = int(d.uvarint() & math.MaxInt32)
	}
	m.Dest = string(d.take(d.uvarint()))
	header := d.take(d.uvarint())
	if d.bad {
		return nil, errRecord
	}
	rest := make([]byte, len(header)+len(d.b)) // one allocation for both
	if n := copy(rest, header); n > 0 {
		m.Header = rest[:n:n]
	}
	m.Body = rest[copy(rest, header):]
	copy(m.Body, d.b)
	return m, nil
}

func appendShared(b []byte, body uint64, size int) []byte {
	b = binary.BigEndian.AppendUint64(append(b, formShared), body)
	return binary.AppendUvarint(b, uint64(size))
}

// info is what a settlement needs to know of a record.
type info struct {
	body uint64 // number of the shared body, or 0
	size int    // as engine.Message.Size
}

// look reads what a settlement needs out of a stored record.
func look(b []byte) (info, error) {
	d := decoder{b: b}
	switch d.byte() {
	case formShared:
		i := info{body: binary.BigEndian.Uint64(pad(d.take(8)))}
		i.size = int(d.uvarint() & math.MaxInt32)
		if d.bad {
			return info{}, errRecord
		}
		return i, nil
	case formWhole:
		times := d.byte()
		d.byte()
		d.take(uint64(len(engine.MsgID{})))
		for i := range 3 {
			if times&(1<<i) != 0 {
				d.varint()
				d.uvarint()
			}
		}
		beside := 0
		if times&hasBeside != 0 {
			beside = int(d.uvarint() & math.MaxInt32)
		}
		d.take(d.uvarint())
		d.take(d.uvarint())
		if d.bad {
			return info{}, errRecord
		}
		return info{size: len(d.b) + beside}, nil
	default:
		return info{}, errRecord
	}
}

func pad(b []byte) []byte {
	if len(b) < 8 {
		return make([]byte, 8)
	}
	return b
}

// decoder reads values; what is missing sets bad.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) byte() byte {
	if b := d.take(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}
