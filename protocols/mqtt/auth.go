package mqtt

import (
	"context"
	"fmt"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/wyemq/wye/core"
)

// Authentication is a method of enhanced authentication, MQTT 5 section 4.12. What a client asks for that nobody offers is refused
// with Bad Authentication Method.
type Authentication interface {
	// Method is the name that clients give, as in "SCRAM-SHA-256".
	Method() string
	// Begin starts an exchange with one client. It is called from many goroutines.
	Begin() Exchange
}

// Exchange is one authentication. Its calls come one after the other.
type Exchange interface {
	// Next takes what the client has sent and returns what it is answered. done ends the exchange: the client is who it says. It
	// may change l, and then gives User, Password or Token in it to the Authenticators of the broker, who still
	// decide. In a re-authentication l begins empty; credentials left in it take the place of those that the session
	// has, and must be the same user's. An error refuses the client.
	Next(ctx context.Context, l *core.Login, data []byte) (answer []byte, done bool, err error)
}

// Bearer is an [Authentication] of one step: the data of CONNECT, and of AUTH later, is a token, which the Authenticators of
// the broker look at.
type Bearer struct{}

// Method returns "bearer".
func (Bearer) Method() string { return "bearer" }

// Begin implements Authentication.
func (Bearer) Begin() Exchange { return bearing{} }

type bearing struct{}

// Next implements Exchange.
func (bearing) Next(_ context.Context, l *core.Login, data []byte) (answer []byte, done bool, err error) {
	if len(data) == 0 {
		return nil, false, fmt.Errorf("no token: %w", core.ErrLogin)
	}
	l.User, l.Password, l.Token = "", "", string(data)
	return nil, true, nil
}

// authenticate runs the exchange that CONNECT asks for, if it does.
func (p *peer) authenticate(h *connect) *fault {
	if h.authMethod == "" {
		return nil
	}
	x := p.begins(h.authMethod)
	if x == nil {
		return failure(codeBadMethod, fmt.Sprintf("authentication method %q is not offered", clip(h.authMethod)))
	}
	data := h.authData
	h.anonymous = false
	h.authData = nil
	for {
		answer, done, err := x.Next(p.ctx, &h.login, data)
		if err != nil {
			return &fault{codeDenied, reasonText(err), fmt.Errorf("authentication method %s: %w: %w", h.authMethod, core.ErrLogin, err)}
		}
		if done {
			h.answer = packets.Properties{AuthenticationMethod: h.authMethod, AuthenticationData: answer}
			return nil
		}
		p.dirty = true
		if err := p.writeAuth(codeContinueAuth, h.authMethod, answer); err != nil {
			return &fault{codeUnspecified, "write failed", err}
		}
		var f *fault
		if data, f = p.readAuth(h.authMethod); f != nil {
			return f
		}
	}
}

func (p *peer) begins(method string) Exchange {
	for _, a := range p.proto.cfg.Authentications {
		if a.Method() == method {
			return a.Begin()
		}
	}
	return nil
}

// readAuth reads the client's next AUTH before CONNACK.
func (p *peer) readAuth(method string) ([]byte, *fault) {
	packet, header, err := p.in.next()
	if err != nil {
		if f := faultOf(err); f != nil {
			return nil, f
		}
		return nil, &fault{codeUnspecified, "the connection was lost", err}
	}
	if packet[0] != packets.Auth<<4 { // [MQTT-3.1.2-30]
		return nil, failure(codeProtocol, "something else than AUTH before CONNACK")
	}
	if f := inspect(5, packet, header); f != nil {
		return nil, f
	}
	pk := packets.Packet{ProtocolVersion: 5, FixedHeader: packets.FixedHeader{Type: packets.Auth, Remaining: len(packet) - header}}
	if err := pk.AuthDecode(append([]byte(nil), packet[header:]...)); err != nil {
		return nil, faultOf(err)
	}
	if pk.ReasonCode != codeContinueAuth || pk.Properties.AuthenticationMethod != method {
		return nil, failure(codeProtocol, "AUTH with another reason or method")
	}
	return pk.Properties.AuthenticationData, nil
}

// reauthenticate works off AUTH after CONNACK.
func (p *peer) reauthenticate(pk *packets.Packet) *fault {
	switch {
	case p.authMethod == "" || pk.Properties.AuthenticationMethod != p.authMethod: // [MQTT-4.12.1-1]
		return failure(codeProtocol, "AUTH with a method that CONNECT did not have")
	case pk.ReasonCode == codeReAuth:
		p.exchange, p.renewed = p.begins(p.authMethod), core.Login{}
	case pk.ReasonCode != codeContinueAuth || p.exchange == nil:
		return failure(codeProtocol, "AUTH continues what was not begun")
	}
	answer, done, err := p.exchange.Next(p.ctx, &p.renewed, pk.Properties.AuthenticationData)
	if err != nil {
		return &fault{codeDenied, reasonText(err), fmt.Errorf("re-authentication: %w: %w", core.ErrLogin, err)}
	}
	if l := &p.renewed; done && (l.User != "" || l.Password != "" || l.Token != "") {
		err := p.session.Refresh(p.ctx, core.Login{User: l.User, Password: l.Password, Token: l.Token})
		if err != nil {
			return &fault{codeDenied, reasonText(err), fmt.Errorf("re-authentication: %w", err)}
		}
	}
	code := byte(codeContinueAuth)
	if done {
		code, p.exchange = codeSuccess, nil
	}
	p.dirty = true
	if err := p.writeAuth(code, p.authMethod, answer); err != nil {
		return &fault{codeUnspecified, "write failed", err}
	}
	return nil
}

// writeAuth writes AUTH.
func (p *peer) writeAuth(code byte, method string, data []byte) error {
	props := appendString([]byte{packets.PropAuthenticationMethod}, method)
	if len(data) > 0 {
		props = appendString(append(props, packets.PropAuthenticationData), string(data))
	}
	b := appendVarint([]byte{packets.Auth << 4}, 1+varintLen(len(props))+len(props))
	b = append(appendVarint(append(b, code), len(props)), props...)
	return p.say(b)
}
