package stomp

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/protocols/stomp/frame"
)

// subscription is one SUBSCRIBE. To the core it is one subscription for each destination it lists.
type subscription struct {
	id      string // empty: 1.0, known by its destination
	key     string // in session.subs
	written string // the destination header
	mode    core.AckMode
	targets []*target
	replies bool // made for a reply-to header, not by SUBSCRIBE
	silent  bool // no mark at the end of browsing
	browsed int  // targets that were browsed to the end; DeliverFunc's
	gone    bool // it has ended, and nothing follows; guarded by session.delivering

	unacked []unacked // in order; guarded by session.mu
}

// subscribe executes SUBSCRIBE.
func (s *session) subscribe(f *frame.Frame, receipt string) error {
	w, err := s.wish(f)
	if err != nil {
		return err
	}
	places, err := s.sources(w)
	if err != nil {
		return err
	}
	if err := s.core.HoldBack(s.ctx); err != nil {
		return err
	}
	s.yield(w.key, places)
	if s.subs[w.key] != nil {
		return fmt.Errorf("there is a subscription %q already: %w", clip(w.name()), core.ErrInUse)
	}
	sub := &subscription{id: w.id, key: w.key, written: w.destination, mode: w.mode, silent: w.silent}
	for i := range places {
		t := s.target(sub, &places[i])
		if err := w.apply(s, t, &places[i]); err != nil {
			return err
		}
		sub.targets = append(sub.targets, t)
	}
	if err := s.attach(sub, places); err != nil {
		return err
	}
	return s.receipt(receipt)
}

// sources reads the destination of a SUBSCRIBE.
func (s *session) sources(w *wish) ([]place, error) {
	text := w.destination
	if w.fallback != "" { // Artemis: address::queue
		if address, name, ok := strings.Cut(text, "::"); ok && w.fallback == "topic" {
			text, w.queueName = address, name
		} else if ok {
			text = name
		}
	}
	places, err := s.reader.all(text, true, w.fallback)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(places); i++ {
		if !places[i].durable {
			continue
		}
		found := s.durable(places[i])
		if len(found) == 0 {
			return nil, fmt.Errorf("there is no durable subscription %q: %w", clip(places[i].name), core.ErrNotFound)
		}
		places = slices.Replace(places, i, i+1, found...)
		i += len(found) - 1
	}
	return places, nil
}

// durable finds the topics of a durable subscription, or any group, by its name. It looks through all
// queues, which is no matter for a frame as rare as this.
func (s *session) durable(p place) []place {
	var found []place
	for _, q := range s.core.Stats().Queues {
		filter, ok := strings.CutPrefix(q.Name, p.name+":")
		if q.Kind != "group" || !ok || !strings.HasPrefix(filter, "topic/") {
			continue
		}
		one := p
		one.name, one.group, one.prefix = filter, p.name, "/topic/"
		found = append(found, one)
	}
	return found
}

// attach makes sub known to the core, all of it or nothing.
func (s *session) attach(sub *subscription, places []place) error {
	s.subs[sub.key] = sub
	if s.version == frame.V12 && sub.mode == core.AckCumulative && len(sub.targets) > 1 {
		s.composites = append(s.composites, sub)
	}
	for i, t := range sub.targets {
		if err := s.core.Subscribe(s.ctx, &t.Subscription); err != nil {
			sub.targets = sub.targets[:i]
			_ = s.detach(sub) // err is what counts
			return err
		}
		if places[i].temp != "" {
			s.temps[t.Filter]++
		}
	}
	return nil
}

// detach ends sub.
func (s *session) detach(sub *subscription) error {
	delete(s.subs, sub.key)
	s.composites = slices.DeleteFunc(s.composites, func(c *subscription) bool { return c == sub })
	var first error
	for _, t := range sub.targets {
		if err := s.core.Unsubscribe(context.WithoutCancel(s.ctx), t.ID); err != nil && first == nil {
			first = err
		}
		if n := s.temps[t.Filter]; n > 1 {
			s.temps[t.Filter] = n - 1
		} else {
			delete(s.temps, t.Filter)
		}
	}
	// Not before: what is passed over has to be taken back first.
	s.delivering.Lock()
	sub.gone = true
	s.delivering.Unlock()
	return first
}

// expectReplies subscribes to a temporary queue that a reply-to header names, unless the client did.
// The subscription bears the client's name of the queue, as in RabbitMQ.
func (s *session) expectReplies(p *place) error {
	if s.temps[p.name] > 0 {
		return nil
	}
	id := "/temp-queue/" + p.temp
	if s.subs[id] != nil {
		return nil // the client's own, of this name
	}
	sub := &subscription{id: id, key: id, written: id, replies: true}
	q := *p
	q.written = id
	sub.targets = []*target{s.target(sub, &q)}
	return s.attach(sub, []place{q})
}

// yield ends the subscription that was made for a reply-to header, for the client's own.
func (s *session) yield(key string, places []place) {
	if sub := s.subs[key]; sub != nil && sub.replies {
		_ = s.detach(sub) // it is replaced
	}
	for i := range places {
		if places[i].temp == "" {
			continue
		}
		if sub := s.subs["/temp-queue/"+places[i].temp]; sub != nil && sub.replies {
			_ = s.detach(sub) // it is replaced
		}
	}
}

// unsubscribe executes UNSUBSCRIBE. With the headers that made the subscription durable it deletes what
// is kept of it, also when the client is not subscribed now.
func (s *session) unsubscribe(f *frame.Frame, receipt string) error {
	w, err := s.wish(f)
	if err != nil {
		return err
	}
	sub := s.subs[w.key]
	if sub == nil && w.id == "" {
		for _, other := range s.subs {
			if other.written == w.destination {
				sub = other
			}
		}
	}
	if sub != nil {
		if err := s.detach(sub); err != nil {
			return err
		}
	}
	deletes := w.durable || w.subscriptionName != ""
	switch {
	case deletes && sub != nil:
		err = s.deleteGroups(sub.targets)
	case deletes:
		err = s.deleteKept(w)
	case sub == nil:
		err = fmt.Errorf("there is no subscription %q: %w", clip(w.name()), core.ErrNotFound)
	}
	if err != nil {
		return err
	}
	return s.receipt(receipt)
}

func (s *session) deleteGroups(targets []*target) error {
	for _, t := range targets {
		if t.Group == "" {
			continue
		}
		if err := s.core.DeleteGroup(s.ctx, t.Group, t.Filter); err != nil {
			return err
		}
	}
	return nil
}

// deleteKept deletes a durable subscription that the client does not use now.
func (s *session) deleteKept(w *wish) error {
	if w.destination == "" {
		return fmt.Errorf("to delete a durable subscription that is not in use takes its destination header: %w", core.ErrInvalid)
	}
	places, err := s.sources(w)
	if err != nil {
		return err
	}
	sub := &subscription{}
	for i := range places {
		t := s.target(sub, &places[i])
		if err := w.apply(s, t, &places[i]); err != nil {
			return err
		}
		sub.targets = append(sub.targets, t)
	}
	return s.deleteGroups(sub.targets)
}

// coreID names the n-th part of a subscription to the core. No id of a client contains NUL.
func coreID(key string, n int) string {
	if n == 0 {
		return key
	}
	return key + "\x00" + strconv.Itoa(n)
}
