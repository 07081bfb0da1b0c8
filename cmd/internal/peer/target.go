package peer

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Protocol is what is spoken.
type Protocol string

// The protocols.
const (
	STOMP Protocol = "stomp"
	MQTT  Protocol = "mqtt"  // 3.1.1
	MQTT5 Protocol = "mqtt5" // 5
)

// Target is a broker and how to get in.
type Target struct {
	Protocol    Protocol
	Addr        string // host and port
	Host        string // as the URL has it
	WebSocket   bool
	Path        string      // of the WebSocket, with the query
	Subprotocol string      // of the WebSocket; "": what clients of the protocol use
	HTTPHeader  http.Header // of the WebSocket
	TLS         *tls.Config // nil: none
	User        string
	Password    string
	VHost       string
	Source      string        // address to connect from; "": any
	Timeout     time.Duration // of connecting and logging in, and of each answer waited for
}

// DefaultURL is where wye listens when nothing is configured.
const DefaultURL = "ws://127.0.0.1:61614"

// ErrProtocol is what Parse says when neither the URL nor its caller say what to speak.
var ErrProtocol = errors.New("the URL does not say what to speak: add --stomp, --mqtt or --mqtt5, or use stomp:// or mqtt://")

// scheme is what the scheme of a URL says.
type scheme struct {
	protocol  Protocol // "": nothing
	webSocket bool
	secure    bool
	port      string
}

var schemes = map[string]scheme{
	"ws": {"", true, false, "80"}, "wss": {"", true, true, "443"},
	"tcp": {"", false, false, ""}, "tls": {"", false, true, ""}, "ssl": {"", false, true, ""},
	"stomp": {STOMP, false, false, "61613"}, "stomps": {STOMP, false, true, "61614"},
	"mqtt": {MQTT, false, false, "1883"}, "mqtts": {MQTT, false, true, "8883"},
}

// Parse reads the URL of a broker: ws, wss, tcp, tls (or ssl), stomp, stomps, mqtt or mqtts, with user and password if
// there are. The protocol is that of the scheme, or spoken; MQTT5 may be spoken on the scheme of MQTT.
func Parse(text string, spoken Protocol) (Target, error) {
	u, err := url.Parse(text)
	if err != nil {
		return Target{}, err
	}
	s, ok := schemes[u.Scheme]
	if !ok || u.Host == "" {
		return Target{}, fmt.Errorf("%q is not the URL of a broker, as in %s, mqtt://host or wss://host/ws", text, DefaultURL)
	}
	t := Target{
		Protocol: s.protocol, Addr: u.Host, Host: u.Host, WebSocket: s.webSocket, Path: u.RequestURI(),
		User: u.User.Username(), Timeout: 10 * time.Second,
	}
	t.Password, _ = u.User.Password()
	switch {
	case t.Protocol == "" && spoken == "":
		return Target{}, ErrProtocol
	case t.Protocol == "" || t.Protocol == MQTT && spoken == MQTT5:
		t.Protocol = spoken
	case spoken != "" && spoken != t.Protocol:
		return Target{}, fmt.Errorf("%s is for %s, not for %s", u.Scheme+"://", t.Protocol, spoken)
	}
	if u.Port() == "" {
		if s.port == "" {
			return Target{}, fmt.Errorf("%q has no port", text)
		}
		t.Addr = net.JoinHostPort(u.Hostname(), s.port)
	}
	if s.secure {
		t.TLS = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	}
	return t, nil
}

// Transport names how the target is reached: ws, wss, tcp or tls.
func (t *Target) Transport() string {
	switch {
	case t.WebSocket && t.TLS != nil:
		return "wss"
	case t.WebSocket:
		return "ws"
	case t.TLS != nil:
		return "tls"
	default:
		return "tcp"
	}
}

// tokens are the subprotocols to offer.
func (t *Target) tokens() string {
	switch {
	case t.Subprotocol != "":
		return t.Subprotocol
	case t.Protocol == STOMP:
		return "v12.stomp, v11.stomp, v10.stomp"
	default:
		return "mqtt"
	}
}

// Login is what is particular to one connection.
type Login struct {
	ClientID string
	// Clean forgets what the broker keeps for the client id (MQTT).
	Clean bool
	// Expiry is how long a session outlives its connection (MQTT 5).
	Expiry time.Duration
	// ReceiveMax bounds unacknowledged deliveries (MQTT 5); 0: the protocol's own bound.
	ReceiveMax uint16
	// KeepAlive promises the broker a sign of life in every such time; who calls Dial sends it. 0: none.
	KeepAlive time.Duration
	// Header are more headers of CONNECT (STOMP), or user properties of CONNECT (MQTT 5).
	Header []Header
}
