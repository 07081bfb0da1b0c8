package protocoltest

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
)

// Suite is what the kit needs to know of a protocol.
type Suite struct {
	// New makes the protocol of b. A protocol that is a [core.Runner] is run for the length of each
	// check.
	New func(b *core.Broker) core.Protocol
	// Client makes a client at the other end of a connection. Connect has not been called.
	Client func(t testing.TB, p *Peer) Client
	// Bodies are bodies that the protocol must carry unharmed.
	Bodies [][]byte
	// Missing says what the protocol cannot do, and why. The reasons are printed where the kit leaves
	// something out. What is not named here must work.
	Missing map[Capability]string
	// Pipe is the kind of connection. Subprotocol, when it is empty, is the first of the protocol,
	// unless Pipe is a stream.
	Pipe PipeOptions
	// Seeds are more inputs for Fuzz, beside what Client sends.
	Seeds [][]byte
}

// Capability is something that not every protocol can do.
type Capability string

// The capabilities.
const (
	// Goodbye: the protocol has a message that says why the broker ends a connection.
	Goodbye Capability = "Goodbye"
	// Credentials: clients log in with a user name and a password.
	Credentials Capability = "Credentials"
	// ClientIDs: clients name their session.
	ClientIDs Capability = "ClientIDs"
	// Queues: clients publish to and subscribe to destinations of kind queue.
	Queues Capability = "Queues"
	// Headers: messages carry headers of the publisher's own. Needs a [HeaderPublisher].
	Headers Capability = "Headers"
	// Acks: clients acknowledge deliveries. Needs an [Acker].
	Acks Capability = "Acks"
	// Redelivered: a delivery says that it may be a repetition.
	Redelivered Capability = "Redelivered"
	// Confirms: the broker confirms what is published. Needs a [Confirmer].
	Confirms Capability = "Confirms"
	// Refusals: the broker can tell a publisher that it has refused a message.
	Refusals Capability = "Refusals"
	// Disconnect: clients say that they leave. Needs a [Disconnecter].
	Disconnect Capability = "Disconnect"
	// SplitFrames: a frame of the protocol may be split over several messages.
	SplitFrames Capability = "SplitFrames"
	// SharedMessages: a message may hold several frames of the protocol.
	SharedMessages Capability = "SharedMessages"
)

// Login is how a client logs in; empty fields are not said.
type Login struct{ ClientID, User, Password string }

// Delivery is what a client has received.
type Delivery struct {
	// Destination is canonical, as in package destination, whatever the protocol's spelling.
	Destination string
	Body        []byte
	Header      []core.Field
	// Redelivered: the broker says that the delivery may be a repetition.
	Redelivered bool
	// Token is the client's own, for Ack.
	Token any
}

// Client is a client of the protocol, written in its raw bytes on a [Peer]: not with the code that is
// to be tested. The kit calls it from one goroutine at a time. Destinations and filters are
// canonical ("topic/a/+"); the client spells them as the protocol does. Errors of the Peer are
// passed on as they are, wrapped at most.
type Client interface {
	// Connect logs in, without any heart-beat, and waits until the client is let in. When it is
	// refused that is an error, if the protocol has a message for it.
	Connect(l Login) error
	// Subscribe subscribes without acknowledgements and waits for the broker's answer, if the
	// protocol has one: a refusal is an error.
	Subscribe(filter string) error
	// Publish sends a message and does not wait.
	Publish(dest string, body []byte) error
	// Receive returns the next delivery. After timeout the error wraps [os.ErrDeadlineExceeded].
	Receive(timeout time.Duration) (Delivery, error)
}

// Acker is a [Client] of a protocol with [Acks].
type Acker interface {
	// SubscribeAck subscribes so that each delivery is to be acknowledged by itself.
	SubscribeAck(filter string) error
	// Ack acknowledges d.
	Ack(d Delivery) error
}

// Confirmer is a [Client] of a protocol with [Confirms].
type Confirmer interface {
	// PublishConfirmed sends a persistent message and returns when the broker has confirmed it, nil, or
	// refused it. It waits a minute at most.
	PublishConfirmed(dest string, body []byte) error
}

// HeaderPublisher is a [Client] of a protocol with [Headers].
type HeaderPublisher interface {
	// PublishHeader sends a message with headers, and does not wait.
	PublishHeader(dest string, body []byte, header []core.Field) error
}

// Disconnecter is a [Client] of a protocol with [Disconnect].
type Disconnecter interface {
	// Disconnect says that the client leaves. The kit closes the connection after it.
	Disconnect() error
}

// check is one named check of the kit.
type check struct {
	name string
	run  func(t *testing.T, s *Suite)
	// needs are the capabilities without which the check is left out.
	needs []Capability
}

func checks() []check {
	return []check{
		{"Describe", describe, nil},
		{"Roundtrip", roundtrip, nil},
		{"Interop", interop, nil},
		{"Headers", headers, []Capability{Headers}},
		{"Queue", queue, []Capability{Queues}},
		{"Order", order, nil},
		{"Split", split, nil},
		{"Coalesced", coalesced, nil},
		{"LoggedIn", loggedIn, nil},
		{"Refused", refused, nil},
		{"Credentials", credentials, []Capability{Credentials}},
		{"Denied", denied, nil},
		{"Disconnect", disconnect, []Capability{Disconnect}},
		{"PeerCloses", peerCloses, nil},
		{"LastWords", lastWords, nil},
		{"HalfMessage", halfMessage, nil},
		{"Shutdown", shutdown, nil},
		{"Takeover", takeover, nil},
		{"SlowConsumer", slowConsumer, nil},
		{"Acks", acks, []Capability{Acks, Queues}},
		{"Confirms", confirms, []Capability{Confirms}},
		{"Garbage", garbage, nil},
	}
}

// Test runs every check of the kit, each as a subtest of its name in a bubble of package
// testing/synctest: time is fake, and a goroutine that is left behind fails the check.
func Test(t *testing.T, s Suite) {
	t.Helper()
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) {
			for _, need := range c.needs {
				if why, ok := s.Missing[need]; ok {
					t.Skipf("without %s: %s", need, why)
				}
			}
			synctest.Test(t, func(t *testing.T) { c.run(t, &s) })
		})
	}
}

// lacks reports whether the protocol cannot do c, and prints why.
func (e *env) lacks(c Capability) bool {
	why, missing := e.suite.Missing[c]
	if missing {
		e.t.Logf("without %s: %s", c, why)
	}
	return missing
}

func known(c Capability) bool {
	return slices.Contains([]Capability{
		Goodbye, Credentials, ClientIDs, Queues, Headers, Acks, Redelivered, Confirms, Refusals, Disconnect, SplitFrames, SharedMessages,
	}, c)
}
