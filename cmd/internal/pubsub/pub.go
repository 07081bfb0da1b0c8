package pubsub

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyemq/wye/cmd/internal/peer"
)

const pubUsage = `usage: wye pub [flags] -t topic (-m text | -f file | -l | -s | -n) [url]

Sends messages to a broker, any broker. The url is ws, wss, tcp, tls, stomp, stomps, mqtt or mqtts;
without one it is ` + peer.DefaultURL + `.

  wye pub --mqtt -t news -m hello
  wye pub --stomp -t /queue/jobs -H priority:9 -f job.json --content-type application/json
  tail -f log | wye pub -t log -l mqtt://broker

message
  -t, --topic name       topic of MQTT, destination of STOMP; more than one sends to each
  -m, --message text     the body
  -f, --file path        the body is in a file
  -s, --stdin            the body is what standard input has
  -l, --lines            each line of the file, or of standard input, is a message
  -n, --null             the body is empty; retained, it clears what was retained
  -r, --retain           the broker keeps it for later subscribers (STOMP: header retain:true, which few know)
  -q, --qos 0            of MQTT
  -H, --header a:b       header of STOMP, user property of MQTT 5; may be repeated
  --content-type type
  --count n              send each so often
  --interval 1s          and wait so long between
  --receipt=false        do not ask STOMP for receipts: the exit code knows less then

session
  -i, --id name          client id
  --json                 say what was sent as JSON

` + peer.FlagUsage + `
Exit code 0: the broker has taken everything (MQTT with QoS 0: it was sent, and the broker did not object);
1: it has not; 2: the arguments make no sense.
`

// unconfirmed is how many messages may wait for their confirmation: as many as brokers permit by default.
const unconfirmed = 16

// pub is one run of the command.
type pub struct {
	session
	message     string
	file        string
	stdin       bool
	lines       bool
	null        bool
	retain      bool
	contentType string
	count       int
	interval    time.Duration
	receipt     bool

	conn      *peer.Conn
	sent      int
	confirmed atomic.Int64
	progress  chan struct{} // size 1: something was confirmed
	ended     chan error    // size 1: why nothing is read any more
}

// Pub is `wye pub` with its arguments. It returns the exit code.
func Pub(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	p := &pub{progress: make(chan struct{}, 1), ended: make(chan error, 1)}
	return newCommand("pub", pubUsage, stdout, stderr).Run(func() error { return p.arguments(args) }, func() error {
		err := p.run(ctx)
		if p.json {
			_ = json.NewEncoder(stdout).Encode(map[string]int64{"sent": int64(p.sent), "confirmed": p.confirmed.Load()}) // told by stderr
		}
		return err
	})
}

func (p *pub) arguments(args []string) error {
	fs := flag.NewFlagSet("pub", flag.ContinueOnError)
	p.register(fs)
	text := func(to *string, names ...string) {
		for _, name := range names {
			fs.StringVar(to, name, "", "")
		}
	}
	flags := func(to *bool, names ...string) {
		for _, name := range names {
			fs.BoolVar(to, name, false, "")
		}
	}
	var given bool // a message may be the empty text
	for _, name := range []string{"m", "message"} {
		fs.Func(name, "", func(s string) error {
			p.message, given = s, true
			return nil
		})
	}
	text(&p.file, "f", "file")
	flags(&p.stdin, "s", "stdin")
	flags(&p.lines, "l", "lines")
	flags(&p.null, "n", "null")
	flags(&p.retain, "r", "retain")
	fs.StringVar(&p.contentType, "content-type", "", "")
	fs.IntVar(&p.count, "count", 1, "")
	fs.DurationVar(&p.interval, "interval", 0, "")
	fs.BoolVar(&p.receipt, "receipt", true, "")
	if err := p.parse(fs, args); err != nil {
		return err
	}
	sources := 0
	for _, set := range []bool{given, p.file != "" || p.lines, p.stdin, p.null} {
		if set {
			sources++
		}
	}
	if sources != 1 {
		return errors.New("one of -m, -f, -l, -s and -n says what to send")
	}
	if p.count < 1 {
		return fmt.Errorf("--count must be positive, is %d", p.count)
	}
	return nil
}

