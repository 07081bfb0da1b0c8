package core

import (
	"cmp"
	"context"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyemq/wye/core/internal/room"
	"github.com/wyemq/wye/core/internal/tandem"
)

// MemoryStats is what a broker knows of the memory of its process.
type MemoryStats struct {
	Budget int64 // limits.memory; 0: nothing is watched
	Used   int64 // what is in use, as far as is known: see Broker.Run
	Live   int64 // what the last garbage collection has left, and stacks
	Heap   int64 // objects, those included that nobody needs any more
	Held   int64 // what is known to be held, of which the following are parts

	Outboxes, Incomplete, Queues int64
}

// The parts of the budget, in thousandths: publishers are slowed from slowAt on, more and more up to fullAt; then they have
// to wait, and nobody new is let in. From shedAt on those who hold the most have to go.
const (
	slowAt = 750
	fullAt = 900
	shedAt = 950
	// calmAt is below what nobody looks at who holds what: that takes time.
	calmAt = 500
)

const (
	memoryTick = 100 * time.Millisecond
	slowest    = 200 * time.Millisecond // the wait of a publish just below fullAt
	shedMost   = 16                     // sessions that are ended at a time
	shedLeast  = 256 << 10              // bytes that are worth ending a session
	shedGap    = time.Second            // between two times
)

// memoryWatch is how near the process is to its budget.
type memoryWatch struct {
	// tight is 0 while there is enough, else how far it is from slowAt (1) to fullAt (1000) or beyond.
	tight atomic.Int32

	mu    sync.Mutex
	stats MemoryStats
	shed  time.Time
}

// Run implements [Runner]: it watches how much memory the process uses, and holds it within limits.memory. Somebody who
// embeds a broker in a program of his own need not call it; then nobody watches.
//
// What is in use is not what the heap has: half of that may be garbage. It is at least what the last garbage collection has
// left, or what is known to be held in outboxes, queues in memory and messages that are not complete, if that is more:
// much may have come since. But one message may wait in many outboxes, so that it is never more than what the heap has. The
// stacks of goroutines are added.
//
// The Go runtime is told of the budget as well, for as long as Run runs, unless it was told of less (GOMEMLIMIT).
func (b *Broker) Run(ctx context.Context, ready func()) error {
	budget, source := b.o.Limits.Memory, "limits.memory"
	if budget == 0 {
		budget, source = room.Total(os.DirFS("/"))
		budget /= 2
	}
	if budget == 0 {
		b.log.Warn("the memory is not watched: it is not known how much there is, set limits.memory")
		ready()
		<-ctx.Done()
		return nil
	}
	b.log.Info("memory budget", "bytes", budget, "of", source)
	if old := debug.SetMemoryLimit(-1); old > budget {
		debug.SetMemoryLimit(budget)
		defer debug.SetMemoryLimit(old)
	}
	b.watch(budget)
	ready()
	tick := time.NewTicker(memoryTick)
	defer tick.Stop()
	defer b.memory.tight.Store(0)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			b.watch(budget)
		}
	}
}

// watch looks once.
func (b *Broker) watch(budget int64) {
	s := sampleHeap()
	s.Budget = budget
	var holders []holder
	if per(s.Heap, budget) >= calmAt {
		holders = b.holders(&s)
	}
	s.Used = min(max(s.Live, s.Held), s.Heap)
	full := per(s.Used, budget)
	tight := (full - slowAt) * 1000 / (fullAt - slowAt)
	was := b.memory.tight.Swap(int32(min(max(tight, 0), math.MaxInt32)))
	b.memory.mu.Lock()
	b.memory.stats = s
	b.memory.mu.Unlock()
	switch {
	case was < 1000 && tight >= 1000:
		b.log.Warn("memory is very short, publishers have to wait and new connections are refused", "used", s.Used, "budget", budget)
	case was == 0 && tight > 0:
		b.log.Warn("memory is short, publishers are slowed", "used", s.Used, "budget", budget)
	case was > 0 && tight <= 0:
		b.log.Info("memory is no longer short", "used", s.Used, "budget", budget)
	}
	if full >= shedAt {
		b.shed(holders, s.Used-budget*fullAt/1000)
	}
}

func per(n, of int64) int64 { return n * 1000 / of }

