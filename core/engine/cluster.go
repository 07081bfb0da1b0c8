package engine

import "context"

// Cluster spreads live, non-durable traffic and control frames. At most once, FIFO per sender and topic.
type Cluster interface {
	Self() NodeID
	// Nodes calls fn with the live nodes, now and at each change.
	Nodes(fn func([]NodeID)) (cancel func())
	// Interest says: this node has local live subscribers for filter. Reference counted by the core, once per filter.
	Interest(filter string) (cancel func(), err error)
	// Fanout sends to the other nodes with interest, and to nobody when there is none.
	Fanout(topic string, m *Message) error
	// OnFanout is called for messages of other nodes, in order per sender.
	OnFanout(fn func(from NodeID, topic string, m *Message))
	// Owner returns the live owner of a log.
	Owner(ctx context.Context, id LogID) (NodeID, bool, error)
	// Send carries a control frame (remote credit, delivery, settlement of a queue owned elsewhere).
	Send(to NodeID, frame []byte) error
	OnFrame(fn func(from NodeID, frame []byte))
}
