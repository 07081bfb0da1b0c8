package disk

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/wyemq/wye/core/engine"
)

// The first byte of a key says what it is. Numbers are big-endian, so that keys are in the order of their numbers.
const (
	kindLog     = 'l' // id                → what is known of the log
	kindRecord  = 'm' // log, area, seq    → record, or reference to a body
	kindNote    = 'n' // log, seq          → failed attempts, handed out
	kindLater   = 'v' // log, time, seq    → priority; index of the records that wait for their time
	kindBody    = 'b' // body              → record that several logs share
	kindRefs    = 'c' // body              → how many references there are
	kindState   = 'k' // bucket, key       → revision, value
	kindTopic   = 'r' // topic             → retained message
	kindExpiry  = 'e' // time, topic       → nothing; index of the retained messages that expire
	kindGone    = 'x' // log               → nothing; it was dropped, and its references are not all taken back
	kindCounter = 'w' // name              → number
)

// areas of a log: one for each priority, and one for the records that had to wait for their time.
const (
	lanes     = 10
	laterArea = lanes
	areas     = lanes + 1
)

func laneOf(m *engine.Message) uint8 { return min(m.Priority, lanes-1) }

func appendLog(b []byte, kind byte, num uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, kind), num)
}

func appendRecordKey(b []byte, num uint64, area uint8, seq engine.Seq) []byte {
	return binary.BigEndian.AppendUint64(append(appendLog(b, kindRecord, num), area), uint64(seq))
}

// recordSeq takes the number out of a key of a record or a note.
func recordSeq(key []byte) engine.Seq {
	return engine.Seq(binary.BigEndian.Uint64(key[len(key)-8:]))
}

func appendNoteKey(b []byte, num uint64, seq engine.Seq) []byte {
	return binary.BigEndian.AppendUint64(appendLog(b, kindNote, num), uint64(seq))
}

func appendLaterKey(b []byte, num uint64, at int64, seq engine.Seq) []byte {
	b = binary.BigEndian.AppendUint64(appendLog(b, kindLater, num), uint64(at))
	return binary.BigEndian.AppendUint64(b, uint64(seq))
}

// laterTime takes the time out of a key of the index of what waits.
func laterTime(key []byte) int64 {
	return int64(binary.BigEndian.Uint64(key[len(key)-16:]))
}

func appendBodyKey(b []byte, kind byte, body uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, kind), body)
}

func appendStateKey(b []byte, bucket, key string) []byte {
	b = binary.AppendUvarint(append(b, kindState), uint64(len(bucket)))
	return append(append(b, bucket...), key...)
}

// nanos returns a time as a number that is not negative and keeps the order; what is out of its range is at its ends.
func nanos(t time.Time) int64 {
	switch sec := t.Unix(); {
	case sec < 0:
		return 0
	case sec >= math.MaxInt64/1_000_000_000:
		return math.MaxInt64
	default:
		return t.UnixNano()
	}
}
