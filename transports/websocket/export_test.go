package websocket

// ValidText checks text as it is checked when it comes in these pieces.
func ValidText(pieces [][]byte) bool {
	m := message{text: true}
	for _, p := range pieces {
		if !m.valid(p) {
			return false
		}
	}
	return m.cut == 0
}
