// Package httpauth asks a service of the operator's own who a client is, by HTTP.
//
//	core.Login ── POST JSON ──▶ url ── 200 {"user", "groups", …}  the client is that user
//	                               ├─ 401, 403                   refused
//	                               └─ anything else, no answer   refused: it fails closed
//
// Answers are remembered for a while, under a hash that only this process can make; what was asked is part of it. The
// request holds: user, password, token, client_id, protocol, version, vhost, remote, listener, source. The answer may
// hold: user (needed when the client gave none), groups, vhost, claims (for the patterns and rules of plugins/acl), and
// expires_in (seconds), after which the session ends.
//
// It does not ask what a client may do: that is decided for every message, and no service is fast enough.
package httpauth
