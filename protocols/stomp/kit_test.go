package stomp_test

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/protocoltest"
	"github.com/wyemq/wye/protocols/stomp"
)

// kitClient speaks STOMP 1.2 in raw bytes, and the dialect "slash", in which a topic looks as it does in
// the core.
type kitClient struct {
	*protocoltest.Peer

	stream  []byte // of frames that have not come as a whole
	waiting []kitFrame
	n       int // numbers ids and receipts
}

// kitFrame is a frame with its headers as they come, unescaped.
type kitFrame struct {
	command string
	header  []core.Field
	body    []byte
}

func (f kitFrame) get(name string) string {
	for _, h := range f.header {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

var (
	_ protocoltest.Acker           = (*kitClient)(nil)
	_ protocoltest.Confirmer       = (*kitClient)(nil)
	_ protocoltest.HeaderPublisher = (*kitClient)(nil)
	_ protocoltest.Disconnecter    = (*kitClient)(nil)
)

func (c *kitClient) frame(command string, body []byte, header ...string) error {
	escape := strings.NewReplacer("\\", `\\`, ":", `\c`, "\n", `\n`, "\r", `\r`)
	var b bytes.Buffer
	b.WriteString(command + "\n")
	for i := 0; i+1 < len(header); i += 2 {
		if command == "CONNECT" {
			b.WriteString(header[i] + ":" + header[i+1] + "\n")
			continue
		}
		b.WriteString(escape.Replace(header[i]) + ":" + escape.Replace(header[i+1]) + "\n")
	}
	if body != nil {
		fmt.Fprintf(&b, "content-length:%d\n", len(body))
	}
	b.WriteByte('\n')
	b.Write(body)
	b.WriteByte(0)
	return c.Send(core.Binary, b.Bytes())
}

// next returns the oldest frame that fits, and keeps the others.
func (c *kitClient) next(timeout time.Duration, fits func(kitFrame) bool) (kitFrame, error) {
	until := time.Now().Add(timeout)
	for {
		for i, f := range c.waiting {
			if f.command == "ERROR" {
				return f, fmt.Errorf("%s: %s", f.get("message"), f.body)
			}
			if fits(f) {
				c.waiting = append(c.waiting[:i:i], c.waiting[i+1:]...)
				return f, nil
			}
		}
		_, data, err := c.Peer.Receive(time.Until(until))
		if err != nil {
			return kitFrame{}, err
		}
		c.stream = append(c.stream, data...)
		for c.cut() {
		}
	}
}

// cut takes one frame from the stream.
func (c *kitClient) cut() bool {
	c.stream = bytes.TrimLeft(c.stream, "\n")
	head, rest, ok := bytes.Cut(c.stream, []byte("\n\n"))
	if !ok {
		return false
	}
	unescape := strings.NewReplacer(`\\`, "\\", `\c`, ":", `\n`, "\n", `\r`, "\r")
	lines := strings.Split(string(head), "\n")
	f := kitFrame{command: lines[0]}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		f.header = append(f.header, core.Field{Name: unescape.Replace(name), Value: unescape.Replace(value)})
	}
	n := bytes.IndexByte(rest, 0)
	if length := f.get("content-length"); length != "" {
		n, _ = strconv.Atoi(length)
	}
	if n < 0 || len(rest) <= n {
		return false
	}
	f.body = bytes.Clone(rest[:n])
	c.stream = rest[n+1:]
	c.waiting = append(c.waiting, f)
	return true
}

const patience = time.Minute

func is(command string) func(kitFrame) bool {
	return func(f kitFrame) bool { return f.command == command }
}

func receiptOf(id string) func(kitFrame) bool {
	return func(f kitFrame) bool { return f.command == "RECEIPT" && f.get("receipt-id") == id }
}

func (c *kitClient) Connect(l protocoltest.Login) error {
	header := []string{"accept-version", "1.2", "host", "/"}
	for _, h := range [][2]string{{"client-id", l.ClientID}, {"login", l.User}, {"passcode", l.Password}} {
		if h[1] != "" {
			header = append(header, h[0], h[1])
		}
	}
	if err := c.frame("CONNECT", nil, header...); err != nil {
		return err
	}
	_, err := c.next(patience, is("CONNECTED"))
	return err
}

func (c *kitClient) Subscribe(filter string) error { return c.subscribe(filter, "auto") }
func (c *kitClient) SubscribeAck(filter string) error {
	return c.subscribe(filter, "client-individual")
}

func (c *kitClient) subscribe(filter, ack string) error {
	c.n++
	id := strconv.Itoa(c.n)
	if err := c.frame("SUBSCRIBE", nil, "id", id, "destination", "/"+filter, "ack", ack, "receipt", id); err != nil {
		return err
	}
	_, err := c.next(patience, receiptOf(id))
	return err
}

func (c *kitClient) Publish(dest string, body []byte) error {
	return c.PublishHeader(dest, body, nil)
}

func (c *kitClient) PublishHeader(dest string, body []byte, header []core.Field) error {
	all := []string{"destination", "/" + dest}
	for _, h := range header {
		all = append(all, h.Name, h.Value)
	}
	return c.frame("SEND", append([]byte{}, body...), all...)
}

func (c *kitClient) PublishConfirmed(dest string, body []byte) error {
	c.n++
	id := strconv.Itoa(c.n)
	err := c.frame("SEND", append([]byte{}, body...), "destination", "/"+dest, "receipt", id, "persistent", "true")
	if err != nil {
		return err
	}
	_, err = c.next(patience, receiptOf(id))
	return err
}

func (c *kitClient) Receive(timeout time.Duration) (protocoltest.Delivery, error) {
	f, err := c.next(timeout, is("MESSAGE"))
	if err != nil {
		return protocoltest.Delivery{}, err
	}
	d := protocoltest.Delivery{
		Destination: strings.TrimPrefix(f.get("destination"), "/"), Body: f.body,
		Redelivered: f.get("redelivered") == "true", Token: f.get("ack"),
	}
	for _, h := range f.header {
		switch h.Name {
		case "destination", "subscription", "message-id", "ack", "content-length", "redelivered", "JMSXDeliveryCount",
			"persistent", "timestamp", "retained", "priority":
		default:
			d.Header = append(d.Header, h)
		}
	}
	return d, nil
}

func (c *kitClient) Ack(d protocoltest.Delivery) error {
	id, ok := d.Token.(string)
	if !ok || id == "" {
		return errors.New("a delivery without ack header")
	}
	return c.frame("ACK", nil, "id", id)
}

func (c *kitClient) Disconnect() error {
	if err := c.frame("DISCONNECT", nil, "receipt", "bye"); err != nil {
		return err
	}
	_, err := c.next(patience, receiptOf("bye"))
	return err
}

func suite(t testing.TB, pipe protocoltest.PipeOptions) protocoltest.Suite {
	return protocoltest.Suite{
		New: func(b *core.Broker) core.Protocol {
			cfg := stomp.DefaultConfig()
			cfg.Dialect = stomp.Slash
			p, err := stomp.New(b, cfg, nil)
			if err != nil {
				t.Fatal(err)
			}
			return p
		},
		Client: func(_ testing.TB, p *protocoltest.Peer) protocoltest.Client { return &kitClient{Peer: p} },
		Bodies: [][]byte{
			nil, []byte("hello"), []byte("a\x00b"), []byte("\r\n\r\n\x00\n"), {0xff, 0xfe, 0x00}, []byte("żółw 🐢"), bytes.Repeat([]byte("0123456789"), 10_000),
		},
		Pipe: pipe,
	}
}

// TestProtocol runs the conformance kit, over messages as on a WebSocket and over a stream as on TCP.
func TestProtocol(t *testing.T) {
	t.Run("messages", func(t *testing.T) { protocoltest.Test(t, suite(t, protocoltest.PipeOptions{})) })
	t.Run("stream", func(t *testing.T) { protocoltest.Test(t, suite(t, protocoltest.PipeOptions{Stream: true})) })
}

func FuzzProtocol(f *testing.F) { protocoltest.Fuzz(f, suite(f, protocoltest.PipeOptions{})) }
