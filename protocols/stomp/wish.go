package stomp

import (
	"fmt"
	"strings"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/protocols/stomp/frame"
)

// wish is a SUBSCRIBE or UNSUBSCRIBE that was read.
type wish struct {
	id, key, destination string
	fallback             string // what a destination without a known prefix is
	mode                 core.AckMode
	selector             string
	queueName            string
	subscriptionName     string
	rank                 int // of the header that subscriptionName comes from
	durable, autoDelete  bool
	credit               int
	exclusive, noLocal   bool
	priority             int
	browse, silent       bool
	retained             core.RetainedMode
	queue                core.QueueConfig
	declares             bool // some header says how the queue is to be
	deadExchange         string
	deadKey              string
	seen                 seen
}

// name is what the client calls the subscription.
func (w *wish) name() string {
	if w.id != "" {
		return w.id
	}
	return w.destination
}

// wish reads the headers of f.
func (s *session) wish(f *frame.Frame) (*wish, error) {
	w := new(wish)
	for i := range f.Header {
		name, value := f.Header[i].Name, f.Header[i].Value
		k := subscribeHeader(name)
		if k == userHeader || !w.seen.first(k) && k != hSubscriptionName {
			continue
		}
		if err := w.set(k, name, value); err != nil {
			return nil, err
		}
	}
	subscribing := f.Command != frame.Unsubscribe && f.Command != "UNSUB"
	switch {
	case !w.seen.has(hID) && s.version != frame.V10 && (subscribing || w.subscriptionName == ""):
		return nil, fmt.Errorf("there is no id header: %w", core.ErrInvalid)
	case w.destination == "" && (subscribing || !w.seen.has(hID) && w.subscriptionName == ""):
		return nil, fmt.Errorf("there is no destination header: %w", core.ErrInvalid)
	}
	w.key = w.id
	if !w.seen.has(hID) {
		w.key = "\x00" + w.destination
	}
	return w, w.deadLetters()
}

// set takes one header.
func (w *wish) set(k header, name, value string) (err error) {
	var n int64
	switch k {
	case hDestination:
		w.destination = value
	case hID:
		w.id = value
	case hAck:
		w.mode, err = ackMode(name, value)
	case hSelector:
		w.selector = value
	case hQueueName:
		w.queueName = value
	case hDurable:
		w.durable, err = flag(name, value)
	case hAutoDelete:
		w.autoDelete, err = flag(name, value)
	case hSubscriptionName:
		if rank := nameRank(name); rank > w.rank {
			w.subscriptionName, w.rank = value, rank
		}
	case hSubscriptionType:
		w.fallback, err = routingType(name, value)
	case hPrefetch:
		count, _, _ := strings.Cut(value, ",") // Apollo: count,bytes
		n, err = number(name, count, 0, maxCredit)
		w.credit = int(n)
	case hWindow:
		w.credit, err = window(name, value)
	case hExclusive:
		w.exclusive, err = flag(name, value)
	case hConsumerPriority:
		n, err = number(name, value, -1<<15, 1<<15)
		w.priority = int(n)
	case hNoLocal:
		w.noLocal, err = flag(name, value)
	case hBrowser:
		w.browse, err = flag(name, value)
	case hBrowserEnd:
		var mark bool
		mark, err = flag(name, value)
		w.silent = !mark
	case hRetroactive:
		var wanted bool
		if wanted, err = flag(name, value); !wanted {
			w.retained = core.RetainedNever
		}
	case hDeadExchange:
		w.deadExchange = value
	case hDeadKey:
		w.deadKey = value
	default:
		w.declares = true
		err = declare(&w.queue, k, name, value)
	}
	return err
}

const maxCredit = 1 << 20

// window turns Artemis' window in bytes into a number of messages of 1 KiB: -1 is no limit, 0 one at a time.
func window(name, value string) (int, error) {
	n, err := number(name, value, -1, 1<<40)
	if err != nil {
		return 0, err
	}
	if n < 0 {
		return maxCredit, nil
	}
	return int(min(max(n>>10, 1), maxCredit)), nil
}

