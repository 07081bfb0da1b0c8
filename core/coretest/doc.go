// Package coretest holds what tests need around a broker: a broker that closes itself, clients
// without a protocol that record what they are sent, an engine that fails or is slow when told to,
// authenticators and authorizers.
//
//	Broker(t) ── Connect(t, b, login) ── Client: a core.Session, a Sink and a Conn
//	     └────── Engine: holds back, fails or swallows commits of the engine below
//
// Everything works in a testing/synctest bubble and out of one. Nothing here speaks a wire protocol:
// see package protocoltest for that.
package coretest
