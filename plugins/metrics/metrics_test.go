package metrics_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/engine/memory"
	"github.com/wyemq/wye/plugins/metrics"
)

var quiet = slog.New(slog.DiscardHandler)

// scrape returns the lines of wye's own metrics, sorted as they come.
func scrape(t testing.TB, cfg metrics.Config, s metrics.Source) []string {
	t.Helper()
	h, err := metrics.New(cfg, s, quiet)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("scrape: %d %s", w.Code, w.Body)
	}
	var lines []string
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "wye_") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func has(t *testing.T, lines []string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !slices.Contains(lines, want) {
			t.Errorf("no line %s", want)
		}
	}
	if t.Failed() {
		t.Logf("got:\n%s", strings.Join(lines, "\n"))
	}
}

func fixed(s core.Stats) func() core.Stats { return func() core.Stats { return s } }

// of is what a broker with the default virtual host tells.
func of(c core.Counts) core.Stats {
	return core.Stats{Counts: c, VHosts: []core.VHostStats{{Counts: c, Name: "/", Served: true}}}
}

func TestEverySeries(t *testing.T) {
	stats := of(core.Counts{
		Sessions: 5, Kept: 2, Subscriptions: 5,
		Protocols:   map[string]core.ProtocolStats{"stomp": {Sessions: 2, In: 10, Out: 20, InBytes: 100, OutBytes: 200}},
		Queues:      []core.QueueStats{{VHost: "/", Name: "queue/jobs", Kind: "queue", Ready: 4, Unacked: 1, Consumers: 2, Bytes: 512}},
		Drops:       map[string]uint64{"slow_consumer": 6},
		Disconnects: map[string]uint64{"heartbeat_timeout": 1},
	})
	stats.Retained, stats.RetainedBytes, stats.Store = 7, 900, &engine.Usage{Bytes: 4096, Free: 8192}
	stats.VHosts = append(stats.VHosts, core.VHostStats{Name: "shop", Counts: core.Counts{
		Kept: 4, Protocols: map[string]core.ProtocolStats{"stomp": {Sessions: 3}}, Drops: map[string]uint64{"slow_consumer": 1},
	}})
	lines := scrape(t, metrics.DefaultConfig(), metrics.Source{
		Broker: fixed(stats),
		Listeners: func() []metrics.Listener {
			return []metrics.Listener{{
				Name: "websocket", Transport: "websocket", Open: 4, Accepted: 9,
				Ended: map[string]uint64{"login_timeout": 2}, ReceivedBytes: 1000, SentBytes: 2000,
				Certificates: []metrics.Certificate{{File: "wye.crt", Subject: "example.org", NotAfter: time.Now().Add(time.Hour)}},
			}}
		},
		Protocols: []string{"mqtt", "stomp"}, Version: "1.2.3",
	})
	has(t, lines,
		`wye_connections{listener="websocket",transport="websocket"} 4`,
		`wye_connections_accepted_total{listener="websocket",transport="websocket"} 9`,
		`wye_connections_ended_total{listener="websocket",reason="login_timeout",transport="websocket"} 2`,
		`wye_received_bytes_total{listener="websocket",transport="websocket"} 1000`,
		`wye_sent_bytes_total{listener="websocket",transport="websocket"} 2000`,
		`wye_sessions{protocol="stomp",vhost="/"} 2`,
		`wye_sessions{protocol="mqtt",vhost="/"} 0`,
		`wye_sessions_kept{vhost="/"} 2`,
		`wye_sessions{protocol="stomp",vhost="shop"} 3`,
		`wye_sessions_kept{vhost="shop"} 4`,
		`wye_messages_dropped_total{reason="slow_consumer",vhost="shop"} 1`,
		`wye_subscriptions{vhost="/"} 5`,
		`wye_retained_messages 7`,
		`wye_retained_bytes 900`,
		`wye_store_bytes 4096`,
		`wye_store_free_bytes 8192`,
		`wye_messages_received_total{protocol="stomp",vhost="/"} 10`,
		`wye_messages_received_total{protocol="mqtt",vhost="/"} 0`,
		`wye_messages_delivered_total{protocol="stomp",vhost="/"} 20`,
		`wye_message_received_bytes_total{protocol="stomp",vhost="/"} 100`,
		`wye_message_delivered_bytes_total{protocol="stomp",vhost="/"} 200`,
		`wye_queues{kind="queue"} 1`,
		`wye_messages_ready 4`,
		`wye_messages_unacked 1`,
		`wye_queue_messages_ready{kind="queue",queue="queue/jobs",vhost="/"} 4`,
		`wye_queue_messages_unacked{kind="queue",queue="queue/jobs",vhost="/"} 1`,
		`wye_queue_consumers{kind="queue",queue="queue/jobs",vhost="/"} 2`,
		`wye_queue_bytes{kind="queue",queue="queue/jobs",vhost="/"} 512`,
		`wye_messages_dropped_total{reason="slow_consumer",vhost="/"} 6`,
		`wye_disconnects_total{reason="heartbeat_timeout",vhost="/"} 1`,
	)
	if !slices.ContainsFunc(lines, func(l string) bool {
		return strings.HasPrefix(l, "wye_build_info{") && strings.Contains(l, `version="1.2.3"`) && strings.HasSuffix(l, " 1")
	}) {
		t.Error("no wye_build_info")
	}
	if !slices.ContainsFunc(lines, func(l string) bool {
		left, ok := strings.CutPrefix(l, `wye_certificate_expiry_seconds{file="wye.crt",listener="websocket",subject="example.org"} `)
		seconds, err := strconv.ParseFloat(left, 64)
		return ok && err == nil && seconds > 3000 && seconds <= 3600
	}) {
		t.Error("no wye_certificate_expiry_seconds of an hour")
	}
}

