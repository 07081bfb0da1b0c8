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

	"github.com/wyemq/wye/core/internal/rate"
	"github.com/wyemq/wye/core/internal/room"
	"github.com/wyemq/wye/core/internal/tandem"
)

// MemoryStats is what a broker knows of the memory of its process.
type MemoryStats struct {
	Budget int64 // limits.memory; 0: nothing is watched
	Used   int64 // what is in use, as far as is known: see Broker.Run
	Live   int64 // what the last garbage collection has left, and stacks
	Heap   int64 // objects, those included that nobody needs any more
	// Foreign is what the process has beside what the Go runtime knows of, as the caches of an engine.
	Foreign int64
	// Held is what is known to be held, of which the following are parts. One message may count in many places.
	Held int64

	Outboxes, Incomplete, Queues int64
}

// The parts of the budget, in thousandths. Below calmAt nobody looks at who holds what. From slowAt on whoever publishes more
// than a fair share is slowed, and from shedAt on those who hold the most have to go. From fullAt on, who has had his share
// waits, and nobody new is let in; from overAt on everybody waits.
const (
	calmAt = 500
	slowAt = 700
	shedAt = 800
	fullAt = 900
	overAt = 1050

	tightFull = 1000 // of memoryWatch.tight
	tightOver = tightFull * (overAt - slowAt) / (fullAt - slowAt)
)

const (
	memoryTick = 100 * time.Millisecond
	lookGap    = 250 * time.Millisecond // between two looks at who holds what

	shedMost  = 32        // sessions that are ended at a time
	shedLeast = 256 << 10 // bytes that are worth ending a session
	shedGap   = 500 * time.Millisecond

	// fairShare is how many bytes a second a session may publish while memory is short, and what it does in fairBurst at once.
	// shareOf is what each message counts beside its bytes.
	fairShare = 32 << 10
	fairBurst = 4 * time.Second
	shareOf   = 512

	// foreignStep is the part of the budget by which memory that is not Go's must change for the runtime to be told.
	foreignStep = 32
	// slack is the part of the budget that the runtime is not told of: its limit is one that it gets past for moments.
	slack = 20
)

// memoryWatch is how near the process is to its budget.
type memoryWatch struct {
	// tight is 0 while there is enough, else how far it is from slowAt (1) to fullAt (tightFull) or beyond.
	tight atomic.Int32

	mu    sync.Mutex
	stats MemoryStats

	// Of the goroutine that watches.
	looked, shed time.Time
	holders      []holder
	most, told   int64 // the limit that the runtime had before Run, and the one it has
}

// Run implements [Runner]: it watches how much memory the process uses, and holds it within limits.memory. Somebody who
// embeds a broker in a program of his own need not call it; then nobody watches.
//
// What is in use is not what the heap has: half of that may be garbage. It is at least what the last garbage collection has
// left, or what is known to be held in outboxes, queues in memory and messages that are not complete, if that is more:
// much may have come since. But one message may wait in many outboxes, so that it is never more than what the heap has. The
// stacks of goroutines are added, and what the process has that is not the Go runtime's.
//
// The Go runtime is told of the budget as well, for as long as Run runs, unless it was told of less (GOMEMLIMIT).
func (b *Broker) Run(ctx context.Context, ready func()) error {
	there, source := room.Total(os.DirFS("/"))
	return b.run(ctx, there/2, source, ready)
}

// run is Run. half is the budget without limits.memory, which source says; 0: not known.
func (b *Broker) run(ctx context.Context, half int64, source string, ready func()) error {
	m := &b.memory
	m.most = debug.SetMemoryLimit(-1)
	defer func() {
		debug.SetMemoryLimit(m.most)
		m.most, m.told = 0, 0
		m.tight.Store(0)
	}()
	budget := b.budget(-1, half, source)
	ready()
	tick := time.NewTicker(memoryTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			budget = b.budget(budget, half, source) // it may have changed
		}
	}
}

// budget watches once, and returns the budget, which was another one before.
func (b *Broker) budget(before, half int64, source string) int64 {
	budget := b.options().Limits.Memory
	if budget == 0 {
		budget = half
	} else {
		source = "limits.memory"
	}
	switch {
	case budget > 0:
		if budget != before {
			b.log.Info("memory budget", "bytes", budget, "of", source)
		}
		b.watchMemory(budget)
	case before != 0:
		b.log.Warn("the memory is not watched: it is not known how much there is, set limits.memory")
		b.memory.forget()
	}
	return budget
}

// forget leaves everything to the runtime as it was before.
func (m *memoryWatch) forget() {
	m.tight.Store(0)
	if m.told != 0 {
		debug.SetMemoryLimit(m.most)
		m.told = 0
	}
	m.holders = nil
	m.mu.Lock()
	m.stats = MemoryStats{}
	m.mu.Unlock()
}

// watchMemory looks once.
func (b *Broker) watchMemory(budget int64) {
	m := &b.memory
	s := sample()
	s.Budget = budget
	b.tellRuntime(&s)
	if per(s.Heap+s.Foreign, budget) >= calmAt {
		if now := time.Now(); now.Sub(m.looked) >= lookGap {
			m.holders = b.lookAround(&s)
			m.looked = now
		} else {
			s.Outboxes, s.Incomplete, s.Queues = m.stats.Outboxes, m.stats.Incomplete, m.stats.Queues
		}
	}
	s.Held = s.Outboxes + s.Incomplete + s.Queues
	s.Used = min(max(s.Live, s.Held), s.Heap) + s.Foreign
	level := per(s.Used, budget)
	tight := max((level-slowAt)*tightFull/(fullAt-slowAt), 0)
	was := m.tight.Swap(int32(min(tight, math.MaxInt32)))
	m.mu.Lock()
	m.stats = s
	m.mu.Unlock()
	switch {
	case was < tightFull && tight >= tightFull:
		b.log.Warn("memory is very short, publishers have to wait and new connections are refused", "used", s.Used, "budget", budget)
	case was == 0 && tight > 0:
		b.log.Warn("memory is short, publishers are slowed", "used", s.Used, "budget", budget)
	case was > 0 && tight == 0:
		b.log.Info("memory is no longer short", "used", s.Used, "budget", budget)
	}
	if level >= shedAt {
		b.shed(s.Used - budget*slowAt/1000)
	}
}

