package load

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wyemq/wye/cmd/internal/peer"
)

// Usage is what `wye bench --help` prints.
const Usage = `usage: wye bench scenario [flags] [url]

Puts load on a broker, any broker, and says what was delivered, how fast and at what cost.
The url is ws, wss, tcp, tls, stomp, stomps, mqtt or mqtts; without one it is ` + peer.DefaultURL + `.

scenarios
  fan       one publisher, --subs subscribers who all get everything
  fanin     --pubs publishers, one subscriber
  pairs     --pairs publishers with a subscriber each
  queue     --pubs producers and --subs consumers of one durable queue, all confirmed and acknowledged
            (MQTT: a shared subscription of sessions that are kept, QoS 1; --group '' gives each its own topic)
  cross     a STOMP publisher to an MQTT subscriber and back; two urls where the broker has two: STOMP MQTT
  latency   fan at --rate 5000
  idle      --connections that do nothing: memory for each
  connect   log in and out, --connections at a time: logins per second

load
  --pubs, --subs, --pairs, --connections n   how many
  --size 16            bytes of a message
  --qos 0              of MQTT, both ways
  --ack auto           of STOMP: auto, client or client-individual
  --receipts           ask for a receipt of every SEND (queue: always)
  --duration 5s        how long to measure, after --warmup 1s
  --count n            publish so many in all instead, and measure from the first to the last
  --rate n             publishes per second in all, each at its moment; 0: as fast as they are received
  --window 1000        messages of a subscriber on their way, at most; pairs: 100; with --rate: any number
  --batch 50           publishes in one write, at most
  --drain 5s           how long to wait for what is missing
  --source a,b         local addresses to connect from, in turn: each has some 28,000 ports
  --subscribe          idle: each connection subscribes to a topic of its own

names: {n} is the number of the pair, {run} differs in each run
  --destination /topic/wye-bench.{run}.{n}    STOMP (queue: /queue/wye-bench.{n})
  --topic wye-bench/{run}/{n}                 MQTT
  --filter pattern                            what to subscribe to, if not the same
  --group wye-bench                           of a shared subscription in scenario queue
  --send-header, --subscribe-header a:b       more headers, as in --subscribe-header prefetch-count:100

cost and result
  --pid n[,n]          processes of the broker on this machine: CPU and memory
  --metrics url        the same from its metrics for Prometheus, as in http://127.0.0.1:8161/metrics
  --json               one JSON object per result
  --progress, --quiet  progress on standard error, or none; without these: if that is a terminal
  --strict             fail when anything was lost, promised or not

` + peer.FlagUsage + `
Exit code 1: something failed, or was lost, doubled or out of order although the protocol promises otherwise.
`

// scenarios are those there are.
var scenarios = []string{"fan", "fanin", "pairs", "queue", "cross", "latency", "idle", "connect"}

// options are the arguments.
type options struct {
	scenario string
	flags    peer.Flags
	target   peer.Target
	other    peer.Target // cross: that of MQTT
	url      string

	pubs, subs, pairs, connections int

	size            int
	qos             int
	ack             string
	receipts        bool
	duration        time.Duration
	warmup          time.Duration
	count           int64
	rate            float64
	window, batch   int
	drain           time.Duration
	sources         []string
	subscribe       bool
	destination     string
	topic           string
	filter          string
	group           string
	sendHeader      []peer.Header
	subscribeHeader []peer.Header
	pids            []int
	metrics         string
	json            bool
	quiet           bool
	progress        bool
	strict          bool
}

// errHelp asks for the usage.
var errHelp = flag.ErrHelp

func parse(args []string) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	o.register(fs)
	words, err := peer.ParseArgs(fs, args)
	if err != nil {
		return nil, err
	}
	if len(words) == 0 || words[0] == "help" {
		return nil, errHelp
	}
	if o.scenario = words[0]; !slices.Contains(scenarios, o.scenario) {
		return nil, fmt.Errorf("unknown scenario %q, there are: %s", o.scenario, strings.Join(scenarios, ", "))
	}
	given := make(map[string]bool)
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	o.defaults(given)
	if err := o.targets(words[1:]); err != nil {
		return nil, err
	}
	return o, o.validate()
}

func (o *options) register(fs *flag.FlagSet) {
	o.flags.Register(fs)
	fs.IntVar(&o.pubs, "pubs", 0, "")
	fs.IntVar(&o.subs, "subs", 0, "")
	fs.IntVar(&o.pairs, "pairs", 50, "")
	fs.IntVar(&o.connections, "connections", 0, "")
	fs.IntVar(&o.size, "size", peer.StampSize, "")
	fs.IntVar(&o.qos, "qos", 0, "")
	fs.StringVar(&o.ack, "ack", "auto", "")
	fs.BoolVar(&o.receipts, "receipts", false, "")
	fs.DurationVar(&o.duration, "duration", 5*time.Second, "")
	fs.DurationVar(&o.warmup, "warmup", time.Second, "")
	fs.Int64Var(&o.count, "count", 0, "")
	fs.Float64Var(&o.rate, "rate", 0, "")
	fs.IntVar(&o.window, "window", 0, "")
	fs.IntVar(&o.batch, "batch", 50, "")
	fs.DurationVar(&o.drain, "drain", 5*time.Second, "")
	fs.BoolVar(&o.subscribe, "subscribe", false, "")
	fs.StringVar(&o.destination, "destination", "", "")
	fs.StringVar(&o.topic, "topic", "", "")
	fs.StringVar(&o.filter, "filter", "", "")
	fs.StringVar(&o.group, "group", "wye-bench", "")
	peer.HeaderVar(fs, &o.sendHeader, "send-header")
	peer.HeaderVar(fs, &o.subscribeHeader, "subscribe-header")
	fs.StringVar(&o.metrics, "metrics", "", "")
	fs.BoolVar(&o.json, "json", false, "")
	fs.BoolVar(&o.quiet, "quiet", false, "")
	fs.BoolVar(&o.progress, "progress", false, "")
	fs.BoolVar(&o.strict, "strict", false, "")
	fs.Func("source", "", func(s string) error {
		o.sources = strings.Split(s, ",")
		return nil
	})
	fs.Func("pid", "", func(s string) error {
		for part := range strings.SplitSeq(s, ",") {
			pid, err := strconv.Atoi(part)
			if err != nil || pid < 1 {
				return errors.New("must be the number of a process")
			}
			o.pids = append(o.pids, pid)
		}
		return nil
	})
}

