package core

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// ways are what a session has found out about destinations it publishes to, so that not every message is looked at, asked for
// and matched anew. A slot is that of many destinations, and holds one of them.
type ways struct {
	slots  [16]atomic.Pointer[way]
	strays atomic.Uint32 // how often another destination wanted a slot that was taken
}

// way is one of them. It does not change; another one takes its place when what it depends on has.
type way struct {
	dest string

	// The session may publish there: as long as it is who it is, and the authorizers have not changed their mind. See
	// [Changer] and [Enabler].
	who     *Principal
	changes uint64
	guarded bool

	// Nobody but these matches: as long as the index is of this generation. 0: not known.
	generation uint64
	matching   []*entry
}

// mostMatching is how many a way remembers: with more of them there is enough else to do, and who does not publish any more
// should not keep many.
const mostMatching = 64

// way returns what is known about dest, nil while that is nothing.
func (s *Session) way(dest string) *way {
	ways := s.ways.Load()
	if ways == nil {
		return nil
	}
	if w := ways.slots[s.b.mind.slot(dest)].Load(); w != nil && w.dest == dest {
		return w
	}
	return nil
}

// permits reports whether the session may publish there.
func (w *way) permits(s *Session) bool {
	return w != nil && w.who == s.Principal() && w.changes == s.b.changes.Load() && w.guarded == s.b.mind.guarded()
}

// asks returns the way to dest, should the session be permitted to publish there by what is answered from now on.
func (s *Session) asks(dest string) way {
	return way{dest: dest, who: s.Principal(), changes: s.b.changes.Load(), guarded: s.b.mind.guarded()}
}

// learn remembers w. Another destination has to give way for it now and then only, so that a few which are in use stay, and
// it costs little to have many of them.
func (s *Session) learn(w way) {
	if !s.b.mind.able {
		return
	}
	if s.ways.Load() == nil {
		s.ways.CompareAndSwap(nil, new(ways))
	}
	ways := s.ways.Load()
	slot := &ways.slots[s.b.mind.slot(w.dest)]
	old := slot.Load()
	switch {
	case old != nil && old.dest == w.dest:
		w.dest = old.dest
	case old != nil && ways.strays.Add(1)%16 != 0:
		return
	default:
		w.dest = strings.Clone(w.dest) // it may be a part of something large
	}
	slot.Store(&w)
}

// mind is what authorizers and authenticators have to do with what may be remembered.
type mind struct {
	seed     maphash.Seed
	able     bool // every authorizer says when it changes its mind
	strict   bool // there are always users
	enablers []Enabler
}

func newMind(o *Options) mind {
	m := mind{seed: maphash.MakeSeed(), able: true}
	for _, a := range o.Authorizers {
		_, ok := a.(Changer)
		m.able = m.able && ok
	}
	for _, a := range o.Authenticators {
		e, ok := a.(Enabler)
		if m.strict = m.strict || !ok; ok {
			m.enablers = append(m.enablers, e)
		}
	}
	return m
}

// slot returns where a destination is remembered.
func (m *mind) slot(dest string) uint64 {
	return maphash.String(m.seed, dest) % uint64(len(ways{}.slots))
}

// guarded is Guarded, quickly.
func (m *mind) guarded() bool {
	if m.strict {
		return true
	}
	for _, e := range m.enablers {
		if e.Enabled() {
			return true
		}
	}
	return false
}
