// Package console is what a browser can try a broker with: chats over STOMP and MQTT, alone and side
// by side on one destination.
//
//	/demo             both clients on one page, one destination
//	/demo/websocket   stomp.js on /queue/test
//	/demo/mqtt        Eclipse Paho
//	/demo/config.json where the broker listens
//	/demo/static/     style, scripts, and the client libraries with their licences
//
// Everything is in the binary: the pages work without a network. The client libraries are the files
// of their npm packages, unchanged; static/npm/README.md says which and how they got here. (They are
// not in a folder called vendor, because Go leaves those out of a module's archive.)
//
// The pages are clients like any other. The handler here never talks to the broker; it says to the
// page where the listeners are, and the page connects to them. So the WebSocket listener must accept
// the origin that the pages come from.
package console
