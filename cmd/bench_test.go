package wyecmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	wyecmd "github.com/wyemq/wye/cmd"
	"github.com/wyemq/wye/core"
)

// benchResult is what the tests look at of what `wye bench --json` prints.
type benchResult struct {
	Scenario    string `json:"scenario"`
	From        string `json:"from"`
	To          string `json:"to"`
	Publishers  int    `json:"publishers"`
	Subscribers int    `json:"subscribers"`
	Confirmed   bool   `json:"confirmed"`

	Sent        int64 `json:"sent"`
	Expected    int64 `json:"expected"`
	Received    int64 `json:"received"`
	Lost        int64 `json:"lost"`
	Duplicated  int64 `json:"duplicated"`
	Reordered   int64 `json:"reordered"`
	Foreign     int64 `json:"foreign"`
	Damaged     int64 `json:"damaged"`
	Unconfirmed int64 `json:"unconfirmed"`

	Logins        int64    `json:"logins"`
	PerConnection *int64   `json:"rss_bytes_per_connection"`
	BrokerCPU     *float64 `json:"broker_cpu_seconds"`
	BrokerRSS     int64    `json:"broker_rss_bytes"`
	Latency       *struct {
		Count int64   `json:"count"`
		P50   float64 `json:"p50_ms"`
		P90   float64 `json:"p90_ms"`
		P99   float64 `json:"p99_ms"`
		Max   float64 `json:"max_ms"`
	} `json:"latency"`
}

// runBench runs the command and reads its results.
func runBench(t *testing.T, args ...string) (code int, results []benchResult, stderr string) {
	t.Helper()
	var stdout, log bytes.Buffer
	code = wyecmd.Run(t.Context(), append([]string{"bench"}, args...), &stdout, &log)
	for dec := json.NewDecoder(&stdout); ; {
		var r benchResult
		if err := dec.Decode(&r); errors.Is(err, io.EOF) {
			return code, results, log.String()
		} else if err != nil {
			t.Fatalf("%v in %s", err, stdout.String())
		}
		results = append(results, r)
	}
}

// TestBench runs every scenario in which messages flow, over every protocol and transport.
func TestBench(t *testing.T) {
	b := startBroker(t)
	tcp := map[string]string{"stomp": "stomp://", "mqtt": "mqtt://", "mqtt5": "mqtt://"}
	stompTCP, mqttTCP := strings.TrimPrefix(b.stomp, "tcp://"), strings.TrimPrefix(b.mqtt, "tcp://")
	addr := map[string]string{"stomp": stompTCP, "mqtt": mqttTCP, "mqtt5": mqttTCP}
	for _, c := range []struct {
		args       string
		protocols  string // "" for all
		pubs, subs int
		sent       int64
		received   int64
	}{
		{"fan --subs 5 --count 2000", "", 1, 5, 2000, 10_000},
		{"fan --subs 3 --count 500 --size 70000 --window 20", "", 1, 3, 500, 1500},
		{"fan --qos 1 --count 1000", "mqtt mqtt5", 1, 1, 1000, 1000},
		{"fan --qos 2 --count 1000", "mqtt mqtt5", 1, 1, 1000, 1000},
		{"fan --receipts --count 1000", "stomp", 1, 1, 1000, 1000},
		{"fan --ack client --receipts --count 1000", "stomp", 1, 1, 1000, 1000},
		{"fanin --pubs 7 --count 3000", "", 7, 1, 3000, 3000},
		{"pairs --pairs 6 --count 3000", "", 6, 6, 3000, 3000},
		{"queue --count 2000", "", 4, 4, 2000, 2000},
		{"queue --group= --topic wye-bench/alone/{n} --subs 3 --count 900", "mqtt mqtt5", 4, 4, 900, 900},
		{"latency --rate 2000 --count 400", "", 1, 1, 400, 400},
		{"fan --rate 1000 --pubs 3 --subs 2 --count 300", "", 3, 2, 300, 600},
	} {
		protocols := strings.Fields(c.protocols)
		if c.protocols == "" {
			protocols = []string{"stomp", "mqtt", "mqtt5"}
		}
		for _, p := range protocols {
			for _, url := range []string{b.ws, tcp[p] + addr[p]} {
				t.Run(fmt.Sprintf("%s/%s/%.5s", c.args, p, url), func(t *testing.T) {
					args := append(strings.Fields(c.args), "--"+p, "--json", "--quiet", url)
					code, rs, stderr := runBench(t, args...)
					if code != 0 || len(rs) != 1 {
						t.Fatalf("exit code %d, %d results\n%s", code, len(rs), stderr)
					}
					r := rs[0]
					if r.Publishers != c.pubs || r.Subscribers != c.subs {
						t.Errorf("%d publishers and %d subscribers, want %d and %d", r.Publishers, r.Subscribers, c.pubs, c.subs)
					}
					checkFlow(t, r, c.sent, c.received)
					if wanted := strings.Contains(c.args, "--rate"); wanted != (r.Latency != nil) {
						t.Errorf("latency: %v", r.Latency)
					} else if wanted && (r.Latency.Count != c.received || r.Latency.P50 <= 0 || r.Latency.Max < r.Latency.P99) {
						t.Errorf("latency: %+v", *r.Latency)
					}
				})
			}
		}
	}
}

