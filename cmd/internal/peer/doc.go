// Package peer is a lean client of message brokers: STOMP 1.0 to 1.2, MQTT 3.1.1 and 5, over WebSocket or
// plain TCP, each with TLS or without. It is what `wye bench`, `wye pub` and `wye sub` speak with, and it
// knows nothing of wye: any broker will do.
//
//	URL ─ Parse ─▶ Target ─ Dial ─▶ Conn ─┬ Write ◀─ Template     publishes, made once and stamped
//	                                      └ ReadBatch ─▶ Packet   one read, every packet in it
//
// It is written to cost less than any broker it measures: one system call for many packets each way, no
// allocation per packet, no goroutine of its own. It does not reconnect, keeps no messages and does not check
// what a broker has to check.
package peer
