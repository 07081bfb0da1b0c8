package tandem_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/wyemq/wye/core/coretest"
	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/engine/memory"
	"github.com/wyemq/wye/core/enginetest"
	"github.com/wyemq/wye/core/internal/tandem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	disk = engine.LogID("q/1")
	ram  = engine.LogID("~t/1")
)

// pair is two engines, and what was read from the log of each.
type pair struct {
	*testing.T
	*tandem.Engine
	disk *coretest.Disk // its commits take a second
	logs map[engine.LogID]engine.Log
}

func inPair(t *testing.T, fn func(t *testing.T, p *pair)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &pair{T: t, disk: coretest.NewDisk(t), logs: make(map[engine.LogID]engine.Log)}
		p.disk.Sync(time.Second)
		p.Engine = tandem.New(p.disk.Open(), memory.New())
		for _, id := range []engine.LogID{disk, ram} {
			l, err := p.Open(t.Context(), id, engine.LogOptions{Ready: func() {}})
			if err != nil {
				t.Fatal(err)
			}
			p.logs[id] = l
		}
		fn(t, p)
		synctest.Wait()
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// has fails the test unless Next of a log gives these.
func (p *pair) has(id engine.LogID, want string) {
	p.Helper()
	synctest.Wait()
	recs, err := p.logs[id].Next(100, 1<<20)
	if err != nil {
		p.Fatal(err)
	}
	var got []string
	for _, r := range recs {
		got = append(got, string(r.Msg.Body))
	}
	if s := strings.Join(got, " "); s != want {
		p.Errorf("%s has %q, want %q", id, s, want)
	}
}

func put(body string, ids ...engine.LogID) engine.Op {
	return engine.Op{Kind: engine.Append, Logs: ids, Msg: &engine.Message{Body: []byte(body), Priority: engine.DefaultPriority}}
}

// outcome is what done was called with.
type outcome struct {
	mu    sync.Mutex
	calls int
	err   error
}

func (o *outcome) done(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls++
	o.err = err
}

// want fails the test unless done was called so often, the last time with this.
func (o *outcome) want(t *testing.T, calls int, err error) {
	t.Helper()
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.calls != calls || !errors.Is(o.err, err) {
		t.Errorf("done was called %d times, with %v, want %d times, with %v", o.calls, o.err, calls, err)
	}
}

func batch(ops ...engine.Op) *engine.Batch { return &engine.Batch{Ops: ops} }

// For logs with usual names it is an engine as every other.
func TestEngine(t *testing.T) {
	enginetest.Test(t, func(testing.TB) engine.Engine { return tandem.New(memory.New(), memory.New()) })
}

// What is in memory only does not wait, and does not come near the durable engine.
func TestVolatile(t *testing.T) {
	inPair(t, func(t *testing.T, p *pair) {
		var o outcome
		p.Commit(batch(put("1", ram)), o.done)
		p.Spread(batch(put("2", ram)), o.done)
		p.has(ram, "1 2")
		p.Commit(batch(engine.Op{Kind: engine.Settle, Log: p.logs[ram], Seqs: []engine.Seq{1}}), o.done)
		o.want(t, 3, nil)
		if n, _ := p.disk.Commits(); n != 0 {
			t.Errorf("%d durable commits", n)
		}
		if s := p.logs[ram].Stats(); s.Depth != 1 {
			t.Errorf("%d records are left", s.Depth)
		}
		if err := p.Drop(t.Context(), ram); err != nil {
			t.Fatal(err)
		}
		var ids []engine.LogID
		err := p.Logs(t.Context(), "", func(id engine.LogID, _ engine.Stats) bool { ids = append(ids, id); return true })
		if err != nil || !slices.Equal(ids, []engine.LogID{disk}) {
			t.Errorf("logs %v, %v", ids, err)
		}
	})
}

// A batch for both is done when the durable part is; the part in memory follows, before what was appended later.
func TestCommitBoth(t *testing.T) {
	inPair(t, func(t *testing.T, p *pair) {
		var first, second, third outcome
		p.Commit(batch(put("1", disk, ram), put("2", ram)), first.done)
		p.Commit(batch(put("3", ram)), second.done)
		p.Spread(batch(put("4", ram)), third.done)
		p.has(ram, "")
		first.want(t, 0, nil)
		second.want(t, 0, nil)
		time.Sleep(time.Second)
		p.has(ram, "1 2 3 4")
		p.has(disk, "1")
		first.want(t, 1, nil)
		second.want(t, 1, nil)
		third.want(t, 1, nil)
		p.Commit(batch(put("5", ram)), nil)
		p.has(ram, "5")
	})
}

// When the durable part fails nothing has happened; what waited goes on.
func TestCommitBothFails(t *testing.T) {
	inPair(t, func(t *testing.T, p *pair) {
		var first, second outcome
		p.disk.Fail(engine.ErrFull)
		settle := engine.Op{Kind: engine.Settle, Log: p.logs[ram], Seqs: []engine.Seq{1}}
		p.Commit(batch(put("0", ram)), nil)
		p.Commit(batch(put("1", disk, ram), settle), first.done)
		p.Commit(batch(put("2", ram)), second.done)
		p.Commit(batch(settle, put("3", disk)), nil)
		time.Sleep(time.Second)
		p.has(ram, "0 2")
		p.has(disk, "")
		first.want(t, 1, engine.ErrFull)
		second.want(t, 1, nil)
	})
}

// A log in memory that goes while the durable part is under way takes its settlements with it, and nothing else.
func TestCommitBothLogGone(t *testing.T) {
	inPair(t, func(t *testing.T, p *pair) {
		var o, s outcome
		other := engine.LogID("~t/2")
		gone, err := p.Open(t.Context(), other, engine.LogOptions{Ready: func() {}})
		if err != nil {
			t.Fatal(err)
		}
		settle := engine.Op{Kind: engine.Settle, Log: gone, Seqs: []engine.Seq{1}}
		p.Commit(batch(put("1", disk, ram), settle), o.done)
		p.Commit(batch(settle, put("2", disk)), s.done)
		if err := p.Drop(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		p.has(ram, "1")
		p.has(disk, "1 2")
		o.want(t, 1, nil)
		s.want(t, 1, nil)
	})
}

// Spread gives the logs in memory their part at once, and is done when both are; the order stays.
func TestSpread(t *testing.T) {
	inPair(t, func(t *testing.T, p *pair) {
		var o, failed outcome
		p.Spread(batch(put("1", disk, ram)), o.done)
		p.Spread(batch(put("2", ram)), nil)
		p.has(ram, "1 2")
		o.want(t, 0, nil)
		time.Sleep(time.Second)
		p.has(disk, "1")
		o.want(t, 1, nil)
		p.disk.Fail(engine.ErrFull)
		p.Spread(batch(put("3", disk, ram)), failed.done)
		failed.want(t, 1, engine.ErrFull)
	})
}

// However batches are mixed, each log gets what one producer commits in its order.
func TestOrder(t *testing.T) {
	inPair(t, func(t *testing.T, p *pair) {
		var durable, volatile []string
		for i := range 100 {
			body := fmt.Sprint(i)
			switch i % 7 {
			case 0:
				p.Commit(batch(put(body, disk, ram), put(body, ram)), nop)
				durable, volatile = append(durable, body), append(volatile, body, body)
			case 1, 2:
				p.Spread(batch(put(body, ram, disk)), nop)
				durable, volatile = append(durable, body), append(volatile, body)
			case 3, 4:
				p.Commit(batch(put(body, ram)), nop)
				volatile = append(volatile, body)
			default:
				p.Commit(batch(put(body, disk)), nop)
				durable = append(durable, body)
			}
			time.Sleep(time.Duration(i*7919%13) * 30 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		p.has(ram, strings.Join(volatile, " "))
		p.has(disk, strings.Join(durable, " "))
	})
}

func nop(error) {}
