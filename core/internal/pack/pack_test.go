package pack_test

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/wyemq/wye/core/internal/pack"
)

var moments = []time.Time{
	{},
	time.Unix(0, 0), time.Unix(-1, 999_999_999), time.Now(), time.Date(9999, 12, 31, 23, 59, 59, 1, time.UTC),
	time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC),
}

// What is read is what was written.
func TestRoundTrip(t *testing.T) {
	strings := []string{"", "a", "\x00\xff", string(make([]byte, 300))}
	uints := []uint64{0, 1, 127, 128, math.MaxUint64}
	ints := []int64{0, 1, -1, 64, -65, math.MaxInt64, math.MinInt64}
	var b []byte
	for _, s := range strings {
		b = pack.Bytes(pack.String(b, s), []byte(s))
	}
	for _, n := range uints {
		b = pack.Uint(b, n)
	}
	for _, n := range ints {
		b = pack.Int(b, n)
	}
	for _, m := range moments {
		b = pack.Time(b, m)
	}
	b = pack.Bool(pack.Bool(b, true), false)
	r := pack.NewReader(b)
	clear(b)
	for _, s := range strings {
		if got := r.String(); got != s {
			t.Errorf("got %q, want %q", got, s)
		}
		if got := r.Bytes(); string(got) != s || (s == "") != (got == nil) {
			t.Errorf("got %q, want %q", got, s)
		}
	}
	for _, n := range uints {
		if got := r.Uint(); got != n {
			t.Errorf("got %d, want %d", got, n)
		}
	}
	for _, n := range ints {
		if got := r.Int(); got != n {
			t.Errorf("got %d, want %d", got, n)
		}
	}
	for _, m := range moments {
		if got := r.Time(); !got.Equal(m) || got.IsZero() != m.IsZero() {
			t.Errorf("got %v, want %v", got, m)
		}
	}
	if !r.Bool() || r.Bool() {
		t.Error("truth values are not what they were")
	}
	if err := r.Err(); err != nil {
		t.Error(err)
	}
}

// What was cut off, or is something else, is an error in the end, and zero values until then.
func TestBad(t *testing.T) {
	for name, c := range map[string]struct {
		b    []byte
		read func(r *pack.Reader) bool
	}{
		"nothing there":     {nil, func(r *pack.Reader) bool { return r.Byte() == 0 }},
		"number cut off":    {[]byte{0x80}, func(r *pack.Reader) bool { return r.Uint() == 0 }},
		"number too large":  {bytes.Repeat([]byte{0xff}, 10), func(r *pack.Reader) bool { return r.Uint() == 0 }},
		"string cut off":    {[]byte{2, 'a'}, func(r *pack.Reader) bool { return r.String() == "" }},
		"length too large":  {pack.Uint(nil, math.MaxUint64), func(r *pack.Reader) bool { return r.Bytes() == nil }},
		"list too long":     {[]byte{3, 1, 1, 1, 1, 1}, func(r *pack.Reader) bool { return r.Count(2) == 0 }},
		"neither 0 nor 1":   {[]byte{2}, func(r *pack.Reader) bool { return !r.Bool() }},
		"nanoseconds":       {pack.Int(pack.Uint(nil, 1e9+1), 0), func(r *pack.Reader) bool { return r.Time().IsZero() }},
		"something is left": {[]byte{1, 1}, func(r *pack.Reader) bool { return r.Byte() == 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			r := pack.NewReader(c.b)
			if !c.read(&r) {
				t.Error("the value is not the one for what cannot be read")
			}
			if err := r.Err(); !errors.Is(err, pack.ErrBad) {
				t.Errorf("got %v", err)
			}
			if s := r.String(); name != "something is left" && s != "" {
				t.Errorf("after the error: %q", s)
			}
		})
	}
}
