// Package hostile lets clients that mean harm loose on a broker, beside many that mean none, and finds out what the latter
// notice.
//
//	Run ── starts ──▶ the broker, a process of its own, configured as one that anybody may reach
//	 ├── guests: each sends numbered messages to its neighbour, and counts and times what comes
//	 └── foes:   each misbehaves in one of the ways that Kinds lists, again and again
//
// What the guests have seen, and what the broker has used meanwhile, is a Result; Violations says what is wrong with it: a
// message that was lost, doubled or out of order, a guest that was thrown out, a latency or a size that is too large, a way to
// misbehave that nobody got to. It knows nothing of how the broker is made.
package hostile
