// Package jwt knows people by signed tokens, RFC 7519.
//
//	token (CONNECT, Authorization, subprotocol, cookie) ── signature, exp, nbf, iat, iss, aud ── claims ── core.Principal
//	                                                            ▲
//	secret · PEM or JWKS file · JWKS URL ── keys, read again at intervals and for a key id that is not known
//
// A key only ever checks what it was made for: a secret HMAC, an RSA key RS and PS, a curve its own ES, Ed25519 EdDSA,
// and "none" is nothing. So a token cannot choose how it is believed.
//
// While keys cannot be fetched, those that were count on for a day; then, and before there were any, nobody is let in.
//
// The session ends with its token. What its bearer may do is said by plugins/acl, which also reads the claim "acl".
package jwt
