// Package engine is the seam between wye's core and what stores and spreads its messages.
//
//	core/internal/queue ── Next, Browse ──► Log        ordered records of one log, and what is settled in them
//	core.Session ───────── Commit(Batch) ─► Engine     append, settle, retain, put: all or nothing
//	core.Broker ────────── Watch, Match ──► State, Retained
//	core (several nodes) ─ Fanout, Send ──► Cluster    live traffic and control frames
//
// The core keeps: the topic trie, credit, selectors, priority choice, message groups, nacks, back-off and dead
// letters, transactions until COMMIT, MQTT's QoS state machines, expiry. The engine keeps: ordered logs of messages,
// what is settled in them, small keyed state, the retained message of each topic, delayed visibility, who owns a
// log, and best-effort fan-out between nodes. It knows no protocol, and no feature with rules in it lives here.
//
// One log has one owner at a time: the node whose core dispatches it. A queue is a log; a durable subscription is a
// log; the offline queue of an MQTT session is a log. On one machine the owner is always this process.
//
// Package memory is the reference implementation; package enginetest holds every implementation to what is said here.
package engine
