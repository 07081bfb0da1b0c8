package load_test

import (
	"bytes"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/wyemq/wye/cmd/internal/load"
)

// TestLedger tells what is lost, doubled and out of order apart.
func TestLedger(t *testing.T) {
	type message struct {
		seq     int64
		flagged bool
	}
	for _, c := range []struct {
		name                                         string
		messages                                     []message
		received, duplicated, redelivered, reordered int64
	}{
		{"in order", []message{{0, false}, {1, false}, {2, false}, {64, false}, {200, false}}, 5, 0, 0, 0},
		{"late", []message{{1, false}, {3, false}, {0, false}, {2, false}, {4, false}}, 5, 0, 0, 2},
		{"twice", []message{{0, false}, {0, false}, {1, false}, {0, false}}, 2, 2, 0, 0},
		{"twice and flagged", []message{{0, false}, {0, true}, {1, true}}, 2, 0, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var l load.Ledger
			for _, m := range c.messages {
				l.Record(m.seq, m.flagged)
			}
			received, duplicated, redelivered, reordered := l.Counts()
			if received != c.received || duplicated != c.duplicated || redelivered != c.redelivered || reordered != c.reordered {
				t.Errorf("received %d, doubled %d, redelivered %d, out of order %d", received, duplicated, redelivered, reordered)
			}
		})
	}
}

// TestPool counts what competing consumers share once, in whatever order they bring it.
func TestPool(t *testing.T) {
	var p load.Pool
	if n := p.Record(5, 6, 9); n != 3 {
		t.Errorf("%d new, want 3", n)
	}
	if n := p.Record(0, 1, 5, ^6, 7); n != 3 { // 5 once more, 6 once more and flagged
		t.Errorf("%d new, want 3", n)
	}
	if received, duplicated, redelivered, reordered := p.Counts(); received != 6 || duplicated != 1 || redelivered != 1 || reordered != 0 {
		t.Errorf("received %d, doubled %d, redelivered %d, out of order %d", received, duplicated, redelivered, reordered)
	}
}

// TestRecorder wants percentiles within a thousandth, and nothing from before the start.
func TestRecorder(t *testing.T) {
	from := time.Now()
	r := load.NewRecorder(from)
	if l := r.Result(); l != nil {
		t.Errorf("of nothing: %+v", l)
	}
	for i := range 10_000 {
		due := from.Add(time.Duration(i) * time.Millisecond)
		r.Note(i, due.Add(time.Duration(i+1)*time.Microsecond), due)
	}
	r.Note(0, from.Add(time.Hour), from.Add(-time.Nanosecond))
	l := r.Result()
	if l == nil || l.Count != 10_000 {
		t.Fatalf("%+v", l)
	}
	for _, c := range []struct {
		name      string
		got, want float64
	}{{"p50", l.P50, 5}, {"p90", l.P90, 9}, {"p99", l.P99, 9.9}, {"p99.9", l.P999, 9.99}, {"max", l.Max, 10}, {"mean", l.Mean, 5}} {
		if math.Abs(c.got-c.want) > c.want/500 {
			t.Errorf("%s is %v, want %v", c.name, c.got, c.want)
		}
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567", 100000: "100,000"} {
		if got := load.Grouped(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}

// TestScrape finds what it looks for among the metrics of several brokers.
func TestScrape(t *testing.T) {
	for _, c := range []struct {
		metrics, err string
		cpu          float64
		rss          int64
	}{
		{"# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 1.5\nprocess_resident_memory_bytes 2.5e+07\n", "", 1.5, 25_000_000},
		{"rabbitmq_process_resident_memory_bytes 100\nother{a=\"b c\"} 5\n", "", 0, 100},
		{"process_resident_memory_bytes{node=\"x\"} 7\n", "", 0, 7},
		{"nothing 1\n", "has neither", 0, 0},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, c.metrics) }))
		u, err := load.Scrape(s.URL)
		s.Close()
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: error %v", c.metrics, err)
			}
			continue
		}
		if cpu, rss := u.Values(); err != nil || cpu != c.cpu || rss != c.rss {
			t.Errorf("%q: %v s, %d bytes, %v", c.metrics, cpu, rss, err)
		}
	}
}

// TestProcess reads what this process has used.
func TestProcess(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("only where there is /proc")
	}
	before, err := load.Process(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	cpu, rss := before.Values()
	if rss < 1<<20 || rss > 1<<36 || cpu < 0 {
		t.Errorf("%v s, %d bytes", cpu, rss)
	}
	for started := time.Now(); time.Since(started) < time.Minute; { // until the clock of the kernel has gone on
		after, err := load.Process(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if now, _ := after.Values(); now > cpu {
			return
		}
	}
	t.Error("a minute of work takes no time")
}

// TestTable shows a result as people see it.
func TestTable(t *testing.T) {
	cpu, per, qos, each := 1.25, 2.5, 1, int64(6300)
	r := load.Result{
		Scenario: "fan", From: "stomp/ws", To: "mqtt/ws", URL: "ws://h:1", Seconds: 2, Size: 16, QoS: &qos, Confirmed: true, Window: 1000,
		Publishers: 1, Subscribers: 1000, Sent: 500, Received: 499_000, Lost: 1000, SendRate: 250, DeliveryRate: 249_500, LoadCores: 0.5,
		BrokerCPU: &cpu, CPUPerMillion: &per, BrokerRSS: 12_345_678, Redelivered: 3,
		Latency: &load.Latency{Count: 10, Mean: 1, P50: 2, P90: 3, P99: 4, P999: 5, Max: 6},
	}
	idle := load.Result{Scenario: "idle", From: "mqtt/ws", To: "mqtt/ws", URL: "ws://h:1", Seconds: 2, Connections: 5000, PerConnection: &each, BrokerRSS: 32_000_000}
	var b bytes.Buffer
	for _, r := range []load.Result{r, idle} {
		if err := r.Table(&b); err != nil {
			t.Fatal(err)
		}
	}
	want := `fan  stomp/ws → mqtt/ws  ws://h:1
  load          1 publisher → 1,000 subscribers, 16 B, QoS 1, confirmed, window 1000
  sent          500 (250/s)
  received      499,000 (249,500/s)
  lost          1,000   doubled 0   out of order 0
  redelivered   3
  measured      2.00 s, the load took 0.50 cores
  broker CPU    1.25 s, 2.50 s per million deliveries
  broker memory 12.3 MB resident
  latency ms    p50 2.000   p90 3.000   p99 4.000   p99.9 5.000   max 6.000   mean 1.000   of 10
idle  mqtt/ws  ws://h:1
  connections   5,000
  measured      2.00 s, the load took 0.00 cores
  broker memory 32.0 MB resident
  each          6,300 bytes
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