// Whoever names queues must not decide how many series there are.
func TestQueueSeriesAreBounded(t *testing.T) {
	var qs []core.QueueStats
	for i := range 1000 {
		qs = append(qs, core.QueueStats{VHost: "/", Kind: "queue", Name: fmt.Sprintf("queue/%03d", i), Ready: i, Bytes: 1})
	}
	lines := scrape(t, metrics.Config{Queues: 3}, metrics.Source{Broker: fixed(of(core.Counts{Queues: qs}))})
	n := 0
	for _, l := range lines {
		if strings.HasPrefix(l, "wye_queue_messages_ready{") {
			n++
		}
	}
	if n != 4 {
		t.Errorf("%d series of 1000 queues, want the 3 deepest and the others", n)
	}
	has(t, lines,
		`wye_queue_messages_ready{kind="queue",queue="queue/999",vhost="/"} 999`,
		`wye_queue_messages_ready{kind="queue",queue="queue/997",vhost="/"} 997`,
		`wye_queue_messages_ready{kind="queue",queue="(others)",vhost="/"} 496506`,
		`wye_queue_bytes{kind="queue",queue="(others)",vhost="/"} 997`,
		`wye_queues{kind="queue"} 1000`,
		`wye_messages_ready 499500`,
	)
	lines = scrape(t, metrics.Config{}, metrics.Source{Broker: fixed(of(core.Counts{Queues: qs}))})
	has(t, lines, `wye_queue_messages_ready{kind="queue",queue="(others)",vhost="/"} 499500`)
}

// Names that meet must not make a scrape fail: Prometheus refuses a series that is there twice.
func TestQueuesWithOneName(t *testing.T) {
	lines := scrape(t, metrics.DefaultConfig(), metrics.Source{Broker: fixed(of(core.Counts{Queues: []core.QueueStats{
		{VHost: "/", Kind: "session", Name: "topic/a/#", Ready: 1, Consumers: 1},
		{VHost: "/", Kind: "session", Name: "topic/a/#", Ready: 2, Consumers: 1},
		{VHost: "/", Kind: "queue", Name: "queue/\xff", Ready: 5},
		{VHost: "/", Kind: "queue", Name: "queue/\xfe", Ready: 6},
		{VHost: "/", Kind: "queue", Name: "queue/\"\n\\", Ready: 7},
	}}))})
	has(t, lines,
		`wye_queue_messages_ready{kind="session",queue="topic/a/#",vhost="/"} 3`,
		`wye_queue_consumers{kind="session",queue="topic/a/#",vhost="/"} 2`,
		"wye_queue_messages_ready{kind=\"queue\",queue=\"queue/\uFFFD\",vhost=\"/\"} 11",
		`wye_queue_messages_ready{kind="queue",queue="queue/\"\n\\",vhost="/"} 7`,
	)
}

// The registry is its own: two brokers in one process do not meet, and nothing is added to the global one.
func TestOwnRegistry(t *testing.T) {
	for range 2 {
		scrape(t, metrics.DefaultConfig(), metrics.Source{Broker: fixed(core.Stats{})})
	}
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "wye_") {
			t.Errorf("%s is in the global registry", f.GetName())
		}
	}
}

