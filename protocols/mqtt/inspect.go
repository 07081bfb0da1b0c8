package mqtt

import (
	"encoding/binary"

	"github.com/mochi-mqtt/server/v2/packets"
)

// cursor walks the fields of a packet. After the first field that is not there, bad is set and every other is empty.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if c.bad || n > len(c.b) {
		c.bad = true
		return nil
	}
	b := c.b[:n]
	c.b = c.b[n:]
	return b
}

func (c *cursor) byte() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) uint16() int {
	if b := c.take(2); b != nil {
		return int(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (c *cursor) bytes() []byte { return c.take(c.uint16()) }

func (c *cursor) varint() int {
	n := 0
	for shift := 0; shift < 28; shift += 7 {
		b := c.byte()
		n |= int(b&0x7F) << shift
		if b < 0x80 {
			return n
		}
	}
	c.bad = true
	return 0
}

// inspect checks in a whole packet what mochi does not, or not without a panic. level is the protocol level
// of the connection; for CONNECT it is read from the packet.
func inspect(level byte, packet []byte, header int) *fault {
	c := cursor{b: packet[header:]}
	var f *fault
	switch packet[0] >> 4 {
	case packets.Connect:
		f = inspectConnect(&c)
	case packets.Publish:
		f = inspectPublish(&c, packet[0], level)
	case packets.Puback, packets.Pubrec, packets.Pubrel, packets.Pubcomp:
		f = inspectAck(&c, level)
	case packets.Subscribe:
		f = inspectSubscribe(&c, level)
	case packets.Unsubscribe:
		f = inspectUnsubscribe(&c, level)
	case packets.Disconnect, packets.Auth:
		if level < 5 && packet[0]>>4 == packets.Auth {
			return failure(codeMalformed, "AUTH before MQTT 5")
		}
		if level == 5 && len(c.b) > 0 {
			c.byte()
			if len(c.b) > 0 {
				f = inspectProperties(&c)
			}
		}
	case packets.Pingreq:
		if len(c.b) > 0 {
			return failure(codeMalformed, "PINGREQ with a body")
		}
	case packets.Reserved:
		return failure(codeMalformed, "packet type 0")
	default:
		return failure(codeProtocol, "a packet that only a server sends")
	}
	if f == nil && c.bad {
		return failure(codeMalformed, "the packet ends within a field")
	}
	return f
}

func inspectConnect(c *cursor) *fault {
	c.bytes()
	level, flags := c.byte(), c.byte()
	c.take(2)
	switch {
	case c.bad:
		return nil
	case flags&0x01 != 0: // [MQTT-3.1.2-3]
		return failure(codeMalformed, "the reserved flag of CONNECT is set")
	case flags&0x04 == 0 && flags&0x38 != 0: // [MQTT-3.1.2-11] [MQTT-3.1.2-13]
		return failure(codeMalformed, "will QoS or will retain without a will")
	case flags&0x18 == 0x18: // [MQTT-3.1.2-12]
		return failure(codeMalformed, "will QoS 3")
	case level < 5 && flags&0x40 != 0 && flags&0x80 == 0: // [MQTT-3.1.2-22] of 3.1.1
		return failure(codeMalformed, "a password without a user name")
	}
	if level != 5 {
		return nil
	}
	if f := inspectProperties(c); f != nil {
		return f
	}
	c.bytes() // client identifier
	if flags&0x04 != 0 {
		return inspectProperties(c)
	}
	return nil
}

func inspectPublish(c *cursor, first, level byte) *fault {
	if first&0x06 == 0x06 { // [MQTT-3.3.1-4]
		return failure(codeMalformed, "QoS 3")
	}
	c.bytes()
	if first&0x06 != 0 {
		c.take(2)
	}
	if level == 5 {
		return inspectProperties(c)
	}
	return nil
}

func inspectAck(c *cursor, level byte) *fault {
	c.take(2)
	if level == 5 && len(c.b) > 0 {
		c.byte()
		if len(c.b) > 0 {
			return inspectProperties(c)
		}
	}
	return nil
}

func inspectSubscribe(c *cursor, level byte) *fault {
	c.take(2)
	if level == 5 {
		if f := inspectProperties(c); f != nil {
			return f
		}
	}
	if !c.bad && len(c.b) == 0 { // [MQTT-3.8.3-2]
		return failure(codeProtocol, "SUBSCRIBE without a filter")
	}
	for !c.bad && len(c.b) > 0 {
		c.bytes()
		o := c.byte()
		switch {
		case o&0x03 == 0x03, level < 5 && o > 2, o&0xC0 != 0: // [MQTT-3.8.3-5]
			return failure(codeMalformed, "subscription options with bits that mean nothing")
		case o&0x30 == 0x30:
			return failure(codeProtocol, "retain handling 3")
		}
	}
	return nil
}

func inspectUnsubscribe(c *cursor, level byte) *fault {
	c.take(2)
	if level == 5 {
		if f := inspectProperties(c); f != nil {
			return f
		}
	}
	if !c.bad && len(c.b) == 0 { // [MQTT-3.10.3-2]
		return failure(codeProtocol, "UNSUBSCRIBE without a filter")
	}
	for !c.bad && len(c.b) > 0 {
		c.bytes()
	}
	return nil
}

// inspectProperties walks one list of properties, section 2.2.2: none but user properties may be there twice, some may
// not be 0, some are 0 or 1. Whether a property belongs to the packet is left to mochi.
func inspectProperties(c *cursor) *fault {
	list := cursor{b: c.take(c.varint())}
	if c.bad {
		return nil
	}
	var seen uint64
	for len(list.b) > 0 && !list.bad {
		id := list.byte()
		if id > 0x2A {
			return failure(codeMalformed, "unknown property")
		}
		if id != packets.PropUser {
			if seen&(1<<id) != 0 {
				return failure(codeProtocol, "a property is there twice")
			}
			seen |= 1 << id
		}
		if f := inspectProperty(&list, id); f != nil && !list.bad {
			return f
		}
	}
	if list.bad {
		return failure(codeMalformed, "the properties end within a field")
	}
	return nil
}

func inspectProperty(c *cursor, id byte) *fault {
	switch id {
	case packets.PropPayloadFormat, packets.PropRequestProblemInfo, packets.PropRequestResponseInfo:
		if c.byte() > 1 {
			return failure(codeProtocol, "a property that is 0 or 1 has another value")
		}
	case packets.PropMaximumQos, packets.PropRetainAvailable, packets.PropWildcardSubAvailable,
		packets.PropSubIDAvailable, packets.PropSharedSubAvailable:
		c.byte()
	case packets.PropReceiveMaximum:
		if c.uint16() == 0 {
			return failure(codeProtocol, "receive maximum 0")
		}
	case packets.PropTopicAlias:
		if c.uint16() == 0 { // [MQTT-3.3.2-8]
			return failure(codeAliasInvalid, "topic alias 0")
		}
	case packets.PropServerKeepAlive, packets.PropTopicAliasMaximum:
		c.take(2)
	case packets.PropMaximumPacketSize:
		if b := c.take(4); b != nil && binary.BigEndian.Uint32(b) == 0 {
			return failure(codeProtocol, "maximum packet size 0")
		}
	case packets.PropMessageExpiryInterval, packets.PropSessionExpiryInterval, packets.PropWillDelayInterval:
		c.take(4)
	case packets.PropSubscriptionIdentifier:
		if c.varint() == 0 {
			return failure(codeProtocol, "subscription identifier 0")
		}
	case packets.PropUser:
		c.bytes()
		c.bytes()
	case packets.PropContentType, packets.PropResponseTopic, packets.PropCorrelationData, packets.PropAssignedClientID,
		packets.PropAuthenticationMethod, packets.PropAuthenticationData, packets.PropResponseInfo,
		packets.PropServerReference, packets.PropReasonString:
		c.bytes()
	default:
		return failure(codeMalformed, "unknown property")
	}
	return nil
}
