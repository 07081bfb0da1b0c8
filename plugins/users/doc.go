// Package users knows people by name and password, from a file.
//
//	wye user add|passwd|list|rm|import ── Edit ──▶ users file ◀── Authenticator (read again when it changes)
//
// The file has a line for each user, name:hash:group,group:vhost, and lines that begin with "#". A user who is of a virtual
// host is let in there only, and another one of the same name may be elsewhere; without one it is a user of "/". In a name, the
// characters that mean something here are percent-encoded. What [Hash] writes is argon2id in the PHC
// string format; hashes that RabbitMQ (SHA-256, SHA-512) and Mosquitto ($6$, $7$, argon2id) have made are
// taken over by [Import] and go on working. A plain-text password is never in the file.
//
// It does not say what a user may do: that is plugins/acl. Nothing here is ever written by a running broker.
package users