func TestGoAndProcess(t *testing.T) {
	h, err := metrics.New(metrics.DefaultConfig(), metrics.Source{Broker: fixed(core.Stats{})}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	for accept, want := range map[string]string{"": "# TYPE go_goroutines gauge", "application/openmetrics-text": "# EOF"} {
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("Accept %q: no %q", accept, want)
		}
	}
}

func TestRefuses(t *testing.T) {
	if _, err := metrics.New(metrics.DefaultConfig(), metrics.Source{}, quiet); err == nil {
		t.Error("no broker is fine")
	}
	for _, n := range []int{-1, 100_001} {
		if _, err := metrics.New(metrics.Config{Queues: n}, metrics.Source{Broker: fixed(core.Stats{})}, quiet); err == nil ||
			!strings.HasPrefix(err.Error(), "metrics.queues: must be between") {
			t.Errorf("queues %d: %v", n, err)
		}
	}
}

// nowhere is a connection that takes everything.
type nowhere struct{ core.Conn }

func (nowhere) WriteMessage(core.Kind, ...[]byte) error { return nil }
func (nowhere) Flush() error                            { return nil }
func (nowhere) LoggedIn()                               {}
func (nowhere) Close(error)                             {}
func (nowhere) Info() *core.ConnInfo {
	a := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}
	return &core.ConnInfo{ID: "c1", Local: a, Remote: a}
}

// The numbers are those of a real broker.
func TestRealBroker(t *testing.T) {
	b, err := core.NewBroker(core.Options{Engine: memory.New()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close(context.Background()) })
	got := make(chan struct{}, 3)
	s, err := b.Connect(t.Context(), core.Login{Protocol: "stomp", Conn: nowhere{}}, func(ds []core.Delivery) error {
		for range ds {
			got <- struct{}{}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Subscribe(t.Context(), &core.Subscription{ID: "1", Filter: "topic/a"}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := s.Publish(t.Context(), &core.Message{Destination: "topic/a", Body: []byte("four")}, nil); err != nil {
			t.Fatal(err)
		}
		<-got
	}
	stored := make(chan error, 1)
	err = s.Publish(t.Context(), &core.Message{Destination: "queue/jobs", Body: []byte("work")}, func(_ core.Published, err error) { stored <- err })
	if err != nil {
		t.Fatal(err)
	}
	if err := <-stored; err != nil {
		t.Fatal(err)
	}
	source := metrics.Source{Broker: b.Stats}
	has(t, scrape(t, metrics.DefaultConfig(), source),
		`wye_sessions{protocol="stomp",vhost="/"} 1`, `wye_subscriptions{vhost="/"} 1`,
		`wye_messages_received_total{protocol="stomp",vhost="/"} 4`, `wye_messages_delivered_total{protocol="stomp",vhost="/"} 3`,
		`wye_message_received_bytes_total{protocol="stomp",vhost="/"} 16`, `wye_messages_ready 1`,
		`wye_queue_messages_ready{kind="queue",queue="queue/jobs",vhost="/"} 1`)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	has(t, scrape(t, metrics.DefaultConfig(), source), `wye_sessions{protocol="stomp",vhost="/"} 0`, `wye_disconnects_total{reason="closed",vhost="/"} 1`)
}

func BenchmarkScrape(b *testing.B) {
	var qs []core.QueueStats
	for i := range 10_000 {
		qs = append(qs, core.QueueStats{VHost: "/", Kind: "queue", Name: fmt.Sprintf("queue/%05d", i), Ready: i})
	}
	h, err := metrics.New(metrics.DefaultConfig(), metrics.Source{Broker: fixed(of(core.Counts{Queues: qs}))}, quiet)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		w.Body = nil
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	}
}

func ExampleNew() {
	h, err := metrics.New(metrics.DefaultConfig(), metrics.Source{Broker: func() core.Stats { return of(core.Counts{Subscriptions: 3}) }}, quiet)
	if err != nil {
		fmt.Println(err)
		return
	}
	srv := httptest.NewServer(h)
	defer srv.Close()
	res, err := http.Get(srv.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	for line := range strings.Lines(string(body)) {
		if strings.Contains(line, "wye_subscriptions") {
			fmt.Print(line)
		}
	}
	// Output:
	// # HELP wye_subscriptions Subscriptions.
	// # TYPE wye_subscriptions gauge
	// wye_subscriptions{vhost="/"} 3
}
