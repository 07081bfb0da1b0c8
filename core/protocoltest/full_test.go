package protocoltest_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/protocoltest"
)

// full is a protocol with every capability, and one mistake on request. A frame is a line of fields,
// percent-encoded, with blanks between them:
//
//	client  C id user password · S auto|ack filter · P confirm dest body name value… · A tag · Q
//	server  C · S filter · M tag redelivered dest body name value… · P confirm reason · E reason
type full struct {
	b   *core.Broker
	bug string
}

func (full) Name() string           { return "full" }
func (full) Subprotocols() []string { return []string{"full"} }

// Run does nothing, as long as it is told.
func (p full) Run(ctx context.Context, ready func()) error {
	switch p.bug {
	case "never ready":
		<-ctx.Done()
		return nil
	case "ends early":
		return nil
	}
	ready()
	<-ctx.Done()
	if p.bug == "run fails" {
		return ctx.Err()
	}
	return nil
}

func (p full) ServeConn(ctx context.Context, c core.Conn) error {
	f := &fullConn{full: p, c: c}
	err := f.serve(ctx)
	if err != nil {
		_ = f.send("E", err.Error())
		_ = c.Flush()
	}
	return err
}

type fullConn struct {
	full
	c core.Conn
	s *core.Session

	mu    sync.Mutex // of the buffer that one mistake keeps
	kept  [][]byte
	wake  chan struct{}
	empty sync.WaitGroup
}

func (f *fullConn) send(fields ...string) error {
	return unlessGone(f.c.WriteMessage(core.Text, []byte(encode(fields...))))
}

func unlessGone(err error) error {
	if errors.Is(err, core.ErrGone) {
		return nil
	}
	return err
}

func encode(fields ...string) string {
	for i, field := range fields {
		fields[i] = url.QueryEscape(field)
	}
	return strings.Join(fields, " ") + "\n"
}

func decode(line string) ([]string, error) {
	fields := strings.Split(strings.TrimSuffix(line, "\n"), " ")
	for i, field := range fields {
		var err error
		if fields[i], err = url.QueryUnescape(field); err != nil {
			return nil, fmt.Errorf("%w: %w", core.ErrInvalid, err)
		}
	}
	return fields, nil
}

// lines returns a function that returns the next frame.
func (f *fullConn) lines() func() (string, error) {
	if f.bug == "a message is a frame" || f.bug == "one frame of a message" {
		return func() (string, error) {
			_, r, err := f.c.NextReader()
			if err != nil {
				return "", err
			}
			msg, err := io.ReadAll(r)
			line, rest, _ := strings.Cut(string(msg), "\n")
			if rest != "" && f.bug == "a message is a frame" {
				line += rest
			}
			return line, err
		}
	}
	r := bufio.NewReader(core.Stream(f.c, core.Text))
	return func() (string, error) {
		line, err := r.ReadString('\n')
		if errors.Is(err, io.EOF) && line != "" {
			err = io.ErrUnexpectedEOF
		}
		return line, err
	}
}

func (f *fullConn) serve(ctx context.Context) error {
	next := f.lines()
	line, err := next()
	if err != nil {
		return fmt.Errorf("login: %w", err)
	}
	args, err := decode(line)
	if err != nil || len(args) != 4 || args[0] != "C" {
		return fmt.Errorf("no login: %w", core.ErrInvalid)
	}
	l := core.Login{Protocol: "full", Conn: f.c, ClientID: args[1], User: args[2], Password: args[3]}
	switch f.bug {
	case "the password is not passed on":
		l.Password = "secret"
	case "the client id is not passed on":
		l.ClientID = ""
	}
	deliver := f.deliver
	if f.bug == "deliveries are kept" {
		f.wake = make(chan struct{}, 1)
		done := make(chan struct{})
		f.empty.Go(func() { f.drain(done) })
		defer f.empty.Wait()
		defer close(done)
		deliver, l.Conn = f.keep, nil
	}
	s, err := f.b.Connect(ctx, l, deliver)
	if err != nil {
		return err
	}
	defer s.Close()
	f.s = s
	f.c.LoggedIn()
	_ = f.send("C")
	for {
		if err := unlessGone(f.c.Flush()); err != nil {
			return err
		}
		line, err := next()
		if err != nil {
			return err
		}
		args, err := decode(line)
		if err != nil {
			return err
		}
		if args[0] == "Q" && f.bug != "goodbye is an error" {
			return nil
		}
		if err := f.handle(ctx, args); err != nil {
			return err
		}
	}
}

