package metrics

import (
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/wyemq/wye/core"
)

// Collector turns snapshots into metrics. It is a [prometheus.Collector], for programs that have a
// registry of their own; [New] gives it one.
type Collector struct {
	cfg    Config
	source Source
	descs  []*prometheus.Desc

	connections, accepted, ended, receivedBytes, sentBytes, certificates metric

	store, storeFree                                       metric
	sessions, kept, subscriptions, retained, retainedBytes metric
	received, delivered, receivedBody, deliveredBody       metric
	dropped, disconnects                                   metric
	limitRefused, limitSlowed                              metric
	memory, memoryBudget                                   metric
	auditWritten, auditLost                                metric

	queues, ready, unacked                               metric
	queueReady, queueUnacked, queueConsumers, queueBytes metric
}

var _ prometheus.Collector = (*Collector)(nil)

// metric is a description and its type.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

// NewCollector returns a collector of what source tells.
func NewCollector(cfg Config, source Source) *Collector {
	c := &Collector{cfg: cfg, source: source}
	gauge := func(name, help string, labels ...string) metric {
		return c.describe(prometheus.GaugeValue, name, help, labels)
	}
	counter := func(name, help string, labels ...string) metric {
		return c.describe(prometheus.CounterValue, name, help, labels)
	}

	c.connections = gauge("connections", "Open connections, logged in or not.", "listener", "transport")
	c.accepted = counter("connections_accepted_total", "Connections that were served.", "listener", "transport")
	c.ended = counter("connections_ended_total", "Connections that are over or were refused, by reason id.", "listener", "transport", "reason")
	c.receivedBytes = counter("received_bytes_total", "Bytes received from clients.", "listener", "transport")
	c.sentBytes = counter("sent_bytes_total", "Bytes sent to clients.", "listener", "transport")

	c.certificates = gauge("certificate_expiry_seconds", "Seconds until a certificate, or the first of its chain, or a revocation list ends.", "listener", "file", "subject")

	c.sessions = gauge("sessions", "Clients that are logged in.", "vhost", "protocol")
	c.kept = gauge("sessions_kept", "Sessions kept while their client is away.", "vhost")
	c.subscriptions = gauge("subscriptions", "Subscriptions.", "vhost")
	c.retained = gauge("retained_messages", "Retained messages.")
	c.retainedBytes = gauge("retained_bytes", "Bytes of retained messages.")
	c.received = counter("messages_received_total", "Messages published by clients.", "vhost", "protocol")
	c.delivered = counter("messages_delivered_total", "Messages delivered to clients.", "vhost", "protocol")
	c.receivedBody = counter("message_received_bytes_total", "Bytes in the bodies of messages published by clients.", "vhost", "protocol")
	c.deliveredBody = counter("message_delivered_bytes_total", "Bytes in the bodies of messages delivered to clients.", "vhost", "protocol")
	c.dropped = counter("messages_dropped_total", "Messages dropped, by reason id.", "vhost", "reason")
	c.disconnects = counter("disconnects_total", "Sessions ended, by reason id.", "vhost", "reason")

	if source.Audit != nil {
		c.auditWritten = counter("audit_lines_total", "Lines written to the audit log.")
		c.auditLost = counter("audit_lost_total", "Lines of the audit log that were lost, because they could not be written.")
	}

	c.limitRefused = counter("limit_refused_total", "What was refused because a limit was reached, by its key in the configuration.", "limit")
	c.limitSlowed = counter("limit_slowed_total", "How often somebody had to wait because a limit was reached, by its key in the configuration.", "limit")
	c.memory = gauge("memory_bytes", "Memory in use, and what it is known to be held for (messages in several outboxes count in each).", "what")
	c.memoryBudget = gauge("memory_budget_bytes", "Memory that may be used.")

	c.store = gauge("store_bytes", "Bytes that the engine has on disk.")
	c.storeFree = gauge("store_free_bytes", "Bytes that are left for it there.")

	c.queues = gauge("queues", "Queues, durable subscriptions and groups.", "kind")
	c.ready = gauge("messages_ready", "Messages waiting in all queues.")
	c.unacked = gauge("messages_unacked", "Messages of all queues handed out and not acknowledged yet.")
	queue := []string{"vhost", "kind", "queue"}
	c.queueReady = gauge("queue_messages_ready", "Messages waiting in the queue.", queue...)
	c.queueUnacked = gauge("queue_messages_unacked", "Messages of the queue handed out and not acknowledged yet.", queue...)
	c.queueConsumers = gauge("queue_consumers", "Consumers of the queue.", queue...)
	c.queueBytes = gauge("queue_bytes", "Bytes of the messages in the queue.", queue...)
	return c
}

