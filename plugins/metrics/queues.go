package metrics

import (
	"cmp"
	"slices"
	"strings"

	"github.com/wyemq/wye/core"
)

// others is the name under which the queues beyond the limit are added up. No destination can be
// called so: they begin with a kind.
const others = "(others)"

// queueKey is what makes a series.
type queueKey struct{ vhost, kind, name string }

// deepest returns one entry for each series: the n deepest of qs, and the rest of each kind added up.
// Queues that share a key are one: sessions that subscribed to the same filter have a queue each.
func deepest(qs []core.QueueStats, n int) []core.QueueStats {
	merged := make(map[queueKey]core.QueueStats, len(qs))
	for _, q := range qs {
		// Prometheus takes labels in UTF-8 only, and one that is not would fail the whole scrape.
		q.VHost, q.Name = strings.ToValidUTF8(q.VHost, "\uFFFD"), strings.ToValidUTF8(q.Name, "\uFFFD")
		merge(merged, q)
	}
	all := make([]core.QueueStats, 0, len(merged))
	for _, q := range merged {
		all = append(all, q)
	}
	if len(all) <= n {
		return all
	}
	slices.SortFunc(all, func(a, b core.QueueStats) int {
		return cmp.Or(cmp.Compare(b.Ready+b.Unacked, a.Ready+a.Unacked), strings.Compare(a.VHost, b.VHost),
			strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	rest := make(map[queueKey]core.QueueStats)
	for _, q := range all[n:] {
		q.Name = others
		merge(rest, q)
	}
	all = all[:n:n]
	for _, q := range rest {
		all = append(all, q)
	}
	return all
}

// merge adds q to the entry with its key.
func merge(into map[queueKey]core.QueueStats, q core.QueueStats) {
	key := queueKey{q.VHost, q.Kind, q.Name}
	if sum, ok := into[key]; ok {
		q.Ready += sum.Ready
		q.Unacked += sum.Unacked
		q.Consumers += sum.Consumers
		q.Bytes += sum.Bytes
	}
	into[key] = q
}
