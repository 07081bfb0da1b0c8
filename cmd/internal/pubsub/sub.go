package pubsub

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/wyemq/wye/cmd/internal/peer"
)

const subUsage = `usage: wye sub [flags] -t topic [url]

Prints what a broker sends, any broker. The url is ws, wss, tcp, tls, stomp, stomps, mqtt or mqtts;
without one it is ` + peer.DefaultURL + `.

  wye sub --mqtt -t 'news/#' -v
  wye sub --stomp -t /queue/jobs --count 1 --json
  wye sub --mqtt -t state -C 1 -W 5s

what
  -t, --topic filter     filter of MQTT, destination of STOMP; may be repeated
  -q, --qos 0            of MQTT
  --ack mode             of STOMP: auto, client or client-individual; without it topics are auto, and all else
                         client-individual, so that nothing is taken from a queue that is not printed
  -H, --header a:b       of SUBSCRIBE, as in selector:"price > 10"; may be repeated
  -C, --count n          end after so many messages
  -W, --wait 5s          end this long after having subscribed; with --count, exit code 1 if there were less
  -R, --no-retained      without what was retained before
  --retained-only        only that

print
  -v, --verbose          the destination and a space before each body
  -N, --no-newline       no line end after each body
  --json                 a JSON object per message: destination, body (or body_base64), headers, flags, time

session
  -i, --id name          client id
  -k, --keep             MQTT: the broker keeps the session for later, under the id
  --no-reconnect         end when the connection is lost; without it sub connects again, and with --keep and -q 1
                         nothing is lost meanwhile

` + peer.FlagUsage + `
Exit code 0: all is well; 1: refused, or less messages than asked for; 2: the arguments make no sense.
`

// sub is one run of the command.
type sub struct {
	session
	ack          string
	count        int
	wait         time.Duration
	noRetained   bool
	retainedOnly bool
	verbose      bool
	noNewline    bool
	keep         bool
	once         bool
	stderr       io.Writer

	conn    *peer.Conn
	leave   func() // takes leave of conn
	in      bool   // has been let in once
	up      bool   // and has been subscribed
	out     *bufio.Writer
	printed int
	acks    map[string]bool // subscriptions whose messages are acknowledged one by one
}

// keepFor is how long a kept session of MQTT 5 is kept.
const keepFor = 7 * 24 * time.Hour

// Sub is `wye sub` with its arguments. It returns the exit code; when ctx is done that is 0 unless messages are
// still to come.
func Sub(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s := &sub{out: bufio.NewWriter(stdout), stderr: stderr, acks: make(map[string]bool)}
	return newCommand("sub", subUsage, stdout, stderr).Run(func() error { return s.arguments(args) }, func() error { return s.run(ctx) })
}

func (s *sub) arguments(args []string) error {
	fs := flag.NewFlagSet("sub", flag.ContinueOnError)
	s.register(fs)
	flags := func(to *bool, names ...string) {
		for _, name := range names {
			fs.BoolVar(to, name, false, "")
		}
	}
	fs.StringVar(&s.ack, "ack", "", "")
	fs.IntVar(&s.count, "C", 0, "")
	fs.IntVar(&s.count, "count", 0, "")
	fs.DurationVar(&s.wait, "W", 0, "")
	fs.DurationVar(&s.wait, "wait", 0, "")
	flags(&s.noRetained, "R", "no-retained")
	flags(&s.retainedOnly, "retained-only")
	flags(&s.verbose, "v", "verbose")
	flags(&s.noNewline, "N", "no-newline")
	flags(&s.keep, "k", "keep")
	flags(&s.once, "no-reconnect")
	if err := s.parse(fs, args); err != nil {
		return err
	}
	if !slices.Contains([]string{"", "auto", "client", "client-individual"}, s.ack) {
		return fmt.Errorf("--ack must be auto, client or client-individual, is %q", s.ack)
	}
	if s.count < 0 || s.wait < 0 {
		return errors.New("--count and --wait must not be negative")
	}
	if s.keep && s.id == "" {
		return errors.New("--keep needs an --id, under which the session is found again")
	}
	return nil
}

