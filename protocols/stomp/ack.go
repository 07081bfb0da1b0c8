package stomp

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/protocols/stomp/frame"
)

// unacked is a delivery to a client of 1.0 or 1.1, which acknowledges by message-id, or of a subscription to
// several destinations.
type unacked struct {
	id  messageID
	tag uint64
}

// errIgnored: the acknowledgement of a subscription that needs none.
var errIgnored = errors.New("nothing to acknowledge")

// ack executes ACK.
func (s *session) ack(f *frame.Frame, receipt string) error {
	return s.settle(f, core.Accepted, receipt)
}

// nack executes NACK. requeue:false makes a dead letter, without it the message is delivered again.
func (s *session) nack(f *frame.Frame, receipt string) error {
	outcome := core.Requeue
	if text, ok := f.Get("requeue"); ok {
		again, err := flag("requeue", text)
		if err != nil {
			return err
		}
		if !again {
			outcome = core.Rejected
		}
	}
	return s.settle(f, outcome, receipt)
}

func (s *session) settle(f *frame.Frame, outcome core.Outcome, receipt string) error {
	sub, tag, err := s.acknowledged(f)
	if errors.Is(err, errIgnored) {
		return s.receipt(receipt)
	}
	if err != nil {
		return err
	}
	id, ok := f.Get("transaction")
	gather := !ok && receipt == "" && sub == nil && outcome == core.Accepted
	if n := len(s.acked); n > 0 && (!gather || n == mostGathered || s.acked[n-1] >= tag) { // ascending: none twice
		if err := s.settleAcked(); err != nil {
			return err
		}
	}
	if gather {
		s.acked = append(s.acked, tag)
		return nil
	}
	if ok {
		if err := s.settleAtCommit(id, outcome, sub, tag); err != nil {
			return err
		}
		return s.receipt(receipt)
	}
	var done func(error) // nil: nobody waits for the disk
	if receipt != "" {
		command := f.Command
		done = func(err error) {
			if err != nil {
				s.refuseLater(fmt.Errorf("%s: %w", command, err), receipt)
				return
			}
			_ = s.receipt(receipt) // a connection that is gone is noticed by the reader
		}
	}
	err = s.core.Settle(s.ctx, outcome, done, s.covered(sub, tag)...)
	if errors.Is(err, core.ErrNotFound) {
		return notDelivered(f)
	}
	if err == nil && sub != nil {
		s.forget(sub, tag)
	}
	return err
}

// mostGathered is how many acknowledgements are settled in one go.
const mostGathered = 256

// settleAcked settles what ACK frames without a receipt have named since the last time: one batch for the engine
// however many they were. If one is refused each is settled by itself, so that the client hears which it was.
func (s *session) settleAcked() error {
	if len(s.acked) == 0 {
		return nil
	}
	tags := s.acked
	s.acked = tags[:0]
	if s.core.Settle(s.ctx, core.Accepted, nil, tags...) == nil {
		return nil
	}
	for i := range tags {
		err := s.core.Settle(s.ctx, core.Accepted, nil, tags[i])
		if errors.Is(err, core.ErrNotFound) {
			err = notWaiting(s.acks + strconv.FormatUint(tags[i], 10))
		}
		if err == nil {
			continue
		}
		if err := s.refuse(fmt.Errorf("%s: %w", frame.Ack, err), "", false); err != nil {
			return err
		}
	}
	return nil
}

// settleAtCommit makes the settlement part of a transaction.
func (s *session) settleAtCommit(id string, outcome core.Outcome, sub *subscription, tag uint64) error {
	t := s.txs[id]
	if t == nil {
		return unknownTransaction(id)
	}
	tags := s.covered(sub, tag)
	if err := s.room(t, len(tags), 0); err != nil {
		return err
	}
	for _, tag := range tags {
		t.Settles = append(t.Settles, core.Settlement{Outcome: outcome, Tag: tag})
	}
	if sub != nil {
		t.acks = append(t.acks, ackedIn{sub, tag})
	}
	return nil
}

