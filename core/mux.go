package core

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"strings"
)

// sniffLen is how many bytes decide at most.
const sniffLen = 512

// Mux picks the protocol of each connection: by subprotocol, then by path, then by Sniff in the
// given order. It does not change after it was made.
type Mux struct {
	log       *slog.Logger
	protocols []Protocol
	tokens    []token
	paths     map[string]Protocol
	door      Doorkeeper // may be nil
}

// token is a subprotocol and who serves it; rank is its place in the protocol's own list, best first.
type token struct {
	name     string
	protocol Protocol
	rank     int
}

var (
	_ Handler    = (*Mux)(nil)
	_ Doorkeeper = (*Mux)(nil)
)

// NewMux returns a Mux of ps. A name, subprotocol or path claimed twice is an error.
func NewMux(log *slog.Logger, ps ...Protocol) (*Mux, error) {
	m := &Mux{log: log, paths: make(map[string]Protocol)}
	for _, p := range ps {
		if m.byName(p.Name()) != nil {
			return nil, fmt.Errorf("protocol %q is there twice", p.Name())
		}
		m.protocols = append(m.protocols, p)
		for rank, name := range p.Subprotocols() {
			if t := m.find(name); t != nil {
				return nil, fmt.Errorf("subprotocol %q is claimed by %s and by %s", name, t.protocol.Name(), p.Name())
			}
			m.tokens = append(m.tokens, token{name, p, rank})
		}
		pather, ok := p.(Pather)
		if !ok {
			continue
		}
		for _, path := range pather.Paths() {
			if other := m.paths[path]; other != nil {
				return nil, fmt.Errorf("path %q is claimed by %s and by %s", path, other.Name(), p.Name())
			}
			m.paths[path] = p
		}
	}
	return m, nil
}

// Only returns a Mux of the protocols named, in that order; none: of all. An unknown name is an error.
func (m *Mux) Only(names ...string) (*Mux, error) {
	if len(names) == 0 {
		return m, nil
	}
	ps := make([]Protocol, 0, len(names))
	for _, name := range names {
		p := m.byName(name)
		if p == nil {
			return nil, fmt.Errorf("unknown protocol %q, there are: %s", name, strings.Join(m.Names(), ", "))
		}
		ps = append(ps, p)
	}
	only, err := NewMux(m.log, ps...)
	if err == nil {
		only.door = m.door
	}
	return only, err
}

// KeptBy makes d what Admit and Refused ask and tell: the [Broker], in production. It is called before the Mux is used.
func (m *Mux) KeptBy(d Doorkeeper) { m.door = d }

// Admit implements [Doorkeeper].
func (m *Mux) Admit() error {
	if m.door == nil {
		return nil
	}
	return m.door.Admit()
}

// Refused implements [Doorkeeper].
func (m *Mux) Refused(info *ConnInfo, err error) {
	if m.door != nil {
		m.door.Refused(info, err)
	}
}

// Names lists the protocols in order.
func (m *Mux) Names() []string {
	names := make([]string, len(m.protocols))
	for i, p := range m.protocols {
		names[i] = p.Name()
	}
	return names
}

func (m *Mux) byName(name string) Protocol {
	for _, p := range m.protocols {
		if p.Name() == name {
			return p
		}
	}
	return nil
}

// find looks a token up: exactly, then without regard to case.
func (m *Mux) find(name string) *token {
	for i := range m.tokens {
		if m.tokens[i].name == name {
			return &m.tokens[i]
		}
	}
	for i := range m.tokens {
		if strings.EqualFold(m.tokens[i].name, name) {
			return &m.tokens[i]
		}
	}
	return nil
}

// Subprotocols implements [Handler].
func (m *Mux) Subprotocols() []string {
	names := make([]string, len(m.tokens))
	for i, t := range m.tokens {
		names[i] = t.name
	}
	return names
}

// Select implements [Handler]: the protocol of the first known token, and of that protocol the
// best token that was offered.
func (m *Mux) Select(offered []string) (string, bool) {
	var best *token
	var spelled string
	for _, name := range offered {
		t := m.find(name)
		if t == nil || best != nil && (t.protocol != best.protocol || t.rank >= best.rank) {
			continue
		}
		best, spelled = t, name
	}
	return spelled, best != nil
}

// ServeConn implements [Handler]. A panic of the protocol costs this connection only: it is logged
// with its stack and becomes an error wrapping ErrInternal.
func (m *Mux) ServeConn(ctx context.Context, c Conn) (err error) {
	name := ""
	defer func() {
		if r := recover(); r != nil {
			m.log.Error("panic while serving a connection", "protocol", name, "conn", c.Info().ID,
				"remote", c.Info().Remote, "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("%s: %w", name, ErrInternal)
		}
	}()
	p, c, err := m.pick(c)
	if err != nil {
		return err
	}
	name = p.Name()
	return p.ServeConn(ctx, c)
}

// pick returns the protocol of c, and c with whatever was read of it put back.
func (m *Mux) pick(c Conn) (Protocol, Conn, error) {
	info := c.Info()
	if info.Subprotocol != "" {
		if t := m.find(info.Subprotocol); t != nil {
			return t.protocol, c, nil
		}
		return nil, nil, fmt.Errorf("subprotocol %q: %w", info.Subprotocol, ErrUnsupported)
	}
	_, path, _ := cutPath(info.Path)
	if p := m.paths[strings.TrimRight(path, "/")]; p != nil && path != "" {
		return p, c, nil
	}
	if len(m.protocols) == 1 {
		return m.protocols[0], c, nil
	}
	return m.sniff(c)
}

func (m *Mux) sniff(c Conn) (Protocol, Conn, error) {
	kind, r, err := c.NextReader()
	if err != nil {
		return nil, nil, err
	}
	var buf [sniffLen]byte
	n := 0
	for n < len(buf) {
		k, err := r.Read(buf[n:])
		n += k
		if p, more := m.ask(buf[:n]); p != nil {
			return p, &sniffed{Conn: c, kind: kind, r: io.MultiReader(bytes.NewReader(bytes.Clone(buf[:n])), r)}, nil
		} else if !more {
			break
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
	}
	known := strings.Join(m.Names(), ", ")
	return nil, nil, fmt.Errorf("the first bytes belong to none of the protocols served (%s): %w", known, ErrInvalid)
}

// ask returns the protocol that says Yes, or whether one wants more bytes.
func (m *Mux) ask(prefix []byte) (p Protocol, more bool) {
	for _, p := range m.protocols {
		s, ok := p.(Sniffer)
		if !ok {
			continue
		}
		switch s.Sniff(prefix) {
		case Yes:
			return p, false
		case More:
			more = true
		case No:
		}
	}
	return nil, more
}

// sniffed is a Conn whose first message was begun to be read.
type sniffed struct {
	Conn
	kind Kind
	r    io.Reader
}

// HeldBack implements [Holder], if the Conn below does.
func (s *sniffed) HeldBack() {
	if h, ok := s.Conn.(Holder); ok {
		h.HeldBack()
	}
}

// NextReader returns the message that was sniffed, then those of the Conn below.
func (s *sniffed) NextReader() (Kind, io.Reader, error) {
	if r := s.r; r != nil {
		s.r = nil
		return s.kind, r, nil
	}
	return s.Conn.NextReader()
}
