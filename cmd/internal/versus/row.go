package versus

import (
	"slices"
	"strings"
)

// The measures a row can have.
const (
	byCost    = "cost"    // CPU-seconds of the broker per million deliveries, and the rate
	byLatency = "latency" // percentiles at a fixed rate
	byMemory  = "memory"  // resident bytes per connection
	byLogins  = "logins"  // logins per second
)

// The protocols a row is run in.
const (
	stomp = "stomp"
	mqtt  = "mqtt"
	cross = "cross" // published in STOMP, received in MQTT
)

// row is one line of the tables.
type row struct {
	id        string // as in ROWS=
	title     string
	scenario  string // of wye bench
	args      []string
	measure   string
	protocols []string
}

// rowIndex finds a row, -1 if it is no more.
func rowIndex(id string) int { return slices.IndexFunc(rows(), func(r row) bool { return r.id == id }) }

// both are the protocols of most rows.
func both() []string { return []string{stomp, mqtt} }

// rows are all there are, in the order in which they are run.
func rows() []row {
	bench := func(id, title, scenario, args, measure string, protocols ...string) row {
		return row{id, title, scenario, strings.Fields(args), measure, protocols}
	}
	return []row{
		bench("fan-1", "1 → 1", "fan", "", byCost, both()...),
		bench("fan-10", "1 → 10", "fan", "--subs 10", byCost, both()...),
		bench("fan-100", "1 → 100", "fan", "--subs 100", byCost, both()...),
		// A thousand messages under way to a thousand would be a million, which takes the slowest minutes.
		bench("fan-1000", "1 → 1000", "fan", "--subs 1000 --window 100", byCost, both()...),
		bench("fan-1k", "1 → 10, 1 KiB", "fan", "--subs 10 --size 1024", byCost, both()...),
		bench("fan-in", "50 → 1", "fanin", "", byCost, both()...),
		bench("pairs", "50 pairs", "pairs", "", byCost, both()...),
		bench("single-1", "1 → 1, one message per packet", "fan", "--batch 1", byCost, both()...),
		bench("single-10", "1 → 10, one message per packet", "fan", "--subs 10 --batch 1", byCost, both()...),
		bench("queue", "durable queue, 4 → 4", "queue", "", byCost, both()...),
		bench("cross", "STOMP → MQTT, 1 → 1", "cross", "", byCost, cross),
		bench("latency", "latency at 5,000/s", "latency", "", byLatency, both()...),
		// Who has just logged in is not idle: what that took may be given back.
		bench("idle", "memory of an idle connection", "idle", "--connections 5000 --subscribe --duration 6s", byMemory, both()...),
		// Each address has some 28,000 ports, and a port that was used rests for a minute.
		bench("logins", "logins", "connect", "--source 127.0.0.1,127.0.0.2,127.0.0.3,127.0.0.4,127.0.0.5,127.0.0.6", byLogins, both()...),
	}
}
