package frame

import "github.com/wyemq/wye/core"

// Version is a version of STOMP. It decides how header lines are trimmed and escaped.
type Version uint8

// The versions. Raw is what holds before a version is agreed on, and for CONNECT and CONNECTED in
// every version: nothing is escaped.
const (
	Raw Version = iota
	V10
	V11
	V12
)

// String returns the number, as in "1.2".
func (v Version) String() string {
	switch v {
	case V10:
		return "1.0"
	case V11:
		return "1.1"
	case V12:
		return "1.2"
	case Raw:
		return ""
	default:
		return "unknown"
	}
}

// The commands of all versions.
const (
	Connect     = "CONNECT"
	Stomp       = "STOMP"
	Connected   = "CONNECTED"
	Send        = "SEND"
	Subscribe   = "SUBSCRIBE"
	Unsubscribe = "UNSUBSCRIBE"
	Ack         = "ACK"
	Nack        = "NACK"
	Begin       = "BEGIN"
	Commit      = "COMMIT"
	Abort       = "ABORT"
	Disconnect  = "DISCONNECT"
	Message     = "MESSAGE"
	Receipt     = "RECEIPT"
	Error       = "ERROR"
)

// Field is one header line, unescaped.
type Field = core.Field

// Frame is one frame. Header keeps the order and the repeats of the sender.
type Frame struct {
	Command string
	Header  []Field
	Body    []byte
	// Again says that Command and Header are those of the frame that the Parser returned before.
	Again bool
}

// Get returns the first value of the header called name, and whether there is one. Repeated
// headers: the first counts (STOMP 1.2, "Repeated Header Entries").
func (f *Frame) Get(name string) (string, bool) {
	for i := range f.Header {
		if f.Header[i].Name == name {
			return f.Header[i].Value, true
		}
	}
	return "", false
}

// command returns the constant for a known command, so that a frame costs no string for it.
func command(b []byte) string {
	switch string(b) {
	case Send:
		return Send
	case Ack:
		return Ack
	case Message:
		return Message
	case Nack:
		return Nack
	case Subscribe:
		return Subscribe
	case Unsubscribe:
		return Unsubscribe
	case Begin:
		return Begin
	case Commit:
		return Commit
	case Abort:
		return Abort
	case Connect:
		return Connect
	case Stomp:
		return Stomp
	case Disconnect:
		return Disconnect
	case Connected:
		return Connected
	case Receipt:
		return Receipt
	case Error:
		return Error
	default:
		return string(b)
	}
}
