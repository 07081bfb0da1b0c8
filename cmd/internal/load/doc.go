// Package load is `wye bench`: it puts load on any broker and says what that cost.
//
//	Run ─ flags ─▶ options ─ plan ─▶ flow ─┬ publishers ──▶ broker ──▶ subscribers ┐
//	                                       │    ▲ window, or a timetable           │
//	                                       │    └──────────────── progress ────────┤
//	                                       └ meter: CPU and memory of the broker   └▶ ledger ─▶ Result
//
// Every message carries a stamp: which run, which publisher, the how-manieth. Each subscriber keeps a ledger of
// what it has seen, so that a run ends with what was lost, doubled or out of order, and a figure that was
// reached by dropping is never taken for speed.
//
// Without --rate publishers go as fast as subscribers keep up: at most a window of messages is on its way, since
// a broker may drop what a slow subscriber does not take. With --rate each message has a moment at which it is
// due, and its latency counts from there, whenever it was really sent: a broker that stalls pays for all that
// should have been sent meanwhile ("coordinated omission" is the name of not doing that).
//
// The package knows nothing of wye. It does not install, start or configure brokers.
package load
