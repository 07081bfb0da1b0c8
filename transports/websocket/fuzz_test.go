package websocket_test

import (
	"testing"
	"unicode/utf8"

	"github.com/wyemq/wye/transports/websocket"
)

// FuzzText: wherever a text is cut, it is valid if and only if it is as a whole.
func FuzzText(f *testing.F) {
	f.Add([]byte("grüße, €, 𝄞"), uint8(1))
	f.Add([]byte("\xf0\x9d\x84"), uint8(2))
	f.Add([]byte("\xed\xa0\x80"), uint8(1))
	f.Add([]byte("\xe2\x82x\x82"), uint8(3))
	f.Fuzz(func(t *testing.T, text []byte, size uint8) {
		var pieces [][]byte
		for rest := text; len(rest) > 0; {
			n := min(max(int(size), 1), len(rest))
			pieces = append(pieces, rest[:n])
			rest = rest[n:]
		}
		if got, want := websocket.ValidText(pieces), utf8.Valid(text); got != want {
			t.Errorf("%q in pieces of %d bytes: %v, as a whole: %v", text, size, got, want)
		}
	})
}
