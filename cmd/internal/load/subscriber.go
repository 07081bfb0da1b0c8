package load

import (
	"sync/atomic"
	"time"

	"github.com/wyemq/wye/cmd/internal/peer"
)

// subscriber receives. Its fields belong to the goroutine that reads, but for those of package atomic.
type subscriber struct {
	index   int
	channel int
	conn    *peer.Conn
	acks    ackMode
	flow    *flow
	size    int

	received atomic.Int64 // deliveries so far, each counted once
	arrived  atomic.Int64 // all messages so far, whatever they were
	cells    []cell       // by publisher of the channel
	touched  []*publisher // whose cells the batch has changed
	came     int64        // all of the batch
	now      time.Time    // when the batch was read, once somebody has asked

	foreign int64 // of another run
	damaged int64 // of the wrong size, without a stamp, or from another channel
}

// cell is what a subscriber knows of a publisher.
type cell struct {
	ledger
	progress atomic.Int64 // ledger.next, for the publisher to see
	came     int64        // in the batch
	fresh    int64        // of them new
	batch    []int64      // of a competing consumer: what came, complemented if flagged as redelivered
}

// loop reads until the connection ends.
func (s *subscriber) loop() error {
	for {
		err := s.conn.ReadBatch(s.take)
		s.settle()
		if err != nil {
			return err
		}
	}
}

// take is called for every packet.
func (s *subscriber) take(p *peer.Packet) error {
	if p.Kind != peer.Message {
		return nil
	}
	switch s.acks {
	case ackEach:
		s.conn.Ack(p)
	case ackUpTo:
		s.conn.AckUpTo(p)
	case ackNone:
	}
	s.came++
	stamp, ok := peer.ReadStamp(p.Body)
	switch {
	case !ok || len(p.Body) != s.size && stamp.Run == s.flow.run:
		s.damaged++
		return nil
	case stamp.Run != s.flow.run || int(stamp.Publisher) >= len(s.flow.pubs) || stamp.Seq >= maxSeq:
		s.foreign++
		return nil
	}
	from := s.flow.pubs[stamp.Publisher]
	if from.channel != s.channel {
		s.damaged++
		return nil
	}
	c := &s.cells[from.slot]
	if c.came == 0 {
		s.touched = append(s.touched, from)
	}
	c.came++
	if !c.take(int64(stamp.Seq), p, s.flow.plan.competing) {
		return nil
	}
	if s.flow.times != nil {
		if s.now.IsZero() {
			s.now = time.Now()
		}
		s.flow.times.note(s.index, s.now, from.due(int64(stamp.Seq)))
	}
	return nil
}

// take notes a message, and says whether it may be new.
func (c *cell) take(seq int64, p *peer.Packet, competing bool) bool {
	flagged := func() bool { return p.Dup || p.Header("redelivered") == "true" }
	if !competing {
		fresh := c.record(seq, flagged)
		if fresh {
			c.fresh++
		}
		return fresh
	}
	note := seq
	if seq >= c.next {
		c.next = seq + 1
	} else if flagged() {
		note = ^seq
	} else {
		c.reordered++
	}
	c.batch = append(c.batch, note)
	return true
}

// settle ends a batch: whoever waits for it is told.
func (s *subscriber) settle() {
	s.now = time.Time{}
	if s.came == 0 {
		return
	}
	fresh := int64(0)
	for _, p := range s.touched {
		c := &s.cells[p.slot]
		if s.flow.plan.competing {
			c.fresh = p.pool.record(c.batch)
			c.batch = c.batch[:0]
			p.consumed.Add(c.fresh)
		} else {
			c.progress.Store(c.next)
		}
		fresh += c.fresh
		c.came, c.fresh = 0, 0
		p.arrived(s.index)
	}
	s.touched = s.touched[:0]
	s.received.Add(fresh)
	s.arrived.Add(s.came)
	s.came = 0
}
