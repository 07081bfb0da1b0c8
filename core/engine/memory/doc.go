// Package memory is the reference engine: everything is kept in memory and is lost with the process. It serves
// engine.kind: memory, and tests, which may rely on it to be exact: what other engines only come near to
// (Redelivered after a crash, the time of Visible), it does to the letter.
//
//	Commit ──► queue ──► one committer, while there is work ──► logs, state, retained ──► Ready of the logs, done
//
// Records lie in pages by their Seq, so that settling in any order costs the same, and a page whose records are
// settled is given back, whatever is stuck in front of it. It has no goroutine while nothing is committed, and no
// timer while no record waits for its time.
//
// It does not bound what it holds: queues in the core have limits.
package memory