func (p *pub) run(ctx context.Context) (err error) {
	if p.conn, err = peer.Dial(ctx, p.target, p.login(true, 0)); err != nil {
		return err
	}
	listening := make(chan struct{})
	go func() { // ends with the connection
		defer close(listening)
		p.ended <- p.listen()
	}()
	beating, stop := context.WithCancel(ctx)
	var beat sync.WaitGroup
	beat.Go(func() { beatIf(beating, p.flags.KeepAlive, p.conn) })
	defer beat.Wait()
	defer stop()
	err = p.bodies(ctx, func(body []byte) error { return p.send(ctx, body) })
	if err == nil {
		err = p.await(ctx, 0)
	}
	if err != nil {
		p.conn.Leave()
		<-listening
		select {
		case why := <-p.ended: // a write that fails does not know the reason
			if refused, ok := errors.AsType[*peer.RefusedError](why); ok {
				return refused
			}
		default: // has been told
		}
		return err
	}
	// Whatever the broker has against a message without confirmation it says before it takes our leave.
	return p.conn.Bye(func() error {
		<-listening
		return <-p.ended
	})
}

// bodies calls send with every body.
func (p *pub) bodies(ctx context.Context, send func([]byte) error) error {
	input := io.Reader(os.Stdin)
	if p.file != "" {
		f, err := os.Open(p.file)
		if err != nil {
			return err
		}
		defer f.Close()
		input = f
	}
	switch {
	case p.lines:
		return lines(ctx, input, send)
	case p.null:
		return send(nil)
	case p.file != "" || p.stdin:
		body, err := io.ReadAll(input)
		if err != nil {
			return err
		}
		return send(body)
	default:
		return send([]byte(p.message))
	}
}

// lines calls send with each line of r. When ctx is done it does not wait for the next one, which may never
// come; whoever reads a terminal is left behind then, until the process ends.
func lines(ctx context.Context, r io.Reader, send func([]byte) error) error {
	next, over := make(chan []byte), make(chan error, 1)
	go func() {
		s := bufio.NewScanner(r)
		s.Buffer(nil, 64<<20)
		for s.Scan() {
			select {
			case next <- bytes.Clone(s.Bytes()):
			case <-ctx.Done():
				return
			}
		}
		over <- s.Err()
	}()
	for {
		select {
		case line := <-next:
			if err := send(line); err != nil {
				return err
			}
		case err := <-over:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// send sends a body as often as asked for to all topics.
func (p *pub) send(ctx context.Context, body []byte) error {
	for i := range p.count {
		if i > 0 && p.interval > 0 {
			if err := p.pause(ctx); err != nil {
				return err
			}
		}
		for _, topic := range p.topics {
			m := peer.Publication{
				Destination: topic, Body: body, QoS: byte(p.qos), Retain: p.retain, Confirm: p.receipt,
				ContentType: p.contentType, Header: p.header,
			}
			if p.retain && p.target.Protocol == peer.STOMP {
				m.Header = append([]peer.Header{{Name: "retain", Value: "true"}}, m.Header...)
			}
			if err := p.await(ctx, p.window()-1); err != nil {
				return err
			}
			p.sent++
			if err := p.conn.Publish(m, uint32((p.sent-1)%65535)+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *pub) pause(ctx context.Context) error {
	t := time.NewTimer(p.interval)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case err := <-p.ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// window is how many messages may be unconfirmed.
func (p *pub) window() int {
	if most := p.conn.ReceiveMax; most > 0 {
		return min(most, unconfirmed)
	}
	return unconfirmed
}

// confirms says whether the broker confirms what is sent.
func (p *pub) confirms() bool {
	if p.target.Protocol == peer.STOMP {
		return p.receipt
	}
	return p.qos > 0
}

// await waits until at most so many are not confirmed.
func (p *pub) await(ctx context.Context, most int) error {
	if !p.confirms() {
		return nil
	}
	t := time.NewTimer(p.target.Timeout)
	defer t.Stop()
	for p.sent-int(p.confirmed.Load()) > most {
		select {
		case <-p.progress:
			t.Reset(p.target.Timeout)
		case err := <-p.ended:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			return fmt.Errorf("%d of %d messages are not confirmed after %v", p.sent-int(p.confirmed.Load()), p.sent, p.target.Timeout)
		}
	}
	return nil
}

// listen reads what the broker says.
func (p *pub) listen() error {
	for {
		err := p.conn.ReadBatch(func(q *peer.Packet) error {
			if q.Kind == peer.Confirmed {
				p.confirmed.Add(1)
			}
			return nil
		})
		select {
		case p.progress <- struct{}{}:
		default: // has been told
		}
		if err != nil {
			return err
		}
	}
}