func (f *fullConn) handle(ctx context.Context, args []string) error {
	switch {
	case args[0] == "S" && len(args) == 3:
		sub := &core.Subscription{ID: args[2], Filter: args[2]}
		if args[1] == "ack" && f.bug != "acks are not waited for" {
			sub.Ack = core.AckIndividual
		}
		sub.Browse = f.bug == "consumers browse" && strings.HasPrefix(args[2], "queue/")
		if err := f.s.Subscribe(ctx, sub); err != nil {
			return err
		}
		return f.send("S", args[2])
	case args[0] == "P" && len(args) >= 4:
		return f.publish(ctx, args[1], args[2], args[3], args[4:])
	case args[0] == "A" && len(args) == 2:
		tag, err := strconv.ParseUint(args[1], 10, 64)
		if err != nil {
			return fmt.Errorf("%w: %w", core.ErrInvalid, err)
		}
		switch f.bug {
		case "acks are swallowed":
			return nil
		case "acks are nacks":
			return f.s.Settle(ctx, core.Requeue, nil, tag)
		default:
			return f.s.Settle(ctx, core.Accepted, nil, tag)
		}
	default:
		return fmt.Errorf("frame %.20q: %w", args, core.ErrInvalid)
	}
}

func (f *fullConn) publish(ctx context.Context, confirm, dest, body string, header []string) error {
	m := &core.Message{Destination: dest, Body: []byte(body), Persistent: true}
	for i := 0; i+1 < len(header); i += 2 {
		if _, ok := m.Get(header[i]); ok && f.bug == "repeated headers are lost" {
			continue
		}
		m.Header = append(m.Header, core.Field{Name: header[i], Value: header[i+1]})
	}
	if f.bug == "headers are lost" {
		m.Header = nil
	}
	if confirm == "" {
		return f.s.Publish(ctx, m, nil)
	}
	if f.bug == "the confirmation comes early" {
		_ = f.send("P", confirm, "")
		return f.s.Publish(ctx, m, nil)
	}
	return f.s.Publish(ctx, m, func(_ core.Published, err error) {
		if err != nil && f.bug != "every confirmation is good" {
			_ = f.send("P", confirm, err.Error())
			return
		}
		_ = f.send("P", confirm, "")
	})
}

func (f *fullConn) deliver(ds []core.Delivery) error {
	for i := range ds {
		if ds[i].EndOfBrowse {
			continue
		}
		if err := f.c.WriteMessage(core.Text, f.encode(&ds[i])); err != nil {
			return err
		}
	}
	return nil
}

func (f *fullConn) encode(d *core.Delivery) []byte {
	redelivered := strconv.FormatBool(d.Redelivered && f.bug != "repetitions are not marked")
	fields := []string{"M", strconv.FormatUint(d.Tag, 10), redelivered, d.Destination, string(d.Body)}
	for _, h := range d.Header {
		if f.bug == "headers come backwards" {
			fields = append(fields[:5:5], append([]string{h.Name, h.Value}, fields[5:]...)...)
			continue
		}
		fields = append(fields, h.Name, h.Value)
	}
	return []byte(encode(fields...))
}

// keep and drain are the mistake of a buffer without bounds.
func (f *fullConn) keep(ds []core.Delivery) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range ds {
		f.kept = append(f.kept, f.encode(&ds[i]))
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
	return nil
}

func (f *fullConn) drain(done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-f.wake:
		}
		f.mu.Lock()
		kept := f.kept
		f.kept = nil
		f.mu.Unlock()
		for _, msg := range kept {
			if err := f.c.WriteMessage(core.Text, msg); err != nil {
				f.c.Close(err)
				return
			}
		}
		if err := f.c.Flush(); err != nil {
			f.c.Close(err)
			return
		}
	}
}

