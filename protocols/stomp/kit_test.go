package stomp_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/protocoltest"
	"github.com/wyemq/wye/protocols/stomp"
)

// TestKit runs the conformance kit: STOMP 1.2 on messages and on a stream, and the
// older versions.
func TestKit(t *testing.T) {
	t.Run("1.2", func(t *testing.T) { protocoltest.Test(t, kitSuite(t, "1.2", false)) })
	t.Run("1.2_stream", func(t *testing.T) { protocoltest.Test(t, kitSuite(t, "1.2", true)) })
	t.Run("1.1", func(t *testing.T) { protocoltest.Test(t, kitSuite(t, "1.1", false)) })
	t.Run("1.0", func(t *testing.T) { protocoltest.Test(t, kitSuite(t, "1.0", false)) })
}

func FuzzKit(f *testing.F) { protocoltest.Fuzz(f, kitSuite(f, "1.2", false)) }

func kitSuite(t testing.TB, version string, stream bool) protocoltest.Suite {
	t.Helper()
	return protocoltest.Suite{
		New: func(b *core.Broker) core.Protocol {
			p, err := stomp.New(b, stomp.DefaultConfig(), nil)
			if err != nil {
				t.Fatal(err)
			}
			return p
		},
		Client: func(_ testing.TB, p *protocoltest.Peer) protocoltest.Client {
			return &kitClient{p: p, version: version}
		},
		Bodies: [][]byte{nil, []byte("hello"), []byte("a\x00b"), {0xff, 0xfe, 0}, []byte("two\nlines\n\n"), []byte("ü€")},
		Pipe:   protocoltest.PipeOptions{Stream: stream},
	}
}

// kitFrame is a frame as the kit's client reads it.
type kitFrame struct {
	command string
	header  []core.Field
	body    []byte
}

