package audit

import (
	"bytes"
	"encoding/json"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/wyemq/wye/core"
)

// Record is a line of the log. Fields that have nothing to say are left out.
type Record struct {
	// Time is when it has happened, or the first of them when Count is set; in UTC.
	Time time.Time `json:"time"`
	// Event says what: connection_refused, login, login_refused, logout, refreshed, refused, revoked (see core.EventKind), reload, reload_refused,
	// admin, user_added, user_password, user_removed, users_imported, audit_lost.
	Event string `json:"event"`
	// User, Client and VHost are those of the session, or what a client has said that was refused.
	User   string `json:"user,omitempty"`
	Client string `json:"client,omitempty"`
	VHost  string `json:"vhost,omitempty"`
	// Remote is the address of the client without port, Conn the id of its connection in the program's log.
	Remote string `json:"remote,omitempty"`
	Conn   string `json:"conn,omitempty"`
	// Protocol and Listener are how the client has come, Credentials where those were that it gave, Authenticator who has
	// decided about them.
	Protocol      string `json:"protocol,omitempty"`
	Listener      string `json:"listener,omitempty"`
	Credentials   string `json:"credentials,omitempty"`
	Authenticator string `json:"authenticator,omitempty"`
	// Operation, Destination and Rule are what was refused, and by which rule.
	Operation   string `json:"operation,omitempty"`
	Destination string `json:"destination,omitempty"`
	Rule        string `json:"rule,omitempty"`
	// Reason is the stable id of why, Detail says it to people.
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`
	// Count is how many there were of these within a second, or ten of connection_refused and of admin by nobody known, beside
	// those that have lines of their own.
	Count int `json:"count,omitempty"`
	// By is who has done it, of what is no client's doing: SIGHUP, a user of the admin server, an account of the system.
	By string `json:"by,omitempty"`
	// Action and Status are the request to the admin server, and what it was answered.
	Action string `json:"action,omitempty"`
	Status int    `json:"status,omitempty"`
	// Errors are all that is wrong with a configuration that was refused.
	Errors []string `json:"errors,omitempty"`
	// Changes are keys of the configuration with old and new values, Files what is new in files, by the key that names
	// them; secrets are redacted.
	Changes any               `json:"changes,omitempty"`
	Files   map[string]string `json:"files,omitempty"`
}

// maxText is how much of what somebody says is kept.
const maxText = 256

func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + "…"
}

// line is r as it is written.
func (r *Record) line() []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b) // which ends it with a line feed
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return nil // only what is in Changes could be to blame
	}
	return b.Bytes()
}

// recordOf says what an event is.
func recordOf(e *core.Event) Record {
	r := Record{
		Time: e.Time.UTC(), Event: string(e.Kind), User: clip(e.User), Client: clip(e.ClientID), VHost: clip(e.VHost),
		Protocol: e.Protocol, Credentials: e.Source, Authenticator: e.Authenticator, Destination: clip(e.Destination),
	}
	if e.Op != 0 {
		r.Operation = e.Op.String()
	}
	if e.Conn != nil {
		r.Conn, r.Listener, r.Remote = e.Conn.ID, e.Conn.Listener, Host(e.Conn.Remote)
	}
	switch e.Kind {
	case core.EventLogin, core.EventRefreshed:
	default:
		r.Reason = core.ReasonID(e.Err)
	}
	if e.Err != nil {
		r.Rule, r.Detail = core.RuleOf(e.Err), clip(e.Err.Error())
	}
	return r
}

// Host is an address without its port.
func Host(a net.Addr) string {
	switch a := a.(type) {
	case nil:
		return ""
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap().String()
	}
	if ap, err := netip.ParseAddrPort(a.String()); err == nil {
		return ap.Addr().Unmap().String()
	}
	return a.String()
}
