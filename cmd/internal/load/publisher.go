package load

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/wyemq/wye/cmd/internal/peer"
)

// What a publisher waits for.
const (
	nobody    = -1
	anybody   = -2 // competing consumers
	theBroker = -3 // confirmations
)

// stallTime is how long a publisher waits for a window to open before it takes what is on its way for lost.
const stallTime = 2 * time.Second

// maxConfirm bounds publishes without confirmation: MQTT has 65,535 packet ids, to be used in turn.
const maxConfirm = 10_000

// maxBurst bounds the bytes of one write.
const maxBurst = 64 << 10

// publisher sends.
type publisher struct {
	index   int
	channel int
	slot    int // among the publishers of the channel
	conn    *peer.Conn
	message *peer.Template
	confirm int // how many may be unconfirmed; 0: nothing is confirmed
	window  int64
	limit   int64 // how many to send; 0: until stopped
	batch   int64
	flow    *flow

	start    time.Time // when the first is due
	interval time.Duration

	sent      atomic.Int64
	confirmed atomic.Int64
	pool      pool            // what competing consumers have received
	consumed  atomic.Int64    // by competing consumers
	readers   []*atomic.Int64 // progress of the subscribers who are to get everything
	owners    []int           // their indices
	forgiven  int64           // not waited for any more

	waitFor atomic.Int64 // nobody, or whose progress is waited for
	wakeAt  atomic.Int64
	wake    chan struct{} // size 1: one call is enough
}

// due is when a message is to leave.
func (p *publisher) due(seq int64) time.Time {
	return p.start.Add(time.Duration(seq) * p.interval)
}

// loop sends until ctx is done or all is sent.
func (p *publisher) loop(ctx context.Context) error {
	var out []byte
	for {
		n := p.allowance(ctx)
		if n == 0 {
			return nil
		}
		out = out[:0]
		sent := p.sent.Load()
		for i := range n {
			seq := sent + i
			out = p.message.Append(out, peer.Stamp{Run: p.flow.run, Publisher: uint32(p.index), Seq: uint64(seq)}, p.id(seq))
		}
		p.sent.Store(sent + n) // before they can be received
		if p.flow.lag != nil {
			p.flow.lag.note(p.index, time.Now(), p.due(sent))
		}
		if err := p.conn.Write(out); err != nil {
			return err
		}
	}
}

// id is the number of a publish for the broker, from 1 to 65535.
func (*publisher) id(seq int64) uint32 { return uint32(seq%65535) + 1 }

// allowance says how many may be sent now, and waits until it is one at least; 0: none any more.
func (p *publisher) allowance(ctx context.Context) int64 {
	for ctx.Err() == nil {
		sent := p.sent.Load()
		n := p.batch
		if p.limit > 0 {
			if n = min(n, p.limit-sent); n == 0 {
				return 0
			}
		}
		if p.interval > 0 {
			now := time.Now()
			wait := p.due(sent).Sub(now)
			if wait > 0 {
				pause(ctx, wait)
				continue
			}
			n = min(n, int64(-wait/p.interval)+1)
		}
		if p.confirm > 0 {
			room := int64(p.confirm) - (sent - p.confirmed.Load())
			if room <= 0 {
				p.await(ctx, theBroker, sent-int64(p.confirm)+min(n, int64(p.confirm+1)/2))
				continue
			}
			n = min(n, room)
		}
		if p.window > 0 {
			who, seen := p.slowest()
			room := p.window - (sent - seen)
			if room <= 0 {
				p.await(ctx, who, sent-p.window+min(n, (p.window+1)/2))
				continue
			}
			n = min(n, room)
		}
		return n
	}
	return 0
}

// slowest says who has received least, and how far that is.
func (p *publisher) slowest() (who, seen int64) {
	if p.flow.plan.competing {
		return anybody, max(p.consumed.Load(), p.forgiven)
	}
	who, seen = nobody, 1<<62
	for i, r := range p.readers {
		if v := r.Load(); v < seen {
			who, seen = int64(p.owners[i]), v
		}
	}
	return who, max(seen, p.forgiven)
}

// reached says whether the one who is waited for has come there: he alone calls, whoever is the slowest by now.
func (p *publisher) reached(who, at int64) bool {
	switch who {
	case theBroker:
		return p.confirmed.Load() >= at
	case anybody:
		return p.consumed.Load() >= at
	default:
		return p.flow.subs[who].cells[p.slot].progress.Load() >= at
	}
}

// await waits until the one waited for has come as far as at. What is lost never comes, so that after a while
// without any progress it is not waited for any more.
func (p *publisher) await(ctx context.Context, who, at int64) {
	p.wakeAt.Store(at)
	p.waitFor.Store(who)
	defer p.waitFor.Store(nobody)
	if p.reached(who, at) {
		return
	}
	timer := time.NewTimer(stallTime)
	defer timer.Stop()
	select {
	case <-p.wake:
	case <-ctx.Done():
	case <-timer.C:
		if who != theBroker {
			p.forgiven = p.sent.Load()
		}
	}
}

// arrived is called by subscriber i when it has received something.
func (p *publisher) arrived(i int) {
	switch who := p.waitFor.Load(); who {
	case int64(i):
		if p.flow.subs[i].cells[p.slot].progress.Load() < p.wakeAt.Load() {
			return
		}
	case anybody:
		if p.consumed.Load() < p.wakeAt.Load() {
			return
		}
	default:
		return
	}
	p.call()
}

func (p *publisher) call() {
	select {
	case p.wake <- struct{}{}:
	default: // has been called
	}
}

// listen reads confirmations until the connection ends.
func (p *publisher) listen() error {
	for {
		n := int64(0)
		err := p.conn.ReadBatch(func(q *peer.Packet) error {
			if q.Kind == peer.Confirmed {
				n++
			}
			return nil
		})
		if n > 0 && p.confirmed.Add(n) >= p.wakeAt.Load() && p.waitFor.Load() == theBroker {
			p.call()
		}
		if err != nil {
			return err
		}
	}
}
