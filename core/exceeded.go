package core

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyemq/wye/core/internal/queue"
	"github.com/wyemq/wye/core/internal/rate"
)

// LimitStats counts how often one limit was reached.
type LimitStats struct {
	// Refused is how often something was refused for it, Slowed how often somebody had to wait. Limits of what waits for a
	// client, which it reaches again and again as long as it is slow, count once for a session or queue.
	Refused, Slowed uint64
}

// limitError says which limit was reached, by its key in a section of the configuration. It wraps a Reason.
type limitError struct {
	section, limit string
	text           string
	reason         *Reason
}

const (
	ofAll   = "limits"
	ofVHost = "vhosts"
)

func (e *limitError) Error() string {
	return e.text + " (" + e.section + "." + e.limit + "): " + e.reason.Error()
}

// Unwrap returns the reason.
func (e *limitError) Unwrap() error { return e.reason }

// limitLog tells an operator of limits that are reached: a flood of clients must not become one of lines.
type limitLog struct {
	lines *rate.Bucket

	mu     sync.Mutex
	stats  map[string]*LimitStats
	silent int // lines that were not written
}

const (
	limitLines = 5 // a second
	limitBurst = 10 * time.Second
)

// whom is who has reached a limit.
type whom struct {
	client, user string
	remote       netip.Addr
	conn         string
}

// note counts, and writes a line for the first time of each connection, if there are not too many.
func (b *Broker) note(limit string, slowed, first bool, who whom, err error) {
	l := &b.limited
	l.mu.Lock()
	s := l.stats[limit]
	if s == nil {
		s = new(LimitStats)
		l.stats[limit] = s
	}
	if slowed {
		s.Slowed++
	} else {
		s.Refused++
	}
	l.mu.Unlock()
	if !first {
		return
	}
	_, ok := l.lines.Take(1, time.Now(), 0)
	l.mu.Lock()
	silent := l.silent
	l.silent = 0
	if !ok {
		l.silent = silent + 1
	}
	l.mu.Unlock()
	if ok {
		b.log.Warn("limit reached", "limit", limit, "slowed", slowed, "reason", ReasonID(err), "conn", who.conn,
			"client", who.client, "user", who.user, "remote", who.remote, "error", err, "lines_left_out", silent)
	}
}

// exceeded counts that the session has reached a limit, and returns why something is refused.
func (s *Session) exceeded(limit string, reason *Reason, format string, args ...any) error {
	return s.exceeds(&limitError{ofAll, limit, fmt.Sprintf(format, args...), reason})
}

// exceeds counts that the session has reached a limit, and returns err.
func (s *Session) exceeds(err *limitError) error {
	s.b.note(err.limit, false, s.firstTime(err.limit), s.whom(), err)
	s.wasRefused.Store(true)
	return err
}

// Exceeded is for protocols that keep a limit of [Limits] themselves: it counts and logs that the session has reached it, and
// returns an error that wraps ErrLimit and says so. limit is the key in the configuration, as in "transactions".
func (s *Session) Exceeded(limit, format string, args ...any) error {
	return s.exceeded(limit, ErrLimit, format, args...)
}

// slowed counts that the session had to wait.
func (s *Session) slowed(limit string, reason *Reason) {
	s.b.note(limit, true, s.firstTime("slowed by "+limit), s.whom(), reason)
}

// once is the first of several times that may follow each other fast.
type once struct{ been atomic.Bool }

func (o *once) first() bool { return !o.been.Load() && !o.been.Swap(true) }

// overflows says, for the first time, that the client does not read as fast as messages come; n were just dropped. It returns why
// the client has to go, if it has to.
func (s *Session) overflows(n int) error {
	if !s.full.outbox.first() {
		return ErrSlowConsumer
	}
	l := &s.b.options().Limits
	if s.out.Len()+n >= l.OutboxMessages {
		return s.exceeded("outbox_messages", ErrSlowConsumer, "%d messages wait for the client, the most there may be", l.OutboxMessages)
	}
	return s.exceeded("outbox_bytes", ErrSlowConsumer, "messages wait for the client that have %d bytes, the most there may be", l.OutboxBytes)
}

// publishesWait says, for the first time, that a publish has to wait for those before it.
func (s *Session) publishesWait() {
	if s.full.publishes.first() {
		s.slowed("unacked_publishes", ErrLimit)
	}
}

// overflows says, for the first time, that messages leave a queue whose room the limits say, because there is none; n were just
// dropped, or one was refused. q is what dispatches it, which may drop before bq knows it.
func (bq *boundQueue) overflows(q *queue.Queue, n int) {
	cfg, l := bq.cfg.Load(), &bq.v.b.options().Limits
	if cfg.MaxLength != l.SessionQueue || cfg.MaxBytes != l.SessionQueueBytes || bq.kind == kindQueue || !bq.full.first() {
		return
	}
	limit, s := "session_queue", q.Stats()
	if s.Ready+s.Unacked+n < cfg.MaxLength {
		limit = "session_queue_bytes"
	}
	err := &limitError{ofAll, limit, fmt.Sprintf("%s: %d messages with %d bytes are the most that may wait", bq.name, cfg.MaxLength, cfg.MaxBytes), ErrQueueFull}
	bq.v.b.note(limit, false, true, whom{client: bq.spec.client, user: bq.spec.by.user, remote: bq.spec.by.from}, err)
}

func (s *Session) firstTime(what string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, told := s.told[what]; told {
		return false
	}
	if s.told == nil {
		s.told = make(map[string]struct{})
	}
	s.told[what] = struct{}{}
	return true
}

func (s *Session) whom() whom {
	w := whom{client: s.principal.ClientID, user: s.principal.Name, remote: s.principal.Remote}
	if info := infoOf(s.conn); info != nil {
		w.conn = info.ID
	}
	return w
}

// turnedAway counts a login that is refused for a limit.
func (b *Broker) turnedAway(l *Login, limit string, reason *Reason, text string) error {
	w := whom{client: l.ClientID, user: l.User, remote: remoteOf(l.Conn)}
	if info := infoOf(l.Conn); info != nil {
		w.conn = info.ID
	}
	err := &limitError{ofAll, limit, text, reason}
	b.note(limit, false, true, w, err)
	return err
}

// limitStats returns the counters as they are now.
func (b *Broker) limitStats() map[string]LimitStats {
	b.limited.mu.Lock()
	defer b.limited.mu.Unlock()
	out := make(map[string]LimitStats, len(b.limited.stats))
	for k, s := range b.limited.stats {
		out[k] = *s
	}
	return out
}
