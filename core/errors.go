package core

import "errors"

// Reason is an error with a stable id. The id is what a user meets everywhere a connection
// or an operation ends: in the ERROR frame or DISCONNECT packet, in the WebSocket close text,
// in the log, as the label of a metric. Reasons are compared with [errors.Is]; wrap them to
// say what was being done: fmt.Errorf("subscribe %q: %w", filter, core.ErrDenied).
type Reason struct {
	id    string
	text  string
	close int
}

// NewReason makes a reason for a plugin of somebody's own. id is snake_case and never changes
// once released; closeCode is the WebSocket close code of RFC 6455, section 7.4.
func NewReason(id string, closeCode int, text string) *Reason {
	return &Reason{id: id, close: closeCode, text: text}
}

// Error returns the text for people.
func (r *Reason) Error() string { return r.text }

// ID returns the stable id, as in "slow_consumer".
func (r *Reason) ID() string { return r.id }

// The shared vocabulary. Matched with errors.Is, never by text.
var (
	ErrInvalid      = NewReason("protocol_error", 1002, "protocol error")
	ErrUnsupported  = NewReason("unsupported_data", 1003, "unsupported data")
	ErrNotUTF8      = NewReason("invalid_utf8", 1007, "invalid UTF-8")
	ErrLogin        = NewReason("bad_credentials", 1008, "login refused")
	ErrTokenExpired = NewReason("token_expired", 1008, "the credentials have expired")
	ErrRevoked      = NewReason("credentials_revoked", 1008, "the credentials are not valid any more")
	ErrLoginTimeout = NewReason("login_timeout", 1008, "no login in time")
	ErrDenied       = NewReason("not_authorized", 1008, "not authorized")
	ErrLimit        = NewReason("limit_exceeded", 1008, "limit exceeded")
	ErrRate         = NewReason("rate_exceeded", 1008, "more than permitted in this time")
	ErrTries        = NewReason("too_many_logins", 1008, "too many failed logins")
	ErrTakenOver    = NewReason("taken_over", 1008, "another connection uses this client id")
	ErrHeartbeat    = NewReason("heartbeat_timeout", 1008, "no heart-beat in time")
	ErrAdmin        = NewReason("closed_by_administrator", 1008, "closed by an administrator")
	ErrTooBig       = NewReason("frame_too_large", 1009, "larger than permitted")
	ErrInternal     = NewReason("internal_error", 1011, "internal error")
	ErrShutdown     = NewReason("server_shutdown", 1012, "the server is shutting down")
	ErrSlowConsumer = NewReason("slow_consumer", 1013, "the client does not read fast enough")
	ErrUnavailable  = NewReason("unavailable", 1013, "temporarily unavailable")
	ErrBusy         = NewReason("server_busy", 1013, "the server is busy")
	ErrQueueFull    = NewReason("queue_full", 1008, "the queue is full")
	ErrNotFound     = NewReason("not_found", 1008, "not found")
	ErrInUse        = NewReason("in_use", 1008, "in use by another client")
	ErrExpired      = NewReason("expired", 1008, "expired")
	// ErrClosed is returned by every method of a [Session] that has ended.
	ErrClosed = NewReason("session_closed", 1000, "the session is closed")
	// ErrGone is returned by writes to a [Conn] whose peer has closed it or broken it off. What the peer sent before can
	// still be read, its goodbye perhaps; then reads end as well. So nobody ends a connection for it.
	ErrGone = errors.New("the peer has gone")
	// ErrSkip is returned by an [Authenticator] that has no opinion about a login.
	ErrSkip = errors.New("authenticator: not mine")
)

// ReasonID returns the stable id of the first [Reason] that err wraps: "closed" for nil (an
// orderly close), "connection_lost" for any other error.
func ReasonID(err error) string {
	if err == nil {
		return "closed"
	}
	if r := new(Reason); errors.As(err, &r) {
		return r.id
	}
	return "connection_lost"
}

// CloseCode returns the WebSocket close code for err: 1000 for nil, that of the first [Reason]
// it wraps, 1011 for any other error.
func CloseCode(err error) int {
	if err == nil {
		return 1000
	}
	if r := new(Reason); errors.As(err, &r) {
		return r.close
	}
	return 1011
}
