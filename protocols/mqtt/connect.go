package mqtt

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/wyemq/wye/core"
)

// connect is what a CONNECT packet asks for.
type connect struct {
	login          core.Login
	keepAlive      uint16
	receiveMaximum int
	expiry         uint32 // as asked for, MQTT 5
	expirySet      bool
	wantsReply     bool // Request Response Information
	authMethod     string
	authData       []byte
	anonymous      bool
	answer         packets.Properties // what the authentication adds to CONNACK
}

// checkVersion refuses protocol names and levels that are not served, before the rest is decoded: nobody knows what
// else they change.
func (p *peer) checkVersion(body []byte) *fault {
	c := cursor{b: body}
	name, level := string(c.bytes()), c.byte()
	switch {
	case c.bad:
		return failure(codeMalformed, "CONNECT ends within the protocol name")
	case name == "MQTT" && (level == 4 || level == 5), name == "MQIsdp" && level == 3:
		p.version = level
		return nil
	case name != "MQTT" && name != "MQIsdp": // [MQTT-3.1.2-1]
		return failure(codeProtocol, "unknown protocol name")
	}
	p.version = 4
	if level > 5 {
		p.version = 5
	}
	return failure(codeBadVersion, fmt.Sprintf("protocol %s level %d is not served, MQTT 3.1, 3.1.1 and 5 are", name, level))
}

// open works off CONNECT: it logs in, answers CONNACK and takes up the session.
func (p *peer) open(pk *packets.Packet) *fault {
	h, f := p.readConnect(pk)
	if f != nil {
		return f
	}
	if f := p.login(h); f != nil {
		return f
	}
	if f := p.writeConnack(h); f != nil {
		return f
	}
	p.begin(h)
	return nil
}

// readConnect returns what a CONNECT asks for.
func (p *peer) readConnect(pk *packets.Packet) (*connect, *fault) {
	k := &pk.Connect
	h := &connect{keepAlive: k.Keepalive, receiveMaximum: math.MaxUint16, anonymous: !k.UsernameFlag && !k.PasswordFlag}
	h.login = core.Login{
		Protocol: "mqtt", Version: versionName(p.version), ClientID: strings.Clone(k.ClientIdentifier), CleanStart: k.Clean,
		User: string(k.Username), Password: string(k.Password), Conn: p.c,
	}
	longest := min(p.proto.cfg.MaxSessionExpiry, p.proto.broker.Limits().SessionExpiry).Truncate(time.Second)
	if p.version < 5 {
		if h.login.ClientID == "" && (p.version == 3 || !k.Clean) { // [MQTT-3.1.3-8] of 3.1.1; 3.1 knows no empty one
			return nil, failure(codeBadClientID, "an empty client identifier")
		}
		if !k.Clean {
			h.login.Expiry = longest
		}
	} else {
		props := &pk.Properties
		h.expiry, h.expirySet = props.SessionExpiryInterval, props.SessionExpiryIntervalFlag
		h.login.Expiry = min(time.Duration(h.expiry)*time.Second, longest)
		if props.ReceiveMaximum > 0 {
			h.receiveMaximum = int(props.ReceiveMaximum)
		}
		h.wantsReply = props.RequestResponseInfo == 1
		h.authMethod, h.authData = strings.Clone(props.AuthenticationMethod), append([]byte(nil), props.AuthenticationData...)
		if h.authMethod == "" && props.AuthenticationData != nil {
			return nil, failure(codeProtocol, "authentication data without a method")
		}
		p.quiet = props.RequestProblemInfoFlag && props.RequestProblemInfo == 0
		p.maxPacket = int(props.MaximumPacketSize)
		if k.PasswordFlag && !k.UsernameFlag {
			h.login.Token = h.login.Password
		}
	}
	h.login.Credit = min(h.receiveMaximum, p.proto.cfg.MaxInflight)
	p.window = h.login.Credit
	if k.WillFlag {
		will, delay, f := p.willOf(pk)
		if f != nil {
			return nil, f
		}
		h.login.Will, h.login.WillDelay = will, delay
	}
	return h, nil
}

func versionName(level byte) string {
	switch level {
	case 3:
		return "3.1"
	case 4:
		return "3.1.1"
	default:
		return "5"
	}
}

// login opens the session.
func (p *peer) login(h *connect) *fault {
	if f := p.authenticate(h); f != nil {
		return f
	}
	asked := h.login.ClientID
	s, err := p.proto.broker.Connect(p.ctx, h.login, p.deliver)
	if err != nil {
		f := &fault{connectCode(err, h.anonymous), reasonText(err), err}
		if f.code == codeBadLogin {
			f.text = "bad user name or password" // which of them is nobody's business
		}
		return f
	}
	p.session = s
	p.durable = h.login.Expiry > 0
	p.assigned = asked == ""
	return nil
}

// writeConnack says yes.
func (p *peer) writeConnack(h *connect) *fault {
	_, resumed := p.session.Resumed()
	pk := packets.Packet{
		ProtocolVersion: p.version, FixedHeader: packets.FixedHeader{Type: packets.Connack},
		SessionPresent: resumed && p.version > 3, // 3.1 reserves the byte
	}
	if p.version == 5 {
		pk.Properties = p.granted(h)
		pk.Mods.AllowResponseInfo = h.wantsReply // [MQTT-3.1.2-28]
	}
	var b bytes.Buffer
	if err := pk.ConnackEncode(&b); err != nil {
		return faultOf(err)
	}
	if p.maxPacket > 0 && b.Len() > p.maxPacket { // [MQTT-3.1.2-24]
		return failure(codeTooLarge, "CONNACK is larger than the client's maximum packet size")
	}
	if err := p.write(b.Bytes()); err != nil {
		return &fault{codeUnspecified, "write failed", err}
	}
	return nil
}

