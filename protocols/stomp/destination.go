package stomp

import (
	"fmt"
	"strings"

	"github.com/wyemq/wye/core"
)

// place is a destination header's value, or one of the several that it lists.
type place struct {
	// name is the canonical destination or filter.
	name string
	// written is the text of the client, without whitespace around it.
	written string
	spelling
	// group is that of a virtual topic's consumer; its queue is durable.
	group string
	// exists says that the queue must be there already.
	exists bool
	// temp is the client's own name for its temporary queue.
	temp string
	// durable says that name is the name of a durable subscription, not a destination.
	durable bool
}

// spelling is how a client writes topics, so that messages can be told in the same way.
type spelling struct {
	style style
	// prefix stands before the levels, as in "/topic/".
	prefix string
}

// prefix is one way to begin a destination, without its leading slash.
type prefix struct {
	text string
	kind kind
}

type kind uint8

const (
	unknown kind = iota
	topic
	queue
	existing     // a queue that must exist
	tempQueue    // of this session
	tempTopic    // of this session
	foreignQueue // a temporary queue of any session: token/name
	foreignTopic
	durableSub
	brokerTopic // between the client and the broker
)

// known lists the prefixes. None is the beginning of another.
func known() [11]prefix {
	return [...]prefix{
		{"topic/", topic},
		{"queue/", queue},
		{"temp-queue/", tempQueue},
		{"temp-topic/", tempTopic},
		{"reply-queue/", foreignQueue},
		{"remote-temp-queue/", foreignQueue},
		{"remote-temp-topic/", foreignTopic},
		{"amq/queue/", existing},
		{"exchange/amq.topic/", topic},
		{"dsub/", durableSub},
		{"$auth/", brokerTopic},
	}
}

// classify finds the known prefix of text, which may lack the leading slash as in the oldest
// manuals: "queue/test".
func classify(text string) (k kind, pre, rest string) {
	bare := strings.TrimPrefix(text, "/")
	switch first, _, _ := strings.Cut(bare, "/"); first {
	case "topic", "queue", "temp-queue", "temp-topic", "reply-queue", "remote-temp-queue", "remote-temp-topic", "amq", "exchange", "dsub", "$auth":
	default:
		return unknown, "", text
	}
	for _, p := range known() {
		if strings.HasPrefix(bare, p.text) {
			n := len(text) - len(bare) + len(p.text)
			return p.kind, text[:n], text[n:]
		}
	}
	return unknown, "", text
}

// startsKnown reports whether text, what follows a slash, begins with a known prefix.
func startsKnown(text string) bool {
	k, _, _ := classify("/" + text)
	return k != unknown
}

// namer makes the names of a session's temporary queues.
type namer func(name string) string

// reader reads destinations of one listener for one session.
type reader struct {
	dialect     Dialect
	defaultKind string // "topic", "queue" or ""
	temp        namer
}

// mostPlaces is how many destinations a frame may have: a message goes to each of them.
const mostPlaces = 128

// all reads a destination header, which in some dialects lists several, separated by commas. fallback
// is the kind of names without a known prefix, if the frame says it; "": as configured.
func (r *reader) all(text string, filter bool, fallback string) ([]place, error) {
	var list []place
	inherit := fallback
	for {
		one, rest, more := r.cut(text)
		if more || list != nil {
			one = strings.TrimSpace(one)
		}
		p, err := r.one(one, filter, inherit)
		if err != nil {
			return nil, err
		}
		if list = append(list, p...); len(list) > mostPlaces {
			return nil, fmt.Errorf("a frame may name %d destinations: %w", mostPlaces, core.ErrLimit)
		}
		if !more {
			return list, nil
		}
		if r.dialect == ActiveMQ && strings.HasPrefix(p[0].name, "topic/") {
			inherit = "topic"
		} else if r.dialect == ActiveMQ {
			inherit = "queue"
		}
		text = rest
	}
}

// cut returns the first of the destinations listed in text. ActiveMQ separates at every comma; auto
// only where another known prefix follows, since commas are legal in names.
func (r *reader) cut(text string) (one, rest string, more bool) {
	if !r.dialect.composites() {
		return text, "", false
	}
	for i := 0; i < len(text); i++ {
		if text[i] != ',' {
			continue
		}
		if r.dialect == ActiveMQ || strings.HasPrefix(text[i+1:], "/") && startsKnown(text[i+2:]) {
			return text[:i], text[i+1:], true
		}
	}
	return text, "", false
}

// one reads one destination. A virtual topic's consumer has two: the topic with and without its prefix.
func (r *reader) one(text string, filter bool, fallback string) ([]place, error) {
	k, pre, rest := classify(text)
	if k == unknown {
		if fallback == "" {
			fallback = r.defaultKind
		}
		switch fallback {
		case "topic":
			k = topic
		case "queue":
			k = queue
		default:
			return nil, unknownPrefix(text)
		}
		pre = text[:len(text)-len(strings.TrimPrefix(text, "/"))]
		rest = text[len(pre):]
	}
	if rest == "" {
		return nil, fmt.Errorf("destination %q has no name after the prefix: %w", text, core.ErrInvalid)
	}
	if strings.IndexByte(rest, 0) >= 0 {
		return nil, fmt.Errorf("destination %q contains NUL: %w", text, core.ErrInvalid)
	}
	if filter && k == queue {
		if list, err := r.virtual(text, rest); list != nil || err != nil {
			return list, err
		}
	}
	p := place{written: text, spelling: spelling{prefix: pre, style: r.habit()}}
	if err := r.resolve(&p, k, rest, filter); err != nil {
		return nil, err
	}
	return []place{p}, nil
}

