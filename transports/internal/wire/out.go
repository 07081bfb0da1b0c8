package wire

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/wyemq/wye/core"
)

// Out gathers what is written to a connection and sends it. Its methods may be called concurrently;
// what one call of Append adds stays together. A peer that does not read blocks the writers of this
// connection only, and for the write timeout at most: a write that made progress goes on.
type Out struct {
	nc      net.Conn
	timeout time.Duration
	record  int           // how much is written at once to a TLS connection that is not over a steady; else 0
	steady  bool          // a steady below looks after deadlines
	onFail  func(error)   // called once, with no lock of Out held but sending
	until   atomic.Int64  // unix nanoseconds after which nothing is written any more; 0: no such time
	sent    atomic.Uint64 // bytes

	sending sync.Mutex // held while bytes leave; taken before mu, never the other way round

	mu   sync.Mutex
	buf  *buffer
	err  error // why writing has ended
	over bool  // nothing more may be appended
}

// attach makes nc the connection below.
func (o *Out) attach(nc net.Conn, timeout time.Duration, onFail func(error)) {
	o.nc, o.timeout, o.onFail = nc, timeout, onFail
	if t, ok := nc.(*tls.Conn); ok {
		if below, ok := t.NetConn().(*steady); ok {
			o.steady = true
			below.out.Store(o)
		} else {
			o.record = 16 << 10 // RFC 8446, section 5.1: a TLS connection is broken by a write that timed out
		}
	}
}

// Append gathers head and the parts, joined. It returns the error of an earlier write that failed. The
// slices are not kept. It blocks only when the buffer is full.
func (o *Out) Append(head []byte, parts ...[]byte) error {
	n := len(head)
	for _, p := range parts {
		n += len(p)
	}
	if n > directAt {
		return o.direct(head, parts)
	}
	o.mu.Lock()
	if err := o.ended(); err != nil {
		o.mu.Unlock()
		return err
	}
	o.add(n, head, parts)
	full := len(o.buf.b) >= flushAt
	o.mu.Unlock()
	if full {
		return o.Flush()
	}
	return nil
}

// ended returns why nothing may be appended. It is called with mu held.
func (o *Out) ended() error {
	if o.err == nil && o.over {
		return net.ErrClosed
	}
	return o.err
}

// add is called with mu held.
func (o *Out) add(n int, head []byte, parts [][]byte) {
	o.buf = o.buf.room(n)
	b := o.buf.b
	b = append(b, head...)
	for _, p := range parts {
		b = append(b, p...)
	}
	o.buf.b = b
}

// direct sends what is gathered and a large message, which is not copied.
func (o *Out) direct(head []byte, parts [][]byte) error {
	o.sending.Lock()
	defer o.sending.Unlock()
	o.mu.Lock()
	if err := o.ended(); err != nil {
		o.mu.Unlock()
		return err
	}
	o.add(len(head), head, nil)
	buf := o.buf
	o.buf = nil
	o.mu.Unlock()
	bufs := make(net.Buffers, 0, 1+len(parts))
	bufs = append(append(bufs, buf.b), parts...)
	err := o.writeAll(bufs)
	buf.free()
	return err
}

// Flush sends what is gathered, in one system call as a rule. When it returns nil all that was appended
// before is in the hands of the operating system.
func (o *Out) Flush() error {
	o.sending.Lock()
	defer o.sending.Unlock()
	o.mu.Lock()
	buf, err := o.buf, o.err
	o.buf = nil
	o.mu.Unlock()
	if buf == nil {
		return err
	}
	if err == nil {
		err = o.write(buf.b)
	}
	buf.free()
	return err
}

// Seal appends the last bytes: after them Append fails. It reports whether they were appended.
func (o *Out) Seal(last []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended() != nil {
		return false
	}
	o.over = true
	if len(last) > 0 {
		o.add(len(last), last, nil)
	}
	return true
}

