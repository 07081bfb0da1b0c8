package peer

// Parse reads all packets of a stream, to test and fuzz the codecs. It says how many bytes it has taken.
func (p Protocol) Parse(b []byte, handle func(*Packet)) (taken int, err error) {
	var c codec
	switch p {
	case STOMP:
		c = &stomp{}
	case MQTT:
		c = &mqtt{level: 4}
	default:
		c = &mqtt{level: 5}
	}
	q := Packet{codec: c}
	for taken < len(b) {
		n, err := c.parse(b[taken:], &q)
		if n == 0 || err != nil {
			return taken, err
		}
		taken += n
		handle(&q)
	}
	return taken, nil
}
