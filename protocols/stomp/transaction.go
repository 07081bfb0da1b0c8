package stomp

import (
	"fmt"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/protocols/stomp/frame"
)

// transaction holds what the client did since BEGIN. The core makes it happen at COMMIT, all or nothing.
type transaction struct {
	core.Transaction
	bytes int64
	acks  []ackedIn // what to forget once it is committed
}

// ackedIn is a delivery of 1.0 or 1.1 that is settled in a transaction.
type ackedIn struct {
	sub *subscription
	tag uint64
}

// room reports an error if more operations, or so many bytes, do not fit into t.
func (s *session) room(t *transaction, ops int, bytes int64) error {
	if err := s.core.HoldBack(s.ctx); err != nil {
		return err
	}
	l := s.p.broker.Limits()
	if n := len(t.Sends) + len(t.Settles) + ops; n > l.TransactionOps {
		return s.core.Exceeded("transaction_ops", "a transaction may have %d frames", l.TransactionOps)
	}
	held := bytes
	for _, other := range s.txs {
		held += other.bytes
	}
	if held > l.TransactionBytes {
		return s.core.Exceeded("transaction_bytes", "open transactions may have %d bytes", l.TransactionBytes)
	}
	t.bytes += bytes
	return nil
}

// named returns the transaction that a frame names.
func (s *session) named(f *frame.Frame) (string, *transaction, error) {
	id, ok := f.Get("transaction")
	if !ok || id == "" {
		return "", nil, fmt.Errorf("there is no transaction header: %w", core.ErrInvalid)
	}
	return id, s.txs[id], nil
}

func unknownTransaction(id string) error {
	return fmt.Errorf("there is no transaction %q: %w", clip(id), core.ErrInvalid)
}

// begin executes BEGIN.
func (s *session) begin(f *frame.Frame, receipt string) error {
	if err := s.core.HoldBack(s.ctx); err != nil {
		return err
	}
	id, t, err := s.named(f)
	switch {
	case err != nil:
		return err
	case t != nil:
		return fmt.Errorf("transaction %q has begun already: %w", clip(id), core.ErrInvalid)
	case len(s.txs) >= s.p.broker.Limits().Transactions:
		return s.core.Exceeded("transactions", "%d transactions are open already", len(s.txs))
	}
	if s.txs == nil {
		s.txs = make(map[string]*transaction)
	}
	s.txs[id] = new(transaction)
	return s.receipt(receipt)
}

// buffer keeps a SEND for COMMIT. Its receipt says that it is part of the transaction; that of COMMIT says
// that it was sent.
func (s *session) buffer(o *outgoing, places []place) error {
	t := s.txs[o.transaction]
	if t == nil {
		return unknownTransaction(o.transaction)
	}
	sends := o.copies(places)
	if err := s.room(t, len(sends), int64(len(places))*int64(o.message.Size())); err != nil {
		return err
	}
	t.Sends = append(t.Sends, sends...)
	return nil
}

// commit executes COMMIT.
func (s *session) commit(f *frame.Frame, receipt string) error {
	id, t, err := s.named(f)
	if err != nil {
		return err
	}
	if t == nil {
		return unknownTransaction(id)
	}
	delete(s.txs, id)
	err = s.core.Commit(s.ctx, t.Transaction, func(err error) {
		if err != nil {
			s.refuseLater(fmt.Errorf("%s: %w", frame.Commit, err), receipt)
			return
		}
		_ = s.receipt(receipt) // a connection that is gone is noticed by the reader
	})
	if err == nil {
		for _, a := range t.acks {
			s.forget(a.sub, a.tag)
		}
	}
	return err
}

// abort executes ABORT. What was acknowledged in it waits for another ACK.
func (s *session) abort(f *frame.Frame, receipt string) error {
	id, t, err := s.named(f)
	if err != nil {
		return err
	}
	if t == nil {
		return unknownTransaction(id)
	}
	delete(s.txs, id)
	return s.receipt(receipt)
}
