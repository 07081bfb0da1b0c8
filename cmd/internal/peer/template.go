package peer

// StampSize is the length of a Stamp in the body.
const StampSize = 16

// Stamp tells messages apart: which run of the program, which publisher, which message of it. It is written
// as 16 characters of base64, so that it is text and holds no byte that a protocol gives a meaning.
type Stamp struct {
	Run       uint32 // 24 bits
	Publisher uint32 // 24 bits
	Seq       uint64 // 48 bits
}

const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"

// values are those of the digits, and 0xff for what is none.
var values = func() (v [256]byte) {
	for i := range v {
		v[i] = 0xff
	}
	for i := range digits {
		v[digits[i]] = byte(i)
	}
	return v
}()

func (s Stamp) put(dst []byte) {
	putDigits(dst[:4], uint64(s.Run))
	putDigits(dst[4:8], uint64(s.Publisher))
	putDigits(dst[8:16], s.Seq)
}

func putDigits(dst []byte, v uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = digits[v&63]
		v >>= 6
	}
}

// ReadStamp reads the stamp at the start of a body.
func ReadStamp(body []byte) (Stamp, bool) {
	if len(body) < StampSize {
		return Stamp{}, false
	}
	var bad byte
	var n [3]uint64
	for i, c := range body[:StampSize] {
		v := values[c]
		bad |= v
		field := min(i/4, 2)
		n[field] = n[field]<<6 | uint64(v&63)
	}
	return Stamp{uint32(n[0]), uint32(n[1]), n[2]}, bad < 64
}

// Template is a publish that is encoded, framed and masked once, and stamped for each message.
type Template struct {
	codec   codec
	raw     []byte
	key     maskKey
	payload int // where the payload of the frame starts
	body    int // where the body starts
	id      int // where the id lies; 0: there is none
}

// Template prepares p. Its body is to start with room for a stamp.
func (c *Conn) Template(p Publication) *Template {
	payload, id := c.codec.publish(nil, &p, 0)
	t := &Template{codec: c.codec, id: id, body: len(payload) - len(p.Body)}
	if c.target.Protocol == STOMP {
		t.body-- // the NUL
	}
	if c.op == 0 {
		t.raw = payload
		return t
	}
	t.raw, t.payload = c.key.frame(nil, c.opcode(payload), payload)
	t.key = c.key
	t.body += t.payload
	if id > 0 {
		t.id += t.payload
	}
	return t
}

// Len is the length of a message on the wire.
func (t *Template) Len() int { return len(t.raw) }

// Append appends the message with the stamp. The id is what the broker's answer has, if one was asked for.
func (t *Template) Append(dst []byte, s Stamp, id uint32) []byte {
	at := len(dst)
	dst = append(dst, t.raw...)
	msg := dst[at:]
	s.put(msg[t.body : t.body+StampSize])
	t.key.mask(msg[t.body:t.body+StampSize], t.body-t.payload)
	if t.id > 0 {
		field := msg[t.id : t.id+2]
		if _, ok := t.codec.(*stomp); ok {
			field = msg[t.id : t.id+receiptDigits]
		}
		t.codec.putID(field, id)
		t.key.mask(field, t.id-t.payload)
	}
	return dst
}
