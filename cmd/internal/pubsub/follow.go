package pubsub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/wyemq/wye/cmd/internal/peer"
)

// How long to wait before connecting again: at first, and at most after doubling each time.
const (
	firstPause = 250 * time.Millisecond
	mostPause  = 10 * time.Second
)

// follow subscribes and prints until there is enough, ctx is done or the time to wait is over, which is no error. When
// the connection is lost it connects again; whom the broker has not let in the first time does not come back.
func (s *sub) follow(ctx context.Context) error {
	lost := s.open(ctx)
	if lost != nil && !s.in {
		return lost
	}
	if s.wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.wait)
		defer cancel()
	}
	pause := firstPause
	for {
		since := time.Now()
		if lost == nil {
			lost = s.receive(ctx)
			s.leave()
		}
		if lost == nil || ctx.Err() != nil {
			return nil
		}
		if s.once || s.final(lost) {
			return lost
		}
		if time.Since(since) > mostPause { // else it is lost as soon as it is there
			pause = firstPause
		}
		fmt.Fprintf(s.stderr, "wye sub: %v; connecting again in %v\n", lost, pause)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		pause = min(2*pause, mostPause)
		lost = s.open(ctx)
	}
}

// final says whether connecting again makes no sense after this.
func (s *sub) final(lost error) bool {
	if _, broken := s.out.Write(nil); broken != nil { // nobody reads what is printed
		return true
	}
	no, ok := errors.AsType[*peer.RefusedError](lost)
	if !ok {
		return false
	}
	if s.target.Protocol == peer.STOMP {
		if no.Reason == "" { // not wye: an ERROR has no codes, and what was permitted once may be again
			return !s.up
		}
		return !slices.Contains(passing, no.Reason) && !(s.up && slices.Contains(perhaps, no.Reason))
	}
	switch no.Code {
	case unavailable3, unavailable, busy, shuttingDown, keepAliveTimeout:
		return false
	case unspecified: // a broker that is going away says it too
		return !s.up
	default:
		return true
	}
}

// Codes of MQTT with which a broker says no for now, the first one in MQTT 3.1.1. Not among them is that somebody else has
// the client id now, who would lose it to us.
const (
	unavailable3     = 0x03
	unspecified      = 0x80
	unavailable      = 0x88
	busy             = 0x89
	shuttingDown     = 0x8b
	keepAliveTimeout = 0x8d
)

// passing are the reasons with which wye says no for now. taken_over is not among them either.
var passing = []string{"server_shutdown", "unavailable", "server_busy", "heartbeat_timeout", "slow_consumer", "rate_exceeded", "too_many_logins"}

// perhaps are those that pass for who was let in before: his old connection may still be counted.
var perhaps = []string{"limit_exceeded", "login_timeout", "internal_error"}

// open connects and subscribes. What comes meanwhile is printed.
func (s *sub) open(ctx context.Context) error {
	expiry := time.Duration(0)
	if s.keep {
		expiry = keepFor
	}
	conn, err := peer.Dial(ctx, s.target, s.login(!s.keep, expiry))
	if err != nil {
		return err
	}
	s.conn, s.in = conn, true
	beating, stop := context.WithCancel(ctx)
	var beat sync.WaitGroup
	beat.Go(func() { beatIf(beating, s.flags.KeepAlive, conn) })
	s.leave = func() {
		conn.Leave()
		stop()
		beat.Wait()
	}
	if err := s.subscribe(); err != nil {
		s.leave()
		return err
	}
	s.up = true
	return nil
}
