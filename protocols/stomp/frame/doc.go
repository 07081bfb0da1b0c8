// Package frame is the codec of STOMP 1.0, 1.1 and 1.2: octets to frames and back.
//
//	octets ─▶ Parser.Next ─▶ Frame ─▶ session
//	session ─▶ AppendCommand, AppendHeader, AppendBody ─▶ octets
//
// It owns no connection, starts no goroutine and knows nothing of what a frame means. A [Parser] is
// pushed whatever arrives, in pieces of any size, and keeps only what a frame that is not complete
// needs. Limits are checked before anything is allocated for what they bound.
package frame