func (c *Collector) describe(kind prometheus.ValueType, name, help string, labels []string) metric {
	d := prometheus.NewDesc("wye_"+name, help, labels, nil)
	c.descs = append(c.descs, d)
	return metric{d, kind}
}

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	o := output(out)
	if c.source.Listeners != nil {
		c.collectListeners(o, c.source.Listeners())
	}
	if c.source.Certificates != nil {
		c.collectCertificates(o, "admin", c.source.Certificates())
	}
	if c.source.Audit != nil {
		written, lost := c.source.Audit()
		o.put(c.auditWritten, float64(written))
		o.put(c.auditLost, float64(lost))
	}
	s := c.source.Broker()
	c.collectBroker(o, &s)
	c.collectLimits(o, s.Limits)
	c.collectQueues(o, s.Queues)
}

// output is where metrics go.
type output chan<- prometheus.Metric

func (o output) put(m metric, v float64, labels ...string) {
	o <- prometheus.MustNewConstMetric(m.desc, m.kind, v, labels...)
}

func (c *Collector) collectListeners(o output, ls []Listener) {
	for _, l := range ls {
		o.put(c.connections, float64(l.Open), l.Name, l.Transport)
		o.put(c.accepted, float64(l.Accepted), l.Name, l.Transport)
		o.put(c.receivedBytes, float64(l.ReceivedBytes), l.Name, l.Transport)
		o.put(c.sentBytes, float64(l.SentBytes), l.Name, l.Transport)
		for reason, n := range l.Ended {
			o.put(c.ended, float64(n), l.Name, l.Transport, reason)
		}
		c.collectCertificates(o, l.Name, l.Certificates)
	}
}

func (c *Collector) collectCertificates(o output, listener string, certs []Certificate) {
	for _, cert := range certs {
		o.put(c.certificates, time.Until(cert.NotAfter).Seconds(), listener, cert.File, cert.Subject)
	}
}

func (c *Collector) collectBroker(o output, s *core.Stats) {
	o.put(c.retained, float64(s.Retained))
	o.put(c.retainedBytes, float64(s.RetainedBytes))
	if s.Store != nil {
		o.put(c.store, float64(s.Store.Bytes))
		o.put(c.storeFree, float64(s.Store.Free))
	}
	if m := &s.Memory; m.Budget > 0 {
		o.put(c.memoryBudget, float64(m.Budget))
		for what, n := range map[string]int64{
			"used": m.Used, "live": m.Live, "heap": m.Heap, "foreign": m.Foreign, "outboxes": m.Outboxes, "incomplete": m.Incomplete, "queues": m.Queues,
		} {
			o.put(c.memory, float64(n), what)
		}
	}
	for i := range s.VHosts {
		c.collectVHost(o, s.VHosts[i].Name, &s.VHosts[i].Counts)
	}
}

func (c *Collector) collectVHost(o output, vhost string, s *core.Counts) {
	o.put(c.kept, float64(s.Kept), vhost)
	o.put(c.subscriptions, float64(s.Subscriptions), vhost)
	names := slices.Concat(c.source.Protocols, slices.Collect(maps.Keys(s.Protocols)))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		p := s.Protocols[name]
		o.put(c.sessions, float64(p.Sessions), vhost, name)
		o.put(c.received, float64(p.In), vhost, name)
		o.put(c.delivered, float64(p.Out), vhost, name)
		o.put(c.receivedBody, float64(p.InBytes), vhost, name)
		o.put(c.deliveredBody, float64(p.OutBytes), vhost, name)
	}
	for reason, n := range s.Drops {
		o.put(c.dropped, float64(n), vhost, reason)
	}
	for reason, n := range s.Disconnects {
		o.put(c.disconnects, float64(n), vhost, reason)
	}
}

// collectLimits adds up those of the broker, which has keys below "limits", and those of listeners.
func (c *Collector) collectLimits(o output, broker map[string]core.LimitStats) {
	all := maps.Clone(broker)
	if all == nil {
		all = make(map[string]core.LimitStats)
	}
	if c.source.Listeners != nil {
		for _, l := range c.source.Listeners() {
			for limit, n := range l.Limits {
				s := all[limit]
				s.Refused += n
				all[limit] = s
			}
		}
	}
	for limit, n := range all {
		o.put(c.limitRefused, float64(n.Refused), limit)
		o.put(c.limitSlowed, float64(n.Slowed), limit)
	}
}

func (c *Collector) collectQueues(o output, qs []core.QueueStats) {
	kinds := map[string]int{"queue": 0}
	var ready, unacked int
	for i := range qs {
		kinds[qs[i].Kind]++
		ready += qs[i].Ready
		unacked += qs[i].Unacked
	}
	for kind, n := range kinds {
		o.put(c.queues, float64(n), kind)
	}
	o.put(c.ready, float64(ready))
	o.put(c.unacked, float64(unacked))
	for _, q := range deepest(qs, c.cfg.Queues) {
		o.put(c.queueReady, float64(q.Ready), q.VHost, q.Kind, q.Name)
		o.put(c.queueUnacked, float64(q.Unacked), q.VHost, q.Kind, q.Name)
		o.put(c.queueConsumers, float64(q.Consumers), q.VHost, q.Kind, q.Name)
		o.put(c.queueBytes, float64(q.Bytes), q.VHost, q.Kind, q.Name)
	}
}