// covered returns the tags that a settlement of tag stands for. The core sees to it within one of its
// subscriptions; one with several destinations is several to the core.
func (s *session) covered(sub *subscription, tag uint64) []uint64 {
	if sub == nil || sub.mode != core.AckCumulative || len(sub.targets) == 1 {
		return []uint64{tag}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var tags []uint64
	for _, u := range sub.unacked {
		tags = append(tags, u.tag)
		if u.tag == tag {
			break
		}
	}
	return tags
}

func notDelivered(f *frame.Frame) error {
	id, ok := f.Get("id")
	if !ok {
		id, _ = f.Get("message-id")
	}
	return notWaiting(id)
}

func notWaiting(id string) error {
	return fmt.Errorf("message %q is not waiting for it: %w", clip(id), core.ErrNotFound)
}

// acknowledged returns the delivery that a frame names: in 1.2 by the ack header of MESSAGE, before by
// message-id, with the subscription from 1.1 on.
func (s *session) acknowledged(f *frame.Frame) (*subscription, uint64, error) {
	if s.version == frame.V12 {
		id, ok := f.Get("id")
		if !ok {
			return nil, 0, fmt.Errorf("there is no id header: %w", core.ErrInvalid)
		}
		text, ok := strings.CutPrefix(id, s.acks)
		tag, err := strconv.ParseUint(text, 10, 64)
		if !ok || err != nil {
			return nil, 0, notDelivered(f)
		}
		return s.composite(tag), tag, nil
	}
	text, ok := f.Get("message-id")
	if !ok {
		return nil, 0, fmt.Errorf("there is no message-id header: %w", core.ErrInvalid)
	}
	name, ok := f.Get("subscription")
	if !ok && s.version == frame.V11 {
		return nil, 0, fmt.Errorf("there is no subscription header: %w", core.ErrInvalid)
	}
	id, known := parseMessageID(text)
	if ok {
		sub := s.subs[name]
		if sub == nil {
			return nil, 0, fmt.Errorf("there is no subscription %q: %w", clip(name), core.ErrNotFound)
		}
		if sub.mode == core.AckAuto {
			return nil, 0, errIgnored
		}
		if tag, found := s.find(sub, id); known && found {
			return sub, tag, nil
		}
		return nil, 0, notDelivered(f)
	}
	auto := false
	for _, sub := range s.subs {
		auto = auto || sub.mode == core.AckAuto
		if tag, found := s.find(sub, id); known && found {
			return sub, tag, nil
		}
	}
	if auto && known {
		return nil, 0, errIgnored
	}
	return nil, 0, notDelivered(f)
}

// composite returns the subscription of a delivery if it has several destinations, else nil.
func (s *session) composite(tag uint64) *subscription {
	for _, sub := range s.composites {
		s.mu.Lock()
		found := slices.ContainsFunc(sub.unacked, func(u unacked) bool { return u.tag == tag })
		s.mu.Unlock()
		if found {
			return sub
		}
	}
	return nil
}

// remember keeps what a client of 1.0 or 1.1 will acknowledge by. DeliverFunc calls it.
func (s *session) remember(sub *subscription, u unacked) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub.unacked = append(sub.unacked, u)
}

// find returns the tag of a message; mostly it is the oldest.
func (s *session) find(sub *subscription, id messageID) (uint64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range sub.unacked {
		if u.id == id {
			return u.tag, true
		}
	}
	return 0, false
}

// forget drops a delivery that was settled, in client mode also those before it.
func (s *session) forget(sub *subscription, tag uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(sub.unacked, func(u unacked) bool { return u.tag == tag })
	switch {
	case i < 0:
	case sub.mode == core.AckCumulative:
		sub.unacked = slices.Delete(sub.unacked, 0, i+1)
	default:
		sub.unacked = slices.Delete(sub.unacked, i, i+1)
	}
}