// defaults fills in what depends on the scenario.
func (o *options) defaults(given map[string]bool) {
	// The first value wins: that of the user, that of the scenario, that of all.
	def := func(name string, to *int, value int) {
		if !given[name] {
			given[name] = true
			*to = value
		}
	}
	windowed := given["window"]
	switch o.scenario {
	case "fanin":
		def("pubs", &o.pubs, 50)
	case "queue":
		def("pubs", &o.pubs, 4)
		def("subs", &o.subs, 4)
		def("qos", &o.qos, 1)
		o.receipts = true
		if !given["ack"] {
			o.ack = "client-individual"
		}
		if !slices.ContainsFunc(o.sendHeader, func(h peer.Header) bool { return h.Name == "persistent" }) {
			o.sendHeader = append(o.sendHeader, peer.Header{Name: "persistent", Value: "true"})
		}
	case "latency":
		if !given["rate"] {
			o.rate = 5000
		}
	case "idle":
		def("connections", &o.connections, 1000)
	case "connect":
		def("connections", &o.connections, 16)
	}
	def("pubs", &o.pubs, 1)
	def("subs", &o.subs, 1)
	if o.scenario == "pairs" {
		o.pubs, o.subs = o.pairs, o.pairs
		def("window", &o.window, 100)
	}
	def("window", &o.window, 1000)
	if o.rate > 0 && !windowed {
		o.window = 0
	}
	if o.count > 0 {
		o.warmup = 0
	}
	if o.destination == "" {
		o.destination = "/topic/wye-bench.{run}.{n}"
		if o.scenario == "queue" {
			o.destination = "/queue/wye-bench.{n}"
		}
	}
	if o.topic == "" {
		o.topic = "wye-bench/{run}/{n}"
	}
}

// targets reads the urls.
func (o *options) targets(urls []string) error {
	spoken, err := o.flags.Spoken()
	if err != nil {
		return err
	}
	if len(urls) == 0 {
		urls = []string{peer.DefaultURL}
	}
	o.url = urls[0]
	if o.scenario != "cross" {
		if len(urls) > 1 {
			return fmt.Errorf("%q is one url too many", urls[1])
		}
		o.target, err = o.flags.Target(urls[0], spoken)
		return err
	}
	if spoken == peer.STOMP {
		spoken = ""
	}
	if spoken == "" {
		spoken = peer.MQTT
	}
	if len(urls) > 2 {
		return fmt.Errorf("%q is one url too many", urls[2])
	}
	if o.target, err = o.flags.Target(urls[0], peer.STOMP); err != nil {
		return err
	}
	o.other, err = o.flags.Target(urls[len(urls)-1], spoken)
	return err
}

func (o *options) validate() error {
	var errs []error
	positive := func(name string, v int) {
		if v < 1 {
			errs = append(errs, fmt.Errorf("--%s must be positive, is %d", name, v))
		}
	}
	positive("pubs", o.pubs)
	positive("subs", o.subs)
	positive("pairs", o.pairs)
	positive("batch", o.batch)
	if o.scenario == "idle" || o.scenario == "connect" {
		positive("connections", o.connections)
	}
	if o.size < peer.StampSize {
		errs = append(errs, fmt.Errorf("--size must be at least %d, which each message needs to be told from others, is %d", peer.StampSize, o.size))
	}
	if o.qos < 0 || o.qos > 2 {
		errs = append(errs, fmt.Errorf("--qos must be 0, 1 or 2, is %d", o.qos))
	}
	if !slices.Contains([]string{"auto", "client", "client-individual"}, o.ack) {
		errs = append(errs, fmt.Errorf("--ack must be auto, client or client-individual, is %q", o.ack))
	}
	if o.rate < 0 || o.window < 0 || o.count < 0 || o.duration <= 0 || o.warmup < 0 || o.drain < 0 {
		errs = append(errs, errors.New("--rate, --window, --count, --duration, --warmup and --drain must not be negative, and --duration not 0"))
	}
	if o.scenario == "latency" && o.rate == 0 {
		errs = append(errs, errors.New("latency needs a --rate"))
	}
	if len(o.pids) > 0 && o.metrics != "" {
		errs = append(errs, errors.New("--pid and --metrics exclude each other"))
	}
	return errors.Join(errs...)
}
