package engine

import "context"

// Retained holds the last retained message of each topic. Written by Retain in a Batch.
type Retained interface {
	// Match calls fn once for each retained message whose topic matches the filter, until fn returns false. Both are
	// levels joined by '/'; in the filter '+' stands for one level and '#', at any place, for any number of them. No
	// level is special: what '$' hides is the core's business. Expired messages are left out. What is retained
	// meanwhile may be shown or not. fn may call anything.
	Match(ctx context.Context, filter string, fn func(*Message) bool) error
	// Len returns how many topics have a retained message. It is cheap, and may be a little late.
	Len() int
}
