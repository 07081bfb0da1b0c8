package core

import (
	"context"

	"github.com/wyemq/wye/core/internal/pack"
)

// Encode is the form that durable engines keep of a message.
func Encode(m *Message) []byte { return m.appendHead(make([]byte, 0, m.headSize())) }

// Decode reads what Encode has made.
func Decode(m *Message, head []byte) error { return m.readHead(head) }

// EncodeWhole and DecodeWhole are that of a message without an engine.Message around it.
func EncodeWhole(m *Message) []byte { return encodeMessage(nil, m) }

// DecodeWhole reads what EncodeWhole has made.
func DecodeWhole(b []byte) (*Message, error) {
	r := pack.NewReader(b)
	m, err := decodeMessage(&r)
	if err == nil {
		err = r.Err()
	}
	return m, err
}

// Recoded is what is left of a subscription that was stored.
func Recoded(sub *Subscription) (Subscription, error) { return decodeSubscription(sub.encode()) }

// DecodeState reads a value of a bucket of the engine's state.
func DecodeState(bucket string, b []byte) (again []byte, err error) {
	switch bucket {
	case bucketQueues:
		spec, err := decodeQueueSpec(b)
		return spec.encode(), err
	case bucketSubscriptions:
		sub, err := decodeSubscription(b)
		return sub.encode(), err
	default:
		var st state
		err := st.decode(b)
		return st.encode(), err
	}
}

// Tight says how short memory is, as the watch of Run would.
func (b *Broker) Tight(n int32) { b.memory.tight.Store(n) }

// RunUnknown is Run where nobody knows how much memory there is.
func (b *Broker) RunUnknown(ctx context.Context, ready func()) error { return b.run(ctx, 0, "", ready) }

// Watch looks at the memory once.
func (b *Broker) Watch(budget int64) { b.watchMemory(budget) }
