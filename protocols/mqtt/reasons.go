package mqtt

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/wyemq/wye/core"
)

// The reason codes of MQTT 5, section 2.4, as far as we send or look at them.
const (
	codeSuccess          = 0x00
	codeWithWill         = 0x04
	codeNoSubscribers    = 0x10
	codeNoSubscription   = 0x11
	codeContinueAuth     = 0x18
	codeReAuth           = 0x19
	codeUnspecified      = 0x80
	codeMalformed        = 0x81
	codeProtocol         = 0x82
	codeImplementation   = 0x83
	codeBadVersion       = 0x84
	codeBadClientID      = 0x85
	codeBadLogin         = 0x86
	codeDenied           = 0x87
	codeUnavailable      = 0x88
	codeBusy             = 0x89
	codeShutdown         = 0x8B
	codeBadMethod        = 0x8C
	codeKeepAlive        = 0x8D
	codeTakenOver        = 0x8E
	codeFilterInvalid    = 0x8F
	codeTopicInvalid     = 0x90
	codeUnknownID        = 0x92
	codeReceiveMaximum   = 0x93
	codeAliasInvalid     = 0x94
	codeTooLarge         = 0x95
	codeTooFast          = 0x96
	codeQuota            = 0x97
	codeAdministrative   = 0x98
	codePayloadInvalid   = 0x99
	codeRetain           = 0x9A
	codeQoS              = 0x9B
	codeConnectRate      = 0x9F
	codeMaxConnectTime   = 0xA0
	codeNoWildcards      = 0xA2
	v3BadVersion         = 1
	v3BadClientID        = 2
	v3Unavailable        = 3
	v3BadLogin           = 4
	v3Denied             = 5
	v3Failure            = 0x80
	maxReasonText        = 512
	undisclosedReason    = "internal error"
	textMessageForBinary = "MQTT is sent in binary messages"
)

// fault is why a packet or a connection is refused: the reason code, the reason string, and the reason of the core that
// close codes, logs and metrics show.
type fault struct {
	code byte
	text string
	err  error
}

// failure returns the fault with a reason code and string.
func failure(code byte, text string) *fault { return &fault{code, text, reasonFor(code)} }

// Error implements error.
func (f *fault) Error() string { return fmt.Sprintf("%s: %s (0x%02X)", f.err, f.text, f.code) }

// Unwrap returns the reason of the core.
func (f *fault) Unwrap() error { return f.err }

// reasonFor returns the core's word for a reason code of ours.
func reasonFor(code byte) error {
	switch code {
	case codeTooLarge:
		return core.ErrTooBig
	case codeDenied:
		return core.ErrDenied
	case codeBadLogin, codeBadMethod:
		return core.ErrLogin
	case codeQuota:
		return core.ErrLimit
	case codeKeepAlive:
		return core.ErrHeartbeat
	case codeMaxConnectTime:
		return core.ErrLoginTimeout
	case codeUnspecified, codeImplementation:
		return core.ErrInternal
	case codeUnavailable:
		return core.ErrUnavailable
	case codeBusy:
		return core.ErrBusy
	case codeTooFast:
		return core.ErrRate
	case codeConnectRate:
		return core.ErrTries
	default:
		return core.ErrInvalid
	}
}

// endings are the reasons of the core that end connections, with their DISCONNECT codes.
var endings = []struct {
	err  error
	code byte
}{
	{core.ErrTakenOver, codeTakenOver},
	{core.ErrShutdown, codeShutdown},
	{core.ErrHeartbeat, codeKeepAlive},
	{core.ErrLoginTimeout, codeMaxConnectTime},
	{core.ErrTooBig, codeTooLarge},
	{core.ErrSlowConsumer, codeQuota},
	{core.ErrLimit, codeQuota},
	{core.ErrRate, codeTooFast},
	{core.ErrTries, codeConnectRate},
	{core.ErrBusy, codeBusy},
	{core.ErrQueueFull, codeQuota},
	{core.ErrDenied, codeDenied},
	{core.ErrLogin, codeDenied},
	{core.ErrTokenExpired, codeDenied},
	{core.ErrAdmin, codeAdministrative},
	{core.ErrUnsupported, codeProtocol},
	{core.ErrNotUTF8, codeMalformed},
	{core.ErrInvalid, codeProtocol},
	{core.ErrUnavailable, codeUnavailable},
}