// sampleHeap asks the runtime. It stops nothing.
func sampleHeap() (s MemoryStats) {
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"},
	}
	metrics.Read(samples)
	stacks := int64(samples[2].Value.Uint64())
	s.Live = int64(samples[0].Value.Uint64()) + stacks
	s.Heap = int64(samples[1].Value.Uint64()) + stacks
	return s
}

// holder is a session and what is known to be held for it.
type holder struct {
	s                *Session
	outbox, messages int64
}

func (h *holder) bytes() int64 { return h.outbox + h.messages }

// holders adds up what is known to be held, and returns who holds much.
func (b *Broker) holders(s *MemoryStats) []holder {
	b.mu.Lock()
	sessions := make([]*Session, 0, len(b.online))
	for _, session := range b.online {
		sessions = append(sessions, session)
	}
	b.mu.Unlock()
	var all []holder
	for _, session := range sessions {
		h := holder{session, session.out.Bytes(), session.incomplete.Load()}
		s.Outboxes += h.outbox
		s.Incomplete += h.messages
		if h.bytes() >= shedLeast {
			all = append(all, h)
		}
	}
	for _, v := range b.allVHosts() {
		s.Queues += v.inMemory()
	}
	s.Held = s.Outboxes + s.Incomplete + s.Queues
	return all
}

// inMemory is how many bytes wait in queues that no disk has.
func (v *vhost) inMemory() (n int64) {
	v.mu.RLock()
	list := make([]*boundQueue, 0, len(v.queues))
	for _, bq := range v.queues {
		if !v.b.durable || tandem.IsVolatile(bq.id) {
			list = append(list, bq)
		}
	}
	v.mu.RUnlock()
	for _, bq := range list {
		n += bq.q.Stats().Bytes
	}
	return n
}

// shed ends sessions that hold the most, until so much should be free.
func (b *Broker) shed(all []holder, much int64) {
	if time.Since(b.memory.shed) < shedGap || len(all) == 0 {
		return
	}
	slices.SortFunc(all, func(x, y holder) int { return cmp.Compare(y.bytes(), x.bytes()) })
	for i := 0; i < len(all) && i < shedMost && much > 0; i++ {
		h := &all[i]
		much -= h.bytes()
		reason := ErrBusy
		if h.outbox > h.messages {
			reason = ErrSlowConsumer
		}
		h.s.end(h.s.exceeded("memory", reason, "memory is short, and the client makes the broker hold %d bytes", h.bytes()))
	}
	runtime.GC() // to know what it has brought
	b.memory.shed = time.Now()
}

// spare waits while memory is short, and refuses what has waited too long.
func (s *Session) spare(ctx context.Context, most time.Duration) error {
	tight := s.b.memory.tight.Load()
	if tight == 0 {
		return nil
	}
	s.slowed("memory", ErrBusy)
	if tight < 1000 {
		return s.pause(ctx, min(most, slowest*time.Duration(tight)/1000))
	}
	for end := time.Now().Add(most); s.b.memory.tight.Load() >= 1000; {
		if !time.Now().Before(end) {
			return s.exceeded("memory", ErrBusy, "memory is short")
		}
		if err := s.pause(ctx, glance); err != nil {
			return err
		}
	}
	return nil
}

// Hold tells how many bytes the protocol holds of messages that are not complete; 0 when there are none any more. It is for
// what is large, and may wait as Publish does. An error is the end of the connection: memory is short.
func (s *Session) Hold(ctx context.Context, bytes int) error {
	more := int64(bytes) > s.incomplete.Swap(int64(bytes))
	if !more || s.b.memory.tight.Load() == 0 {
		return nil
	}
	return s.spare(ctx, s.b.o.Limits.PublishWait)
}

// Admit says whether anybody new may come: transports that can refuse a connection before it stands ask it. The error
// wraps ErrBusy.
func (b *Broker) Admit() error {
	if b.memory.tight.Load() < 1000 {
		return nil
	}
	return b.turnedAway(&Login{}, "memory", ErrBusy, "memory is short")
}

// Memory returns what is known of the memory of the process.
func (b *Broker) Memory() MemoryStats {
	b.memory.mu.Lock()
	defer b.memory.mu.Unlock()
	return b.memory.stats
}
