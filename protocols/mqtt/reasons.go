package mqtt

import (
	"errors"

	"github.com/wyemq/wye/core"
)

// The reason codes of MQTT 5, section 2.4, that are used here.
const (
	codeSuccess          = 0x00
	codeNoSubscribers    = 0x10
	codeNoSubscription   = 0x11
	codeUnspecified      = 0x80
	codeMalformed        = 0x81
	codeProtocolError    = 0x82
	codeImplementation   = 0x83
	codeClientID         = 0x85
	codeBadUser          = 0x86
	codeNotAuthorized    = 0x87
	codeUnavailable      = 0x88
	codeShutdown         = 0x8b
	codeBadAuthMethod    = 0x8c
	codeKeepAlive        = 0x8d
	codeTakenOver        = 0x8e
	codeFilterInvalid    = 0x8f
	codeTopicNameInvalid = 0x90
	codePacketIDInUse    = 0x91
	codePacketIDNotFound = 0x92
	codeReceiveMaximum   = 0x93
	codeAliasInvalid     = 0x94
	codeTooLarge         = 0x95
	codeQuota            = 0x97
	codeAdministrative   = 0x98
	codePayloadFormat    = 0x99
)

// reasonCodes says what a reason of the core is called by MQTT 5. The first that matches counts.
var reasonCodes = []struct {
	reason *core.Reason
	code   byte
}{
	{core.ErrLogin, codeBadUser},
	{core.ErrDenied, codeNotAuthorized},
	{core.ErrQueueFull, codeQuota},
	{core.ErrLimit, codeQuota},
	{core.ErrTakenOver, codeTakenOver},
	{core.ErrShutdown, codeShutdown},
	{core.ErrHeartbeat, codeKeepAlive},
	{core.ErrLoginTimeout, codeKeepAlive},
	{core.ErrTooBig, codeTooLarge},
	{core.ErrSlowConsumer, codeQuota},
	{core.ErrAdmin, codeAdministrative},
	{core.ErrUnavailable, codeUnavailable},
	{core.ErrNotUTF8, codeMalformed},
	{core.ErrUnsupported, codeMalformed},
	{core.ErrInternal, codeUnspecified},
}

func codeOf(err error, otherwise byte) byte {
	for _, r := range reasonCodes {
		if errors.Is(err, r.reason) {
			return r.code
		}
	}
	return otherwise
}

func connackCode(err error) byte    { return codeOf(err, codeUnspecified) }
func disconnectCode(err error) byte { return codeOf(err, codeProtocolError) }

// publishCode is for PUBACK and PUBREC, which know only some of the codes (sections 3.4.2.1 and 3.5.2.1).
func publishCode(err error) byte {
	switch c := codeOf(err, codeTopicNameInvalid); c {
	case codeNotAuthorized, codeQuota, codeTopicNameInvalid:
		return c
	default:
		return codeImplementation
	}
}

// subscribeCode is for SUBACK (section 3.9.3).
func subscribeCode(err error) byte {
	switch c := codeOf(err, codeFilterInvalid); c {
	case codeNotAuthorized, codeQuota, codeFilterInvalid:
		return c
	default:
		return codeUnspecified
	}
}

// connackCode3 is the return code of MQTT 3.1.1, section 3.2.2.3.
func connackCode3(code byte) byte {
	switch code {
	case 0, 1, 2, 3, 4, 5:
		return code
	case 0x84:
		return 1 // unacceptable protocol version
	case codeClientID, codeUnspecified:
		return 2 // identifier rejected
	case codeBadUser, codeBadAuthMethod:
		return 4 // bad user name or password
	case codeNotAuthorized, 0x8a:
		return 5
	default:
		return 3 // server unavailable
	}
}
