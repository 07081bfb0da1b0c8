// Package pubsub is `wye pub` and `wye sub`: send messages to any broker and print what it sends, over STOMP
// and MQTT, from the command line and from scripts.
//
//	Pub ─ flags ─▶ bodies (-m, -f, -l, -s, -n) ─▶ peer.Conn ─▶ broker ─▶ RECEIPT, PUBACK, PUBCOMP ─▶ exit code
//	Sub ─ flags ─▶ peer.Conn ─▶ broker ─▶ packets ─▶ text or JSON lines ─▶ ACK, PUBACK
//
// The exit code is the point: that of pub says whether the broker has taken everything, where the protocol has
// a way of saying so; that of sub whether as much has come as was asked for. Sub connects again when the connection is lost; Pub does not, since
// what is sent twice would be there twice.
package pubsub
