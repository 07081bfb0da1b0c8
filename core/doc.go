// Package core is the broker: it routes messages between sessions and knows no protocol.
package core
