package disk

import (
	"fmt"
	"time"

	"github.com/wyemq/wye/core/engine"
)

// spaceGap is how old the knowledge of the free space may be.
const spaceGap = 250 * time.Millisecond

// space watches how much room is left.
type space struct {
	e    *Engine
	next time.Time // when to look again; the committer's own
	free uint64
	low  bool
}

func (s *space) init(e *Engine) { s.e = e }

var _ engine.Sized = (*Engine)(nil)

// Usage implements engine.Sized.
func (e *Engine) Usage() engine.Usage {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return engine.Usage{}
	}
	u := engine.Usage{Bytes: e.db.Metrics().DiskSpaceUsage()}
	if d, err := e.fs.GetDiskUsage(e.cfg.Dir); err == nil {
		u.Free = d.AvailBytes
	}
	return u
}

// check refuses what needs room when there is little. It is called by the committer.
func (s *space) check() error {
	if now := time.Now(); now.After(s.next) {
		s.next = now.Add(spaceGap)
		u, err := s.e.fs.GetDiskUsage(s.e.cfg.Dir)
		if err != nil {
			return nil //nolint:nilerr // not every file system can tell
		}
		was := s.low
		s.free = u.AvailBytes
		s.low = s.free < uint64(s.e.cfg.MinFree)
		if s.low && !was {
			s.e.log.Error("the disk is almost full: messages to be stored are refused",
				"dir", s.e.cfg.Dir, "free", s.free, "min_free", s.e.cfg.MinFree)
		} else if was && !s.low {
			s.e.log.Info("the disk has room again", "dir", s.e.cfg.Dir, "free", s.free)
		}
	}
	if !s.low {
		return nil
	}
	return fmt.Errorf("the disk is almost full: %d bytes are free in %s, engine.min_free is %d: %w",
		s.free, s.e.cfg.Dir, s.e.cfg.MinFree, engine.ErrFull)
}
