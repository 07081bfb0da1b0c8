package core

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/wyemq/wye/core/engine"
)

// Stats is what a broker has counted, for metrics and consoles.
type Stats struct {
	Sessions      int // connected
	Kept          int // kept while their client is away
	Subscriptions int
	Retained      int
	Store         *engine.Usage            // nil when the engine stores nothing
	Protocols     map[string]ProtocolStats // by protocol
	Queues        []QueueStats
	Drops         map[string]uint64 // messages dropped, by reason id
	Disconnects   map[string]uint64 // sessions ended, by reason id
	Limits        map[string]LimitStats
	Memory        MemoryStats
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

// stats is what a broker counts while it runs.
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
func (b *Broker) Dropped(reason *Reason, n int) { b.stats.dropped(reason.ID(), n) }

// Stats returns the counters as they are now.
func (b *Broker) Stats() Stats {
	out := Stats{
		Subscriptions: int(b.stats.subscriptions.Load()), Retained: b.eng.Retained().Len(),
		Protocols: make(map[string]ProtocolStats), Drops: make(map[string]uint64), Disconnects: make(map[string]uint64),
		Limits: b.limitStats(), Memory: b.Memory(),
	}
	if e, ok := b.o.Engine.(engine.Sized); ok {
		u := e.Usage()
		out.Store = &u
	}
	b.stats.mu.Lock()
	for name, p := range b.stats.protocols {
		out.Protocols[name] = ProtocolStats{
			Sessions: int(p.sessions.Load()), In: p.in.Load(), Out: p.out.Load(),
			InBytes: p.inBytes.Load(), OutBytes: p.outBytes.Load(),
		}
	}
	maps.Copy(out.Drops, b.stats.drops)
	maps.Copy(out.Disconnects, b.stats.disconnects)
	b.stats.mu.Unlock()
	b.mu.Lock()
	out.Sessions = len(b.online)
	b.mu.Unlock()
	for _, v := range b.allVHosts() {
		kept, queues := v.stats()
		out.Kept += kept
		out.Queues = append(out.Queues, queues...)
	}
	return out
}
