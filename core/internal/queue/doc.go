// Package queue dispatches one log of the engine to its consumers: credit, fairness, acknowledgements, redelivery,
// back-off, priorities, selectors, message groups, expiry, limits, dead letters. It decides; the engine stores.
//
//	publish ─ Reserve ─► Engine.Commit(Append) ─► Log ─ Ready ─► runner ─ Next ─► lanes ─ serve ─► Deliver
//	ack, nack ─ Settle ─► Ops ─► Engine.Commit ─► Settling.Done ─► credit, and what goes back into the lanes
//
// One runner goroutine chooses who gets what and calls Deliver. It is started when there is something to do and ends
// when there is nothing, so an idle queue has no goroutine; it has a timer only while a record waits for a time.
//
// The backlog stays in the log. What is ready in memory is a window, which is read when a consumer wants more than is
// in it: 256 records or 8 MiB at a time, and never more than 1,024 and 16 MiB together, with these exceptions:
//
//   - A record that nobody present wants (selectors, message groups) does not block those behind it: the window grows
//     to 100,000 records or 64 MiB of bodies. Behind as many unwanted records matching ones do wait.
//   - When priorities are in use the window may be twice as large, so that urgent records are read past others. A
//     record that arrives while the window is full overtakes what is still in the log, and enters with the next
//     256 that leave the window.
//   - Records that were handed out and came back are ready whatever the size of the window.
//
// It does not encode, authorize or know destinations, and it takes no part in ownership: it runs where its log is open.
package queue
