// Package metrics shows what a broker counts to Prometheus.
//
//	core.Broker.Stats ──┐
//	each transport's  ──┼─ Collector ── its own registry ── Handler ── GET /metrics
//	Go and process    ──┘
//
// Nothing is counted here: a scrape takes one snapshot of counters that the broker keeps anyway, so
// a message costs nothing more for being measured, and the numbers of one scrape belong together.
// There is no global registry; two brokers in one process have metrics of their own.
//
// Every number of series is bounded. Reasons and protocols come from the program, not from clients.
// Queues are named by clients: the deepest have series of their own, the others share one, and
// totals count them all.
package metrics
