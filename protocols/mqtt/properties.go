package mqtt

import (
	"encoding/binary"
	"time"
	"unicode/utf8"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/wyemq/wye/core"
)

// takeProperties copies the properties of a PUBLISH or a will into m. The expiry interval begins at from; zero: now.
func takeProperties(m *core.Message, props *packets.Properties, from time.Time) *fault {
	m.ContentType = props.ContentType
	m.CorrelationID = string(props.CorrelationData)
	m.TextBody = props.PayloadFormat == 1
	if m.TextBody && !utf8.Valid(m.Body) {
		return failure(codePayloadInvalid, "the payload is said to be UTF-8 and is not")
	}
	if props.ResponseTopic != "" {
		dest, err := plainDestination(props.ResponseTopic)
		if err != nil {
			return failure(codeTopicInvalid, "response topic: "+err.Error())
		}
		m.ReplyTo = dest
	}
	if props.MessageExpiryInterval > 0 {
		if from.IsZero() {
			from = time.Now()
		}
		m.Expires = from.Add(time.Duration(props.MessageExpiryInterval) * time.Second)
	}
	if len(props.User) > 0 {
		m.Header = make([]core.Field, len(props.User))
		for i, u := range props.User {
			m.Header[i] = core.Field{Name: u.Key, Value: u.Val}
		}
	}
	return nil
}

// appendCommon appends the properties of a PUBLISH that are the same for every receiver: all but the expiry and the subscription
// identifiers.
func appendCommon(b []byte, m *core.Message) []byte {
	if m.TextBody {
		b = append(b, packets.PropPayloadFormat, 1)
	}
	if m.ContentType != "" && sayable(m.ContentType) {
		b = appendString(append(b, packets.PropContentType), m.ContentType)
	}
	if m.ReplyTo != "" {
		if prefix, rest, ok := topicOf(m.ReplyTo); ok {
			b = append(b, packets.PropResponseTopic)
			b = binary.BigEndian.AppendUint16(b, uint16(len(prefix)+len(rest)))
			b = append(append(b, prefix...), rest...)
		}
	}
	if n := len(m.CorrelationID); n > 0 && n <= maxString {
		b = appendString(append(b, packets.PropCorrelationData), m.CorrelationID)
	}
	for i := range m.Header {
		h := &m.Header[i]
		if sayable(h.Name) && sayable(h.Value) {
			b = appendString(append(b, packets.PropUser), h.Name)
			b = appendString(b, h.Value)
		}
	}
	return b
}

// maxString is the most bytes that a string or binary field holds.
const maxString = 65535

// sayable reports whether MQTT has a string like s, section 1.5.4.
func sayable(s string) bool {
	if len(s) > maxString || !utf8.ValidString(s) {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] == 0 {
			return false
		}
	}
	return true
}

// secondsLeft returns the Message Expiry Interval that is left: at least 1, what has expired is not sent [MQTT-3.3.2-6].
func secondsLeft(expires, now time.Time) uint32 {
	left := expires.Sub(now)
	return uint32(max(1, min((left+time.Second-1)/time.Second, maxDelay)))
}