// Beat sends b, unless bytes are leaving anyway. It reports whether b was appended; then Flush is due.
func (o *Out) Beat(b []byte) bool {
	if !o.sending.TryLock() {
		return false
	}
	o.sending.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended() != nil || o.buf != nil && len(o.buf.b) >= flushAt {
		return false
	}
	o.add(len(b), b, nil)
	return true
}

// writeAll and write are called with sending held.
func (o *Out) writeAll(bufs net.Buffers) error {
	if o.record > 0 || o.steady {
		for _, b := range bufs {
			if err := o.write(b); err != nil {
				return err
			}
		}
		return nil
	}
	var p progress
	for {
		err := o.arm(o.nc, &p)
		var n int64
		if err == nil {
			n, err = bufs.WriteTo(o.nc)
			o.sent.Add(uint64(n))
		}
		if err == nil {
			return nil
		}
		if !o.resume(o.nc, &p, int(n), err) {
			return o.fail(err)
		}
	}
}

func (o *Out) write(b []byte) error {
	var n int
	var err error
	if o.steady {
		n, err = o.nc.Write(b)
	} else {
		n, err = o.push(o.nc, b)
	}
	o.sent.Add(uint64(n))
	if err != nil {
		return o.fail(err)
	}
	return nil
}

// push writes b to nc, as long as the peer takes something now and then.
func (o *Out) push(nc net.Conn, b []byte) (done int, err error) {
	var p progress
	for done < len(b) {
		piece := b[done:]
		if o.record > 0 && len(piece) > o.record {
			piece = piece[:o.record]
		}
		err := o.arm(nc, &p)
		n := 0
		if err == nil {
			n, err = nc.Write(piece)
			done += n
		}
		if err != nil && !o.resume(nc, &p, n, err) {
			return done, err
		}
	}
	return done, nil
}

// progress is what a write has seen of the peer.
type progress struct {
	last   time.Time // when it was known to take something; at first, when the write began
	unsent int       // bytes that the system held for it then
	known  bool      // whether unsent is
}

// looks is how often within the write timeout it is looked whether the peer takes something.
const looks = 4

// arm sets the deadline of the next write.
func (o *Out) arm(nc net.Conn, p *progress) error {
	now := time.Now()
	wait := o.timeout
	if o.record == 0 {
		wait /= looks
	}
	if p.last.IsZero() {
		p.last = now
	}
	deadline := now.Add(wait)
	if until := o.until.Load(); until != 0 {
		if end := time.Unix(0, until); end.Before(deadline) {
			deadline = end
		}
	}
	return nc.SetWriteDeadline(deadline)
}

// resume reports whether a write that failed with err after n bytes is gone on with. What counts is what the
// peer takes: the system may take nothing from us for long while it empties a large buffer of its own.
func (o *Out) resume(nc net.Conn, p *progress, n int, err error) bool {
	if o.record > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	now := time.Now()
	if until := o.until.Load(); until != 0 && now.UnixNano() >= until {
		return false
	}
	unsent, known := unsent(nc)
	if n > 0 || known && p.known && unsent < p.unsent {
		p.last = now
	}
	p.unsent, p.known = unsent, known
	return now.Sub(p.last) < o.timeout
}

// fail notes why writing has ended, and tells.
func (o *Out) fail(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("nothing was read for %s (write_timeout): %w", o.timeout, core.ErrSlowConsumer)
	}
	gone := errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
	if gone {
		err = fmt.Errorf("%w: %w", core.ErrGone, err)
	}
	o.mu.Lock()
	if o.err != nil {
		err = o.err
		o.mu.Unlock()
		return err
	}
	o.err = err
	buf := o.buf
	o.buf = nil
	o.mu.Unlock()
	buf.free()
	if !gone { // else reads end by themselves, after what the peer has said before
		o.onFail(err)
	}
	return err
}

// cut makes writes fail with err, the one under way included.
func (o *Out) cut(err error) {
	o.mu.Lock()
	if o.err == nil {
		o.err = err
	}
	o.mu.Unlock()
	_ = o.nc.SetWriteDeadline(time.Unix(1, 0))
}
