// Package protocoltest is the conformance kit for [core.Protocol]: whatever core promises of
// protocols, and to them, has a check here. The author of a protocol writes a [Client] in the
// protocol's raw bytes and calls [Test]; the kit owns what must hold. The package protocols/line has
// the shortest example.
//
//	kit ── calls ──► Client (yours) ── bytes ──► Peer ═ Pipe ═ core.Conn ──► Protocol (yours)
//	 │                                                                           │
//	 └── plain sessions, authorizers, engines that fail: coretest ──► core.Broker ◄─┘
//
// The checks, each a subtest and each in a bubble of testing/synctest, where time is fake and a
// goroutine that is left behind is an error:
//
//	Describe      name, subprotocols, paths make sense and stay what they are
//	Roundtrip     every body, between clients; wildcards; nobody gets what he has not asked for
//	Interop       the core sees what the protocol publishes, and the other way round
//	Headers       in order, repeats included, both ways
//	Queue         consumers share, messages wait
//	Order         1,000 in a burst, from protocol and core
//	Split         byte by byte, and frames over several messages
//	Coalesced     several frames in one message
//	LoggedIn      the limits before login hold until then, and not after
//	Refused       login refused: the peer is told, the error wraps core.ErrLogin
//	Credentials   name and password reach the authenticators
//	Denied        what authorizers refuse: the peer is told, others are undisturbed
//	Disconnect    the client says goodbye: nil
//	PeerCloses    the session goes with its connection, a broken one is an error
//	LastWords     what was sent before the close counts, though nothing can be written any more
//	HalfMessage   the end of the input inside a message
//	Shutdown      ctx is done: goodbye, soon, core.ErrShutdown
//	Takeover      core.ErrTakenOver, soon, by the core and by the protocol itself
//	SlowConsumer  a client that stops reading: bounded memory, core.ErrSlowConsumer, others undisturbed
//	Acks          nothing is lost before its acknowledgement, repetitions say so
//	Confirms      a confirmation means that the engine has it; a refusal is told
//	Garbage       random bytes end their own connection; see also Fuzz
//
// After each check every connection must have ended, with no session left in the broker, no goroutine
// left by a connection, no panic and no internal error.
//
// The kit does not test wire formats: that is what a protocol's own tests are for.
package protocoltest
