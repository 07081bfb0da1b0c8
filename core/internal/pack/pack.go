// Package pack writes small values one behind the other and reads them again: what the core keeps in an engine. A value
// has no name and no type, so both sides follow the same list; a version in front of it says which.
//
// Numbers are varints, strings have their length before them. Reading never fails half-way: a [Reader] that has come to
// something it cannot read gives zero values from there on, and says so in the end.
package pack

import (
	"encoding/binary"
	"errors"
	"math"
	"time"
)

// ErrBad says that what is read is not what was written.
var ErrBad = errors.New("not in the form it was written in")

// String appends a string.
func String(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// Bytes appends bytes.
func Bytes(b, p []byte) []byte { return append(binary.AppendUvarint(b, uint64(len(p))), p...) }

// Uint appends a number that is not negative.
func Uint(b []byte, n uint64) []byte { return binary.AppendUvarint(b, n) }

// Int appends a number.
func Int(b []byte, n int64) []byte { return binary.AppendVarint(b, n) }

// Bool appends a truth value.
func Bool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// Time appends a moment, to the nanosecond; its zone and its monotonic clock are left behind. The zero time stays one.
func Time(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(t.Nanosecond())+1)
	return binary.AppendVarint(b, t.Unix())
}

// Reader reads what the functions of this package have written, in the same order.
type Reader struct {
	s   string
	bad bool
}

// NewReader returns a reader of a copy of b: what it gives does not share memory with b.
func NewReader(b []byte) Reader { return Reader{s: string(b)} }

// Err returns ErrBad unless everything was there and was read.
func (r *Reader) Err() error {
	if r.bad || r.s != "" {
		return ErrBad
	}
	return nil
}

// Len returns how many bytes are left: no list of things can be longer.
func (r *Reader) Len() int { return len(r.s) }

func (r *Reader) fail() {
	r.s, r.bad = "", true
}

// Byte reads a byte.
func (r *Reader) Byte() byte {
	if r.s == "" {
		r.fail()
		return 0
	}
	c := r.s[0]
	r.s = r.s[1:]
	return c
}

// Bool reads a truth value.
func (r *Reader) Bool() bool {
	c := r.Byte()
	if c > 1 {
		r.fail()
	}
	return c == 1
}

// Uint reads a number that is not negative.
func (r *Reader) Uint() uint64 {
	var n uint64
	for shift := 0; ; shift += 7 {
		c := r.Byte()
		if r.bad || shift == 63 && c > 1 {
			r.fail()
			return 0
		}
		n |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return n
		}
	}
}

// Int reads a number.
func (r *Reader) Int() int64 {
	n := r.Uint()
	return int64(n>>1) ^ -int64(n&1)
}

// Count reads how many of something follow, each of them at least size bytes.
func (r *Reader) Count(size int) int {
	n := r.Uint()
	if n > uint64(len(r.s)/size) {
		r.fail()
		return 0
	}
	return int(n)
}

// String reads a string.
func (r *Reader) String() string {
	n := r.Count(1)
	s := r.s[:n]
	r.s = r.s[n:]
	return s
}

// Bytes reads bytes; nil when there are none.
func (r *Reader) Bytes() []byte {
	if s := r.String(); s != "" {
		return []byte(s)
	}
	return nil
}

// Time reads a moment.
func (r *Reader) Time() time.Time {
	nano := r.Uint()
	if nano == 0 {
		return time.Time{}
	}
	sec := r.Int()
	if r.bad || nano > 1e9 || sec > math.MaxInt64/2 || sec < math.MinInt64/2 {
		r.fail()
		return time.Time{}
	}
	return time.Unix(sec, int64(nano-1))
}
