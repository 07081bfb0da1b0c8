package load

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Result is what a scenario has shown. What was not measured is absent.
type Result struct {
	Scenario  string    `json:"scenario"`
	From      string    `json:"from"` // protocol and transport of the publishers
	To        string    `json:"to"`
	URL       string    `json:"url"`
	Started   time.Time `json:"started"`
	Seconds   float64   `json:"seconds"` // measured
	Size      int       `json:"size,omitempty"`
	QoS       *int      `json:"qos,omitempty"` // MQTT
	Ack       string    `json:"ack,omitempty"` // STOMP
	Confirmed bool      `json:"confirmed"`     // publishes are
	Rate      float64   `json:"rate,omitempty"`
	Window    int       `json:"window,omitempty"`

	Publishers  int `json:"publishers,omitempty"`
	Subscribers int `json:"subscribers,omitempty"`
	Connections int `json:"connections,omitempty"`

	// Of the whole run, warm-up and drain included.
	Sent         int64 `json:"sent"`
	Expected     int64 `json:"expected"`
	Received     int64 `json:"received"` // each counted once
	Lost         int64 `json:"lost"`
	Duplicated   int64 `json:"duplicated"`
	Redelivered  int64 `json:"redelivered"` // doubled, and flagged as such
	Reordered    int64 `json:"reordered"`
	Foreign      int64 `json:"foreign"` // of another run
	Damaged      int64 `json:"damaged"`
	Unconfirmed  int64 `json:"unconfirmed"`
	LossPromised bool  `json:"loss_is_failure"`

	// Of the measured time.
	SendRate      float64  `json:"send_per_second"`
	Deliveries    int64    `json:"deliveries"`
	DeliveryRate  float64  `json:"deliveries_per_second"`
	Logins        int64    `json:"logins,omitempty"`
	LoginRate     float64  `json:"logins_per_second,omitempty"`
	BrokerCPU     *float64 `json:"broker_cpu_seconds,omitempty"`
	CPUPerMillion *float64 `json:"broker_cpu_seconds_per_million,omitempty"` // deliveries, or logins
	BrokerRSS     int64    `json:"broker_rss_bytes,omitempty"`
	PerConnection *int64   `json:"rss_bytes_per_connection,omitempty"`
	LoadCores     float64  `json:"load_cores,omitempty"` // what the load itself took
	Latency       *Latency `json:"latency,omitempty"`
	SendLag       *Latency `json:"send_lag,omitempty"` // how late the load itself was
}

// failure says what was promised and not held.
func (r *Result) failure(strict bool) error {
	var bad []string
	note := func(n int64, what string) {
		if n > 0 {
			bad = append(bad, grouped(n)+" "+what)
		}
	}
	if r.LossPromised || strict {
		note(r.Lost, "lost")
	}
	note(r.Duplicated, "doubled")
	note(r.Reordered, "out of order")
	note(r.Damaged, "damaged")
	note(r.Unconfirmed, "not confirmed")
	if len(bad) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %s", r.Scenario, strings.Join(bad, ", "))
}

// account adds up the ledgers.
func (r *Result) account(f *flow) {
	r.Sent, r.Expected = f.counts().sent, f.expected()
	for _, s := range f.subs {
		r.Foreign += s.foreign
		r.Damaged += s.damaged
		for i := range s.cells {
			r.add(&s.cells[i].ledger)
		}
	}
	for _, p := range f.pubs {
		r.add(&p.pool.ledger) // empty unless consumers compete
	}
	r.Lost = r.Expected - r.Received
	if f.pubs[0].confirm > 0 {
		r.Unconfirmed = r.Sent - f.counts().confirmed
	}
}

func (r *Result) add(l *ledger) {
	r.Received += l.received
	r.Duplicated += l.duplicated
	r.Redelivered += l.redelivered
	r.Reordered += l.reordered
}

// measured adds what lies between two marks.
func (r *Result) measured(first, last mark) {
	r.Seconds = last.at.Sub(first.at).Seconds()
	r.Deliveries = last.counts.received - first.counts.received
	if r.Seconds <= 0 {
		return // who is interrupted before anything was measured has no rate
	}
	r.SendRate = float64(last.counts.sent-first.counts.sent) / r.Seconds
	r.DeliveryRate = float64(r.Deliveries) / r.Seconds
	r.cost(first, last, r.Deliveries)
}

