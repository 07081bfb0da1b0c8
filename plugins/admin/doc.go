// Package admin is the HTTP server for the people who run a broker: is it alive, is it ready, what
// does it count, and the pages that other plugins bring.
//
//	GET /            what there is
//	GET /healthz     200 while the process lives
//	GET /readyz      200 when clients can connect, else 503 and why not
//	GET /debug/pprof profiles, when the configuration says so
//	…                every Route it was given: /metrics, /demo
//
// It answers in plain text that a person reads with curl. Every answer carries headers that keep a
// browser from running, framing or guessing what was not meant for it; a Route may loosen the
// Content-Security-Policy for its own pages. A request whose Host is a name that the server was not
// told of is refused, so that a web page elsewhere cannot reach it by pointing its own name at
// 127.0.0.1; and so is a request to change something that a page of another origin sends.
//
// On an address that other machines can reach it wants TLS, with the certificates and by the code of the listeners, or to be
// told that it is to do without. Behind a proxy that is trusted, Request.RemoteAddr is the client's, for handlers too.
//
// It does not know the broker: what is ready comes as a function, what is counted as a handler. It
// does not serve the protocols' clients; that is what transports are for.
package admin
