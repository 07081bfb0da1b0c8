// Package crash proves that the broker keeps its promises when it is killed.
//
//	clients ──▶ broker, a process of its own ◀── kill -9, again and again
//	   │ what they sent, what was confirmed, what they received, what they settled
//	   ▼
//	History ──▶ Check ──▶ violations
//
// [Run] starts the real program on a directory, lets STOMP and MQTT clients work over WebSockets, kills it at a random
// moment, starts it anew on the same directory, and so on. The clients come back each time and go on. In the end
// everything is consumed, the broker is killed once more, and [Check] judges what the clients have seen:
//
//   - what was confirmed and not settled is delivered in the end, and what was delivered does not vanish unsettled;
//   - every second delivery of a message says so (redelivered:true, DUP);
//   - nothing is delivered after its acknowledgement was confirmed;
//   - the first deliveries of one publisher's messages come in its order;
//   - of a transaction everything happens, sends and acknowledgements, or nothing;
//   - what is retained is the last that was confirmed, or one sent later;
//   - QoS 2 is exactly once.
//
// An outcome that no client was told counts as either. What is published with QoS 0 or persistent:false may be
// lost. The package knows the broker by what it says on the wire alone: it could be run against another one.
package crash
