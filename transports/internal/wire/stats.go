package wire

import (
	"log/slog"
	"maps"

	"github.com/wyemq/wye/core"
)

// Stats is what a listener has counted since it was made.
type Stats struct {
	// Open is how many connections there are; Accepted how many there were, those included.
	Open     int
	Accepted uint64
	// BytesIn and BytesOut are what was read and written, framing included, TLS not.
	BytesIn, BytesOut uint64
	// Ended counts by reason id ("closed" for an orderly end): connections that ended, and under
	// "limit_exceeded", "foreign_origin" and "unknown_subprotocol" also those never admitted.
	Ended map[string]uint64
	// Limits counts how often a limit of the listener was reached, by its key.
	Limits map[string]uint64
}

// Stats returns the counters.
func (h *Hub) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := Stats{Open: max(len(h.conns)-h.refusing, 0), Accepted: h.accepted, BytesIn: h.in, BytesOut: h.out, Ended: make(map[string]uint64, len(h.ended)), Limits: maps.Clone(h.limits)}
	for c := range h.conns {
		s.BytesIn += c.got.Load()
		s.BytesOut += c.sent.Load()
	}
	maps.Copy(s.Ended, h.ended)
	return s
}

// Refuse counts a connection that was not admitted, and tells of it as Refused does.
func (h *Hub) Refuse(level slog.Level, info *core.ConnInfo, err error) {
	h.mu.Lock()
	h.count(core.ReasonID(err))
	h.mu.Unlock()
	h.Refused(level, info, err)
}

func (h *Hub) count(reason string) {
	if h.ended == nil {
		h.ended = make(map[string]uint64)
	}
	h.ended[reason]++
}
