package engine

import "context"

// State is small keyed state: sessions, inflight packet ids, durable subscriptions, queue definitions. Written by Put
// and Delete in a Batch. Reads are of this node's copy, which includes all batches this node has seen done. Its
// methods may be called concurrently.
type State interface {
	// Get returns the value, which must not be changed, and its revision, which is > 0 and grows with every change.
	Get(bucket, key string) (val []byte, rev uint64, ok bool)
	// Watch first replays the bucket before it returns, then calls fn for every change, in order, val nil for a
	// deletion, and non-nil else. Every node sees the same order for one key. fn must not block, and must not call
	// the engine. After cancel has returned fn is not called any more.
	Watch(bucket string, fn func(key string, val []byte, rev uint64)) (cancel func())
	// Barrier returns when every live node has applied rev (a durable SUBSCRIBE is confirmed only after it).
	Barrier(ctx context.Context, bucket string, rev uint64) error
}
