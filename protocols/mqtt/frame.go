package mqtt

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/wyemq/wye/core"
)

// frames cuts what a connection receives into whole packets. Nothing is allocated for bytes that were only announced. Between
// packets it holds no buffer.
type frames struct {
	c core.Conn
	// limit is the most a packet may have.
	limit int
	// wait is how long the next packet may take; 0: for ever.
	wait time.Duration
	// before is called before a read that may block; nil: the connection does so itself.
	before func() error
	// hello says that CONNECT must come next: anything else is refused by its first octet. What looks like the length of
	// a packet in the request of another protocol would be waited for until the login times out.
	hello bool

	r      io.Reader // the message that is being read
	stream bool
	first  [32]byte // enough to wait for the next packet on a stream
	buf    []byte
	pooled *[]byte
	at     int
	end    int
	short  bool // the last read did not fill the space it was given
	used   int  // bytes of the packet that next returned
	armed  bool // the deadline for the next packet is set
}

const readSize = 16 << 10

var readBuffers = sync.Pool{New: func() any { b := make([]byte, readSize); return &b }}

// next returns the next packet; it is valid until the next call. header is the length of its fixed header.
func (f *frames) next() (packet []byte, header int, err error) {
	f.at += f.used
	f.used = 0
	for {
		if f.hello && f.at < f.end && f.buf[f.at] != packets.Connect<<4 { // [MQTT-3.1.0-1]
			return nil, 0, failure(codeProtocol, "the first packet is not CONNECT")
		}
		total, header, err := measure(f.buf[f.at:f.end])
		if err != nil {
			return nil, 0, err
		}
		if total > f.limit {
			return nil, 0, failure(codeTooLarge, fmt.Sprintf("a packet of %d bytes, %d are permitted", total, f.limit))
		}
		if total > 0 && f.end-f.at >= total {
			f.used, f.armed = total, false
			return f.buf[f.at : f.at+total], header, nil
		}
		if f.before != nil {
			if err := f.before(); err != nil {
				return nil, 0, err
			}
		}
		if !f.armed && f.wait > 0 {
			f.armed = true // once for a packet: a byte now and then is no sign of life [MQTT-3.1.2-22]
			if err := f.c.SetReadDeadline(time.Now().Add(f.wait)); err != nil {
				return nil, 0, err
			}
		}
		if err := f.more(total); err != nil {
			if errors.Is(err, io.EOF) && f.end > f.at {
				err = fmt.Errorf("in the middle of a packet: %w", io.ErrUnexpectedEOF)
			}
			return nil, 0, err
		}
	}
}

// measure returns the length of the packet that b begins with and of its fixed header, 0 while b is too short to tell.
func measure(b []byte) (total, header int, err error) {
	length := 0
	for i := 1; i < len(b); i++ {
		if i > 4 {
			return 0, 0, failure(codeMalformed, "the remaining length has more than four bytes")
		}
		length |= int(b[i]&0x7F) << (7 * (i - 1))
		if b[i] < 0x80 {
			return length + i + 1, i + 1, nil
		}
	}
	if len(b) > 4 {
		return 0, 0, failure(codeMalformed, "the remaining length has more than four bytes")
	}
	return 0, 0, nil
}

// more reads once. total is the length of the packet that has begun, if known.
func (f *frames) more(total int) error {
	if f.at == f.end {
		f.at, f.end = 0, 0
		if f.short || f.r == nil {
			f.release()
		}
	}
	for {
		if f.r == nil {
			kind, r, err := f.c.NextReader()
			if err != nil {
				return err
			}
			if kind != core.Binary {
				return &fault{codeProtocol, textMessageForBinary, core.ErrUnsupported}
			}
			f.r = r
		}
		f.space(total)
		n, err := f.r.Read(f.buf[f.end:])
		f.end += n
		f.short = f.end < len(f.buf)
		if errors.Is(err, io.EOF) {
			f.r, err = nil, nil
		}
		if n > 0 || err != nil {
			return err
		}
		if f.r == nil && f.at == f.end {
			f.release() // an empty message
		}
	}
}

// space makes room to read into.
func (f *frames) space(total int) {
	switch {
	case f.buf == nil && f.stream:
		f.buf = f.first[:]
		return
	case f.end < len(f.buf) && (total == 0 || f.at+total <= len(f.buf)):
		return
	}
	have := f.end - f.at
	var old *[]byte
	next := f.buf
	switch want := max(total, have+1); {
	case want <= readSize && f.pooled == nil:
		f.pooled, _ = readBuffers.Get().(*[]byte)
		next = *f.pooled
	case want <= len(f.buf): // moving what is there to the front makes room
	default:
		// Twice what has come, not what was announced.
		old, f.pooled = f.pooled, nil
		next = make([]byte, min(max(total, readSize), max(2*have, 2*readSize)))
	}
	copy(next, f.buf[f.at:f.end])
	f.buf, f.at, f.end = next, 0, have
	if old != nil {
		readBuffers.Put(old)
	}
}

// held returns how large the buffer of an incomplete packet is, when that is worth telling.
func (f *frames) held() int {
	if len(f.buf) < 4*readSize || f.at == f.end {
		return 0
	}
	return len(f.buf)
}

// release gives the buffer back.
func (f *frames) release() {
	if f.pooled != nil {
		readBuffers.Put(f.pooled)
	}
	f.buf, f.pooled, f.at, f.end, f.used = nil, nil, 0, 0, 0
}
