// Package disk is the engine that keeps everything in a directory, with Pebble. What it confirms survives kill -9 and a
// power loss.
//
//	Commit ─► queue ─► one committer: all that has come while the last group was synced
//	                      │  check, then one atomic batch of Pebble: records, what is known of the logs, state, retained
//	                      ▼
//	                   write-ahead log, synced once ──► published to readers ──► Ready of the logs, done
//	Next   ◄─ tail in memory, for who keeps up ◄─ or from disk, in chunks
//
// A record is read only when it is durable, and handed out only up to a number that was reserved on disk before, in
// blocks for each priority. After a crash all up to there is flagged as redelivered, and no number up to there is given
// again. A log that was released has exact flags instead. Batches that are relaxed do not make a group sync; they are
// on disk a moment later.
//
// Keys begin with their kind, and records go by log, priority and number, so that reading on in a lane is one scan; what
// has to wait for its time lies apart, with an index by time. Each log has a small record of its own with counts and
// positions, so that a million messages cost nothing at the start. A body that several logs share is stored once and
// counted. When much of a log is settled, the store is told that its beginning is gone, and gives the room back.
//
// The directory belongs to one process, whose id others are told. It has a file, wye.store, with the version of all this
// and with what the files were at the last stop; half of a copy, an unknown version or damage end the start with a
// message. A write, sync or read that fails while the engine runs ends it: Run returns the error, what is undecided is
// not confirmed, whatever comes is refused, and only a new start helps.
//
// What it does not do: replicate, and find damage to the very last thing written before a crash, which looks as if the
// crash had come in the midst of it.
package disk