// fullClient is the other end.
type fullClient struct {
	p    *protocoltest.Peer
	kind core.Kind
	buf  []byte
	ds   []protocoltest.Delivery
	n    int
}

func (c *fullClient) send(fields ...string) error {
	return c.p.Send(c.kind, []byte(encode(fields...)))
}

// read returns the next frame.
func (c *fullClient) read(timeout time.Duration) ([]string, error) {
	limit := time.Now().Add(timeout)
	for {
		if line, rest, ok := bytes.Cut(c.buf, []byte("\n")); ok {
			c.buf = rest
			return decode(string(line))
		}
		_, msg, err := c.p.Receive(time.Until(limit))
		if err != nil {
			return nil, err
		}
		c.buf = append(c.buf, msg...)
	}
}

// await returns the next frame of a kind and keeps the deliveries before it.
func (c *fullClient) await(kind string) ([]string, error) {
	for {
		args, err := c.read(time.Minute)
		switch {
		case err != nil:
			return nil, err
		case args[0] == "E":
			return nil, errors.New(args[1])
		case args[0] == kind:
			return args, nil
		case args[0] == "M":
			c.ds = append(c.ds, delivery(args))
		}
	}
}

func delivery(args []string) protocoltest.Delivery {
	d := protocoltest.Delivery{
		Destination: args[3], Body: []byte(args[4]), Redelivered: args[2] == "true", Token: args[1],
	}
	for i := 5; i+1 < len(args); i += 2 {
		d.Header = append(d.Header, core.Field{Name: args[i], Value: args[i+1]})
	}
	return d
}

func (c *fullClient) Connect(l protocoltest.Login) error {
	if err := c.send("C", l.ClientID, l.User, l.Password); err != nil {
		return err
	}
	_, err := c.await("C")
	return err
}

func (c *fullClient) subscribe(mode, filter string) error {
	if err := c.send("S", mode, filter); err != nil {
		return err
	}
	_, err := c.await("S")
	return err
}

func (c *fullClient) Subscribe(filter string) error    { return c.subscribe("auto", filter) }
func (c *fullClient) SubscribeAck(filter string) error { return c.subscribe("ack", filter) }
func (c *fullClient) Disconnect() error                { return c.send("Q") }

func (c *fullClient) Ack(d protocoltest.Delivery) error {
	tag, _ := d.Token.(string)
	return c.send("A", tag)
}

func (c *fullClient) Publish(dest string, body []byte) error {
	return c.PublishHeader(dest, body, nil)
}

func (c *fullClient) PublishHeader(dest string, body []byte, header []core.Field) error {
	fields := []string{"P", "", dest, string(body)}
	for _, h := range header {
		fields = append(fields, h.Name, h.Value)
	}
	return c.send(fields...)
}

func (c *fullClient) PublishConfirmed(dest string, body []byte) error {
	c.n++
	if err := c.send("P", strconv.Itoa(c.n), dest, string(body)); err != nil {
		return err
	}
	args, err := c.await("P")
	if err == nil && args[2] != "" {
		err = errors.New(args[2])
	}
	return err
}

func (c *fullClient) Receive(timeout time.Duration) (protocoltest.Delivery, error) {
	if len(c.ds) > 0 {
		d := c.ds[0]
		c.ds = c.ds[1:]
		return d, nil
	}
	for {
		args, err := c.read(timeout)
		switch {
		case err != nil:
			return protocoltest.Delivery{}, err
		case args[0] == "E":
			return protocoltest.Delivery{}, errors.New(args[1])
		case args[0] == "M":
			return delivery(args), nil
		}
	}
}

func fullSuite(bug string, o protocoltest.PipeOptions) protocoltest.Suite {
	return protocoltest.Suite{
		New: func(b *core.Broker) core.Protocol { return full{b, bug} },
		Client: func(_ testing.TB, p *protocoltest.Peer) protocoltest.Client {
			return &fullClient{p: p, kind: core.Text}
		},
		Bodies: [][]byte{nil, []byte("hello"), {0, 1, 255, '\n'}, []byte("percent % blank")},
		Pipe:   o,
	}
}