// checkFlow wants everything to have arrived.
func checkFlow(t *testing.T, r benchResult, sent, received int64) {
	t.Helper()
	if r.Sent != sent || r.Expected != received || r.Received != received {
		t.Errorf("sent %d, expected %d, received %d; want %d, %d, %d", r.Sent, r.Expected, r.Received, sent, received, received)
	}
	if r.Lost+r.Duplicated+r.Reordered+r.Foreign+r.Damaged+r.Unconfirmed != 0 {
		t.Errorf("not all is well: %+v", r)
	}
}

// TestBenchCross goes from STOMP to MQTT and back, on one listener and on two.
func TestBenchCross(t *testing.T) {
	b := startBroker(t)
	for name, urls := range map[string][]string{"one": {b.ws}, "two": {b.stomp, b.mqtt}} {
		for _, version := range []string{"--mqtt", "--mqtt5"} {
			t.Run(name+version, func(t *testing.T) {
				code, rs, stderr := runBench(t, append([]string{"cross", version, "--count", "1000", "--json"}, urls...)...)
				if code != 0 || len(rs) != 2 {
					t.Fatalf("exit code %d, %d results\n%s", code, len(rs), stderr)
				}
				for _, r := range rs {
					checkFlow(t, r, 1000, 1000)
				}
				if !strings.HasPrefix(rs[0].From, "stomp") || !strings.HasPrefix(rs[0].To, version[2:]) || rs[1].From != rs[0].To || rs[1].To != rs[0].From {
					t.Errorf("from %s to %s, from %s to %s", rs[0].From, rs[0].To, rs[1].From, rs[1].To)
				}
			})
		}
	}
}

// TestBenchDuration measures by time, and stops by itself.
func TestBenchDuration(t *testing.T) {
	b := startBroker(t)
	code, rs, stderr := runBench(t, "fan", "--mqtt", "--duration", "50ms", "--warmup", "10ms", "--json", "--pid", strconv.Itoa(os.Getpid()), b.ws)
	if code != 0 || len(rs) != 1 || rs[0].Sent == 0 || rs[0].Received != rs[0].Sent {
		t.Fatalf("exit code %d: %+v\n%s", code, rs, stderr)
	}
	if rs[0].BrokerCPU == nil || rs[0].BrokerRSS == 0 {
		t.Errorf("no cost: %+v", rs[0])
	}
}

// TestBenchCrowd opens connections that do nothing, and logs in and out.
func TestBenchCrowd(t *testing.T) {
	p := start(t, nil)
	metrics := "http://" + p.addrs["admin"] + "/metrics"
	for _, protocol := range []string{"--stomp", "--mqtt", "--mqtt5"} {
		t.Run("idle"+protocol, func(t *testing.T) {
			code, rs, stderr := runBench(t, "idle", protocol, "--connections", "100", "--subscribe", "--duration", "20ms", "--json",
				"--metrics", metrics, "ws://"+p.addrs["websocket"])
			if code != 0 || len(rs) != 1 || rs[0].PerConnection == nil {
				t.Fatalf("exit code %d: %+v\n%s", code, rs, stderr)
			}
		})
		t.Run("connect"+protocol, func(t *testing.T) {
			code, rs, stderr := runBench(t, "connect", protocol, "--connections", "4", "--count", "50", "--json", "ws://"+p.addrs["websocket"])
			if code != 0 || len(rs) != 1 || rs[0].Logins != 50 || rs[0].Latency == nil || rs[0].Latency.Count != 50 {
				t.Fatalf("exit code %d: %+v\n%s", code, rs, stderr)
			}
		})
	}
}

// unruly does to the deliveries of a broker what no broker should.
type unruly struct {
	drop, double, swap int64 // every how-manieth; 0: never
	n                  atomic.Int64
	held               *core.Message
}

func (*unruly) Name() string   { return "unruly" }
func (*unruly) Ops() []core.Op { return []core.Op{core.OpPublish} }
func nth(n, every int64) bool  { return every > 0 && n%every == 0 }
func (u *unruly) Intercept(ctx context.Context, c *core.Call, next func(context.Context, *core.Call) error) error {
	n := u.n.Add(1)
	if nth(n, u.swap) {
		u.held = c.Message
		return nil
	}
	if held := u.held; held != nil {
		u.held = nil
		second := *c
		second.Message = held
		return errors.Join(next(ctx, c), next(ctx, &second))
	}
	if nth(n, u.drop) {
		return nil
	}
	if nth(n, u.double) {
		if err := next(ctx, c); err != nil {
			return err
		}
	}
	return next(ctx, c)
}