func ackMode(name, value string) (core.AckMode, error) {
	switch value {
	case "", "auto":
		return core.AckAuto, nil
	case "client":
		return core.AckCumulative, nil
	case "client-individual":
		return core.AckIndividual, nil
	default:
		return 0, invalid(name, value, "auto, client or client-individual")
	}
}

// nameRank orders the names of a durable subscription as Artemis does, the strongest last.
func nameRank(name string) int {
	switch name {
	case "durable-subscription-name":
		return 3
	case "durable-subscriber-name":
		return 2
	default:
		return 1
	}
}

// declare takes one header that says how a queue is to be.
func declare(q *core.QueueConfig, k header, name, value string) (err error) {
	var n int64
	switch k {
	case hQueueTTL:
		q.TTL, err = millis(name, value)
	case hQueueExpires:
		q.ExpiresIdle, err = millis(name, value)
	case hMaxPriority:
		n, err = number(name, value, 0, 255)
		q.Priorities = n > 0
	case hMaxLength:
		n, err = number(name, value, 0, 1<<31-1)
		q.MaxLength = int(n)
	case hMaxBytes:
		q.MaxBytes, err = number(name, value, 0, 1<<62)
	case hDeliveryLimit:
		n, err = number(name, value, -1, 1<<31-1)
		q.MaxDeliveries = int(n)
	case hOverflow:
		switch value {
		case "drop-head":
			q.Overflow = "drop_head"
		case "reject-publish":
			q.Overflow = "reject"
		case "reject-publish-dlx":
			q.Overflow = "dead_letter"
		default:
			err = invalid(name, value, "drop-head, reject-publish or reject-publish-dlx")
		}
	default:
	}
	return err
}

// deadLetters turns RabbitMQ's exchange and routing key into a destination.
func (w *wish) deadLetters() error {
	if !w.seen.has(hDeadExchange) && !w.seen.has(hDeadKey) {
		return nil
	}
	w.declares = true
	switch {
	case w.deadExchange == "amq.topic" && w.deadKey != "":
		levels, err := RabbitMQ.topic(w.deadKey, dots, false)
		if err != nil {
			return err
		}
		w.queue.DeadLetter = "topic/" + levels
	case w.deadExchange == "" && w.deadKey != "":
		w.queue.DeadLetter = "queue/" + w.deadKey
	case w.deadKey == "":
		return invalid("x-dead-letter-routing-key", "", "the name of a queue, or of a topic with x-dead-letter-exchange:amq.topic")
	default:
		return invalid("x-dead-letter-exchange", w.deadExchange, "empty or amq.topic")
	}
	return nil
}

// apply tells a core subscription what the client wants of it.
func (w *wish) apply(s *session, t *target, p *place) error {
	c := &t.Subscription
	c.Ack, c.Selector, c.Credit = w.mode, w.selector, w.credit
	c.Exclusive, c.NoLocal, c.Priority = w.exclusive, w.noLocal, w.priority
	c.Browse, c.Passive, c.Retained = w.browse, p.exists, w.retained
	topical := strings.HasPrefix(p.name, "topic/")
	switch {
	case !topical:
		if w.autoDelete {
			w.queue.AutoDelete, w.declares = true, true
		}
	case p.group != "":
		c.Group, c.Durable = p.group, true
	case w.subscriptionName != "":
		if s.client == "" {
			return fmt.Errorf("a durable subscription needs a client-id header in CONNECT: %w", core.ErrInvalid)
		}
		c.Group, c.Durable, c.Sole = s.client+"."+w.subscriptionName, true, true
	case w.queueName != "":
		c.Group, c.Durable = w.queueName, w.durable && !w.autoDelete
	case w.durable:
		if w.id == "" {
			return fmt.Errorf("a durable subscription needs an id header: %w", core.ErrInvalid)
		}
		c.Group, c.Durable = w.id, !w.autoDelete
	}
	if w.declares {
		q := w.queue
		c.Queue = &q
	}
	return nil
}