func (f *kitFrame) get(name string) string {
	for _, h := range f.header {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

// kitClient speaks STOMP without the code under test.
type kitClient struct {
	p       *protocoltest.Peer
	version string
	buf     []byte
	early   []protocoltest.Delivery
	n       int
}

func (c *kitClient) send(command string, body []byte, header ...string) error {
	var b bytes.Buffer
	b.WriteString(command + "\n")
	for i := 0; i < len(header); i += 2 {
		b.WriteString(c.escape(command, header[i]) + ":" + c.escape(command, header[i+1]) + "\n")
	}
	if command == "SEND" {
		fmt.Fprintf(&b, "content-length:%d\n", len(body))
	}
	b.WriteString("\n")
	b.Write(body)
	b.WriteByte(0)
	kind := core.Text
	if !utf8.Valid(body) {
		kind = core.Binary
	}
	return c.p.Send(kind, b.Bytes())
}

// STOMP 1.2, "Value Encoding"; 1.1 has no \r, 1.0 nothing at all, and CONNECT is never escaped.
func (c *kitClient) escape(command, s string) string {
	switch {
	case command == "CONNECT" || c.version == "1.0":
		return s
	case c.version == "1.1":
		return strings.NewReplacer("\\", "\\\\", "\n", "\\n", ":", "\\c").Replace(s)
	default:
		return strings.NewReplacer("\\", "\\\\", "\n", "\\n", ":", "\\c", "\r", "\\r").Replace(s)
	}
}

func (c *kitClient) unescape(command, s string) string {
	if command == "CONNECTED" || c.version == "1.0" {
		return s
	}
	return strings.NewReplacer("\\\\", "\\", "\\n", "\n", "\\c", ":", "\\r", "\r").Replace(s)
}

// read returns the next frame.
func (c *kitClient) read(timeout time.Duration) (*kitFrame, error) {
	limit := time.Now().Add(timeout)
	for {
		if f := c.parse(); f != nil {
			return f, nil
		}
		_, msg, err := c.p.Receive(time.Until(limit))
		if err != nil {
			return nil, err
		}
		c.buf = append(c.buf, msg...)
	}
}

// parse takes a frame off the buffer, nil when there is not a whole one.
func (c *kitClient) parse() *kitFrame {
	c.buf = bytes.TrimLeft(c.buf, "\r\n")
	head, rest, ok := bytes.Cut(c.buf, []byte("\n\n"))
	if !ok {
		return nil
	}
	lines := strings.Split(string(head), "\n")
	f := &kitFrame{command: lines[0]}
	length := bytes.IndexByte(rest, 0)
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		f.header = append(f.header, core.Field{Name: c.unescape(f.command, name), Value: c.unescape(f.command, value)})
		if name == "content-length" {
			length, _ = strconv.Atoi(value)
		}
	}
	if length < 0 || len(rest) <= length {
		return nil
	}
	f.body = slices.Clone(rest[:length])
	c.buf = rest[length+1:]
	return f
}

// await returns the next frame of a command, and keeps the deliveries before it.
func (c *kitClient) await(command string) (*kitFrame, error) {
	for {
		f, err := c.read(time.Minute)
		switch {
		case err != nil:
			return nil, err
		case f.command == command:
			return f, nil
		case f.command == "ERROR":
			return nil, errors.New(f.get("message"))
		case f.command == "MESSAGE":
			c.early = append(c.early, delivery(f))
		}
	}
}

func delivery(f *kitFrame) protocoltest.Delivery {
	kind, rest, _ := strings.Cut(strings.TrimPrefix(f.get("destination"), "/"), "/")
	if kind == "topic" {
		rest = strings.ReplaceAll(rest, ".", "/")
	}
	return protocoltest.Delivery{
		Destination: kind + "/" + rest, Body: f.body, Header: f.header,
		Redelivered: f.get("redelivered") == "true", Token: f,
	}
}

// spell writes a canonical destination or filter as the dialect auto does.
func spell(dest string) string {
	kind, rest, _ := strings.Cut(dest, "/")
	if kind == "topic" {
		rest = strings.NewReplacer("/", ".", "+", "*").Replace(rest)
	}
	return "/" + kind + "/" + rest
}

func (c *kitClient) Connect(l protocoltest.Login) error {
	header := []string{"host", "/", "accept-version", c.version}
	for _, h := range [][2]string{{"login", l.User}, {"passcode", l.Password}, {"client-id", l.ClientID}} {
		if h[1] != "" {
			header = append(header, h[0], h[1])
		}
	}
	if c.version == "1.0" {
		header = header[4:]
	}
	if err := c.send("CONNECT", nil, header...); err != nil {
		return err
	}
	_, err := c.await("CONNECTED")
	return err
}

// confirmed sends a frame with a receipt and waits for that.
func (c *kitClient) confirmed(command string, body []byte, header ...string) error {
	c.n++
	if err := c.send(command, body, append(header, "receipt", "r"+strconv.Itoa(c.n))...); err != nil {
		return err
	}
	_, err := c.await("RECEIPT")
	return err
}

func (c *kitClient) Subscribe(filter string) error {
	return c.confirmed("SUBSCRIBE", nil, "id", filter, "destination", spell(filter))
}

func (c *kitClient) SubscribeAck(filter string) error {
	ack := "client-individual"
	if c.version == "1.0" {
		ack = "client"
	}
	return c.confirmed("SUBSCRIBE", nil, "id", filter, "destination", spell(filter), "ack", ack)
}

func (c *kitClient) Ack(d protocoltest.Delivery) error {
	f, _ := d.Token.(*kitFrame)
	switch c.version {
	case "1.0":
		return c.send("ACK", nil, "message-id", f.get("message-id"))
	case "1.1":
		return c.send("ACK", nil, "message-id", f.get("message-id"), "subscription", f.get("subscription"))
	default:
		return c.send("ACK", nil, "id", f.get("ack"))
	}
}

func (c *kitClient) Publish(dest string, body []byte) error { return c.PublishHeader(dest, body, nil) }

func (c *kitClient) PublishHeader(dest string, body []byte, header []core.Field) error {
	all := []string{"destination", spell(dest)}
	for _, h := range header {
		all = append(all, h.Name, h.Value)
	}
	return c.send("SEND", body, all...)
}

func (c *kitClient) PublishConfirmed(dest string, body []byte) error {
	return c.confirmed("SEND", body, "destination", spell(dest))
}

func (c *kitClient) Disconnect() error { return c.confirmed("DISCONNECT", nil) }

func (c *kitClient) Receive(timeout time.Duration) (protocoltest.Delivery, error) {
	if len(c.early) > 0 {
		d := c.early[0]
		c.early = c.early[1:]
		return d, nil
	}
	for {
		f, err := c.read(timeout)
		switch {
		case err != nil:
			return protocoltest.Delivery{}, err
		case f.command == "ERROR":
			return protocoltest.Delivery{}, errors.New(f.get("message"))
		case f.command == "MESSAGE":
			return delivery(f), nil
		}
	}
}
