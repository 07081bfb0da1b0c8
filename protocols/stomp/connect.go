package stomp

import (
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/protocols/stomp/frame"
)

// versionList is what the broker speaks, for the ERROR to a client that speaks none of it.
const versionList = "1.0,1.1,1.2"

// versionError is the refusal of a client's versions.
type versionError struct{ accept string }

func (e *versionError) Error() string {
	return fmt.Sprintf("none of the versions %q is supported, supported protocol versions are 1.0 1.1 1.2: %v", e.accept, core.ErrUnsupported)
}

func (*versionError) Unwrap() error { return core.ErrUnsupported }

// negotiate returns the highest common version. A client that does not say speaks 1.0
// (STOMP 1.1, "Protocol Negotiation").
func negotiate(f *frame.Frame) (frame.Version, error) {
	accept, ok := f.Get("accept-version")
	if !ok {
		return frame.V10, nil
	}
	best := frame.Raw
	for v := range strings.SplitSeq(accept, ",") {
		switch strings.TrimSpace(v) {
		case "1.0":
			best = max(best, frame.V10)
		case "1.1":
			best = max(best, frame.V11)
		case "1.2":
			best = max(best, frame.V12)
		}
	}
	if best == frame.Raw {
		return 0, &versionError{accept}
	}
	return best, nil
}

// login expects CONNECT or STOMP and opens the session.
func (s *session) login(f *frame.Frame) error {
	if f.Command != frame.Connect && f.Command != frame.Stomp {
		return fmt.Errorf("%s before login, the first frame must be CONNECT or STOMP: %w", f.Command, core.ErrInvalid)
	}
	if len(f.Body) > 0 {
		return fmt.Errorf("a %s frame must not have a body: %w", f.Command, core.ErrInvalid)
	}
	version, err := negotiate(f)
	if err != nil {
		return err
	}
	beat, err := parseHeartBeat(f, version)
	if err != nil {
		return err
	}
	l := core.Login{Protocol: s.p.Name(), Version: version.String(), Conn: s.conn}
	l.User, _ = f.Get("login")
	l.Password, _ = f.Get("passcode")
	l.VHost, _ = f.Get("host")
	l.ClientID, _ = f.Get("client-id")
	l.Token = token(f)
	s.version, s.client = version, l.ClientID
	opened, err := s.p.broker.Connect(s.ctx, l, s.deliver)
	if err != nil {
		s.version = frame.Raw
		return fmt.Errorf("%s: %w", f.Command, err)
	}
	s.open(opened)
	s.conn.LoggedIn()
	if err := s.connected(); err != nil {
		return err
	}
	s.beat.start(s, beat)
	s.p.log.Debug("client logged in", "conn", s.conn.Info().ID, "client", opened.ID(), "version", version.String())
	return nil
}

// token is a bearer token, under the names that clients use.
func token(f *frame.Frame) string {
	for _, name := range []string{"token", "access_token"} {
		if t, ok := f.Get(name); ok {
			return t
		}
	}
	for _, name := range []string{"Authorization", "authorization"} {
		if t, ok := f.Get(name); ok && len(t) > 7 && strings.EqualFold(t[:7], "Bearer ") {
			return strings.TrimSpace(t[7:])
		}
	}
	return ""
}

// open makes the session ready for frames.
func (s *session) open(opened *core.Session) {
	s.core = opened
	if _, found := opened.Resumed(); found {
		// Another protocol's session of this client, with messages in it, does not end with this connection.
		opened.SetExpiry(s.p.broker.Limits().SessionExpiry)
	}
	s.parser.SetVersion(s.version)
	s.parser.SetLimits(frame.Limits{Headers: s.p.cfg.MaxHeaders, HeaderBytes: s.p.cfg.MaxHeaderBytes, Body: s.p.cfg.MaxBody})
	s.reader.temp = opened.Temp
	s.subs = make(map[string]*subscription)
	s.temps = make(map[string]int)
	s.acks = strings.ToLower(rand.Text()[:8]) + "-" // an ack of an earlier connection matches nothing
	s.sent = func(_ core.Published, err error) {
		if err != nil {
			s.refuseLater(fmt.Errorf("%s: %w", frame.Send, err), "")
		}
	}
}

// connected answers a login. CONNECTED is never escaped, so that 1.0 clients can read it.
func (s *session) connected() error {
	server := "wye"
	if v := s.p.broker.Version(); v != "" {
		server += "/" + v
	}
	return s.write(func(b []byte) []byte {
		b = frame.AppendCommand(b, frame.Connected)
		b = frame.AppendHeader(b, frame.Raw, "version", s.version.String())
		b = frame.AppendHeader(b, frame.Raw, "session", s.core.ID())
		b = frame.AppendHeader(b, frame.Raw, "server", server)
		if s.version != frame.V10 {
			b = frame.AppendHeader(b, frame.Raw, "heart-beat", offer(s.p.cfg.HeartBeat))
		}
		if name := s.core.Principal().Name; name != "" {
			b = frame.AppendHeader(b, frame.Raw, "user-name", name)
		}
		return frame.AppendBody(b, nil)
	})
}
