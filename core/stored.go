package core

import (
	"fmt"
	"time"

	"github.com/wyemq/wye/core/internal/pack"
)

// The buckets of the engine's state. Keys begin with the virtual host and, but for queues, the client id, both escaped; a
// slash follows each.
const (
	bucketQueues        = "queues"        // by log id: how the queue was declared
	bucketStaying       = "staying"       // by log id: a group that others than its first member keep
	bucketSessions      = "sessions"      // what outlives a connection, or only a will
	bucketSubscriptions = "subscriptions" // of sessions that are kept
	bucketValues        = "values"        // of Session.Put, as they are
)

// storedVersion is the first byte of what is in the buckets, values excepted.
const storedVersion = 1

// opened returns a reader of a value behind its version.
func opened(what string, b []byte) (pack.Reader, error) {
	r := pack.NewReader(b)
	if v := r.Byte(); v != storedVersion {
		return r, fmt.Errorf("%s is stored in version %d, which is not known: %w", what, v, pack.ErrBad)
	}
	return r, nil
}

// encode returns the form of a session that is kept.
func (st *state) encode() []byte {
	b := pack.Int(pack.String([]byte{storedVersion}, st.by.user), int64(st.expiry))
	b = pack.Bool(pack.Time(b, st.left), st.will != nil)
	if st.will != nil {
		b = encodeMessage(pack.Int(b, int64(st.willDelay)), st.will)
	}
	if st.by.from.IsValid() {
		b = st.by.appendTo(b)
	}
	return b
}

// decode sets what encode has written.
func (st *state) decode(b []byte) error {
	r, err := opened("a session", b)
	if err != nil {
		return err
	}
	st.by.user, st.expiry, st.left = r.String(), time.Duration(r.Int()), r.Time()
	if r.Bool() {
		st.willDelay = time.Duration(r.Int())
		if st.will, err = decodeMessage(&r); err != nil {
			return fmt.Errorf("a will: %w", err)
		}
	}
	if r.Len() > 0 {
		st.by = readOwner(&r)
	}
	return r.Err()
}

// Truth values of a stored subscription.
const (
	subDurable = 1 << iota
	subNoLocal
	subExclusive
	subSole
	subQueue
	subWithSession
)

// encode returns the form of a subscription that is kept: without what belongs to the moment of subscribing.
func (sub *Subscription) encode() []byte {
	var flags uint64
	for _, f := range []struct {
		is  bool
		bit uint64
	}{
		{sub.Durable, subDurable},
		{sub.NoLocal, subNoLocal},
		{sub.Exclusive, subExclusive},
		{sub.Sole, subSole},
		{sub.Queue != nil, subQueue},
		{sub.WithSession, subWithSession},
	} {
		if f.is {
			flags |= f.bit
		}
	}
	b := pack.Uint([]byte{storedVersion}, flags)
	for _, s := range []string{sub.ID, sub.Filter, sub.Group, sub.Selector} {
		b = pack.String(b, s)
	}
	for _, n := range []int{int(sub.Ack), sub.Credit, int(sub.Retained), sub.Priority} {
		b = pack.Int(b, int64(n))
	}
	b = pack.Bytes(b, sub.Meta)
	if sub.Queue != nil {
		b = sub.Queue.append(b)
	}
	return b
}

func decodeSubscription(b []byte) (sub Subscription, err error) {
	r, err := opened("a subscription", b)
	if err != nil {
		return sub, err
	}
	flags := r.Uint()
	sub = Subscription{
		Durable: flags&subDurable != 0, NoLocal: flags&subNoLocal != 0, Exclusive: flags&subExclusive != 0,
		Sole: flags&subSole != 0, WithSession: flags&subWithSession != 0,
		ID: r.String(), Filter: r.String(), Group: r.String(), Selector: r.String(),
		Ack: AckMode(r.Int()), Credit: int(r.Int()), Retained: RetainedMode(r.Int()), Priority: int(r.Int()),
		Meta: r.Bytes(),
	}
	if flags&subQueue != 0 {
		sub.Queue = readQueueConfig(&r)
	}
	return sub, r.Err()
}

// append writes c behind b, with its length, so that a later version may add to it.
func (c *QueueConfig) append(b []byte) []byte {
	var f []byte
	for _, n := range []int64{
		int64(c.MaxDeliveries), int64(c.Backoff), int64(c.MaxBackoff), int64(c.TTL), int64(c.MaxLength), c.MaxBytes,
		int64(c.ExpiresIdle), int64(c.Credit),
	} {
		f = pack.Int(f, n)
	}
	for _, v := range []bool{c.Priorities, c.AutoDelete, c.ExpiredToDLQ} {
		f = pack.Bool(f, v)
	}
	return pack.Bytes(b, pack.String(pack.String(f, c.DeadLetter), c.Overflow))
}

func readQueueConfig(from *pack.Reader) *QueueConfig {
	r := pack.NewReader(from.Bytes())
	return &QueueConfig{
		MaxDeliveries: int(r.Int()), Backoff: time.Duration(r.Int()), MaxBackoff: time.Duration(r.Int()),
		TTL: time.Duration(r.Int()), MaxLength: int(r.Int()), MaxBytes: r.Int(), ExpiresIdle: time.Duration(r.Int()),
		Credit: int(r.Int()), Priorities: r.Bool(), AutoDelete: r.Bool(), ExpiredToDLQ: r.Bool(),
		DeadLetter: r.String(), Overflow: r.String(),
	}
}

// specWithSession follows the definition of a group that is with the sessions of its members.
const specWithSession = 1

// encode returns the form of a queue's definition: what a client has declared, since the configuration may change.
func (spec *queueSpec) encode() []byte {
	b := []byte{storedVersion}
	for _, s := range []string{spec.kind, spec.dest, spec.group} {
		b = pack.String(b, s)
	}
	b = pack.Bool(b, spec.declared != nil)
	if spec.declared != nil {
		b = spec.declared.append(b)
	}
	b = spec.by.appendTo(b)
	if spec.kind == kindGroup && !spec.stays {
		if !spec.by.from.IsValid() {
			b = pack.String(b, "") // appendTo leaves it out at the end
		}
		b = append(b, specWithSession)
	}
	return b
}

func decodeQueueSpec(b []byte) (spec queueSpec, err error) {
	r, err := opened("a queue", b)
	if err != nil {
		return spec, err
	}
	spec = queueSpec{kind: r.String(), dest: r.String(), group: r.String()}
	if r.Bool() {
		spec.declared = readQueueConfig(&r)
	}
	spec.by = readOwner(&r)
	spec.stays = r.Len() == 0 || r.Byte() != specWithSession // or it is not known who has used it
	return spec, r.Err()
}