// cost adds what the broker has used for n things.
func (r *Result) cost(first, last mark, n int64) {
	if first.broker.known && last.broker.known {
		cpu := last.broker.cpu - first.broker.cpu
		r.BrokerCPU, r.BrokerRSS = &cpu, last.broker.rss
		if n > 0 {
			per := cpu / float64(n) * 1e6
			r.CPUPerMillion = &per
		}
	}
	if first.own.known && last.own.known {
		r.LoadCores = (last.own.cpu - first.own.cpu) / last.at.Sub(first.at).Seconds()
	}
}

// JSON writes the result as one line.
func (r *Result) JSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

// Table writes the result for people.
func (r *Result) Table(w io.Writer) error {
	var b strings.Builder
	route := r.From
	if r.To != r.From {
		route += " → " + r.To
	}
	fmt.Fprintf(&b, "%s  %s  %s\n", r.Scenario, route, r.URL)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-14s%s\n", name, strings.TrimRight(fmt.Sprintf(format, args...), " "))
	}
	if r.Connections > 0 {
		row("connections", "%s", grouped(int64(r.Connections)))
	} else {
		row("load", "%s → %s, %s", people(r.Publishers, "publisher"), people(r.Subscribers, "subscriber"), r.conditions())
		row("sent", "%s (%s/s)", grouped(r.Sent), grouped(int64(r.SendRate)))
		row("received", "%s (%s/s)", grouped(r.Received), grouped(int64(r.DeliveryRate)))
		row("lost", "%s   doubled %s   out of order %s", grouped(r.Lost), grouped(r.Duplicated), grouped(r.Reordered))
		for _, odd := range []struct {
			name string
			n    int64
		}{{"redelivered", r.Redelivered}, {"foreign", r.Foreign}, {"damaged", r.Damaged}, {"unconfirmed", r.Unconfirmed}} {
			if odd.n > 0 {
				row(odd.name, "%s", grouped(odd.n))
			}
		}
	}
	if r.Logins > 0 {
		row("logins", "%s (%.0f/s)", grouped(r.Logins), r.LoginRate)
	}
	row("measured", "%.2f s, the load took %.2f cores", r.Seconds, r.LoadCores)
	r.tableCost(row)
	for _, t := range []struct {
		name string
		l    *Latency
	}{{"latency ms", r.Latency}, {"send lag ms", r.SendLag}} {
		if t.l != nil {
			row(t.name, "p50 %.3f   p90 %.3f   p99 %.3f   p99.9 %.3f   max %.3f   mean %.3f   of %s",
				t.l.P50, t.l.P90, t.l.P99, t.l.P999, t.l.Max, t.l.Mean, grouped(t.l.Count))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Result) tableCost(row func(name, format string, args ...any)) {
	if r.BrokerCPU != nil {
		what := "deliveries"
		if r.Logins > 0 {
			what = "logins"
		}
		if r.CPUPerMillion != nil {
			row("broker CPU", "%.2f s, %.2f s per million %s", *r.BrokerCPU, *r.CPUPerMillion, what)
		} else {
			row("broker CPU", "%.2f s", *r.BrokerCPU)
		}
	}
	if r.BrokerRSS > 0 {
		row("broker memory", "%.1f MB resident", float64(r.BrokerRSS)/1e6)
	}
	if r.PerConnection != nil {
		row("each", "%s bytes", grouped(*r.PerConnection))
	}
}

// conditions says how messages are sent and acknowledged.
func (r *Result) conditions() string {
	all := []string{strconv.Itoa(r.Size) + " B"}
	if r.QoS != nil {
		all = append(all, fmt.Sprintf("QoS %d", *r.QoS))
	}
	if r.Ack != "" {
		all = append(all, "ack "+r.Ack)
	}
	if r.Confirmed {
		all = append(all, "confirmed")
	}
	if r.Rate > 0 {
		all = append(all, fmt.Sprintf("%g/s", r.Rate))
	}
	if r.Window > 0 {
		all = append(all, fmt.Sprintf("window %d", r.Window))
	}
	return strings.Join(all, ", ")
}

func people(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return grouped(int64(n)) + " " + what + "s"
}

// grouped writes 1234567 as 1,234,567.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}
