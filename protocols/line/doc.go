// Package line is the reference protocol: the smallest one that is of use, kept short so that it can
// be copied to start another.
//
// Every message is a line of text. A client sends
//
//	SUB <filter>                as in SUB topic/sensors/+
//	PUB <destination> <body>    as in PUB topic/sensors/1 21.5
//
// and receives
//
//	<destination> <body>        for what it has subscribed to
//	ERR <reason> <text>         before the broker closes the connection
//
// Destinations are written as the core writes them, see package destination. There is no login (the
// authenticators see an anonymous client), no acknowledgement and no header, and it needs a
// transport of messages such as WebSocket, where its subprotocol is "line".
package line
