package websocket

import (
	"bytes"
	"compress/flate"
	"sync"

	"github.com/wyemq/wye/core"
)

// worthDeflating is the size from which a message is compressed.
const worthDeflating = 512

// deflater compresses one message at a time: nothing is kept for a connection.
type deflater struct {
	w   *flate.Writer
	out bytes.Buffer
}

var deflaters = sync.Pool{New: func() any {
	d := new(deflater)
	d.w, _ = flate.NewWriter(&d.out, flate.BestSpeed) // the level is valid
	return d
}}

// writeDeflated writes the parts as one compressed message (RFC 7692, section 7.2.1), or as they are if that
// makes them no smaller.
func (c *conn) writeDeflated(k core.Kind, parts [][]byte) error {
	d, _ := deflaters.Get().(*deflater)
	defer d.free()
	d.out.Reset()
	d.w.Reset(&d.out)
	n := 0
	for _, p := range parts {
		n += len(p)
		_, _ = d.w.Write(p) // a bytes.Buffer takes all
	}
	_ = d.w.Flush()
	b := bytes.TrimSuffix(d.out.Bytes(), []byte{0, 0, 0xff, 0xff})
	var head [headSize]byte
	if len(b) >= n {
		return c.Append(frameHead(&head, final|byte(k), n), parts...)
	}
	return c.Append(frameHead(&head, final|rsv1|byte(k), len(b)), b)
}

// mostKept is the size up to which a buffer is used again.
const mostKept = 256 << 10

func (d *deflater) free() {
	if d.out.Cap() <= mostKept {
		deflaters.Put(d)
	}
}
