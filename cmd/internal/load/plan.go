package load

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/wyemq/wye/cmd/internal/peer"
)

// plan is who publishes what and who receives it.
type plan struct {
	pubs      []pubRole
	subs      []subRole
	rivals    []int // publishers of each channel
	competing bool  // subscribers share the messages of a channel
	promised  bool  // the protocol promises that nothing is lost
}

// pubRole is a publisher; all of a channel reach all subscribers of the channel.
type pubRole struct {
	target  peer.Target
	channel int
	slot    int // among the publishers of the channel
	message peer.Publication
}

// subRole is a subscriber.
type subRole struct {
	target  peer.Target
	channel int
	sub     peer.Subscription
	acks    ackMode
	kept    bool // MQTT: the session outlives its connection
}

// ackMode is how a subscriber acknowledges.
type ackMode uint8

const (
	ackNone ackMode = iota
	ackEach
	ackUpTo
)

// planner makes a plan.
type planner struct {
	o      *options
	run    string // in names
	serial int    // of connections, to take sources in turn
}

// plan says who takes part in the scenario; cross has two plans, back is the second.
func (p *planner) plan(back bool) *plan {
	o := p.o
	from, to := o.target, o.target
	if o.scenario == "cross" {
		to = o.other
		if back {
			from, to = to, from
		}
	}
	out := &plan{competing: o.scenario == "queue"}
	pubs, subs, channels := o.pubs, o.subs, 1
	switch {
	case o.scenario == "pairs":
		channels = pubs
	case out.competing && o.group == "" && o.target.Protocol != peer.STOMP:
		pubs = max(pubs, subs)
		subs, channels = pubs, pubs
		out.competing = false
	}
	out.rivals = make([]int, channels)
	for i := range pubs {
		r := p.publisher(from, i%channels)
		r.slot = out.rivals[r.channel]
		out.rivals[r.channel]++
		out.pubs = append(out.pubs, r)
	}
	for i := range subs {
		out.subs = append(out.subs, p.subscriber(to, i%channels, i))
	}
	// At most once is promised by QoS 0 and by a STOMP topic.
	if o.scenario == "queue" {
		out.promised = true
	} else if from.Protocol != peer.STOMP && to.Protocol != peer.STOMP {
		out.promised = o.qos > 0
	}
	return out
}

// source gives the next connection its address.
func (p *planner) source(t peer.Target) peer.Target {
	if n := len(p.o.sources); n > 0 {
		t.Source = p.o.sources[p.serial%n]
	}
	p.serial++
	return t
}

// name fills in a pattern.
func (p *planner) name(t peer.Target, channel int) string {
	pattern := p.o.topic
	if t.Protocol == peer.STOMP {
		pattern = p.o.destination
	}
	return p.fill(pattern, channel)
}

func (p *planner) fill(pattern string, channel int) string {
	return strings.NewReplacer("{run}", p.run, "{n}", strconv.Itoa(channel)).Replace(pattern)
}

func (p *planner) publisher(t peer.Target, channel int) pubRole {
	o := p.o
	body := []byte(strings.Repeat(".", o.size))
	m := peer.Publication{Destination: p.name(t, channel), Body: body, Header: o.sendHeader}
	if t.Protocol == peer.STOMP {
		m.Confirm = o.receipts
	} else {
		m.QoS = byte(o.qos)
	}
	return pubRole{target: p.source(t), channel: channel, message: m}
}

func (p *planner) subscriber(t peer.Target, channel, i int) subRole {
	o := p.o
	r := subRole{target: p.source(t), channel: channel}
	filter := p.name(t, channel)
	if o.filter != "" {
		filter = p.fill(o.filter, channel)
	}
	r.sub = peer.Subscription{ID: fmt.Sprintf("s%d", i), Filter: filter, Header: o.subscribeHeader}
	if t.Protocol == peer.STOMP {
		r.sub.Ack = o.ack
		r.acks = map[string]ackMode{"client": ackUpTo, "client-individual": ackEach}[o.ack]
		return r
	}
	if o.scenario == "queue" {
		r.kept = true
		if o.group != "" && o.filter == "" {
			r.sub.Filter = "$share/" + o.group + "/" + filter
		}
	}
	r.sub.QoS = byte(o.qos)
	if o.qos > 0 {
		r.acks = ackEach
	}
	return r
}
