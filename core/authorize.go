package core

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/wyemq/wye/core/destination"
)

// tempTopics is the first level of the topics that belong to one session.
const tempTopics = "topic/$temp/"

// Authorize asks whether the client may do op on dest, without doing it.
func (s *Session) Authorize(ctx context.Context, op Op, dest string) error {
	return s.b.authorize(ctx, s.Principal(), op, dest)
}

func (b *Broker) authorize(ctx context.Context, p *Principal, op Op, dest string) error {
	for _, a := range b.o.Authorizers {
		if err := a.Authorize(ctx, p, op, dest); err != nil {
			return &refusedOp{op, dest, err}
		}
	}
	return nil
}

// denied ends the session for err, if that is what the operator wants, and returns it.
func (s *Session) denied(err error) error {
	if !errors.Is(err, ErrDenied) {
		return err
	}
	s.observedRefusal(EventRefused, "", err)
	if s.b.options().DisconnectDenied {
		s.end(err)
	}
	return err
}

// mayPublish asks for all that sending m takes, to a queue that is as declared if the message makes it. known: that it may be
// sent at all need not be asked.
func (s *Session) mayPublish(ctx context.Context, m *Message, declared *QueueConfig, known bool) error {
	if len(s.b.o.Authorizers) == 0 {
		return nil
	}
	if !known {
		if err := s.Authorize(ctx, OpPublish, m.Destination); err != nil {
			return err
		}
	}
	if m.Retain {
		if err := s.Authorize(ctx, OpRetain, m.Destination); err != nil {
			return err
		}
	}
	return s.mayCreate(ctx, m.Destination, declared)
}

// maySubscribe asks for all that sub takes.
func (s *Session) maySubscribe(ctx context.Context, sub *Subscription) error {
	if err := s.mayRead(ctx, sub); err != nil || len(s.b.o.Authorizers) == 0 {
		return err
	}
	return s.mayCreate(ctx, sub.Filter, sub.Queue)
}

// mayRead asks whether the client may have what sub brings. What belongs to another session is refused whoever asks.
func (s *Session) mayRead(ctx context.Context, sub *Subscription) error {
	own := s.owns(sub.Filter)
	switch {
	case own && sub.Group == "":
		return nil
	case !own && (strings.HasPrefix(sub.Filter, tempTopics) || strings.HasPrefix(sub.Filter, "temp/")):
		return fmt.Errorf("%s is of another session: %w", sub.Filter, ErrDenied)
	case len(s.b.o.Authorizers) == 0:
		return nil
	}
	op := OpSubscribe
	if !own && !strings.HasPrefix(sub.Filter, "topic/") {
		op = OpConsume
		if sub.Browse {
			op = OpBrowse
		}
	}
	if !own {
		if err := s.Authorize(ctx, op, sub.Filter); err != nil {
			return err
		}
	}
	if sub.Group != "" {
		return s.Authorize(ctx, OpConsume, groupName(sub.Group))
	}
	return nil
}

// mayCreate asks, when dest is a queue that is not there yet, whether the client may make it, and whether it might send
// itself where it makes the dead letters go.
func (s *Session) mayCreate(ctx context.Context, dest string, declared *QueueConfig) error {
	if declared != nil {
		if dead := deadLetterDest(declared.DeadLetter); dead != "" {
			if err := s.Authorize(ctx, OpPublish, dead); err != nil {
				return fmt.Errorf("dead letters of %s: %w", dest, err)
			}
		}
	}
	if !strings.HasPrefix(dest, "queue/") || s.v.lookup(s.v.queueLog(dest)) != nil {
		return nil
	}
	return s.Authorize(ctx, OpCreate, dest)
}

// mayDelete asks whether the client may delete the queue of a group: of a filter that it may read at all.
func (s *Session) mayDelete(ctx context.Context, group, filter string) error {
	if err := destination.CheckFilter(filter); err != nil {
		return fmt.Errorf("delete: %w: %w", ErrInvalid, err)
	}
	if err := s.Authorize(ctx, OpSubscribe, filter); err != nil {
		return err
	}
	return s.Authorize(ctx, OpDelete, groupName(group))
}

// CheckDeadLetter says what is wrong with the place of dead letters: it must be a queue.
func (c *QueueConfig) CheckDeadLetter() error {
	dead := deadLetterDest(c.DeadLetter)
	if dead == "" {
		return nil
	}
	if !strings.HasPrefix(dead, "queue/") {
		return fmt.Errorf("dead letters go to a queue, not to %q: %w", clipped(c.DeadLetter), ErrInvalid)
	}
	if err := destination.Check(dead); err != nil {
		return fmt.Errorf("dead letters: %w: %w", ErrInvalid, err)
	}
	return nil
}

// deadLetterDest is where a declaration sends dead letters; "" when it is no place of its own.
func deadLetterDest(s string) string {
	switch {
	case s == "" || s == noDLQ:
		return ""
	case !strings.Contains(s, "/"):
		return "queue/" + s
	default:
		return s
	}
}

// groupName is what a group is called when it is asked for it.
func groupName(group string) string { return "group/" + url.PathEscape(group) }

// owns reports whether filter is a temporary queue of the session, one of its temporary topics, or what the broker tells it.
func (s *Session) owns(filter string) bool {
	if strings.HasPrefix(filter, authTopics) {
		return true // whoever subscribes there is told of his own
	}
	rest, isTemp := strings.CutPrefix(filter, "temp/")
	if !isTemp {
		if rest, isTemp = strings.CutPrefix(filter, tempTopics); !isTemp {
			return false
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.temp != "" && strings.HasPrefix(rest, s.temp+"/")
}
