package core

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/wyemq/wye/core/engine"
)

// Stats is what a broker has counted, for metrics and consoles.
type Stats struct {
	Counts // of all virtual hosts together

	Retained      int   // messages
	RetainedBytes int64 // of them, as limits count

	Store  *engine.Usage // nil when the engine stores nothing
	VHosts []VHostStats  // by name
	Limits map[string]LimitStats
	Memory MemoryStats
}

// VHostStats is what was counted in one virtual host.
type VHostStats struct {
	Counts

	Name   string
	Served bool // false: the engine knows it, and nobody can log in
}

// Counts are what every virtual host counts for itself.
type Counts struct {
	Sessions      int // connected
	Kept          int // kept while their client is away
	Subscriptions int
	Protocols     map[string]ProtocolStats // by protocol
	Queues        []QueueStats
	Drops         map[string]uint64 // messages dropped, by reason id
	Disconnects   map[string]uint64 // sessions ended, by reason id
}

// ProtocolStats counts what one protocol has moved.
type ProtocolStats struct {
	Sessions int
	// In counts published messages, Out deliveries; bytes are those of bodies.
	In, Out, InBytes, OutBytes uint64
}

// QueueStats describes one queue, durable subscription or group.
type QueueStats struct {
	VHost, Name, Kind         string // kind: "queue", "temp", "session", "group"
	Ready, Unacked, Consumers int
	Bytes                     int64
}

// protoStats is the live form of ProtocolStats.
type protoStats struct {
	sessions                   atomic.Int64
	in, out, inBytes, outBytes atomic.Uint64
}

// stats is what a virtual host counts while it runs.
type stats struct {
	subscriptions atomic.Int64

	mu          sync.Mutex
	protocols   map[string]*protoStats
	drops       map[string]uint64
	disconnects map[string]uint64
}

func (s *stats) init() {
	s.protocols = make(map[string]*protoStats)
	s.drops = make(map[string]uint64)
	s.disconnects = make(map[string]uint64)
}

func (s *stats) protocol(name string) *protoStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.protocols[name]
	if p == nil {
		p = new(protoStats)
		s.protocols[name] = p
	}
	return p
}

func (s *stats) dropped(reason string, n int) {
	if n == 0 {
		return
	}
	s.mu.Lock()
	s.drops[reason] += uint64(n)
	s.mu.Unlock()
}

func (s *stats) disconnected(reason string) {
	s.mu.Lock()
	s.disconnects[reason]++
	s.mu.Unlock()
}

// Dropped counts messages that a protocol had to drop: larger than its client takes, for example.
func (s *Session) Dropped(reason *Reason, n int) { s.v.stats.dropped(reason.ID(), n) }

// Stats returns the counters as they are now.
func (b *Broker) Stats() Stats {
	out := Stats{Counts: newCounts(), Limits: b.limitStats(), Memory: b.Memory()}
	out.Retained, out.RetainedBytes = b.eng.Retained().Size()
	if e, ok := b.o.Engine.(engine.Sized); ok {
		u := e.Usage()
		out.Store = &u
	}
	for _, v := range b.allVHosts() {
		s := v.snapshot()
		out.add(&s.Counts)
		out.VHosts = append(out.VHosts, s)
	}
	slices.SortFunc(out.VHosts, func(a, b VHostStats) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func newCounts() Counts {
	return Counts{Protocols: make(map[string]ProtocolStats), Drops: make(map[string]uint64), Disconnects: make(map[string]uint64)}
}

// add adds those of o.
func (c *Counts) add(o *Counts) {
	c.Sessions, c.Kept, c.Subscriptions = c.Sessions+o.Sessions, c.Kept+o.Kept, c.Subscriptions+o.Subscriptions
	c.Queues = append(c.Queues, o.Queues...)
	for name, p := range o.Protocols {
		sum := c.Protocols[name]
		c.Protocols[name] = ProtocolStats{
			Sessions: sum.Sessions + p.Sessions, In: sum.In + p.In, Out: sum.Out + p.Out,
			InBytes: sum.InBytes + p.InBytes, OutBytes: sum.OutBytes + p.OutBytes,
		}
	}
	for reason, n := range o.Drops {
		c.Drops[reason] += n
	}
	for reason, n := range o.Disconnects {
		c.Disconnects[reason] += n
	}
}

// Stats returns the counters of the session's virtual host as they are now.
func (s *Session) Stats() VHostStats { return s.v.snapshot() }

// snapshot returns the counters as they are now.
func (v *vhost) snapshot() VHostStats {
	out := VHostStats{Counts: newCounts(), Name: v.name, Served: v.b.served[v.name] != nil}
	out.Subscriptions = int(v.stats.subscriptions.Load())
	v.stats.mu.Lock()
	for name, p := range v.stats.protocols {
		out.Protocols[name] = ProtocolStats{
			Sessions: int(p.sessions.Load()), In: p.in.Load(), Out: p.out.Load(),
			InBytes: p.inBytes.Load(), OutBytes: p.outBytes.Load(),
		}
	}
	maps.Copy(out.Drops, v.stats.drops)
	maps.Copy(out.Disconnects, v.stats.disconnects)
	v.stats.mu.Unlock()
	v.b.mu.Lock()
	out.Sessions = v.online
	v.b.mu.Unlock()
	out.Kept, out.Queues = v.count()
	return out
}
