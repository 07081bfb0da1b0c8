package disk

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wyemq/wye/core/engine"
)

// FuzzRecord: what is decoded is encoded again as it was, and nothing panics.
func FuzzRecord(f *testing.F) {
	for _, m := range []*engine.Message{
		{},
		{Dest: "queue/a", Header: []byte("h"), Body: []byte("body"), Priority: 9, ID: engine.MsgID{1, 2}, Beside: 1500},
		{Expires: time.Unix(1, 2), Visible: time.Unix(-3, 4), Stored: time.Unix(math.MaxInt32, 999_999_999)},
	} {
		f.Add(appendMessage(nil, m))
	}
	f.Add(appendShared(nil, 7, 300))
	f.Add([]byte{formShared, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		i, infoErr := look(b)
		m, err := decodeMessage(b)
		if err != nil {
			return
		}
		if infoErr != nil || i.size != m.Size() || i.body != 0 {
			t.Errorf("look says %+v, %v of a message with %d bytes", i, infoErr, m.Size())
		}
		again, err := decodeMessage(appendMessage(nil, m))
		if err != nil || again.Dest != m.Dest || again.ID != m.ID || again.Priority != m.Priority || again.Beside != m.Beside ||
			!bytes.Equal(again.Body, m.Body) || !bytes.Equal(again.Header, m.Header) || !again.Expires.Equal(m.Expires) ||
			!again.Visible.Equal(m.Visible) || !again.Stored.Equal(m.Stored) {
			t.Errorf("%+v became %+v, %v", m, again, err)
		}
	})
}

// FuzzLog: nothing that is stored of a log makes decode panic, and what it takes is kept.
func FuzzLog(f *testing.F) {
	l := &log{num: 3, last: 99, bytes: 1000, notes: 2, shared: 1, areas: []*area{
		{no: 4, count: 7, floor: 90, flagged: 95, reserved: 97}, {no: 9, count: 1, floor: 98},
	}}
	f.Add(l.appendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var l, again log
		if l.decode(b) != nil {
			return
		}
		first := l.appendTo(nil)
		if err := again.decode(first); err != nil || !bytes.Equal(again.appendTo(nil), first) {
			t.Errorf("%x became %x, %v", first, again.appendTo(nil), err)
		}
	})
}

// FuzzDamaged: nothing in a log of Pebble makes the search panic.
func FuzzDamaged(f *testing.F) {
	f.Add([]byte{}, uint32(1))
	f.Add(bytes.Repeat([]byte{1, 2, 3, 4, 5, 6, 9, 8}, 5000), uint32(1))
	f.Fuzz(func(_ *testing.T, b []byte, log uint32) { damaged(b, log) })
}

// TestDamaged looks at logs as Pebble writes them.
func TestDamaged(t *testing.T) {
	put := func(b []byte, log uint32, synced int, size int) []byte {
		c := make([]byte, chunkHeader+size)
		binary.LittleEndian.PutUint16(c[4:], uint16(size))
		c[6] = chunkFirst
		binary.LittleEndian.PutUint32(c[7:], log)
		binary.LittleEndian.PutUint64(c[11:], uint64(synced))
		sum := crc32.Checksum(c[6:], crc32.MakeTable(crc32.Castagnoli))
		binary.LittleEndian.PutUint32(c, (sum>>15|sum<<17)+0xa282ead8)
		return append(b, c...)
	}
	var whole []byte
	var starts []int
	for range 5 {
		starts = append(starts, len(whole))
		whole = put(whole, 7, len(whole), 100)
	}
	if _, bad := damaged(append(whole, make([]byte, 1000)...), 7); bad {
		t.Error("a whole log with room behind it is damaged")
	}
	for i, start := range starts {
		b := slices.Clone(whole)
		b[start+50] ^= 4
		at, bad := damaged(b, 7)
		if last := i == len(starts)-1; bad == last || bad && at != start {
			t.Errorf("chunk %d is spoiled: %v at %d", i, bad, at)
		}
	}
	torn := put(whole[:starts[3]+20], 6, 1000, 100) // the file has held another log before
	if _, bad := damaged(torn, 7); bad {
		t.Error("what another log has left is taken for damage")
	}
	unsynced := put(append(slices.Clone(whole[:starts[3]]), 1, 2, 3), 7, starts[2], 100)
	if _, bad := damaged(unsynced, 7); bad {
		t.Error("what was not synced is taken for damage")
	}
}

func TestTopics(t *testing.T) {
	topics := []string{"a", "a/b", "a/b/c", "a\x00", "a!", "b", "", "/", "a//b"}
	keys := make([]string, len(topics))
	for i, topic := range topics {
		keys[i] = string(appendTopic(nil, topic))
	}
	slices.Sort(keys)
	if n := len(slices.Compact(slices.Clone(keys))); n != len(topics) {
		t.Errorf("%d topics have %d keys", len(topics), n)
	}
	below := func(k string) bool { return strings.HasPrefix(k, string(appendTopic(nil, "a"))+levelEnd) }
	first := slices.IndexFunc(keys, below)
	if keys[first-1] != "a" || !below(keys[first+1]) || !below(keys[first+2]) || below(keys[first+3]) {
		t.Errorf("what is below a does not follow it: %q", keys)
	}
}

func TestNanos(t *testing.T) {
	last := int64(-1)
	for _, at := range []time.Time{
		time.Unix(-5, 0), time.Unix(0, 1), time.Unix(1, 0), time.Now(), time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		if n := nanos(at); n <= last {
			t.Errorf("%v is %d, not after %d", at, n, last)
		} else {
			last = n
		}
	}
}
