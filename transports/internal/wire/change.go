package wire

import "time"

// settings are what may change while connections are served.
type settings struct {
	limits Limits
	ping   time.Duration
}

// Settings returns the limits that hold now.
func (h *Hub) Settings() Limits { return *h.bounds() }

func (h *Hub) bounds() *Limits {
	if s := h.changed.Load(); s != nil {
		return &s.limits
	}
	return &h.Limits
}

func (h *Hub) pingEvery() time.Duration {
	if s := h.changed.Load(); s != nil {
		return s.ping
	}
	return h.PingEvery
}

// Change makes other limits hold, and another interval of pings. No connection ends for there being too many; how large a
// message may be, and how long a write may take, is for connections to come.
func (h *Hub) Change(l Limits, ping time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	counted := h.bounds().MaxConnectionsPerAddress > 0
	h.changed.Store(&settings{l, ping})
	switch {
	case l.MaxConnectionsPerAddress == 0:
		h.byAddr = nil
	case !counted:
		h.byAddr = make(map[string]int)
		for c := range h.conns {
			if host := hostOf(c.from); host != "" {
				h.byAddr[host]++
			}
		}
	}
}
