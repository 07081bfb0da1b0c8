package stomp_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/engine/memory"
	"github.com/wyemq/wye/protocols/stomp"
	"github.com/wyemq/wye/protocols/stomp/frame"
)

// house is a broker with the protocol, in a synctest bubble.
type house struct {
	t      testing.TB
	broker *core.Broker
	p      *stomp.Protocol
	ctx    context.Context
	stop   context.CancelFunc
	peers  []*peer
	nextID int
}

type option func(*core.Options, *stomp.Config)

func newHouse(t testing.TB, opts ...option) *house {
	t.Helper()
	cfg := stomp.DefaultConfig()
	o := core.Options{Engine: memory.New(), Version: "1.2.3", Anonymous: core.AnonymousAlways}
	for _, opt := range opts {
		opt(&o, &cfg)
	}
	b, err := core.NewBroker(o)
	if err != nil {
		t.Fatal(err)
	}
	p, err := stomp.New(b, cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	return &house{t: t, broker: b, p: p, ctx: ctx, stop: stop}
}

// close ends everything and waits.
func (h *house) close() {
	h.t.Helper()
	h.stop()
	for _, p := range h.peers {
		<-p.done
	}
	if err := h.broker.Close(context.Background()); err != nil {
		h.t.Error(err)
	}
}

// peer is a client of the protocol.
type peer struct {
	h       *house
	conn    *memConn
	done    chan struct{}
	err     error
	version frame.Version
	frames  []frame.Frame
	kinds   []core.Kind
	parser  *frame.Parser
	left    bool
}

func (h *house) peer(info core.ConnInfo) *peer {
	h.nextID++
	info.ID = fmt.Sprintf("c%d", h.nextID)
	p := &peer{h: h, conn: newConn(h.ctx, info), done: make(chan struct{}), parser: frame.NewParser(frame.DefaultLimits())}
	h.peers = append(h.peers, p)
	go func() {
		defer close(p.done)
		p.err = h.p.ServeConn(h.ctx, p.conn)
	}()
	return p
}

// login returns a peer that has sent CONNECT for a version, with more header lines, and got CONNECTED.
func (h *house) login(version string, headers ...string) *peer {
	h.t.Helper()
	p := h.peer(core.ConnInfo{})
	p.send("CONNECT", append([]string{"accept-version:" + version, "host:/"}, headers...), "")
	if f := p.frame(); f.Command != "CONNECTED" {
		h.t.Fatalf("login: got %s %v %q", f.Command, f.Header, f.Body)
	}
	return p
}

// raw sends octets as one message.
func (p *peer) raw(data string) {
	p.conn.in <- []byte(data)
	synctest.Wait()
}

// send sends a frame made of header lines.
func (p *peer) send(command string, headers []string, body string) {
	lines := append([]string{command}, headers...)
	p.raw(strings.Join(lines, "\n") + "\n\n" + body + "\x00")
}

// do is send without a body.
func (p *peer) do(command string, headers ...string) { p.send(command, headers, "") }

// leave closes the client's end.
func (p *peer) leave() {
	if !p.left {
		p.left = true
		close(p.conn.eof)
	}
	synctest.Wait()
}

// collect parses what has arrived. Heart-beats are frames without a command.
func (p *peer) collect() {
	synctest.Wait()
	for {
		m, ok := p.conn.take()
		if !ok {
			return
		}
		if string(m.data) == "\n" {
			p.frames, p.kinds = append(p.frames, frame.Frame{}), append(p.kinds, m.kind)
			continue
		}
		p.parser.SetVersion(p.version)
		f, rest, err := p.parser.Next(m.data)
		if err != nil || f == nil || len(rest) > 0 {
			p.h.t.Fatalf("a message that is not one frame: %q: %v", m.data, err)
		}
		if f.Command == frame.Connected {
			v, _ := f.Get("version")
			p.version = map[string]frame.Version{"1.0": frame.V10, "1.1": frame.V11, "1.2": frame.V12}[v]
		}
		c := frame.Frame{Command: f.Command, Header: append([]frame.Field(nil), f.Header...), Body: f.Body}
		p.frames, p.kinds = append(p.frames, c), append(p.kinds, m.kind)
	}
}

// frame returns the next frame.
func (p *peer) frame() frame.Frame {
	p.h.t.Helper()
	p.collect()
	if len(p.frames) == 0 {
		p.h.t.Fatal("no frame has come")
	}
	f := p.frames[0]
	p.frames, p.kinds = p.frames[1:], p.kinds[1:]
	return f
}

// expect returns the next frame with a command. Receipts and messages come in no order that is promised.
func (p *peer) expect(command string) frame.Frame {
	p.h.t.Helper()
	p.collect()
	for i, f := range p.frames {
		if f.Command == command {
			p.frames, p.kinds = slices.Delete(p.frames, i, i+1), slices.Delete(p.kinds, i, i+1)
			return f
		}
	}
	all := ""
	for _, f := range p.frames {
		all += "\n" + text(f)
	}
	p.h.t.Fatalf("want %s, got%s", command, all)
	return frame.Frame{}
}

// message expects a MESSAGE with a body.
func (p *peer) message(body string) frame.Frame {
	p.h.t.Helper()
	f := p.expect("MESSAGE")
	if string(f.Body) != body {
		p.h.t.Fatalf("got %s, want body %q", text(f), body)
	}
	return f
}

// nothing expects no frame.
func (p *peer) nothing() {
	p.h.t.Helper()
	p.collect()
	if len(p.frames) > 0 {
		p.h.t.Fatalf("got %s, want nothing", text(p.frames[0]))
	}
}

// ended expects that the connection has ended for a reason.
func (p *peer) ended(reason error) {
	p.h.t.Helper()
	synctest.Wait()
	select {
	case <-p.done:
	default:
		p.h.t.Fatal("the connection is still served")
	}
	if !errors.Is(p.err, reason) {
		p.h.t.Errorf("the connection ended with %v, want %v", p.err, reason)
	}
}

func text(f frame.Frame) string {
	return fmt.Sprintf("%q", frame.Append(nil, frame.V10, &f))
}

func get(f frame.Frame, name string) string {
	v, _ := f.Get(name)
	return v
}

func bubble(t *testing.T, fn func(t *testing.T, h *house), opts ...option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, opts...)
		defer h.close()
		fn(t, h)
	})
}