// faultOf returns why a connection ended, nil when the peer has left by itself.
func faultOf(err error) *fault {
	var f *fault
	var code packets.Code
	switch {
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
		return nil
	case errors.As(err, &f):
		return f
	case errors.As(err, &code):
		f = failure(code.Code, code.Reason)
		f.err = fmt.Errorf("%w: %w", f.err, err)
		return f
	case errors.Is(err, os.ErrDeadlineExceeded):
		return failure(codeKeepAlive, "nothing came for one and a half times the keep alive")
	}
	for _, e := range endings {
		if errors.Is(err, e.err) {
			return &fault{e.code, e.err.Error(), err}
		}
	}
	if reason := new(core.Reason); errors.As(err, &reason) {
		return &fault{codeUnspecified, reason.Error(), err}
	}
	return nil // the connection broke: nobody is there to be told
}

// connectCode returns the CONNACK code of a refused login.
func connectCode(err error, anonymous bool) byte {
	switch {
	case errors.Is(err, core.ErrTries), errors.Is(err, core.ErrRate):
		return codeConnectRate
	case errors.Is(err, core.ErrBusy):
		return codeBusy
	case errors.Is(err, core.ErrLogin) && anonymous:
		return codeDenied
	case errors.Is(err, core.ErrLogin):
		return codeBadLogin
	case errors.Is(err, core.ErrDenied):
		return codeDenied
	case errors.Is(err, core.ErrLimit), errors.Is(err, core.ErrQueueFull):
		return codeQuota
	case errors.Is(err, core.ErrInvalid):
		return codeBadClientID
	case errors.Is(err, core.ErrShutdown), errors.Is(err, core.ErrUnavailable), errors.Is(err, core.ErrClosed):
		return codeUnavailable
	default:
		return codeUnspecified
	}
}

// v3Connect returns the return code of CONNACK before MQTT 5 (3.1.1, section 3.2.2.3); false when the
// connection is just closed.
func v3Connect(code byte) (byte, bool) {
	switch code {
	case codeBadVersion:
		return v3BadVersion, true
	case codeBadClientID, codeUnspecified:
		return v3BadClientID, true
	case codeUnavailable, codeQuota, codeBusy, codeConnectRate:
		return v3Unavailable, true
	case codeBadLogin:
		return v3BadLogin, true
	case codeDenied, codeBadMethod, 0x8A:
		return v3Denied, true
	}
	return code, code < codeUnspecified
}

// publishCode returns the PUBACK or PUBREC code of a refused publish.
func publishCode(err error) byte {
	switch {
	case errors.Is(err, core.ErrDenied):
		return codeDenied
	case errors.Is(err, core.ErrQueueFull), errors.Is(err, core.ErrLimit), errors.Is(err, core.ErrRate), errors.Is(err, core.ErrBusy):
		return codeQuota
	case errors.Is(err, core.ErrInvalid):
		return codeTopicInvalid
	case errors.Is(err, core.ErrNotFound): // a temporary queue that has gone
		return codeNoSubscribers
	case errors.Is(err, core.ErrUnavailable):
		return codeImplementation
	default:
		return codeUnspecified
	}
}

// subscribeCode returns the SUBACK code of a refused subscription.
func subscribeCode(err error) byte {
	switch {
	case errors.Is(err, core.ErrDenied):
		return codeDenied
	case errors.Is(err, core.ErrLimit), errors.Is(err, core.ErrQueueFull):
		return codeQuota
	case errors.Is(err, core.ErrInvalid):
		return codeFilterInvalid
	case errors.Is(err, core.ErrUnavailable), errors.Is(err, core.ErrInUse), errors.Is(err, core.ErrNotFound):
		return codeImplementation
	default:
		return codeUnspecified
	}
}

// reasonText is what a client is told about err: nothing about errors of our own.
func reasonText(err error) string {
	if reason := new(core.Reason); !errors.As(err, &reason) || errors.Is(err, core.ErrInternal) {
		return undisclosedReason
	}
	return err.Error()
}
