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
	queue                declaration
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
	case w.id == "" && s.version != frame.V10 && (subscribing || w.subscriptionName == ""):
		return nil, fmt.Errorf("there is no id header: %w", core.ErrInvalid)
	case w.destination == "" && (subscribing || w.id == "" && w.subscriptionName == ""):
		return nil, fmt.Errorf("there is no destination header: %w", core.ErrInvalid)
	}
	w.key = w.id
	if w.id == "" {
		w.key = "\x00" + w.destination
	}
	return w, w.queue.finish()
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
	default:
		err = w.queue.set(k, name, value)
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
			w.queue.AutoDelete, w.queue.made = true, true
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
	c.Queue = w.queue.config()
	return nil
}
