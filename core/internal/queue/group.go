package queue

import "hash/maphash"

const (
	groupsExact   = 10_000 // message groups that are pinned one by one
	groupsBuckets = 1_024  // beyond that, groups with the same hash go to the same consumer
)

// groups knows which consumer has which message group. What it remembers is bounded: a group that comes when there are
// groupsExact of them shares the fate of others, and stays with its consumer even when it closes.
type groups struct {
	used    bool // there has been a message with a group
	seed    maphash.Seed
	exact   map[string]*Consumer
	buckets []*Consumer
}

// owner returns nil for a group that anybody may have.
func (g *groups) owner(key string) *Consumer {
	if c := g.exact[key]; c != nil || g.buckets == nil {
		return c
	}
	return g.buckets[g.bucket(key)]
}

func (g *groups) bucket(key string) uint64 { return maphash.String(g.seed, key) % groupsBuckets }

// pin gives a group to c; it has it or nobody has.
func (g *groups) pin(key string, c *Consumer) {
	switch {
	case g.owner(key) == c:
	case len(g.exact) < groupsExact:
		if g.exact == nil {
			g.exact = make(map[string]*Consumer)
		}
		g.exact[key] = c
	default:
		if g.buckets == nil {
			g.seed, g.buckets = maphash.MakeSeed(), make([]*Consumer, groupsBuckets)
		}
		g.buckets[g.bucket(key)] = c
	}
}

// close ends a group. It reports whether that made it free.
func (g *groups) close(key string) bool {
	if g.exact[key] == nil {
		return false
	}
	delete(g.exact, key)
	if len(g.exact) == 0 {
		g.exact = nil
	}
	return true
}

// leave frees all groups of a consumer, and reports whether there were any.
func (g *groups) leave(c *Consumer) (freed bool) {
	for key, owner := range g.exact {
		if owner == c {
			delete(g.exact, key)
			freed = true
		}
	}
	others := false
	for i, owner := range g.buckets {
		switch owner {
		case c:
			g.buckets[i] = nil
			freed = true
		case nil:
		default:
			others = true
		}
	}
	if !others {
		g.buckets = nil
	}
	if len(g.exact) == 0 {
		g.exact = nil
	}
	return freed
}
