package disk

import (
	"fmt"

	"github.com/wyemq/wye/core/engine"
)

// space watches how much room is left. It is the committer's own.
type space struct {
	e      *Engine
	looked bool // for this group
	free   uint64
	low    bool
}

func (s *space) init(e *Engine) { s.e = e }

var _ engine.Sized = (*Engine)(nil)

// Usage implements engine.Sized.
func (e *Engine) Usage() engine.Usage {
	if e.use() != nil {
		return engine.Usage{}
	}
	defer e.reads.RUnlock()
	u := engine.Usage{Bytes: e.db.Metrics().DiskSpaceUsage()}
	if d, err := e.fs.GetDiskUsage(e.cfg.Dir); err == nil {
		u.Free = d.AvailBytes
	}
	return u
}

// check refuses what needs room when there is little.
func (s *space) check() error {
	if s.e.cfg.MinFree == 0 {
		return nil
	}
	if !s.looked {
		s.looked = true
		s.look()
	}
	if !s.low {
		return nil
	}
	return fmt.Errorf("the disk is almost full: %d bytes are free in %s, engine.min_free is %d: %w",
		s.free, s.e.cfg.Dir, s.e.cfg.MinFree, engine.ErrFull)
}

func (s *space) look() {
	u, err := s.e.fs.GetDiskUsage(s.e.cfg.Dir)
	if err != nil {
		return // not every file system can tell
	}
	was := s.low
	s.free = u.AvailBytes
	s.low = s.free < uint64(s.e.cfg.MinFree)
	switch {
	case s.low && !was:
		s.e.log.Error("the disk is almost full: messages to be stored are refused",
			"dir", s.e.cfg.Dir, "free", s.free, "min_free", s.e.cfg.MinFree)
	case was && !s.low:
		s.e.log.Info("the disk has room again", "dir", s.e.cfg.Dir, "free", s.free)
	}
}