// habit is the style in which topics are told to somebody who has not shown a preference.
func (r *reader) habit() style {
	switch r.dialect {
	case ActiveMQ:
		return swapped
	case Slash:
		return slashes
	default:
		return dots
	}
}

// resolve sets the canonical name of p.
func (r *reader) resolve(p *place, k kind, rest string, filter bool) (err error) {
	d := r.dialect
	opaque := decode(rest, d.reservedInQueue())
	if k != topic {
		p.prefix = "/topic/" // for the topics that it is told of
	}
	switch k {
	case topic:
		p.name, p.style, err = r.topic("topic/", rest, filter)
	case queue:
		p.name = "queue/" + opaque
	case existing:
		p.name, p.exists = "queue/"+opaque, true
	case tempQueue:
		p.name, p.temp = r.temp(opaque), rest
	case tempTopic:
		token, _, _ := strings.Cut(strings.TrimPrefix(r.temp(""), "temp/"), "/")
		p.name, p.style, err = r.topic("topic/$temp/"+token+"/", rest, filter)
	case foreignQueue:
		token, name, _ := strings.Cut(opaque, "/")
		if token == "" || name == "" {
			return fmt.Errorf("destination %q is no reply queue, which has two parts after the prefix: %w", p.written, core.ErrInvalid)
		}
		p.name = "temp/" + opaque
	case foreignTopic:
		token, name, _ := strings.Cut(rest, "/")
		if token == "" || strings.ContainsAny(token, "+#") {
			return fmt.Errorf("destination %q is no temporary topic: %w", p.written, core.ErrInvalid)
		}
		p.name, p.style, err = r.topic("topic/$temp/"+token+"/", name, filter)
	case durableSub:
		if !filter {
			return fmt.Errorf("destination %q: a durable subscription is filled by its topic: %w", p.written, core.ErrInvalid)
		}
		p.name, p.durable = rest, true
	case brokerTopic:
		if strings.ContainsAny(rest, "/+#") {
			return fmt.Errorf("destination %q: there is nothing of that name: %w", p.written, core.ErrInvalid)
		}
		p.name = "topic/$auth/" + rest
	default:
		return unknownPrefix(p.written)
	}
	return err
}

func (r *reader) topic(base, rest string, filter bool) (string, style, error) {
	s, err := r.dialect.style(rest)
	if err != nil {
		return "", 0, err
	}
	levels, err := r.dialect.topic(rest, s, filter)
	return base + levels, s, err
}

// virtual reads ActiveMQ's name of the queue through which consumers named G share a topic:
// Consumer.G.VirtualTopic.a.b. Publishers of ActiveMQ send to VirtualTopic.a.b, those of other
// protocols to a/b: both are subscribed to.
func (r *reader) virtual(text, name string) ([]place, error) {
	if !r.dialect.composites() {
		return nil, nil
	}
	after, ok := strings.CutPrefix(name, "Consumer.")
	if !ok {
		return nil, nil
	}
	group, rest, ok := strings.Cut(after, ".VirtualTopic.")
	if !ok || group == "" || rest == "" || strings.IndexByte(group, '.') >= 0 {
		return nil, nil
	}
	s := swapped
	if r.dialect == Auto {
		s = dots
		if rest == ">" || strings.HasSuffix(rest, ".>") {
			rest = rest[:len(rest)-1] + "#"
		}
	}
	levels, err := r.dialect.topic(rest, s, true)
	if err != nil {
		return nil, err
	}
	p := place{written: text, group: group, spelling: spelling{prefix: "/topic/", style: s}}
	bare, prefixed := p, p
	bare.name = "topic/" + levels
	prefixed.name = "topic/VirtualTopic/" + levels
	return []place{prefixed, bare}, nil
}

// append appends the canonical destination name as sp writes it.
func (r *reader) append(b []byte, name string, sp spelling) []byte {
	d := r.dialect
	k, rest, _ := strings.Cut(name, "/")
	switch k {
	case "topic":
		if name, ok := strings.CutPrefix(rest, "$auth/"); ok {
			return append(append(b, "/$auth/"...), name...)
		}
		pre := sp.prefix
		start := len(b)
		b = append(b, pre...)
		b = d.appendTopic(b, rest, sp.style)
		if pre != "" && pre != "/" {
			return b
		}
		// Written without a kind, by whoever has a default kind: unless that would be read as something else.
		slashed := len(b) > start+len(pre) && b[start+len(pre)] == '/'
		if k, _, _ := classify(string(b[start:])); k != unknown || slashed || r.defaultKind != "topic" {
			b = d.appendTopic(append(b[:start], "/topic/"...), rest, sp.style)
		}
		return b
	case "temp":
		if d == ActiveMQ {
			b = append(b, "/remote-temp-queue/"...)
		} else {
			b = append(b, "/reply-queue/"...)
		}
	default:
		b = append(b, "/queue/"...)
	}
	return d.appendText(b, rest, d.reservedInQueue(), false, false, "")
}

func unknownPrefix(text string) error {
	all := known()
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = "/" + p.text
	}
	return fmt.Errorf("destination %q begins with none of %s: %w", text, strings.Join(names, " "), core.ErrInvalid)
}
