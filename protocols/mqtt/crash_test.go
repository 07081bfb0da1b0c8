package mqtt_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core/coretest"
	"github.com/wyemq/wye/core/protocoltest"
)

// sender is a client that publishes with QoS 2 and keeps its session, section 4.3.3.
type sender struct {
	c    *raw
	open map[uint16]string // published, PUBREC not here yet
	half map[uint16]string // PUBREC was here, PUBCOMP not yet
	sent map[string]bool   // true: PUBREC was here
	next int
	id   uint16
}

// reconnect connects again and says again what was not finished [MQTT-4.4.0-1].
func (x *sender) reconnect(s *server) bool {
	x.c = s.dial(protocoltest.PipeOptions{})
	x.c.try0(kept("sender").packet())
	if p, err := x.c.try(time.Minute); err != nil || p.first != 0x20 {
		return false
	}
	for id := uint16(1); id <= x.id; id++ {
		if body, ok := x.open[id]; ok {
			x.c.try0(packet(0x30|2<<1|8, str("t"), u16(id), []byte{0}, []byte(body)))
		}
		if _, ok := x.half[id]; ok {
			x.c.try0(packet(tPUBREL, u16(id)))
		}
	}
	return true
}

// run publishes, with few identifiers so that they are used again and again, until the connection ends.
func (x *sender) run(rnd *rand.Rand, over func() bool) {
	for !over() {
		for len(x.open)+len(x.half) < 5 {
			x.next++
			body := fmt.Sprint(x.next)
			id := uint16(1)
			for x.open[id] != "" || x.half[id] != "" {
				id++
			}
			x.id = max(x.id, id)
			x.open[id], x.sent[body] = body, false
			x.c.try0(packet(0x30|2<<1, str("t"), u16(id), []byte{0}, []byte(body)))
		}
		if rnd.IntN(5) == 0 {
			time.Sleep(time.Duration(rnd.IntN(5000)) * time.Microsecond)
		}
		p, err := x.c.try(time.Second)
		if err != nil || over() { // what has not been read by now is lost
			return
		}
		if p.first != tPUBREC && p.first != tPUBCOMP {
			continue
		}
		id := binary.BigEndian.Uint16(p.body)
		if p.first == tPUBCOMP {
			delete(x.half, id)
			continue
		}
		if body, ok := x.open[id]; ok {
			delete(x.open, id)
			if len(p.body) > 2 && p.body[2] >= 0x80 { // refused: the disk has gone
				continue
			}
			x.sent[body] = true
			x.half[id] = body
		}
		x.c.try0(packet(tPUBREL, u16(id)))
	}
}

// receiver is a client that subscribes with QoS 2 and keeps its session.
type receiver struct {
	c    *raw
	held map[uint16]bool // received, PUBREL not here yet
	got  map[string]int
}

func (x *receiver) reconnect(s *server) bool {
	x.c = s.dial(protocoltest.PipeOptions{})
	x.c.try0(kept("receiver").packet())
	p, err := x.c.try(time.Minute)
	return err == nil && p.first == 0x20
}

func (x *receiver) run(rnd *rand.Rand, over func() bool) {
	var later []uint16 // PUBREC is to be sent
	for {
		if rnd.IntN(5) == 0 {
			time.Sleep(time.Duration(rnd.IntN(5000)) * time.Microsecond)
		}
		p, err := x.c.try(time.Second)
		if err != nil && len(later) == 0 || over() {
			return
		}
		switch p.first & 0xF0 {
		case 0x30:
			m := x.c.parse(p)
			if !x.held[m.id] {
				x.held[m.id] = true
				x.got[m.body]++
			}
			later = append(later, m.id)
		case 0x60:
			id := binary.BigEndian.Uint16(p.body)
			delete(x.held, id)
			x.c.try0(packet(tPUBCOMP, u16(id)))
		}
		rnd.Shuffle(len(later), func(i, k int) { later[i], later[k] = later[k], later[i] })
		for len(later) > 0 && (err != nil || rnd.IntN(3) == 0) {
			x.c.try0(packet(tPUBREC, u16(later[0])))
			later = later[1:]
		}
	}
}

// try0 writes to a connection that may have ended.
func (c *raw) try0(b []byte) { _ = c.peer.Send(2, b) }

// QoS 2 is exactly once, whenever the broker is killed, from end to end: no message comes twice, and each that was
// acknowledged comes.
func TestCrashesExactlyOnce(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &phoenix{disk: coretest.NewDisk(t)}
				s.start(t)
				s.client(kept("receiver")).subscribe("t", 2)
				s.disk.Sync(syncing)
				out := &sender{open: make(map[uint16]string), half: make(map[uint16]string), sent: make(map[string]bool)}
				in := &receiver{held: make(map[uint16]bool), got: make(map[string]int)}
				rnd := rand.New(rand.NewPCG(seed, 0))
				for life := range 12 {
					var wg sync.WaitGroup
					var over atomic.Bool
					for i, client := range []interface {
						reconnect(s *server) bool
						run(rnd *rand.Rand, over func() bool)
					}{out, in} {
						rnd := rand.New(rand.NewPCG(seed, uint64(10*life+i+1)))
						wg.Go(func() {
							if client.reconnect(s.server) {
								client.run(rnd, over.Load)
							}
						})
					}
					time.Sleep(time.Duration(10+rnd.IntN(80)) * time.Millisecond)
					if rnd.IntN(4) > 0 {
						over.Store(true)
						s.disk.Kill()
					}
					if err := s.broker.Close(context.WithoutCancel(t.Context())); err != nil {
						t.Fatal(err)
					}
					wg.Wait()
					s.start(t)
				}
				in.reconnect(s.server)
				in.run(rnd, func() bool { return false })
				acknowledged := 0
				for body, ok := range out.sent {
					if n := in.got[body]; n > 1 || ok && n == 0 {
						t.Errorf("message %s came %d times, acknowledged: %v", body, n, ok)
					} else if ok {
						acknowledged++
					}
				}
				if acknowledged < 50 {
					t.Errorf("only %d messages were acknowledged", acknowledged)
				}
			})
		})
	}
}