func (s *sub) run(ctx context.Context) error {
	err := s.follow(ctx)
	if err == nil && s.count > 0 && s.printed < s.count {
		err = fmt.Errorf("%d of %d messages have come", s.printed, s.count)
	}
	return errors.Join(err, s.out.Flush())
}

// subscribe subscribes to all topics; what comes meanwhile is printed.
func (s *sub) subscribe() error {
	for i, topic := range s.topics {
		sub := peer.Subscription{
			ID: strconv.Itoa(i), Filter: topic, QoS: byte(s.qos), Ack: s.mode(topic), Header: s.header, NoRetained: s.noRetained,
		}
		s.acks[sub.ID] = sub.Ack != "auto"
		if err := s.conn.Subscribe(sub, s.take); err != nil {
			return err
		}
	}
	return nil
}

// receive prints until there is enough or ctx is done, which is no error.
func (s *sub) receive(ctx context.Context) error {
	// A read that waits is ended by its deadline, and the connection is then still good for a farewell.
	defer context.AfterFunc(ctx, func() { _ = s.conn.SetReadDeadline(time.Unix(1, 0)) })()
	for ctx.Err() == nil && (s.count == 0 || s.printed < s.count) {
		if err := s.out.Flush(); err != nil {
			return err
		}
		if err := s.conn.ReadBatch(s.take); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// mode is how a STOMP subscription is acknowledged.
func (s *sub) mode(topic string) string {
	switch {
	case s.ack != "":
		return s.ack
	case isTopic(topic):
		return "auto"
	default:
		return "client-individual"
	}
}

// take prints a message and acknowledges it. What comes after the last one is neither.
func (s *sub) take(p *peer.Packet) error {
	if p.Kind != peer.Message || s.count > 0 && s.printed == s.count {
		return nil
	}
	retained := p.Retained
	acked := p.QoS > 0
	if s.target.Protocol == peer.STOMP {
		retained = p.Header("retained") == "true" || p.Header("retain") == "true"
		acked = s.acks[p.Header("subscription")]
	}
	if s.noRetained && retained || s.retainedOnly && !retained {
		if acked {
			s.conn.Ack(p)
		}
		return nil
	}
	if err := s.print(p, retained); err != nil {
		return err
	}
	s.printed++
	if acked {
		if err := s.out.Flush(); err != nil { // what is acknowledged was printed
			return err
		}
		s.conn.Ack(p)
	}
	return nil
}

// printed is a message as JSON.
type printed struct {
	Time        time.Time     `json:"time"`
	Destination string        `json:"destination"`
	Body        *string       `json:"body,omitempty"`
	Base64      []byte        `json:"body_base64,omitempty"` // what is not UTF-8
	QoS         *byte         `json:"qos,omitempty"`         // MQTT
	Retained    bool          `json:"retained"`
	Duplicate   bool          `json:"duplicate,omitempty"` // MQTT
	Headers     []peer.Header `json:"headers,omitempty"`
}

func (s *sub) print(p *peer.Packet, retained bool) error {
	if s.json {
		m := printed{
			Time: time.Now(), Destination: p.Destination(), Retained: retained, Duplicate: p.Dup, Headers: p.Headers(),
		}
		if body := string(p.Body); utf8.ValidString(body) {
			m.Body = &body
		} else {
			m.Base64 = p.Body
		}
		if s.target.Protocol != peer.STOMP {
			m.QoS = &p.QoS
		}
		return json.NewEncoder(s.out).Encode(m)
	}
	if s.verbose {
		if _, err := s.out.WriteString(p.Destination() + " "); err != nil {
			return err
		}
	}
	if _, err := s.out.Write(p.Body); err != nil {
		return err
	}
	if s.noNewline {
		return nil
	}
	return s.out.WriteByte('\n')
}
