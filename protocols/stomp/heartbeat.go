package stomp

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/protocols/stomp/frame"
)

// intervals is a client's heart-beat header: what it can send, and what it would like to receive.
// 0: nothing.
type intervals struct{ send, receive time.Duration }

// parseHeartBeat reads the header. 1.0 has no heart-beats, and without the header there are none
// (STOMP 1.1, "Heart-beating").
func parseHeartBeat(f *frame.Frame, v frame.Version) (intervals, error) {
	text, ok := f.Get("heart-beat")
	if !ok || v == frame.V10 {
		return intervals{}, nil
	}
	x, y, ok := strings.Cut(text, ",")
	send, err1 := strconv.ParseUint(strings.TrimSpace(x), 10, 31)
	receive, err2 := strconv.ParseUint(strings.TrimSpace(y), 10, 31)
	if !ok || err1 != nil || err2 != nil {
		return intervals{}, fmt.Errorf("heart-beat %q is not two numbers of milliseconds: %w", text, core.ErrInvalid)
	}
	return intervals{time.Duration(send) * time.Millisecond, time.Duration(receive) * time.Millisecond}, nil
}

// offer is the broker's own header.
func offer(h HeartBeat) string {
	return strconv.FormatInt(h.Send.Milliseconds(), 10) + "," + strconv.FormatInt(h.Receive.Milliseconds(), 10)
}

// agree is the interval of one direction: the longer of what one can and the other wants; 0: none.
func agree(can, want time.Duration) time.Duration {
	if can == 0 || want == 0 {
		return 0
	}
	return max(can, want)
}

// heartBeat keeps a connection alive in both directions. Its zero value does nothing.
type heartBeat struct {
	s        *session
	interval time.Duration // at which the broker sends; 0: not
	grace    time.Duration // after which a silent client is given up; 0: never
	deadline time.Time     // last one set; the reader's
	idle     atomic.Int64  // when something was last written, in Unix nanoseconds

	mu      sync.Mutex // guards what follows; no Conn is called under it
	timer   *time.Timer
	stopped bool
	running sync.WaitGroup // a timer that is set, or its function
}

func (h *heartBeat) start(s *session, client intervals) {
	cfg := s.p.cfg.HeartBeat
	h.s = s
	if in := agree(client.send, cfg.Receive); in > 0 {
		floor := cfg.Floor
		if header := s.conn.Info().Header; header != nil && header.Get("Origin") != "" {
			floor = cfg.BrowserFloor
		}
		h.grace = max(time.Duration(float64(in)*cfg.Tolerance), floor)
		h.heard(s.conn)
	}
	if out := agree(cfg.Send, client.receive); out > 0 {
		h.interval = out - out/10 // sooner, so that it arrives in time
		h.wrote()
		h.mu.Lock()
		defer h.mu.Unlock()
		h.running.Add(1)
		h.timer = time.AfterFunc(h.interval, h.fire)
	}
}

// heard puts the deadline off: any octet is a sign of life. To spare system calls that is done when an
// eighth of the time has passed.
func (h *heartBeat) heard(c core.Conn) {
	if h.grace == 0 {
		return
	}
	now := time.Now()
	if next := now.Add(h.grace); next.Sub(h.deadline) > h.grace/8 {
		h.deadline = next
		_ = c.SetReadDeadline(next) // a connection that is gone is noticed when it is read
	}
}

// wrote notes that the client hears something now.
func (h *heartBeat) wrote() {
	if h.interval != 0 {
		h.idle.Store(time.Now().UnixNano())
	}
}

// fire sends a heart-beat if nothing else was sent, and sets the timer again.
func (h *heartBeat) fire() {
	defer h.running.Done()
	left := time.Until(time.Unix(0, h.idle.Load()).Add(h.interval))
	if left <= 0 && h.s.fatal.Load() == nil {
		// A message of its own that is exactly one line end: older browser clients expect it so.
		if err := h.s.conn.WriteMessage(h.s.kind, []byte{'\n'}); err == nil {
			err = h.s.conn.Flush()
			if err != nil {
				return // the reader will notice
			}
		}
		h.wrote()
		left = h.interval
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.stopped {
		h.running.Add(1)
		h.timer.Reset(left)
	}
}

// stop ends the sending and waits for it.
func (h *heartBeat) stop() {
	h.mu.Lock()
	h.stopped = true
	if h.timer != nil && h.timer.Stop() {
		h.running.Done()
	}
	h.mu.Unlock()
	h.running.Wait()
}
