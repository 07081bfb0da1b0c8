package mqtt

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/wyemq/wye/core"
)

// client is one connection.
type client struct {
	p       *Protocol
	ctx     context.Context
	conn    core.Conn
	mochi   *mochi.Client
	session *core.Session
	version byte // 3, 4, 5

	// Of the reading goroutine.
	ours      bool // our code runs, not mochi's decoder
	left      bool // DISCONNECT was received
	reason    error
	readErr   error
	code      byte // reason code of mochi's
	toldWhy   bool // DISCONNECT was sent
	keepAlive time.Duration
	expires   bool // the session outlives its connection
	assigned  bool // the client id was made up
	aliases   map[uint16]string
	maxPacket int // the largest the client takes

	gate sync.Mutex // held while a SUBSCRIBE is answered: SUBACK comes before the messages

	inbound  inbound
	outbound outbound

	// Of DeliverFunc.
	parts [5][]byte
	pid   [2]byte
	work  []byte
}

func newClient(ctx context.Context, p *Protocol, c core.Conn) *client {
	return &client{p: p, ctx: ctx, conn: c, maxPacket: math.MaxInt}
}

// end closes the session, if there is one.
func (cl *client) end() {
	if cl.session != nil {
		_ = cl.session.Close()
	}
}

// drainTime bounds how long a goodbye waits for publishes under way.
const drainTime = 3 * time.Second

// goodbye tells the client why the broker ends the connection: MQTT 5 has DISCONNECT for it.
func (cl *client) goodbye(err error) {
	if cl.session == nil {
		_ = cl.conn.Flush()
		return
	}
	if cl.left || errors.Is(err, core.ErrShutdown) || errors.Is(err, core.ErrTakenOver) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(cl.ctx), drainTime)
		_ = cl.session.Drain(ctx)
		cancel()
	}
	if err != nil && cl.version == 5 && !cl.toldWhy && core.ReasonID(err) != "connection_lost" {
		code := cl.code
		if code == 0 {
			code = disconnectCode(err)
		}
		_ = cl.write(appendDisconnect(nil, code, err.Error()))
	}
	_ = cl.conn.Flush()
}

// write gathers one packet.
func (cl *client) write(packet []byte) error {
	return cl.conn.WriteMessage(core.Binary, packet)
}

// refuse ends the connection with a reason code.
func (cl *client) refuse(code byte, err error) error {
	if !isReason(err) {
		err = fmt.Errorf("%w: %w", core.ErrInvalid, err)
	}
	cl.code, cl.reason = code, err
	return err
}

func isReason(err error) bool {
	var r *core.Reason
	return errors.As(err, &r)
}

// login opens the session of a CONNECT, or says with which code it is refused.
func (cl *client) login(pk packets.Packet) (code byte, err error) {
	c := &pk.Connect
	l := core.Login{
		Protocol: "mqtt", Version: versionName(cl.version), ClientID: strings.Clone(c.ClientIdentifier), CleanStart: c.Clean,
		User: string(c.Username), Password: string(c.Password), Conn: cl.conn, Credit: cl.p.cfg.MaxInflight,
	}
	if pk.Properties.AuthenticationMethod != "" {
		return codeBadAuthMethod, fmt.Errorf("authentication method %q is not supported: %w", pk.Properties.AuthenticationMethod, core.ErrLogin)
	}
	if cl.version == 5 {
		l.Expiry = expiryOf(pk.Properties.SessionExpiryInterval)
		if n := int(pk.Properties.ReceiveMaximum); n > 0 {
			l.Credit = min(l.Credit, n) // [MQTT-3.1.2-26]
		}
		if n := int(pk.Properties.MaximumPacketSize); n > 0 {
			cl.maxPacket = n
		}
	} else if !c.Clean {
		l.Expiry = cl.p.broker.Limits().SessionExpiry
	}
	cl.expires = l.Expiry > 0
	cl.assigned = l.ClientID == ""
	if c.WillFlag {
		if l.Will, err = cl.will(c); err != nil {
			return codeTopicNameInvalid, err
		}
		l.WillDelay = time.Duration(c.WillProperties.WillDelayInterval) * time.Second
	}
	cl.keepAlive = time.Duration(c.Keepalive) * time.Second
	if most := cl.p.cfg.MaxKeepAlive; most > 0 && cl.version == 5 && (cl.keepAlive == 0 || cl.keepAlive > most) {
		cl.keepAlive = most
		cl.mochi.State.Keepalive, cl.mochi.State.ServerKeepalive = uint16(most/time.Second), true
	}
	cl.outbound.init(cl.p.cfg.MaxInflight)
	s, err := cl.p.broker.Connect(cl.ctx, l, cl.deliver)
	if err != nil {
		return connackCode(err), err
	}
	cl.session = s
	cl.inbound.restore(s)
	cl.outbound.restore(s)
	return 0, nil
}

func versionName(v byte) string {
	switch v {
	case 3:
		return "3.1"
	case 4:
		return "3.1.1"
	default:
		return "5"
	}
}

// will makes the message of a CONNECT's will.
func (cl *client) will(c *packets.ConnectParams) (*core.Message, error) {
	pk := packets.Packet{
		TopicName: c.WillTopic, Payload: c.WillPayload, Properties: c.WillProperties,
		FixedHeader: packets.FixedHeader{Qos: c.WillQos, Retain: c.WillRetain},
	}
	m, err := message(&pk, c.WillTopic)
	if err != nil {
		return nil, fmt.Errorf("will: %w", err)
	}
	return m, nil
}

// connack completes what mochi writes: the properties it does not know of, and the codes of MQTT 3.
func (cl *client) connack(pk *packets.Packet) {
	if cl.version != 5 {
		pk.ReasonCode = connackCode3(pk.ReasonCode)
		pk.SessionPresent = false
	}
	if pk.ReasonCode != 0 {
		return
	}
	_, pk.SessionPresent = cl.session.Resumed()
	if cl.version == 3 {
		pk.SessionPresent = false // the byte is reserved
	}
	p := &pk.Properties
	p.AssignedClientID = ""
	if cl.assigned {
		p.AssignedClientID = cl.session.ID() // [MQTT-3.2.2-16]
	}
	p.ReceiveMaximum = uint16(cl.p.cfg.ReceiveMaximum)
	p.TopicAliasMaximum = uint16(cl.p.cfg.TopicAliasMaximum)
	p.MaximumPacketSize = uint32(cl.p.cfg.MaxPacketSize)
	if most := cl.p.broker.Limits().SessionExpiry; cl.version == 5 && cl.mochi != nil &&
		expiryOf(cl.mochi.Properties.Props.SessionExpiryInterval) > most {
		p.SessionExpiryInterval, p.SessionExpiryIntervalFlag = uint32(most/time.Second), true
	}
}
