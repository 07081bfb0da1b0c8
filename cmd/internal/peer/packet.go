package peer

import "fmt"

// Kind says what a packet means, whatever the protocol calls it.
type Kind uint8

// The kinds of packets.
const (
	Other      Kind = iota // heart-beat, PINGRESP and whatever needs no attention
	Message                // MESSAGE, PUBLISH
	Connected              // CONNECTED, CONNACK
	Subscribed             // SUBACK, UNSUBACK
	Confirmed              // RECEIPT, PUBACK, PUBCOMP
	Received               // PUBREC; the connection answers
	Released               // PUBREL; the connection answers
	Refused                // ERROR, DISCONNECT by the broker, or an answer that says no
)

// Header is a header of STOMP or a user property of MQTT 5.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Packet is one thing the broker said. It and all it refers to are valid until the handler returns.
type Packet struct {
	Kind     Kind
	ID       uint32 // of the packet (MQTT), or the number in receipt-id (STOMP)
	Code     byte   // reason code of MQTT
	QoS      byte
	Retained bool
	Dup      bool
	Body     []byte

	topic []byte // MQTT
	head  []byte // STOMP: the header lines; MQTT 5: the properties
	codec codec
}

// Destination returns where a message was sent to, as the broker spells it.
func (p *Packet) Destination() string { return p.codec.destination(p) }

// Headers returns the headers, or the properties of MQTT 5 under names like those of STOMP, in their order.
func (p *Packet) Headers() []Header { return p.codec.headers(p) }

// Header returns the first header with the name, or "".
func (p *Packet) Header(name string) string {
	for _, h := range p.Headers() {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

// RefusedError is a no of the broker.
type RefusedError struct {
	Code   byte   // reason code of MQTT, 0 for STOMP
	Reason string // of STOMP, if the broker names it in a header as wye does
	Text   string // what the broker said, or what the code means
}

func (e *RefusedError) Error() string {
	if e.Code != 0 {
		return fmt.Sprintf("the broker refuses: %s (0x%02x)", e.Text, e.Code)
	}
	return "the broker refuses: " + e.Text
}

// Subscription says what to receive.
type Subscription struct {
	ID     string // STOMP only
	Filter string
	QoS    byte   // MQTT only
	Ack    string // STOMP only: auto, client or client-individual; "" is auto
	Header []Header
	// NoRetained asks not to be sent what was retained before (MQTT 5 only).
	NoRetained bool
}

// Publication says what to send.
type Publication struct {
	Destination string
	Body        []byte
	QoS         byte // MQTT only
	Retain      bool // the flag of MQTT; STOMP has none, a broker may know a header
	Confirm     bool // STOMP only: ask for a receipt
	ContentType string
	Header      []Header
}

// codec writes and reads the packets of one protocol.
type codec interface {
	connect(dst []byte, t *Target, l *Login) []byte
	// subscribe asks for an answer with the id.
	subscribe(dst []byte, s *Subscription, id uint16) []byte
	// publish returns also where the id lies, counted from the start of the packet; 0: there is none.
	publish(dst []byte, p *Publication, id uint32) (_ []byte, idAt int)
	// answer says what a packet wants said: it acknowledges a message, releases a PUBREC, completes a PUBREL.
	answer(dst []byte, p *Packet) []byte
	ping(dst []byte) []byte
	disconnect(dst []byte) []byte
	// parse reads the first packet of b. It returns how long that is, 0 if it is not all there.
	parse(b []byte, p *Packet) (int, error)
	destination(p *Packet) string
	headers(p *Packet) []Header
	// putID overwrites the id of a publish, at the place that publish returned.
	putID(at []byte, id uint32)
}