// granted says what the client may have.
func (p *peer) granted(h *connect) packets.Properties {
	cfg := &p.proto.cfg
	props := packets.Properties{
		ReceiveMaximum: uint16(cfg.ReceiveMaximum), MaximumPacketSize: uint32(cfg.MaxPacketSize), TopicAliasMaximum: uint16(cfg.TopicAliasMaximum),
		RetainAvailableFlag: !cfg.Retain, WildcardSubAvailable: 1, WildcardSubAvailableFlag: true,
		SubIDAvailable: 1, SubIDAvailableFlag: true, SharedSubAvailable: 1, SharedSubAvailableFlag: true,
		MaximumQos: byte(cfg.MaxQoS), MaximumQosFlag: cfg.MaxQoS < 2,
		AuthenticationMethod: h.answer.AuthenticationMethod, AuthenticationData: h.answer.AuthenticationData,
	}
	if p.assigned {
		props.AssignedClientID = p.session.ID() // [MQTT-3.2.2-16]
	}
	if granted := uint32(h.login.Expiry / time.Second); h.expirySet && granted != h.expiry { // [MQTT-3.2.2-21]
		props.SessionExpiryInterval, props.SessionExpiryIntervalFlag = granted, true
	}
	if longest := uint16(cfg.MaxKeepAlive / time.Second); longest > 0 && (h.keepAlive == 0 || h.keepAlive > longest) {
		h.keepAlive = longest
		props.ServerKeepAlive, props.ServerKeepAliveFlag = longest, true // [MQTT-3.2.2-22]
	}
	if h.wantsReply {
		_, own, _ := topicOf(p.session.Temp(""))
		props.ResponseInfo = replyPrefix + own
	}
	return props
}

// begin starts the session after its CONNACK.
func (p *peer) begin(h *connect) {
	p.connected = true
	p.c.LoggedIn()
	p.in.limit = p.proto.cfg.MaxPacketSize
	p.in.wait = time.Duration(h.keepAlive) * time.Second * 3 / 2 // [MQTT-3.1.2-22]
	if h.keepAlive == 0 {
		_ = p.c.SetReadDeadline(time.Time{})
	}
	if h.authMethod != "" {
		p.authMethod = h.authMethod
	}
	if err := p.resume(); err != nil {
		p.c.Close(fmt.Errorf("resume session: %w", err))
	}
}

// disconnect works off the client's goodbye.
func (p *peer) disconnect(pk *packets.Packet) *fault {
	if p.version == 5 && pk.Properties.SessionExpiryIntervalFlag {
		seconds := pk.Properties.SessionExpiryInterval
		if seconds > 0 && !p.durable { // [MQTT-3.14.2-2]
			return failure(codeProtocol, "DISCONNECT sets a session expiry that CONNECT had at 0")
		}
		p.session.SetExpiry(min(time.Duration(seconds)*time.Second, p.proto.cfg.MaxSessionExpiry))
	}
	if pk.ReasonCode == codeSuccess { // [MQTT-3.14.4-3]
		p.session.DropWill()
	}
	return nil
}

// drainTime bounds how long a connection that ends waits for the acknowledgement of what it has published.
const drainTime = 2 * time.Second

// finish ends the session and says goodbye. The last packet leaves before the transport closes the connection.
func (p *peer) finish(err error) error {
	f := faultOf(err)
	if !p.connected && f != nil && f.code == codeKeepAlive {
		f = failure(codeMaxConnectTime, "no CONNECT in time")
	}
	gone := f == nil && !p.left && lost(err)
	switch {
	case f != nil:
		err = f
	case !gone:
		err = nil
	}
	p.release() // others need not wait for the end
	if p.session != nil {
		if !gone {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), drainTime)
			p.settleAcked()
			_ = p.session.Drain(ctx)
			cancel()
		}
		p.keep()
		_ = p.session.CloseWith(err) // nothing is delivered or acknowledged after it
	}
	p.in.release()
	if f != nil {
		p.goodbye(f)
	}
	if !gone {
		_ = p.c.Flush()
	}
	return err
}

// goodbye writes the last packet: CONNACK when there was none, else DISCONNECT.
func (p *peer) goodbye(f *fault) {
	switch {
	case p.version == 0:
	case !p.connected && p.version < 5:
		if code, ok := v3Connect(f.code); ok {
			_ = p.write([]byte{packets.Connack << 4, 2, 0, code})
		}
	case !p.connected:
		_ = p.write(p.reasonPacket(packets.Connack<<4, []byte{0, connackCode(f.code)}, f.text))
	case p.version == 5:
		_ = p.write(p.reasonPacket(packets.Disconnect<<4, []byte{f.code}, f.text))
	}
}

// connackCode replaces the codes that CONNACK does not have, section 3.2.2.2.
func connackCode(code byte) byte {
	switch code {
	case codeShutdown:
		return codeUnavailable
	case codeAdministrative:
		return 0x8A
	case codeTakenOver, codeKeepAlive, codeMaxConnectTime:
		return codeUnspecified
	}
	return code
}