func per(n, of int64) int64 { return n * 1000 / of }

// sample asks the runtime, and the system for what is not the runtime's. It stops nothing.
func sample() (s MemoryStats) {
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/stacks:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(samples)
	value := func(i int) int64 { return int64(samples[i].Value.Uint64()) }
	s.Live, s.Heap = value(0)+value(2), value(1)+value(2)
	if resident := room.Resident(os.DirFS("/")); resident > 0 {
		s.Foreign = max(resident-(value(3)-value(4)), 0)
	}
	return s
}

// tellRuntime makes the limit of the Go runtime what others leave of the budget, when that has changed by much: it stops the
// world for a moment.
func (b *Broker) tellRuntime(s *MemoryStats) {
	m := &b.memory
	limit := min(max(s.Budget-s.Foreign-s.Budget/slack, s.Budget/4), m.most)
	if d := limit - m.told; m.most > 0 && max(d, -d) > s.Budget/foreignStep {
		debug.SetMemoryLimit(limit)
		m.told = limit
	}
}

// holder is a session and what is known to be held for it.
type holder struct {
	s                        *Session
	outbox, messages, queues int64
}

func (h *holder) bytes() int64 { return h.outbox + h.messages + h.queues }

// lookAround adds up what is known to be held, and returns who holds much.
func (b *Broker) lookAround(s *MemoryStats) []holder {
	waiting := make(map[clientKey]int64)
	for _, v := range b.allVHosts() {
		s.Queues += v.inMemory(waiting)
	}
	var all []holder
	for _, session := range b.allSessions() {
		h := holder{session, session.out.Bytes(), session.incomplete.Load(), waiting[clientKey{session.v.name, session.principal.ClientID}]}
		s.Outboxes += h.outbox
		s.Incomplete += h.messages
		if h.bytes() >= shedLeast {
			all = append(all, h)
		}
	}
	slices.SortFunc(all, func(x, y holder) int { return cmp.Compare(y.bytes(), x.bytes()) })
	return all
}

// inMemory is how many bytes wait in queues that no disk has. Those of sessions are added up by client.
func (v *vhost) inMemory(waiting map[clientKey]int64) (n int64) {
	for _, bq := range v.allQueues() {
		if v.b.durable && !tandem.IsVolatile(bq.id) {
			continue
		}
		bytes := bq.q.Stats().Bytes
		n += bytes
		if bq.kind == kindSession {
			waiting[clientKey{v.name, bq.spec.client}] += bytes
		}
	}
	return n
}

// shed ends sessions that hold the most, until so much should be free.
func (b *Broker) shed(much int64) {
	m := &b.memory
	if time.Since(m.shed) < shedGap {
		return
	}
	n := 0
	for ; n < len(m.holders) && n < shedMost && much > 0; n++ {
		h := &m.holders[n]
		much -= h.bytes()
		reason := ErrBusy
		if h.outbox+h.queues > h.messages {
			reason = ErrSlowConsumer
		}
		h.s.end(h.s.exceeded("memory", reason, "memory is short, and the client makes the broker hold %d bytes", h.bytes()))
	}
	m.holders = m.holders[n:]
	runtime.GC() // to know what is left
	m.shed = time.Now()
}

// spare lets the session have its share while memory is short; what is more waits, and is refused when it has waited too long.
func (s *Session) spare(ctx context.Context, size int, most time.Duration) error {
	tight := s.b.memory.tight.Load()
	if tight == 0 {
		return nil
	}
	wait, ok := s.share().Take(size+shareOf, time.Now(), most)
	switch {
	case !ok:
		return s.exceeded("memory", ErrBusy, "memory is short")
	case wait == 0 && tight < tightOver:
		return nil
	}
	s.slowed("memory", ErrBusy)
	end := time.Now().Add(most)
	if err := s.pause(ctx, wait); err != nil {
		return err
	}
	for s.b.memory.tight.Load() >= tightFull {
		if !time.Now().Before(end) {
			return s.exceeded("memory", ErrBusy, "memory is short")
		}
		if err := s.pause(ctx, glance); err != nil {
			return err
		}
	}
	return nil
}

// share is what the session may publish while memory is short.
func (s *Session) share() *rate.Bucket {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fair == nil {
		s.fair = rate.New(fairShare, fairBurst)
	}
	return s.fair
}

// Held tells how many bytes the protocol holds of messages that are not complete; 0 when there are none any more. It is for
// what is large, and may wait as Publish does. An error is the end of the connection: memory is short.
func (s *Session) Held(ctx context.Context, bytes int) error {
	more := int64(bytes) - s.incomplete.Swap(int64(bytes))
	if more <= 0 || s.b.memory.tight.Load() == 0 {
		return nil
	}
	return s.spare(ctx, int(more), s.b.options().Limits.PublishWait)
}

// Admit says whether anybody new may come: transports that can refuse a connection before it stands ask it. The error
// wraps ErrBusy.
func (b *Broker) Admit() error {
	if b.memory.tight.Load() < tightFull {
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
