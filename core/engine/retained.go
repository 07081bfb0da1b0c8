package engine

import "context"

// Retained holds the last retained message of each topic. Written by Retain in a Batch.
type Retained interface {
	// Match calls fn once for each retained message whose topic matches the filter, until fn returns false. Both are
	// levels joined by '/'; in the filter '+' stands for one level and '#', at any place, for any number of them. No
	// level is special: what '$' hides is the core's business. Expired messages are left out. What is retained
	// meanwhile may be shown or not. fn may call anything.
	Match(ctx context.Context, filter string, fn func(*Message) bool) error
	// Size returns how many topics have a retained message, and what these messages count as (Message.Size). It is cheap,
	// and right about all that is done; but what has expired may count on for a while, during which something is committed.
	Size() (topics int, bytes int64)
}
