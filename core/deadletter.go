package core

import (
	"strconv"
	"time"
)

// noTime is the zero time: never, not yet.
var noTime time.Time

// deadLetterHeaders say why, whence and how often, and where the message was sent to.
func deadLetterHeaders(bq *boundQueue, m *Message, attempts int, reason string) []Field {
	h := []Field{
		{"dead-letter-reason", reason},
		{"dead-letter-queue", bq.name},
		{"dead-letter-attempts", strconv.Itoa(attempts)},
		{"dead-letter-time", time.Now().UTC().Format(time.RFC3339Nano)},
	}
	if _, ok := m.Get("original-destination"); !ok {
		h = append(h, Field{"original-destination", m.Destination})
	}
	return h
}
