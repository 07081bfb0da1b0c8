// Package subtree is the index of subscriptions: which entries does a destination match?
//
//	Add("topic/a/+", v) ─┐                        ┌─ Direct: every entry without a group
//	AddMember(…, g, v) ──┴─ Tree ─ Match(dest, r) ─┴─ Groups: for each group its members; pick one
//
// Filters and destinations are the canonical names of core/destination. Filters of topics may hold
// wildcards; all other names are found by equality, whatever characters they hold.
//
// The topics are a trie by level. The cost of a match depends on the levels of the destination and on
// what is found, not on how many other filters there are. Adding and removing cost the same
// whether a filter has one entry or 100,000. Each entry is found once for each filter it is under, even when the
// filter matches in several ways ("a/#/#/b").
//
// The bound: a match visits each node of the trie at most once for each number of levels that are
// left, so at most levels × nodes that the levels lead to, and at most (levels+1) × (levels of f) for a
// filter f that is alone. Filters such as "#/a/#/a/#/a", which match in exponentially many ways, cost that
// too. With the 128 levels that core/destination permits it is about 16,000 steps.
//
// What the package does not do: it checks no names (destination.CheckFilter does), picks no member of a
// group, knows no sessions, queues or permissions, and keeps no retained messages.
package subtree
