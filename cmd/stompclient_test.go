package wyecmd_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// stompClient speaks STOMP frame by frame, so that a test sees each answer.
type stompClient struct {
	t  *testing.T
	nc net.Conn
	r  *bufio.Reader
	n  int
	// heard are the bodies of the messages that came, in order.
	heard []string
}

// stompAnswer is one of the server's.
type stompAnswer struct{ command, head, body string }

// header returns the first value of a header.
func (f stompAnswer) header(name string) string {
	for line := range strings.SplitSeq(f.head, "\n") {
		if k, v, _ := strings.Cut(line, ":"); k == name {
			return v
		}
	}
	return ""
}

// stompConnect logs in, with more headers of CONNECT as "name:value". A refusal is returned as the ERROR it is.
func stompConnect(t *testing.T, nc net.Conn, user, password string, headers ...string) (*stompClient, stompAnswer) {
	t.Helper()
	c := &stompClient{t: t, nc: nc, r: bufio.NewReader(nc)}
	head := append([]string{"accept-version:1.2", "heart-beat:0,0"}, headers...)
	if !slices.ContainsFunc(headers, func(h string) bool { return strings.HasPrefix(h, "host:") }) {
		head = append(head, "host:/")
	}
	if user != "" {
		head = append(head, "login:"+user, "passcode:"+password)
	}
	c.send("CONNECT", "", head...)
	return c, c.read()
}

func (c *stompClient) send(command, body string, headers ...string) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c.nc, "%s\n%s\n\n%s\x00", command, strings.Join(headers, "\n"), body); err != nil {
		c.t.Fatalf("%s: %v", command, err)
	}
}

// read returns the next frame; one without a command when the connection ended.
func (c *stompClient) read() stompAnswer {
	c.t.Helper()
	if err := c.nc.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		c.t.Fatal(err)
	}
	text, err := c.r.ReadString(0)
	if err == io.EOF || errors.As(err, new(*websocket.CloseError)) {
		return stompAnswer{}
	}
	if err != nil {
		c.t.Fatalf("read: %v", err)
	}
	head, body, _ := strings.Cut(strings.TrimLeft(text, "\n"), "\n\n")
	command, head, _ := strings.Cut(head, "\n")
	return stompAnswer{command, head, strings.TrimSuffix(body, "\x00")}
}

// do sends a frame with a receipt and returns the answer: RECEIPT or ERROR. Messages that come before are kept.
func (c *stompClient) do(command, body string, headers ...string) stompAnswer {
	c.t.Helper()
	c.n++
	id := fmt.Sprint("r", c.n)
	c.send(command, body, append(headers, "receipt:"+id)...)
	for {
		f := c.read()
		if f.command == "MESSAGE" {
			c.heard = append(c.heard, f.body)
			continue
		}
		if f.command != "" && f.header("receipt-id") != id {
			c.t.Fatalf("%s %v: answered by %+v", command, headers, f)
		}
		return f
	}
}

// ok is do for what must be answered by RECEIPT.
func (c *stompClient) ok(command, body string, headers ...string) {
	c.t.Helper()
	if f := c.do(command, body, headers...); f.command != "RECEIPT" {
		c.t.Fatalf("%s %v: %+v", command, headers, f)
	}
}

// refused wants a frame answered by ERROR not_authorized, with the connection still there.
func (c *stompClient) refused(command, body string, headers ...string) {
	c.t.Helper()
	if f := c.do(command, body, headers...); f.command != "ERROR" || f.header("reason") != "not_authorized" {
		c.t.Errorf("%s %v: %+v, want a refusal", command, headers, f)
	}
}

// next returns the body of the next message.
func (c *stompClient) next() string {
	c.t.Helper()
	if len(c.heard) == 0 {
		f := c.read()
		if f.command != "MESSAGE" {
			c.t.Fatalf("got %+v, want a message", f)
		}
		c.heard = append(c.heard, f.body)
	}
	body := c.heard[0]
	c.heard = c.heard[1:]
	return body
}