// TestBenchTells shows that what a broker does wrong is seen, told and decides the exit code.
func TestBenchTells(t *testing.T) {
	for _, c := range []struct {
		name   string
		broker *unruly
		args   string
		code   int
		want   func(benchResult) bool
		says   string
	}{
		{"lost", &unruly{drop: 10}, "fan --mqtt --count 1000", 0, func(r benchResult) bool { return r.Lost == 100 && r.Received == 900 }, ""},
		{"lost and strict", &unruly{drop: 10}, "fan --stomp --count 1000 --strict", 1, func(r benchResult) bool { return r.Lost == 100 }, "100 lost"},
		{"lost and promised", &unruly{drop: 10}, "fan --mqtt --qos 1 --count 1000", 1, func(r benchResult) bool { return r.Lost == 100 }, "100 lost"},
		{"lost in a queue", &unruly{drop: 10}, "queue --stomp --count 1000", 1, func(r benchResult) bool { return r.Lost == 100 }, "100 lost"},
		{"doubled", &unruly{double: 10}, "fan --stomp --count 1000", 1, func(r benchResult) bool { return r.Duplicated == 100 && r.Received == 1000 }, "100 doubled"},
		{"doubled in a queue", &unruly{double: 10}, "queue --mqtt --count 1000", 1, func(r benchResult) bool { return r.Duplicated == 100 && r.Received == 1000 }, "100 doubled"},
		{"out of order", &unruly{swap: 10}, "fan --stomp --count 999", 1, func(r benchResult) bool { return r.Reordered == 99 && r.Lost == 0 }, "99 out of order"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // what is lost is waited for
			b := startBroker(t, c.broker)
			code, rs, stderr := runBench(t, append(strings.Fields(c.args), "--json", "--drain", "2s", b.ws)...)
			if code != c.code || len(rs) != 1 || !c.want(rs[0]) || !strings.Contains(stderr, c.says) {
				t.Errorf("exit code %d, want %d: %+v\n%s", code, c.code, rs, stderr)
			}
		})
	}
}

// stall stops a broker once, at the message of that number.
type stall struct {
	at int64
	d  time.Duration
	n  atomic.Int64
}

func (*stall) Name() string   { return "stall" }
func (*stall) Ops() []core.Op { return []core.Op{core.OpPublish} }
func (s *stall) Intercept(ctx context.Context, c *core.Call, next func(context.Context, *core.Call) error) error {
	if s.n.Add(1) == s.at {
		<-time.After(s.d)
	}
	return next(ctx, c)
}

// TestBenchOmitsNothing has a broker stop for half of a run: half of the messages were due meanwhile, so a
// fifth of all is late by more than half of the stop. Who only looks at what was sent sees ten that are late.
func TestBenchOmitsNothing(t *testing.T) {
	for _, protocol := range []string{"--stomp", "--mqtt"} {
		b := startBroker(t, &stall{at: 200, d: 400 * time.Millisecond})
		code, rs, stderr := runBench(t, "latency", protocol, "--rate", "1000", "--window", "10", "--count", "600", "--json", b.ws)
		if code != 0 || len(rs) != 1 || rs[0].Latency == nil {
			t.Fatalf("exit code %d: %+v\n%s", code, rs, stderr)
		}
		if l := rs[0].Latency; l.Max < 400 || l.P90 < 200 || l.Count != 600 {
			t.Errorf("%s: %+v", protocol, *l)
		}
	}
}

// TestBenchArguments looks at what is said about arguments that make no sense.
func TestBenchArguments(t *testing.T) {
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"--help", 0, "usage: wye bench scenario"},
		{"", 0, "usage: wye bench scenario"},
		{"fun --mqtt", 2, `unknown scenario "fun", there are: fan, fanin`},
		{"fan", 2, "add --stomp, --mqtt or --mqtt5"},
		{"fan --stomp --mqtt", 2, "only one of"},
		{"fan mqtt://127.0.0.1:1 --stomp", 2, "mqtt:// is for mqtt, not for stomp"},
		{"fan --mqtt --size 3 --qos 9", 2, "--size must be at least 16"},
		{"fan --mqtt --nonsense", 2, "nonsense"},
		{"fan --mqtt a b", 2, "one url too many"},
		{"fan mqtt://127.0.0.1:1", 1, "connect to 127.0.0.1:1"},
		{"fan --mqtt --pid 999999999", 1, "process 999999999"},
		{"latency --mqtt --rate 0", 2, "latency needs a --rate"},
	} {
		t.Run(c.args, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := wyecmd.Run(t.Context(), slices.Concat([]string{"bench"}, strings.Fields(c.args)), &stdout, &stderr)
			if code != c.code || !strings.Contains(stdout.String()+stderr.String(), c.says) {
				t.Errorf("exit code %d, want %d\n%s%s", code, c.code, stdout.String(), stderr.String())
			}
		})
	}
}
