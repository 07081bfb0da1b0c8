package peer

import (
	"encoding/binary"
	"errors"
	"io"
)

// The sizes of the buffer that a connection reads into: it starts small, for there may be thousands.
const (
	minInbox = 2 << 10
	maxInbox = 256 << 10 // unless one packet is larger
)

// inbox holds what was read and not yet worked off, as three runs of one buffer:
//
//	buf:  ... │ stream: bytes of the protocol │ ... │ wire: frames not yet opened │ free
//
// Opening a frame moves its payload down to the end of the stream. Without WebSocket there are no frames, and
// wire is always empty.
type inbox struct {
	buf        []byte
	from, to   int    // stream
	wire, last int    // wire
	left       uint64 // payload of the opened frame that has not yet come
	webSocket  bool
	pong       []byte // the payload of a ping to answer; nil: none
	err        error  // what ends the connection once the stream is worked off
}

// read reads once, and opens what came. Its error is that of the connection; what the other side has said
// before it closed is to be read first, so that is kept in err.
func (in *inbox) read(r io.Reader) error {
	in.room()
	n, err := r.Read(in.buf[in.last:])
	in.last += n
	if n == 0 {
		return err
	}
	if in.webSocket {
		in.err = in.open()
	} else {
		in.to, in.wire = in.last, in.last
	}
	return nil
}

// room makes sure that something can be read. The buffer grows when a read has filled it, and for a packet
// that needs it.
func (in *inbox) room() {
	size := max(len(in.buf), minInbox)
	waiting := in.to - in.from + in.last - in.wire
	if in.last == len(in.buf) && in.last > 0 && size < maxInbox {
		size = min(4*size, maxInbox)
	}
	if waiting > size/2 {
		size *= 2
	}
	buf := in.buf
	if size != len(buf) {
		buf = make([]byte, size)
	} else if waiting > 0 && size-in.last >= size/4 {
		return
	}
	n := copy(buf, in.buf[in.from:in.to])
	m := copy(buf[n:], in.buf[in.wire:in.last])
	in.buf, in.from, in.to, in.wire, in.last = buf, 0, n, n, n+m
}

// open moves the payloads of all frames that are there to the stream.
func (in *inbox) open() error {
	for {
		if n := min(in.left, uint64(in.last-in.wire)); n > 0 {
			in.to += copy(in.buf[in.to:], in.buf[in.wire:in.wire+int(n)])
			in.wire += int(n)
			in.left -= n
		}
		if in.wire == in.last {
			return nil
		}
		b := in.buf[in.wire:in.last]
		head, payload, err := header(b)
		if head == 0 || err != nil {
			return err
		}
		if op := b[0] & 0xf; op >= 8 { // a control frame, at most 125 bytes. RFC 6455, section 5.5
			if payload > 125 {
				return errors.New("a control frame is too long")
			}
			if len(b) < head+int(payload) {
				return nil
			}
			if err := in.control(op, b[head:head+int(payload)]); err != nil {
				return err
			}
			in.wire += head + int(payload)
			continue
		}
		in.wire += head
		in.left = payload
	}
}

func (in *inbox) control(op byte, payload []byte) error {
	switch op {
	case opPing & 0xf:
		in.pong = append([]byte{}, payload...) // the latest is enough. RFC 6455, section 5.5.3
	case opClose & 0xf:
		if len(payload) < 2 {
			return &CloseError{Code: 1005}
		}
		return &CloseError{Code: int(binary.BigEndian.Uint16(payload)), Text: string(payload[2:])}
	}
	return nil
}
