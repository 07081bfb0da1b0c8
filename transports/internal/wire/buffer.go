package wire

import "sync"

const (
	// flushAt is how many bytes are gathered before they are sent without being asked.
	flushAt = 64 << 10
	// directAt is the size from which a message is sent from where it is, not copied.
	directAt = 32 << 10
	// smallBuffer is enough for most of what a connection is sent at once; bigBuffer for all
	// that is ever gathered.
	smallBuffer = 2 << 10
	bigBuffer   = flushAt + directAt
)

// buffer is a write buffer. A connection has one only while something waits to be sent.
type buffer struct{ b []byte }

var (
	smallBuffers = sync.Pool{New: func() any { return &buffer{make([]byte, 0, smallBuffer)} }}
	bigBuffers   = sync.Pool{New: func() any { return &buffer{make([]byte, 0, bigBuffer)} }}
)

// room returns a buffer with what is in b and room for n more bytes, n ≤ directAt. b may be nil.
func (b *buffer) room(n int) *buffer {
	switch {
	case b == nil && n <= smallBuffer:
		b, _ = smallBuffers.Get().(*buffer)
	case b == nil:
		b, _ = bigBuffers.Get().(*buffer)
	case len(b.b)+n > cap(b.b) && cap(b.b) < bigBuffer:
		big, _ := bigBuffers.Get().(*buffer)
		big.b = append(big.b, b.b...)
		b.free()
		return big
	}
	return b
}

// free gives the buffer back. b may be nil.
func (b *buffer) free() {
	if b == nil {
		return
	}
	n := cap(b.b)
	b.b = b.b[:0]
	switch n {
	case smallBuffer:
		smallBuffers.Put(b)
	case bigBuffer:
		bigBuffers.Put(b)
	}
}
